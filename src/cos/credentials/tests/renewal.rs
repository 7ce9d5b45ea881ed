//! When credentials are fetched again.

use super::*;
use crate::time::{UnixMillis, UnixSeconds};

/// Each test has a clock of its own; they run side by side.
macro_rules! clock {
    () => {{
        static NOW: AtomicI64 = AtomicI64::new(0);
        fn now() -> UnixMillis {
            UnixSeconds(NOW.load(Ordering::Relaxed)).to_millis()
        }
        (&NOW, Clock::with_local(now))
    }};
}

fn process_file(path: &Path, id: &str, expires_at: i64) {
    let json = format!(r#"{{"SecretId":"{id}","SecretKey":"k","ExpiredTime":{expires_at}}}"#);
    std::fs::write(path, json).unwrap();
}

/// A world whose process prints the file at the path: credentials that expire in the distant future.
fn world_with_a_process() -> (World, PathBuf) {
    let mut world = World::new(&[]);
    let path = world.home.path().join("json");
    world.process = Some(format!("cat '{}'", path.display()));
    process_file(&path, "one", 4_000_000_000);
    (world, path)
}

#[tokio::test]
async fn credentials_are_renewed_ten_minutes_before_their_end() {
    let (now, clock) = clock!();
    let (world, path) = world_with_a_process();
    let provider = world.discover().await.unwrap();
    process_file(&path, "two", 4_000_003_600);
    for (time, id) in [(4_000_000_000 - 601, "one"), (4_000_000_000 - 600, "two")] {
        now.store(time, Ordering::Relaxed);
        assert_eq!(provider.current(&clock).await.unwrap().secret_id, id);
    }
}

#[tokio::test]
async fn after_a_failed_renewal_the_old_credentials_are_used_until_they_expire() {
    let (now, clock) = clock!();
    let (world, path) = world_with_a_process();
    let provider = world.discover().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    for time in [4_000_000_000 - 600, 4_000_000_000 - 300, 4_000_000_000 - 1] {
        now.store(time, Ordering::Relaxed);
        assert_eq!(provider.current(&clock).await.unwrap().secret_id, "one");
    }
    // The clock may be wrong, so the service decides.
    now.store(4_000_900_000, Ordering::Relaxed);
    assert_eq!(provider.current(&clock).await.unwrap().secret_id, "one");
    // A clock that the service has accepted is at most 15 minutes off.
    now.store(4_000_000_899, Ordering::Relaxed);
    clock.accepted();
    assert_eq!(provider.current(&clock).await.unwrap().secret_id, "one");
    now.store(4_000_000_900, Ordering::Relaxed);
    assert!(matches!(provider.current(&clock).await, Err(Error::Expired { cause: Some(_), .. })));
    // Expired credentials that the place returns again are of no use.
    process_file(&path, "one", 4_000_000_000);
    assert!(matches!(provider.current(&clock).await, Err(Error::Expired { cause: None, .. })));
    process_file(&path, "two", 4_000_003_600);
    assert_eq!(provider.current(&clock).await.unwrap().secret_id, "two");
}

#[tokio::test]
async fn new_credentials_that_look_expired_are_used_and_not_fetched_again_for_each_request() {
    let (now, clock) = clock!();
    let mut world = World::new(&[]);
    let (path, count) = (world.home.path().join("json"), world.home.path().join("count"));
    world.process = Some(format!("echo run >> '{}'; cat '{}'", count.display(), path.display()));
    process_file(&path, "one", 4_000_000_000);
    let provider = world.discover().await.unwrap();
    process_file(&path, "two", 4_000_001_800);
    now.store(4_000_003_600, Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(provider.current(&clock).await.unwrap().secret_id, "two");
    }
    let runs = std::fs::read_to_string(count).unwrap().lines().count();
    assert_eq!(runs, 2, "found once, renewed once");
}

#[tokio::test]
async fn one_request_renews_for_all_and_none_gets_expired_credentials() {
    let (now, clock) = clock!();
    let mut world = World::new(&[]);
    let (path, count) = (world.home.path().join("json"), world.home.path().join("count"));
    world.process = Some(format!("echo run >> '{}'; cat '{}'", count.display(), path.display()));
    process_file(&path, "one", 4_000_000_000);
    let provider = world.discover().await.unwrap();
    let both = async || {
        let (first, second) = tokio::join!(provider.current(&clock), provider.current(&clock));
        (first.unwrap().secret_id.clone(), second.unwrap().secret_id.clone())
    };
    let pair = |first: &str, second: &str| (first.to_owned(), second.to_owned());

    process_file(&path, "two", 4_000_003_600);
    now.store(4_000_000_000 - 10, Ordering::Relaxed);
    assert_eq!(both().await, pair("two", "one"), "the old ones hold while the first renews");
    process_file(&path, "three", 4_000_007_200);
    now.store(4_000_003_600 + 900, Ordering::Relaxed);
    clock.accepted();
    assert_eq!(both().await, pair("three", "three"), "ended ones are waited for");
    let runs = std::fs::read_to_string(count).unwrap().lines().count();
    assert_eq!(runs, 3, "found once, renewed twice");
}

#[test]
fn a_short_life_is_renewed_at_its_half() {
    let credentials =
        Credentials::checked(["a", "b", "c"], "i", "k", None, Some(UnixSeconds(1100))).unwrap();
    assert_eq!(provider::renew_at(&credentials, UnixSeconds(1000)), UnixSeconds(1050));
    assert_eq!(provider::renew_at(&credentials, UnixSeconds(-5000)), UnixSeconds(500));
}
