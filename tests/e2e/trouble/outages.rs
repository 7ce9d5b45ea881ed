//! Outages of the service, and answers of proxies: the run waits, and no image is marked as failed.

use std::fmt::Debug;
use std::thread;
use std::time::Duration;

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{Site, wait_until};

fn site(objects: u64) -> Site {
    let bucket = Synthetic { objects, labels_per_image: 2, ..Synthetic::default() };
    Site::new(bucket, Settings { latency_ms: 10, ..Settings::default() })
}

fn break_down(site: &Site, fault: &str) {
    site.change(&format!(r#"{{"faults":{{"{fault}":1.0}}}}"#));
}

/// Tries all cases at the same time, since most of their time is waiting.
fn at_once<T: Copy + Debug + Send + Sync>(cases: &[T], test: impl Fn(T) + Copy + Send) {
    thread::scope(|scope| {
        let tests: Vec<_> =
            cases.iter().map(|case| (*case, scope.spawn(move || test(*case)))).collect();
        let failed: Vec<_> = tests
            .into_iter()
            .filter_map(|(case, test)| test.join().is_err().then_some(case))
            .collect();
        assert!(failed.is_empty(), "failed: {failed:?}");
    });
}

#[test]
fn a_run_waits_for_the_end_of_an_outage_with_few_calls() {
    at_once(
        &[
            ("internal_error", "256", "0"),
            ("internal_error", "16", "200"),
            ("internal_error", "1", "0"),
            ("reset", "3", "200"),
            ("slow_down", "64", "0"),
            ("slow_down", "16", "200"),
            ("proxy_page", "64", "0"),
            ("proxy_empty", "16", "200"),
        ],
        outage_is_waited_for,
    );
}

fn outage_is_waited_for((fault, workers, qps): (&str, &str, &str)) {
    const OBJECTS: u64 = 600;
    let site = site(OBJECTS);
    let run = site.start(&["run", crate::support::BUCKET, "--workers", workers, "--qps", qps]);
    wait_until("some calls", || site.emulator.statistics().calls >= 60);
    break_down(&site, fault);
    let broken = site.calls();
    // The single calls come after 0.5, 1 and 2 seconds.
    let told = if fault == "slow_down" { "every call is throttled" } else { "does not answer" };
    wait_until("it waits", || run.stderr().contains(told));
    thread::sleep(Duration::from_millis(1700));
    let during = site.calls() - broken;
    let bound = 20 + 2 * workers.parse::<u64>().unwrap() + 3;
    assert!(during <= bound, "{during} calls, {bound} at most");
    site.change(r#"{"clear":true}"#);
    run.end().with(0);
    assert_eq!(site.states(), [0, 0, OBJECTS.cast_signed(), 0]);
    assert!(site.calls() <= OBJECTS + bound + 3, "{}", site.calls());
    assert!(site.one::<i64>("SELECT max(attempts) FROM content") <= 3);
    site.assert_exports("camera");
}

#[test]
fn an_outage_longer_than_patience_ends_the_run_and_fails_no_image() {
    at_once(
        &[
            ("internal_error", 256),
            ("reset", 8),
            ("slow_down", 16),
            ("proxy_page", 256),
            ("proxy_empty", 1),
        ],
        outage_outlasts_patience,
    );
}

fn outage_outlasts_patience((fault, workers): (&str, u64)) {
    let site = site(300);
    site.run(&["--max-calls", "10"]).with(8);
    let calls = site.calls();
    break_down(&site, fault);
    let workers_option = workers.to_string();
    let ended = site.resume_with(&["--patience", "2s", "--workers", &workers_option]).with(5);
    assert!(site.calls() - calls <= 20 + workers + 4, "{}\n{}", site.calls() - calls, ended.stderr);
    assert_eq!(site.states(), [290, 0, 10, 0]);
    assert!(site.one::<i64>("SELECT max(attempts) FROM content") <= 3);
    site.change(r#"{"clear":true}"#);
    site.resume().with(0);
    site.assert_exports("camera");
}

#[test]
fn refusals_before_the_first_success_do_not_hide_an_outage() {
    let site = site(400);
    site.change(r#"{"faults":{"bad_gateway":0.93,"access_denied":0.07}}"#);
    let ended = site.run(&["--patience", "4s", "--workers", "16", "--qps", "0"]).with(5);
    // Single calls come after 0.5, 1 and 2 seconds. A refused one is followed by the next one at once.
    assert!(site.calls() <= 20 + 2 * 16 + 8, "{}\n{}", site.calls(), ended.stderr);
}

#[test]
fn a_run_whose_calls_are_all_throttled_says_so() {
    let site = site(40);
    break_down(&site, "too_many");
    let ended = site.run(&["--patience", "2s", "--qps", "0"]).with(5);
    let ended = ended.says(&["the service throttled every request for too long", "costag resume"]);
    assert!(!ended.stderr.contains("no usable answer"), "{}", ended.stderr);
}

/// A bucket in which the service cannot process the images of one folder, wherever it lies in the listing.
#[test]
fn a_folder_that_the_service_cannot_process_is_not_an_outage() {
    at_once(
        &[("a/", "4"), ("a/", "256"), ("z/", "4"), ("z/", "256"), ("m/", "4"), ("m/", "256")],
        bad_folder_is_no_outage,
    );
}

fn bad_folder_is_no_outage((folder, workers): (&str, &str)) {
    let site = Site::plain(0);
    let keys: Vec<String> = (0..30)
        .flat_map(|n| {
            [format!("b/{n:02}.jpg"), format!("x/{n:02}.jpg"), format!("{folder}bad{n:02}.jpg")]
        })
        .collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&objects);
    site.change(r#"{"faults":{"internal_error":1.0},"fault_keys":"bad"}"#);
    site.run(&["--workers", workers]).with(3);
    assert_eq!(site.states(), [0, 0, 60, 30]);
    assert_eq!(site.one::<i64>("SELECT min(attempts) FROM failure"), 9);
    assert_eq!(site.one::<i64>("SELECT max(attempts) FROM failure"), 9);
    let called = site.called();
    assert!(called.iter().all(|(key, calls)| key.contains("bad") || *calls == 1), "{called:?}");
}

#[test]
fn a_large_last_folder_that_the_service_cannot_process_is_not_an_outage() {
    let site = site(300);
    let keys: Vec<String> = (0..60).map(|n| format!("z/bad{n:03}.jpg")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&objects);
    site.change(r#"{"faults":{"internal_error":1.0},"fault_keys":"z/bad"}"#);
    site.run(&["--workers", "16", "--max-failures", "0"]).with(3);
    assert_eq!(site.states(), [0, 0, 300, 60]);
    assert_eq!(site.calls(), 300 + 60 * 9);
}

#[test]
fn an_image_that_a_proxy_refuses_fails_alone() {
    at_once(&["proxy_page", "proxy_redirect", "proxy_empty"], one_image_is_refused);
}

fn one_image_is_refused(fault: &str) {
    let site = site(40);
    site.put(&[("select-union.jpg", "1"), ("select.jpg", "2")]);
    site.change(&format!(r#"{{"faults":{{"{fault}":1.0}},"fault_keys":"select"}}"#));
    site.run(&["--workers", "4"]).with(3).says(&["NotFromService"]);
    assert_eq!(site.states(), [0, 0, 40, 2]);
    assert_eq!(site.called()["select.jpg"], 9);
    site.change(r#"{"clear":true}"#);
    // The answer was no verdict on the image: the next run tries again.
    site.run(&[]).with(0);
    assert_eq!(site.states(), [0, 0, 42, 0]);
}

#[rstest]
#[case::a_page("list_proxy_page")]
#[case::a_redirect("list_proxy_redirect")]
#[case::nothing("list_proxy_empty")]
#[case::a_login("list_proxy_login")]
fn a_page_that_a_proxy_refuses_is_requested_again(#[case] fault: &str) {
    let site = site(30);
    site.change(&format!(r#"{{"faults":{{"{fault}":1.0}},"fault_attempts":2}}"#));
    site.run(&[]).with(0);
    site.assert_exports("camera");
    let site = self::site(30);
    break_down(&site, fault);
    site.run(&["--patience", "1s"]).with(5).says(&["something in between"]);
    assert_eq!(site.calls(), 0);
}

#[test]
fn a_listing_that_fails_asks_for_one_page_at_a_time() {
    let bucket = Synthetic { objects: 60_000, ..Synthetic::default() };
    let site = Site::new(bucket, Settings { list_latency_ms: 20, ..Settings::default() });
    let options = ["plan", crate::support::BUCKET, "--list-workers", "16", "--list-qps", "0"];
    let run = site.start(&options);
    wait_until("some pages", || site.emulator.statistics().list_calls >= 20);
    break_down(&site, "list_internal_error");
    let broken = site.emulator.statistics().list_calls;
    wait_until("it waits", || run.stderr().contains("only one at a time is sent"));
    thread::sleep(Duration::from_millis(2500));
    let during = site.emulator.statistics().list_calls - broken;
    assert!(during <= 20 + 2 * 16 + 5, "{during} list requests");
    site.change(r#"{"clear":true}"#);
    let ended = run.end().with(0);
    assert!(ended.stdout.contains("60,000 wanted"), "{}", ended.stdout);
}

#[test]
fn a_refusal_of_one_image_names_where_the_credentials_came_from() {
    let site = site(3);
    site.put(&[("denied.jpg", "1")]);
    site.change(r#"{"faults":{"access_denied":1.0},"fault_keys":"denied"}"#);
    site.run(&[]).with(3);
    let message: String = site.one("SELECT message FROM failure");
    assert!(message.contains("came from the environment variable COSTAG_SECRET_ID"), "{message}");
}

#[rstest]
#[case::garbage("garbage")]
#[case::empty("empty_200")]
fn twenty_unusable_answers_before_the_first_success_stop_the_run(
    #[case] fault: &str,
    #[values(1, 16)] workers: u64,
) {
    let site = site(200);
    break_down(&site, fault);
    let ended = site.run(&["--workers", &workers.to_string()]).with(9);
    ended.says(&["20 calls in a row", "UnusableAnswer"]);
    assert!(site.calls() <= 20 + workers, "{}", site.calls());
    assert_eq!(site.states()[3], 0, "no image is blamed");
}
