//! Waits that the service asks for with `Retry-After`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::support::{answering, http, last_page, nobody, run_at};

#[test]
fn a_long_retry_after_in_the_last_pass_fails_the_image() {
    let address = answering(|head| {
        if head.contains("detect-label") {
            http("500 Error\r\nRetry-After: 60", "<Error><Code>InternalError</Code></Error>")
        } else {
            last_page(&["a.jpg"])
        }
    });
    run_at(&format!("http://{address}"), &[]).with(3).says(&["InternalError"]);
}

#[test]
fn a_throttled_image_with_a_long_wait_occupies_no_worker() {
    let keys: Vec<String> = (0..12).map(|n| format!("{n:02}.jpg")).collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (listed, order) = (keys.clone(), Arc::clone(&asked));
    let address = answering(move |head| {
        let Some(key) = listed.iter().find(|key| head.starts_with(&format!("GET /{key}?"))) else {
            return last_page(&listed.iter().map(String::as_str).collect::<Vec<_>>());
        };
        let mut order = order.lock().unwrap();
        let again = order.iter().any(|(asked, _)| asked == key);
        order.push((key.clone(), Instant::now()));
        if key == "03.jpg" && !again {
            let body = "<Error><Code>SlowDown</Code></Error>";
            return http("503 Slow Down\r\nRetry-After: 5", body);
        }
        http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>")
    });
    run_at(&format!("http://{address}"), &["--workers", "1"]).with(0).says(&["1 throttled"]);
    let asked = asked.lock().unwrap();
    let order: Vec<&String> = asked.iter().map(|(key, _)| key).collect();
    assert!(order.iter().copied().take(12).eq(&keys), "the others go on meanwhile: {order:?}");
    assert_eq!(order[12..], ["03.jpg"]);
    assert!(asked[12].1 - asked[3].1 >= Duration::from_secs(5), "and it is not asked too early");
    assert!(asked[4].1 - asked[3].1 < Duration::from_secs(4), "the one worker went on at once");
}

#[test]
fn a_wait_that_the_service_asks_for_is_respected() {
    let keys: Vec<String> = (0..14).map(|n| format!("{n:02}.jpg")).collect();
    let (first, throttled) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&throttled);
    let address = answering(move |head| {
        if !head.contains("detect-label") {
            return last_page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let begun = *first.lock().unwrap().get_or_insert_with(Instant::now);
        if begun.elapsed() < Duration::from_secs(4) {
            count.fetch_add(1, Ordering::SeqCst);
            let body = "<Error><Code>SlowDown</Code></Error>";
            return http("503 Slow Down\r\nRetry-After: 5", body);
        }
        http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>")
    });
    let ended = run_at(&format!("http://{address}"), &["--workers", "3"]).with(0);
    ended.says(&["tagged    14 images", "left      nothing", "  waited    "]);
    let throttled = throttled.load(Ordering::SeqCst);
    assert!(throttled <= 6, "{throttled} of 14: those that were on the wire, and no more");
}

#[rstest]
#[case::one_by_one(1)]
#[case::side_by_side(8)]
fn a_wait_longer_than_patience_ends_the_run_at_once(#[case] workers: usize) {
    let keys: Vec<String> = (0..60).map(|n| format!("{n:02}.jpg")).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move |head| {
        if !head.contains("detect-label") {
            return last_page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let answered = count.fetch_add(1, Ordering::SeqCst) < 5;
        if answered {
            return http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>");
        }
        let body = "<Error><Code>SlowDown</Code></Error>";
        http("503 Slow Down\r\nRetry-After: 7200", body)
    });
    let options = ["--workers", &workers.to_string(), "--patience", "1h"];
    let begun = Instant::now();
    let ended = run_at(&format!("http://{address}"), &options).with(5);
    ended.says(&["come back at", "2h", "tagged    5 images", "left      55 images without a call"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
    // Answers that arrive between the throttles begin the row of three anew.
    assert!(asked.load(Ordering::SeqCst) <= 5 + 3 + 2 * workers, "{asked:?}");
}

#[test]
fn a_listing_with_a_wait_longer_than_patience_ends_the_run_at_once() {
    let body = "<Error><Code>SlowDown</Code></Error>";
    let address = answering(move |_| http("503 Slow Down\r\nRetry-After: 7200", body));
    let begun = Instant::now();
    run_at(&format!("http://{address}"), &["--patience", "1h"]).with(5).says(&["come back at"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[rstest]
#[case::one_by_one("1")]
#[case::side_by_side("8")]
fn a_long_wait_for_one_image_fails_only_that_image(#[case] workers: &str) {
    let keys: Vec<String> = (0..30).map(|n| format!("{n:02}.jpg")).collect();
    let address = answering(move |head| {
        if !head.contains("detect-label") {
            return last_page(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if head.starts_with("GET /00.jpg?") || head.starts_with("GET /17.jpg?") {
            let body = "<Error><Code>SlowDown</Code></Error>";
            return http("503 Slow Down\r\nRetry-After: 7200", body);
        }
        http("200 OK", "<RecognitionResult><CameraLabels/></RecognitionResult>")
    });
    let begun = Instant::now();
    let ended = run_at(&format!("http://{address}"), &["--workers", workers]).with(3);
    ended.says(&["tagged    28 images", "failed    2 images with", "SlowDown"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_wait_that_a_proxy_asks_for_is_ignored() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let address = answering(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) < 2 {
            http("503 Busy\r\nRetry-After: 7200", "<html><title>Busy</title></html>")
        } else {
            last_page(&[])
        }
    });
    run_at(&format!("http://{address}"), &[]).with(0);
}

#[test]
fn a_waiting_run_shows_what_it_waits_for_and_until_when() {
    let endpoint = format!("http://{}", nobody());
    let ended = run_at(&endpoint, &["--patience", "4s"]).with(5);
    ended.says(&[
        "waiting: the listing was not answered",
        ", since ",
        "next try at ",
        "gives up at ",
    ]);
}
