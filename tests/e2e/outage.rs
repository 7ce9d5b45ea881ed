//! Outages of the service, and answers of proxies: the run waits, and no image is marked as failed.

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

#[rstest]
#[case::errors("internal_error", "256", "0")]
#[case::errors_at_a_pace("internal_error", "16", "200")]
#[case::errors_one_by_one("internal_error", "1", "0")]
#[case::resets_with_few("reset", "3", "200")]
#[case::throttles("slow_down", "64", "0")]
#[case::a_proxy("proxy_page", "64", "0")]
#[case::an_empty_answer("proxy_empty", "16", "200")]
fn an_outage_is_waited_for_and_costs_few_calls(
    #[case] fault: &str,
    #[case] workers: &str,
    #[case] qps: &str,
) {
    const OBJECTS: u64 = 600;
    let site = site(OBJECTS);
    let run = site.start(&["run", crate::support::BUCKET, "--workers", workers, "--qps", qps]);
    wait_until("some calls", || site.emulator.statistics().calls >= 60);
    break_down(&site, fault);
    let broken = site.calls();
    // The single calls come after 0.5, 1 and 2 seconds.
    let told = if fault == "slow_down" { "every call is throttled" } else { "does not answer" };
    wait_until("it waits", || run.stderr().contains(told));
    std::thread::sleep(Duration::from_millis(1700));
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

#[rstest]
#[case::errors("internal_error", 256)]
#[case::stalls("reset", 8)]
#[case::throttles("slow_down", 16)]
#[case::a_proxy("proxy_page", 256)]
#[case::no_body("proxy_empty", 1)]
fn an_outage_for_longer_than_patience_ends_the_run_and_no_image_has_failed(
    #[case] fault: &str,
    #[case] workers: u64,
) {
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

/// A bucket in which the service cannot process the images of one folder, wherever it lies in the listing.
#[rstest]
#[case::first("a/")]
#[case::last("z/")]
#[case::in_between("m/")]
fn a_folder_that_the_service_cannot_digest_is_no_outage(
    #[case] folder: &str,
    #[values("4", "256")] workers: &str,
) {
    let site = Site::plain(0);
    let keys: Vec<String> = (0..40)
        .flat_map(|n| {
            [format!("b/{n:02}.jpg"), format!("x/{n:02}.jpg"), format!("{folder}bad{n:02}.jpg")]
        })
        .collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&objects);
    site.change(r#"{"faults":{"internal_error":1.0},"fault_keys":"bad"}"#);
    site.run(&["--workers", workers]).with(3);
    assert_eq!(site.states(), [0, 0, 80, 40]);
    assert_eq!(site.one::<i64>("SELECT min(attempts) FROM failure"), 9);
    assert_eq!(site.one::<i64>("SELECT max(attempts) FROM failure"), 9);
    let called = site.called();
    assert!(called.iter().all(|(key, calls)| key.contains("bad") || *calls == 1), "{called:?}");
}

#[test]
fn a_large_folder_at_the_end_that_the_service_cannot_digest_is_no_outage() {
    let site = site(600);
    let keys: Vec<String> = (0..150).map(|n| format!("z/bad{n:03}.jpg")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&objects);
    site.change(r#"{"faults":{"internal_error":1.0},"fault_keys":"z/bad"}"#);
    site.run(&["--workers", "16", "--max-failures", "0"]).with(3);
    assert_eq!(site.states(), [0, 0, 600, 150]);
    assert_eq!(site.calls(), 600 + 150 * 9);
}

#[rstest]
#[case::a_page("proxy_page")]
#[case::a_redirect("proxy_redirect")]
#[case::nothing("proxy_empty")]
fn one_image_that_something_in_between_refuses_is_its_own_failure(#[case] fault: &str) {
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
fn a_listing_that_something_in_between_refuses_is_asked_again(#[case] fault: &str) {
    let site = site(30);
    site.change(&format!(r#"{{"faults":{{"{fault}":1.0}},"fault_attempts":2}}"#));
    site.run(&[]).with(0);
    site.assert_exports("camera");
    let site = self::site(30);
    break_down(&site, fault);
    site.run(&["--patience", "1s"]).with(5).says(&["something in between"]);
    assert_eq!(site.calls(), 0);
}

#[rstest]
#[case::garbage("garbage")]
#[case::empty("empty_200")]
fn twenty_answers_that_cannot_be_used_stop_a_run_that_had_no_success(
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
