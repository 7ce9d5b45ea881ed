//! A clock that is wrong, and credentials that run out.

use costag::emulator::{Options, SECRET_ID, SECRET_KEY, Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site, start};

#[rstest]
#[case::an_hour_behind(3600)]
#[case::an_hour_ahead(-3600)]
fn a_wrong_clock_is_corrected(#[case] clock_offset_seconds: i64) {
    let settings = Settings { clock_offset_seconds, ..Settings::default() };
    let bucket = Synthetic { objects: 50, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    site.run(&["--log", "info"]).with(0).says(&["clock corrected"]);
    let statistics = site.emulator.statistics();
    assert_eq!(statistics.calls, 50, "found out by the listing, which is free");
    assert_eq!(statistics.bad_signatures, 1);
    site.assert_exports("camera");
    // The ledger's times are the service's.
    let ended: i64 = site.one("SELECT min(ended_at) FROM call");
    let off = ended / 1000 - jiff::Timestamp::now().as_second() - clock_offset_seconds;
    assert!((-60..=5).contains(&off), "{off}");
}

#[test]
fn a_clock_that_goes_wrong_on_the_way() {
    let settings = Settings { latency_ms: 30, ..Settings::default() };
    let bucket = Synthetic { objects: 200, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    let run = site.start(&["run", BUCKET]);
    crate::support::wait_until("some calls", || site.calls() >= 20);
    site.change(r#"{"clock_offset_seconds":7200}"#);
    run.end().with(0);
    site.assert_exports("camera");
    let statistics = site.emulator.statistics();
    assert!(statistics.bad_signatures >= 1);
    assert!(statistics.calls <= 200 + 32, "{}", statistics.calls);
}

fn with_token(token: &str) -> Site {
    let settings = Settings {
        token: Some(token.to_owned()),
        expired_token: Some("old-token".to_owned()),
        latency_ms: 20,
        ..Settings::default()
    };
    let bucket = Synthetic { objects: 120, ..Synthetic::default() };
    Site::with(Options {
        settings,
        holdings: costag::emulator::Holdings::Objects(bucket),
        ..Options::default()
    })
}

#[test]
fn a_token_is_sent_and_signed() {
    let site = with_token("a-token");
    let mut command = site.command(&["run", BUCKET]);
    command.env("COSTAG_TOKEN", "a-token");
    start(command).end().with(0);
    assert_eq!(site.emulator.statistics().bad_signatures, 0);
    site.assert_exports("camera");
    site.run(&["--scenes", "web"]).with(6);
}

#[test]
fn an_expired_token_that_nobody_renews_ends_the_run() {
    let site = with_token("a-token");
    let mut command = site.command(&["run", BUCKET]);
    command.env("COSTAG_TOKEN", "old-token");
    start(command).end().with(6).says(&["expire"]);
    assert_eq!(site.calls(), 0);
}

#[test]
fn a_process_renews_what_expires_on_the_way() {
    let site = with_token("first-token");
    let printed = |token: &str| {
        serde_json::json!({ "SecretId": SECRET_ID, "SecretKey": SECRET_KEY, "Token": token })
            .to_string()
    };
    site.write("now.json", printed("first-token"));
    let mut command = site.command(&["run", BUCKET, "--credential-process", "cat now.json"]);
    command.env_remove("COSTAG_SECRET_ID").env_remove("COSTAG_SECRET_KEY");
    let run = start(command);
    crate::support::wait_until("some calls", || site.calls() >= 20);
    site.write("now.json", printed("second-token"));
    site.change(r#"{"token":"second-token","expired_token":"first-token"}"#);
    run.end().with(0);
    site.assert_exports("camera");
    assert_eq!(site.states(), [0, 0, 120, 0]);
    assert!(site.emulator.statistics().bad_signatures >= 1);
}
