//! The pace as the service sees it.

use std::time::{Duration, Instant};

use costag::emulator::{Settings, Statistics, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site};

fn paced(rate: u32, seconds: u32) -> Statistics {
    let bucket = Synthetic { objects: u64::from(rate * seconds), ..Synthetic::default() };
    let site = Site::new(bucket, Settings { latency_ms: 20, ..Settings::default() });
    site.run(&["--qps", &rate.to_string()]).with(0);
    site.emulator.statistics()
}

#[rstest]
#[case(20, 3)]
#[case(200, 3)]
fn no_second_has_more_calls_than_the_configured_pace(#[case] rate: u32, #[case] seconds: u32) {
    let seen = paced(rate, seconds);
    assert_eq!(seen.calls, u64::from(rate * seconds));
    let most = f64::from(rate) * 1.05 + 2.0;
    assert!(f64::from(u32::try_from(seen.peak_per_second).unwrap()) <= most, "{seen:?}");
    let took = seen.last_call_ms - seen.first_call_ms;
    assert!(took + 200 >= u64::from(seconds - 1) * 1000, "{took} ms");
}

fn seconds(seen: &Statistics) -> f64 {
    Duration::from_millis(seen.last_call_ms - seen.first_call_ms).as_secs_f64()
}

/// Random throttle answers that do not depend on the pace, so a lower pace does not reduce them.
#[rstest]
#[case(0.03)]
#[case(0.1)]
#[case(0.3)]
fn faults_that_look_like_throttling_do_not_slow_a_run(#[case] share: f64) {
    let mut settings = Settings { latency_ms: 20, ..Settings::default() };
    settings.set_fault("slow_down", share).unwrap();
    let site = Site::new(Synthetic { objects: 1500, ..Synthetic::default() }, settings);
    let ended = site.run(&["--qps", "200"]).with(0);
    let seen = site.emulator.statistics();
    let needed = f64::from(u32::try_from(seen.calls).unwrap()) / 200.0;
    let took = seconds(&seen);
    // `cargo bench --bench pace -- noise` measures this precisely. Here the bound allows for a busy machine:
    // without the
    // distinction, the pace would drop to almost nothing.
    assert!(took <= 3.0 * needed + 10.0, "{took:.1} s for what takes {needed:.1} s");
    assert_eq!(ended.stderr.matches("at any pace").count(), 1, "told once: {}", ended.stderr);
    assert_eq!(site.states(), [0, 0, 1500, 0]);
    assert_eq!(site.one::<i64>("SELECT max(attempts) FROM content"), 0, "no try is used up");
}

#[test]
fn a_listing_is_not_slowed_by_faults_that_look_like_throttling() {
    let mut settings = Settings::default();
    settings.set_fault("list_slow_down", 0.1).unwrap();
    let site = Site::new(Synthetic { objects: 60_000, ..Synthetic::default() }, settings);
    let began = Instant::now();
    site.costag(&["plan", BUCKET, "--list-qps", "20"]).with(0);
    let took = began.elapsed();
    // 60 pages and the requests that look for a split, one in ten of them repeated.
    assert!(took < Duration::from_mins(1), "{took:?}");
}

/// The quota of the first second is used up in 0.2 seconds, and 20 calls in a row are throttled at once.
#[test]
fn a_cap_far_above_the_limit_is_no_outage_and_finds_the_limit_soon() {
    let settings = Settings { qps_limit: Some(100), latency_ms: 20, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 600, ..Synthetic::default() }, settings);
    // A pause before the second pass would take half a minute.
    let options = ["run", BUCKET, "--qps", "500", "--cooldown", "30s"];
    let ended = site.costag(&options).with(0);
    let took = seconds(&site.emulator.statistics());
    assert!(took <= 20.0, "{took:.1} s for what takes 6 s at the limit");
    assert!(!ended.stderr.contains("does not answer"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("every call is throttled"), "{}", ended.stderr);
    assert_eq!(site.states(), [0, 0, 600, 0]);
    assert_eq!(site.one::<i64>("SELECT max(attempts) FROM content"), 0, "no try is used up");
}

#[test]
fn auto_starts_at_the_limit_that_the_last_run_found() {
    let settings = Settings { qps_limit: Some(15), ..Settings::default() };
    let site = Site::new(Synthetic { objects: 150, ..Synthetic::default() }, settings);
    site.run(&["--qps", "auto"]).with(0);
    let found: String = site.one("SELECT value FROM meta WHERE name LIKE 'found_limit %'");
    let found: f64 = found.parse().unwrap();
    assert!((8.0..=16.0).contains(&found), "{found}");
    site.reset();
    site.change(r#"{"qps_limit":null}"#);
    site.tamper("UPDATE meta SET value = '100' WHERE name LIKE 'found_limit %'");
    site.costag(&["retag", "--all"]).with(0);
    site.run(&["--qps", "auto"]).with(0);
    let took = seconds(&site.emulator.statistics());
    assert!(took < 7.0, "150 calls at about 100 a second took {took:.1} s");
}

#[rstest]
#[case(20, 10)]
#[case(200, 10)]
#[ignore = "needs a machine with nothing else to do"]
fn the_average_pace_is_the_configured_rate(#[case] rate: u32, #[case] seconds: u32) {
    let seen = paced(rate, seconds);
    let took = f64::from(u32::try_from(seen.last_call_ms - seen.first_call_ms).unwrap()) / 1000.0;
    let average = f64::from(rate * seconds - 1) / took;
    eprintln!(
        "{rate}/s asked for, {average:.2}/s on average, at most {} in a second",
        seen.peak_per_second
    );
    assert!((average / f64::from(rate) - 1.0).abs() <= 0.02, "{average}");
}
