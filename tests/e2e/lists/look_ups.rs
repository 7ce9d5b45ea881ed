//! Look-ups of listed keys that are refused. An answer to HEAD has no body, so the reason has to be found out.

use costag::emulator::{SECRET_ID, SECRET_KEY};
use rstest::rstest;

use crate::support::{BUCKET, Ended, Site};

/// A bucket with this many pictures, and a list of their keys followed by these lines.
fn listed(pictures: u64, others: &[&str]) -> Site {
    let site = Site::plain(0);
    let keys: Vec<_> = (0..pictures).map(|at| format!("p/{at:03}.jpg")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    site.put(&objects);
    let lines: Vec<_> = keys.iter().map(String::as_str).chain(others.iter().copied()).collect();
    site.write("keys.txt", lines.join("\n"));
    site
}

fn run(site: &Site, options: &[&str]) -> Ended {
    site.run(&[&["--keys", "keys.txt"], options].concat())
}

#[test]
fn a_wrong_secret_id_stops_the_run_at_the_first_look_ups() {
    let site = listed(30, &[]);
    let mut command = site.command(&["run", BUCKET, "--keys", "keys.txt"]);
    command.env("COSTAG_SECRET_ID", "AKIDnobody");
    let ended = crate::support::start(command).end().with(6);
    ended.says(&["InvalidAccessKeyId", "check the secret id"]);
    let statistics = site.emulator.statistics();
    assert!(statistics.head_calls <= 16, "{}", statistics.head_calls);
    assert_eq!(statistics.calls, 0);
}

#[test]
fn a_wrong_secret_key_stops_the_run() {
    let site = listed(30, &[]);
    let mut command = site.command(&["run", BUCKET, "--keys", "keys.txt"]);
    command.env("COSTAG_SECRET_KEY", "wrong");
    let ended = crate::support::start(command).end().with(6);
    ended.says(&["SignatureDoesNotMatch"]);
    assert_eq!(site.calls(), 0);
}

#[rstest]
#[case::two_hours_ahead(-7200)]
#[case::two_hours_behind(7200)]
fn a_wrong_clock_is_corrected_by_a_look_up(#[case] offset: i64) {
    let site = listed(30, &[]);
    site.change(&format!(r#"{{"clock_offset_seconds":{offset}}}"#));
    run(&site, &["--log", "info"]).with(0).says(&["clock corrected"]);
    assert_eq!(site.calls(), 30);
}

#[test]
fn an_expired_token_is_renewed_by_a_look_up() {
    let site = listed(30, &[]);
    let printed = |token: &str| {
        serde_json::json!({ "SecretId": SECRET_ID, "SecretKey": SECRET_KEY, "Token": token })
            .to_string()
    };
    site.change(r#"{"token":"second-token","expired_token":"first-token"}"#);
    // The first credentials that the command prints are already expired when they are used.
    site.write("1.json", printed("first-token"));
    site.write("2.json", printed("second-token"));
    let process = "sh -c 'test -e used && cat 2.json || { touch used; cat 1.json; }'";
    run(&site, &["--credential-process", process]).with(0);
    assert_eq!(site.calls(), 30);
}

#[rstest]
#[case("404", "NoSuchBucket", 2)]
#[case("403", "AccessForbidden", 6)]
#[case("402", "PaymentRequired", 6)]
#[case("403", "InvalidAccessKeyId", 6)]
fn what_stops_a_listing_stops_a_list(#[case] status: &str, #[case] code: &str, #[case] exit: i32) {
    let site = listed(30, &[]);
    site.change(&format!(r#"{{"head_fail_code":{{"status":{status},"code":"{code}"}}}}"#));
    run(&site, &[]).with(exit).says(&[code]);
    assert_eq!(site.calls(), 0);
    assert!(site.emulator.statistics().head_calls <= 16);
}

#[test]
fn a_missing_key_is_believed_only_once_the_bucket_is_known_to_exist() {
    let others: Vec<_> = (0..80).map(|at| format!("missing/{at}.jpg")).collect();
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    let site = listed(0, &others);
    run(&site, &[]);
    let statistics = site.emulator.statistics();
    assert_eq!(
        (statistics.head_calls, statistics.get_calls),
        (80, 80),
        "nothing proves the bucket"
    );
    let site = listed(1, &others);
    run(&site, &[]);
    let statistics = site.emulator.statistics();
    assert_eq!(statistics.head_calls, 81);
    assert!(statistics.get_calls <= 32, "{}", statistics.get_calls);
}

#[test]
fn twenty_denied_keys_in_a_row_stop_the_run() {
    let site = listed(60, &[]);
    site.change(r#"{"faults":{"head_access_denied":1}}"#);
    let ended = run(&site, &[]).with(6);
    ended.says(&["20 keys in a row could not be looked up: AccessDenied", "cos:HeadObject"]);
    assert_eq!(site.calls(), 0);
    // After the policy is repaired, the next run labels everything.
    site.change(r#"{"clear":true}"#);
    site.resume().with(0);
    assert_eq!(site.calls(), 60);
}

#[rstest]
#[case::throttled("head_slow_down", "the service throttled every request for too long")]
#[case::failing("head_internal_error", "no usable answer for too long")]
fn a_list_of_which_no_key_is_answered_ends_with_patience(
    #[case] fault: &str,
    #[case] message: &str,
) {
    let site = listed(40, &[]);
    site.change(&format!(r#"{{"faults":{{"{fault}":1}}}}"#));
    let ended = run(&site, &["--patience", "3s"]).with(5).says(&[message]);
    // The first failure is a warning, then the outage is, and in the end their number.
    let warnings = ended.stderr.matches("WARN").count();
    assert!(warnings <= 3, "{warnings}\n{}", ended.stderr);
    site.change(r#"{"clear":true}"#);
    site.resume().with(0);
    assert_eq!(site.calls(), 40);
}

#[test]
fn keys_that_cannot_be_looked_up_are_counted_in_the_log() {
    let site = listed(40, &[]);
    site.change(r#"{"faults":{"head_access_denied":1},"fault_keys":"p/01"}"#);
    let ended = run(&site, &[]).with(3).says(&["keys that could not be looked up keys=10"]);
    assert_eq!(ended.stderr.matches("WARN").count(), 2, "{}", ended.stderr);
    assert_eq!(site.calls(), 30);
}

#[test]
fn an_object_of_unknown_length_is_called() {
    let site = listed(3, &[]);
    site.change(r#"{"faults":{"head_no_length":1}}"#);
    run(&site, &[]).with(0);
    assert_eq!(site.calls(), 3);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM content WHERE size IS NULL"), 3);
    site.assert_sound();
    assert!(site.export(&[]).iter().all(|row| row[8].is_empty()), "the size is unknown");
    // A labelled object is recognised by its ETag, even if its length becomes known later.
    site.change(r#"{"clear":true}"#);
    run(&site, &["--scenes", "camera,web"]).with(0);
    assert_eq!(site.calls(), 6, "one more scene each");
    site.assert_sound();
}
