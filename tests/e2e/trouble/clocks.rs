//! Wrong clocks, time zones, and credentials that expire.

use costag::emulator::{Options, SECRET_ID, SECRET_KEY, Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site, start};

#[rstest]
#[case::an_hour_behind(3600)]
#[case::an_hour_ahead(-3600)]
fn a_wrong_clock_is_corrected_after_the_service_complains(#[case] clock_offset_seconds: i64) {
    let settings = Settings { clock_offset_seconds, ..Settings::default() };
    let bucket = Synthetic { objects: 50, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    site.run(&["--log", "info"]).with(0).says(&["clock corrected"]);
    let statistics = site.emulator.statistics();
    assert_eq!(statistics.calls, 50, "found out by the listing, which is free");
    assert_eq!(statistics.bad_signatures, 1);
    site.assert_exports("camera");
    // Times in the ledger follow the service's clock.
    let ended: i64 = site.one("SELECT min(ended_at) FROM call");
    let off = ended / 1000 - jiff::Timestamp::now().as_second() - clock_offset_seconds;
    assert!((-60..=5).contains(&off), "{off}");
}

#[test]
fn a_clock_that_goes_wrong_during_a_run_is_corrected() {
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

/// A time zone in which midnight was this many seconds ago, or will come after them if the number is negative.
fn midnight_was(seconds: i64) -> String {
    const DAY: i64 = 24 * 3600;
    let of_day = jiff::Timestamp::now().as_second().rem_euclid(DAY);
    // POSIX offsets count westward: local time is UTC minus the offset.
    let west = (of_day - seconds).rem_euclid(DAY);
    let (sign, west) = if west > DAY / 2 { ('-', DAY - west) } else { ('+', west) };
    format!("<LOCAL>{sign}{:02}:{:02}:{:02}", west / 3600, west / 60 % 60, west % 60)
}

const YEAR: i64 = 365 * 24 * 3600;

#[rstest]
#[case::a_clock_ten_minutes_fast(-600, 0)]
#[case::a_clock_four_minutes_fast(-240, 0)]
#[case::a_clock_ten_minutes_slow(600, 0)]
#[case::a_date_of_tomorrow(0, 86_400)]
#[case::a_date_of_yesterday(0, -86_400)]
#[case::a_date_of_another_year(0, YEAR)]
#[case::both(-600, -YEAR)]
fn daily_calls_hold_with_any_date_header(
    #[case] clock_offset_seconds: i64,
    #[case] date_offset_seconds: i64,
    #[values(120, 43_200, -120)] since_midnight: i64,
) {
    let settings = Settings { clock_offset_seconds, date_offset_seconds, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 100, ..Synthetic::default() }, settings);
    for arguments in [&["run", BUCKET][..], &["run", BUCKET], &["resume"], &["run", BUCKET]] {
        let mut command = site.command(&[arguments, &["--daily-calls", "30"]].concat());
        command.env("TZ", midnight_was(since_midnight));
        start(command).end().with(8).says(&["--daily-calls 30"]);
        assert_eq!(site.calls(), 30);
    }
    // The service refuses signatures from a clock that is ten minutes fast: they lie in the future.
    let confirmed = clock_offset_seconds.min(0);
    let off: i64 = site.one("SELECT max(ended_at) FROM call");
    let off = off / 1000 - jiff::Timestamp::now().as_second() - confirmed;
    assert!((-60..=5).contains(&off), "the ledger has other times: {off}");
    let kept: i64 = site.one("SELECT count(*) FROM meta WHERE name = 'clock_offset'");
    assert_eq!(kept, i64::from(confirmed != 0));
}

#[test]
fn daily_calls_hold_on_both_days_of_a_run_over_midnight() {
    let settings = Settings { latency_ms: 300, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 300, ..Synthetic::default() }, settings);
    let midnight = jiff::Timestamp::now().as_second() + 4;
    let zone = midnight_was(-4);
    let run = |code| {
        let mut command = site.command(&["run", BUCKET, "--daily-calls", "60", "--qps", "12"]);
        command.env("TZ", &zone);
        start(command).end().with(code).says(&["--daily-calls 60"]);
    };
    run(8);
    let count = |side: &str| -> i64 {
        site.one(&format!("SELECT count(*) FROM call WHERE ended_at {side} {}", midnight * 1000))
    };
    let before = count("<");
    assert!((1..=60).contains(&before), "{before}");
    assert_eq!(count(">="), 60);
    run(8);
    assert_eq!((count("<"), count(">=")), (before, 60));
}

#[test]
fn a_confirmed_offset_moves_midnight_and_the_count_of_the_day() {
    // It is 00:30 by this machine's clock and 23:30 by the service's.
    let settings = Settings { latency_ms: 20, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 200, ..Synthetic::default() }, settings);
    let command = |arguments: &[&str]| {
        let mut command = site.command(&[arguments, &["--daily-calls", "60"]].concat());
        command.env("TZ", midnight_was(1800)).env("COSTAG_WORKERS", "2");
        command
    };
    let run = start(command(&["run", BUCKET, "--until", "00:15"]));
    crate::support::wait_until("some calls", || site.calls() >= 10);
    site.change(r#"{"clock_offset_seconds":-3600}"#);
    let ended = run.end().with(8);
    assert!(ended.stderr.contains("calls end at "), "{}", ended.stderr);
    ended.says(&[
        "clock corrected",
        "ahead of the service",
        "and calls end at ",
        "(--until 00:15)",
    ]);
    assert_eq!(site.calls(), 60, "those of before the correction count too");
    for _ in 0..2 {
        start(command(&["resume"])).end().with(8).says(&["times are corrected by -3"]);
        assert_eq!(site.calls(), 60);
    }
    // Correcting the emulator's clock has the same effect as correcting this machine's.
    site.change(r#"{"clock_offset_seconds":0}"#);
    start(command(&["resume"])).end().with(8);
}

#[test]
fn calls_before_a_correction_over_midnight_count_for_the_corrected_day() {
    // It is 23:30 by this machine's clock and 00:30 by the service's.
    let settings = Settings { latency_ms: 20, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 200, ..Synthetic::default() }, settings);
    let command = |arguments: &[&str]| {
        let mut command = site.command(&[arguments, &["--daily-calls", "60"]].concat());
        command.env("TZ", midnight_was(-1800)).env("COSTAG_WORKERS", "2");
        command
    };
    let run = start(command(&["run", BUCKET]));
    crate::support::wait_until("some calls", || site.calls() >= 10);
    site.change(r#"{"clock_offset_seconds":3600}"#);
    run.end().with(8);
    assert_eq!(site.calls(), 60);
    start(command(&["resume"])).end().with(8);
    assert_eq!(site.calls(), 60, "those that were in flight during the correction count too");
    site.assert_sound();
}

#[test]
fn a_window_ends_by_the_corrected_clock() {
    // By this machine's clock the window ends in an hour. The clock is a little more than an hour slow.
    let settings = Settings { clock_offset_seconds: 3594, latency_ms: 250, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 600, ..Synthetic::default() }, settings);
    let mut command = site.command(&["run", BUCKET, "--until", "00:00"]);
    command.env("TZ", midnight_was(-3600)).env("COSTAG_WORKERS", "2");
    start(command).end().with(10).says(&[
        "behind the service",
        "calls end at",
        "window: --until 00:00",
    ]);
    assert!((1..600).contains(&site.calls()));
}

#[test]
fn an_unknown_time_zone_is_reported_before_utc_is_used() {
    let site = Site::plain(3);
    let run = |zone: &str| {
        let mut command = site.command(&["run", BUCKET, "--until", "06:30"]);
        command.env("TZ", zone);
        start(command).end().with(0).stderr
    };
    for zone in ["Nowhere/Land", "Asia/Shangai", "not a zone"] {
        let told = run(zone);
        let warned = told.find(&format!("TZ=\"{zone}\" names no known time zone")).expect(&told);
        let ends = told.find("06:30:00+00:00 (--until 06:30)").expect(&told);
        assert!(warned < ends, "{told}");
        let mut ledger = site.command(&["ledger"]);
        ledger.env("TZ", zone);
        start(ledger).end().with(0).says(&["names no known time zone"]);
    }
    for (zone, end) in [
        ("Asia/Shanghai", "06:30:00+08:00"),
        ("America/Phoenix", "06:30:00-07:00"),
        ("", "06:30:00+00:00"),
        ("UTC", "06:30:00+00:00"),
        ("<XYZ>-05:30", "06:30:00+05:30"),
    ] {
        let told = run(zone);
        assert!(told.contains(&format!("{end} (--until 06:30)")), "{told}");
        assert!(!told.contains("warning"), "{told}");
    }
}

#[test]
fn a_clock_offset_is_kept_for_the_next_run_until_the_clock_is_set() {
    let settings = Settings { clock_offset_seconds: 3600, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 20, ..Synthetic::default() }, settings);
    site.run(&[]).with(0);
    let refused = || site.emulator.statistics().bad_signatures;
    assert_eq!(refused(), 1);
    let kept = || -> i64 {
        site.one(
            "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'clock_offset'",
        )
    };
    assert!((3595..=3605).contains(&kept()), "{}", kept());
    site.run(&[]).with(0).says(&["times are corrected by +3"]);
    assert_eq!(refused(), 1, "the first request was signed right");
    // From here on the clocks agree again.
    site.change(r#"{"clock_offset_seconds":0}"#);
    site.run(&[]).with(0).says(&["agrees with the service's now"]);
    assert_eq!((refused(), kept()), (2, 0));
    let ended = site.run(&[]).with(0);
    assert!(!ended.stderr.contains("corrected"), "{}", ended.stderr);
    assert_eq!(refused(), 2);
}

#[test]
fn a_complaint_about_a_correct_clock_is_retried() {
    let mut settings = Settings::default();
    settings.set_fault("skewed", 0.3).unwrap();
    settings.set_fault("list_skewed", 1.0).unwrap();
    settings.fault_attempts = 3;
    let site = Site::new(Synthetic { objects: 200, ..Synthetic::default() }, settings);
    site.run(&[]).with(0);
    site.assert_exports("camera");
    assert_eq!(site.one::<i64>("SELECT count(*) FROM meta WHERE name = 'clock_offset'"), 0);
}

#[rstest]
#[case::calls("skewed")]
#[case::listings("list_skewed")]
fn twenty_complaints_about_a_correct_clock_stop_the_run(#[case] fault: &str) {
    let mut settings = Settings::default();
    settings.set_fault(fault, 1.0).unwrap();
    let site = Site::new(Synthetic { objects: 200, ..Synthetic::default() }, settings);
    let ended = site.run(&["--workers", "4", "--list-workers", "2"]).with(6);
    ended.says(&["RequestTimeTooSkewed", "this machine's clock agrees with the service's answer"]);
    let statistics = site.emulator.statistics();
    assert!(statistics.calls <= 20 + 4, "{}", statistics.calls);
    assert!(statistics.calls + statistics.list_calls >= 20, "{statistics:?}");
    assert_eq!(site.states()[3], 0, "no image is blamed");
}

#[test]
fn credentials_that_are_expired_only_by_a_fast_clock_are_used() {
    // This machine's clock is an hour ahead of the service's.
    let settings = Settings { clock_offset_seconds: -3600, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 50, ..Synthetic::default() }, settings);
    let end = jiff::Timestamp::now().as_second() - 1800;
    let printed = serde_json::json!({
        "SecretId": SECRET_ID, "SecretKey": SECRET_KEY, "Token": "t", "ExpiredTime": end,
    });
    site.write("now.json", printed.to_string());
    for scenes in ["camera", "web"] {
        let process = ["--credential-process", "cat now.json"];
        let mut command =
            site.command(&[&["run", BUCKET, "--scenes", scenes], &process[..]].concat());
        command.env_remove("COSTAG_SECRET_ID").env_remove("COSTAG_SECRET_KEY");
        start(command).end().with(0);
    }
    assert_eq!(site.calls(), 100);
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
fn a_temporary_token_is_sent_and_signed() {
    let site = with_token("a-token");
    let mut command = site.command(&["run", BUCKET]);
    command.env("COSTAG_TOKEN", "a-token");
    start(command).end().with(0);
    assert_eq!(site.emulator.statistics().bad_signatures, 0);
    site.assert_exports("camera");
    site.run(&["--scenes", "web"]).with(6);
}

#[test]
fn an_expired_token_that_cannot_be_renewed_ends_the_run() {
    let site = with_token("a-token");
    let mut command = site.command(&["run", BUCKET]);
    command.env("COSTAG_TOKEN", "old-token");
    start(command).end().with(6).says(&["expire"]);
    assert_eq!(site.calls(), 0);
}

#[test]
fn a_credential_process_renews_a_token_that_expires_during_a_run() {
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
