//! Faults that concern every image stop the run at once, with an exit code of their own.

use costag::emulator::{Options, Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site};

fn failing(status: u16, code: &str) -> Site {
    let site = Site::plain(100);
    fail(&site, status, code);
    site
}

fn fail(site: &Site, status: u16, code: &str) {
    site.change(&format!(r#"{{"fail_code":{{"status":{status},"code":"{code}"}}}}"#));
}

#[rstest]
#[case::arrears(402, "PaymentRequired", "balance")]
#[case::not_activated(403, "NoProcessAuthority", "Cloud Infinite")]
#[case::no_role(403, "CIRoleNotExist", "CI_QCSRole")]
#[case::blocked(403, "AccessForbidden", "hotlink")]
fn a_fault_of_the_account_stops_the_run_at_once(
    #[case] status: u16,
    #[case] code: &str,
    #[case] advice: &str,
) {
    let site = failing(status, code);
    let ended = site.run(&["--workers", "4"]).with(6).says(&[code, advice]);
    assert!(ended.stderr.to_lowercase().contains("request id"), "{}", ended.stderr);
    assert!(site.calls() <= 8, "{}", site.calls());
    // No image has failed: all are still pending.
    assert_eq!(site.states(), [100, 0, 0, 0]);
    assert_eq!(site.ledger(), (site.calls(), 0));
    assert_eq!(site.one::<String>("SELECT state FROM run"), "stopped");
    site.change(r#"{"fail_code":null}"#);
    site.reset();
    site.resume().with(0);
    assert_eq!(site.calls(), 100);
    site.assert_exports("camera");
}

#[rstest]
#[case::unknown(400, "InvalidArgument", 9)]
#[case::never_heard_of(418, "TeaPot", 9)]
#[case::denied(403, "AccessDenied", 6)]
fn twenty_identical_failures_without_a_success_stop_the_run(
    #[case] status: u16,
    #[case] code: &str,
    #[case] exit: i32,
) {
    let site = failing(status, code);
    site.run(&["--workers", "4"]).with(exit).says(&[code, "20 calls in a row"]);
    assert!((20..=28).contains(&site.calls()), "{}", site.calls());
    let [pending, in_flight, done, failed] = site.states();
    assert_eq!((in_flight, done, pending + failed), (0, 0, 100));
    assert!(failed <= 28);
    assert_eq!(site.ledger(), (site.calls(), 0));
}

#[rstest]
#[case::archived(r#"{"faults":{"invalid_state":1.0}}"#, "InvalidObjectState")]
#[case::keys_that_are_there(r#"{"faults":{"not_found":1.0}}"#, "NoSuchKey")]
#[case::bytes(r#"{"fail_code":{"status":400,"code":"InvalidImageFormat"}}"#, "InvalidImageFormat")]
#[case::in_turn(r#"{"faults":{"not_found":0.5,"invalid_state":0.5}}"#, "with InvalidObjectState")]
#[case::unusable_among_them(r#"{"faults":{"garbage":0.3,"invalid_state":0.7}}"#, "UnusableAnswer")]
fn twenty_permanent_failures_without_a_success_stop_the_run(
    #[case] change: &str,
    #[case] code: &str,
    #[values(1, 64)] workers: u64,
) {
    let settings = Settings { latency_ms: 5, ..Settings::default() };
    let bucket = Synthetic { objects: 400, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    site.change(change);
    let workers_option = workers.to_string();
    let ended = site.run(&["--workers", &workers_option, "--max-failures", "0"]).with(9);
    ended.says(&["20 calls in a row", code, "none succeeded", "costag retry"]);
    assert!((20..=20 + workers).contains(&site.calls()), "{}", site.calls());
    site.change(r#"{"clear":true}"#);
    site.costag(&["retry"]).with(0);
    site.resume().with(0);
    site.assert_exports("camera");
}

#[test]
fn bad_images_before_the_first_success_are_explained_and_the_next_run_continues_after_them() {
    let site = Site::plain(0);
    let bad: Vec<_> = (0..20).map(|n| format!("a/{n:02}.jpg")).collect();
    let good: Vec<_> = (0..5).map(|n| format!("b/{n:02}.jpg")).collect();
    let all: Vec<_> = bad.iter().chain(&good).map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&all);
    site.change(r#"{"fail_code":{"status":400,"code":"InvalidImageFormat"}}"#);
    let ended = site.run(&["--workers", "1"]).with(9);
    ended.says(&[
        "20 calls in a row failed with InvalidImageFormat",
        "PNG and JPEG",
        "50 x 50 pixels",
        "--suffixes png,jpg,jpeg",
        "--max-size 3M",
        "to continue with the images after them:",
        "costag retry",
    ]);
    site.change(r#"{"clear":true}"#);
    site.run(&["--workers", "1"]).with(0);
    assert_eq!((site.states(), site.calls()), ([0, 0, 5, 20], 25));
}

#[test]
fn keys_deleted_after_the_listing_do_not_stop_the_run() {
    let site = Site::plain(0);
    let gone: Vec<_> = (0..30).map(|n| format!("a/{n:02}.jpg")).collect();
    let kept: Vec<_> = (0..5).map(|n| format!("b/{n:02}.jpg")).collect();
    let all: Vec<_> = gone.iter().chain(&kept).map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&all);
    site.change(r#"{"faults":{"not_found":1.0,"head_not_found":1.0},"fault_keys":"a/"}"#);
    site.run(&["--workers", "4", "--max-failures", "0"]).with(3);
    assert_eq!((site.states(), site.calls()), ([0, 0, 5, 30], 35));
}

#[test]
fn failures_in_a_row_do_not_stop_a_run_after_the_first_success() {
    let site = Site::plain(0);
    let keys: Vec<_> = (0..30).map(|n| format!("b/{n:02}.jpg")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&[("a.jpg", "good")]);
    site.put(&objects);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"b/"}"#);
    site.run(&["--workers", "1", "--max-failures", "0"]).with(3);
    assert_eq!(site.states(), [0, 0, 1, 30]);
}

#[test]
fn damaged_images_of_a_later_night_do_not_stop_the_run() {
    let site = Site::holding(&[("a.jpg", "good")]);
    site.run(&[]).with(0);
    let keys: Vec<_> = (0..30).map(|n| format!("b/{n:02}.jpg")).collect();
    site.put(&keys.iter().map(|key| (key.as_str(), key.as_str())).collect::<Vec<_>>());
    site.change(r#"{"fail_code":{"status":400,"code":"InvalidImageFormat"}}"#);
    site.run(&["--max-failures", "0"]).with(3);
    assert_eq!(site.states(), [0, 0, 1, 30]);
}

#[test]
fn urls_that_cannot_be_fetched_stop_the_run_after_twenty_calls() {
    let site = Site::plain(0);
    let urls: Vec<_> = (0..60).map(|n| format!("https://example.com/missing/{n}.jpg")).collect();
    let list = site.write("urls.txt", urls.join("\n"));
    site.run(&["--urls", &list, "--workers", "4", "--max-failures", "0"])
        .with(9)
        .says(&["20 calls in a row", "ResourceDownloadFailed"]);
    assert!((20..=24).contains(&site.calls()), "{}", site.calls());
}

#[test]
fn a_share_of_failures_above_the_limit_stops_the_run() {
    let site = Site::plain(600);
    // Before the first success, twenty failures in a row would stop it.
    site.put(&[("0.jpg", "good")]);
    // A success among the three probe calls starts a new count. With this probability it rarely happens.
    site.change(r#"{"faults":{"not_found":0.97},"fault_keys":"/"}"#);
    site.run(&["--workers", "4"]).with(9).says(&["--max-failures"]);
    assert!(site.calls() < 450, "{}", site.calls());
    assert!(site.states()[0] > 100, "what was not called stays pending");
    let site = Site::plain(60);
    site.change(r#"{"faults":{"not_found":0.5}}"#);
    site.run(&["--workers", "4", "--max-failures", "5"]).with(9);
    assert!(site.states()[3] <= 5 + 8);
}

#[test]
fn a_wrong_key_stops_the_run_at_once() {
    let secret_key = "another-key".to_owned();
    let site = Site::with(Options { secret_key, ..Options::default() });
    site.run(&[]).with(6).says(&["SignatureDoesNotMatch", "secret key"]);
    assert_eq!(site.calls(), 0);
    let secret_id = "AKIDANOTHER".to_owned();
    let site = Site::with(Options { secret_id, ..Options::default() });
    site.run(&[]).with(6).says(&["InvalidAccessKeyId"]);
    assert_eq!(site.calls(), 0);
}

#[test]
fn a_missing_list_permission_stops_the_run_at_once() {
    let site = Site::plain(10);
    site.change(r#"{"faults":{"list_access_denied":1.0}}"#);
    site.run(&[]).with(6).says(&["AccessDenied", "cos:GetBucket"]);
    assert_eq!(site.emulator.statistics().list_calls, 1);
}

#[test]
fn a_service_that_fails_for_longer_than_patience_ends_the_run() {
    let site = Site::plain(30);
    site.run(&["--max-calls", "10"]).with(8);
    fail(&site, 500, "InternalError");
    site.resume_with(&["--patience", "1s"]).with(5).says(&["InternalError"]);
    let [_, in_flight, done, failed] = site.states();
    assert_eq!([in_flight, done, failed], [0, 10, 0], "no image is to blame");
    site.change(r#"{"fail_code":null}"#);
    site.resume().with(0);
    site.assert_exports("camera");
}

#[test]
fn a_database_of_real_results_refuses_the_emulator() {
    let site = Site::plain(3);
    site.run(&[]).with(0);
    let database = rusqlite::Connection::open(site.path("costag.db")).unwrap();
    database.execute("UPDATE meta SET value = 'detect-label'", []).unwrap();
    drop(database);
    site.costag(&["run", BUCKET, "--scenes", "web"]).with(2).says(&["rehearsal"]);
    assert_eq!(site.calls(), 3);
}
