//! Budgets of calls, cost and time are exact, and the next run or resume continues.

use costag::emulator::{Options, Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site, start};

#[rstest]
#[case::one_worker("1", &[])]
#[case::many_workers("64", &[])]
#[case::with_faults("32", &[("internal_error", 0.2), ("reset", 0.1), ("too_many", 0.1)])]
fn max_calls_is_kept_to_exactly(#[case] workers: &str, #[case] faults: &[(&str, f64)]) {
    let mut settings = Settings { latency_ms: 5, jitter_ms: 20, ..Settings::default() };
    for (fault, probability) in faults {
        settings.set_fault(fault, *probability).unwrap();
    }
    let bucket = Synthetic { objects: 120, duplicates: 0.2, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    for (options, calls) in [
        (["--max-calls", "1"], 1),
        (["--max-calls", "30"], 31),
        (["--max-calls", "17"], 48),
        (["--daily-calls", "60"], 60),
    ] {
        let mut arguments = vec!["run", BUCKET, "--workers", workers];
        arguments.extend(options);
        let ended = site.costag(&arguments).with(8);
        assert_eq!(site.calls(), calls, "{options:?}\n{}", ended.stderr);
        assert_eq!(site.ledger(), (calls, 0));
        assert_eq!(site.states()[1], 0, "nothing is left in flight");
    }
    site.run(&[]).with(0);
    site.assert_exports("camera");
    assert_eq!(site.ledger(), (site.calls(), 0));
    site.assert_sound();
}

#[test]
fn daily_calls_count_over_all_runs_and_start_again_the_next_day() {
    let site = Site::plain(100);
    site.run(&["--daily-calls", "30"]).with(8).says(&["--daily-calls 30"]);
    site.run(&["--daily-calls", "30"]).with(8);
    site.costag(&["resume", "--daily-calls", "30"]).with(8);
    assert_eq!(site.calls(), 30);
    site.run(&["--daily-calls", "50", "--max-calls", "100"]).with(8).says(&["--daily-calls 50"]);
    assert_eq!(site.calls(), 50);
    site.tamper("UPDATE call SET ended_at = ended_at - 86400000");
    site.run(&["--daily-calls", "30"]).with(8);
    assert_eq!(site.calls(), 80);
    site.costag(&["resume", "--daily-calls", "1000"]).with(0);
    assert_eq!(site.called().values().max(), Some(&1));
    site.assert_exports("camera");
}

#[test]
fn calls_with_an_unknown_outcome_count_for_the_budget() {
    let settings = Settings { latency_ms: 30_000, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 60, ..Synthetic::default() }, settings);
    let run = site.start(&["run", BUCKET, "--workers", "5"]);
    crate::support::wait_until("calls in flight", || site.calls() >= 5);
    assert!(run.kill());
    site.change(r#"{"latency_ms":0}"#);
    site.run(&["--daily-calls", "30"]).with(8);
    let (settled, unknown) = site.ledger();
    assert!((5..=10).contains(&unknown), "{unknown}");
    assert_eq!(settled + unknown, 30);
}

#[test]
fn max_cost_needs_a_price_and_is_kept_to() {
    let site = Site::plain(100);
    site.run(&["--max-cost", "1"]).with(2).says(&["price_per_1000_calls"]);
    assert_eq!(site.calls(), 0);
    let price = ["--price-per-1000-calls", "2.5", "--currency", "EUR"];
    let ended = site.run(&[&["--max-cost", "0.1"], &price[..]].concat()).with(8);
    ended.says(&["--max-cost 0.1 EUR, 40 calls"]);
    assert_eq!(site.calls(), 40);
    // The budget is too small for a single call.
    site.run(&[&["--max-cost", "0.001"], &price[..]].concat()).with(8);
    assert_eq!(site.calls(), 40);
    site.resume().with(0);
    assert_eq!(site.calls(), 100);
}

/// The number of scenes that all calls so far asked for, added up.
fn scenes_asked(site: &Site) -> u64 {
    let bits = "(scenes & 1) + (scenes >> 1 & 1) + (scenes >> 2 & 1) + (scenes >> 3 & 1)";
    site.one::<i64>(&format!("SELECT coalesce(sum({bits}), 0) FROM call")).cast_unsigned()
}

#[rstest]
#[case::each_scene_is_billed(&[], 30)]
#[case::each_call_is_billed(&["--billing", "call"], 60)]
fn max_cost_counts_units_of_billing(#[case] billing: &[&str], #[case] calls: u64) {
    let site = Site::plain(100);
    let limits = ["--scenes", "web,camera", "--price-per-1000-calls", "10", "--max-cost", "0.6"];
    site.run(&[&limits[..], billing].concat()).with(8).says(&["--max-cost 0.6 CNY, 60 calls"]);
    assert_eq!(site.calls(), calls);
    assert_eq!(scenes_asked(&site), 2 * calls);
    let priced = ["--json", "--by", "run"];
    let toml = format!(
        "price_per_1000_calls = 10\nbilling = \"{}\"\n",
        if billing.is_empty() { "scene" } else { "call" }
    );
    site.write("costag.toml", toml);
    let ledger = site.json(&[&["ledger"], &priced[..]].concat());
    assert_eq!((&ledger["total"]["cost"], &ledger["total"]["calls"]), (&0.6.into(), &calls.into()));
    assert_eq!(site.json(&["status", "--json"])["runs"][0]["cost"], 0.6);
    let told = site.costag(&["retag", "--all", "--dry-run"]).with(0).stderr;
    assert!(told.contains("about 0.60 CNY"), "{told}");
    let text = site.costag(&["ledger"]).with(0).stdout;
    assert!(text.contains("0.60") && text.contains("billing"), "{text}");
}

#[rstest]
#[case::one_worker("1")]
#[case::many_workers("32")]
fn max_cost_is_kept_to_by_calls_with_different_numbers_of_scenes(#[case] workers: &str) {
    let site = Site::plain(90);
    site.run(&["--limit", "30", "--scenes", "web"]).with(0);
    let before = scenes_asked(&site);
    assert_eq!(before, 30);
    // Thirty images lack two scenes, sixty lack three.
    let scenes = ["--scenes", "web,camera,news", "--workers", workers];
    let limits = ["--price-per-1000-calls", "1000", "--max-cost", "100"];
    site.run(&[scenes, limits].concat()).with(8).says(&["--max-cost 100"]);
    let asked = scenes_asked(&site) - before;
    assert!((98..=100).contains(&asked), "no call that would exceed it, and none too few: {asked}");
    site.resume_with(&["--workers", workers]).with(0);
    assert_eq!(scenes_asked(&site), 90 * 3);
    site.assert_sound();
}

#[test]
fn calls_in_flight_at_the_end_of_a_window_are_settled() {
    let settings = Settings { latency_ms: 200, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 200, ..Synthetic::default() }, settings);
    let ended = site.run(&["--max-duration", "700ms"]).with(10);
    ended.says(&["--max-duration 700ms", "costag resume"]);
    let calls = site.calls();
    assert!((16..200).contains(&calls), "{calls}");
    assert_eq!(site.ledger(), (calls, 0));
    assert_eq!(site.states()[1], 0);
    assert_eq!(site.states()[2].cast_unsigned(), calls, "what was called is kept");
    site.change(r#"{"latency_ms":0}"#);
    // The window ends half a day from now.
    let later = jiff::Zoned::now().saturating_add(jiff::Span::new().hours(12));
    let until = later.strftime("%H:%M").to_string();
    site.resume_with(&["--until", &until]).with(0);
    assert_eq!(site.calls(), 200);
    site.assert_exports("camera");
    site.assert_sound();
}

/// A time zone in which it will be noon after this many seconds.
fn noon_in(seconds: i64) -> String {
    const DAY: i64 = 24 * 3600;
    let of_day = jiff::Timestamp::now().as_second().rem_euclid(DAY);
    // POSIX offsets count westward: local time is UTC minus the offset.
    let west = (of_day + seconds - DAY / 2).rem_euclid(DAY);
    let (sign, west) = if west > DAY / 2 { ('-', DAY - west) } else { ('+', west) };
    format!("<LOCAL>{sign}{:02}:{:02}:{:02}", west / 3600, west / 60 % 60, west % 60)
}

#[rstest]
#[case::a_time_of_day(&["--until", "12:00"], "--until 12:00")]
#[case::the_sooner_of_two(&["--until", "12:00", "--max-duration", "1h"], "--until 12:00")]
#[case::a_duration(&["--until", "11:00", "--max-duration", "1s"], "--max-duration 1s")]
fn resume_continues_a_run_whose_window_has_ended(#[case] window: &[&str], #[case] told: &str) {
    let settings = Settings { latency_ms: 250, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 600, ..Synthetic::default() }, settings);
    let command = |arguments: &[&str]| {
        let mut command = site.command(arguments);
        // Noon must come soon, but not before a slow machine has started to call.
        command.env("TZ", noon_in(5)).env("COSTAG_WORKERS", "2");
        command
    };
    let ended = start(command(&[&["run", BUCKET], window].concat())).end().with(10);
    ended.says(&["window: ", told, "to continue:\n  costag resume"]);
    let calls = site.calls();
    assert!((1..600).contains(&calls), "{calls}");
    assert_eq!(site.ledger(), (calls, 0), "each call has ended, and is in the ledger");
    assert_eq!(site.states(), [600 - calls.cast_signed(), 0, calls.cast_signed(), 0]);
    assert_eq!(site.one::<String>("SELECT state FROM run"), "stopped");
    // The resumed run has a new window, which has not ended yet.
    site.change(r#"{"latency_ms":0}"#);
    let ended = start(command(&["resume", "--until", "11:59", "--max-duration", "1h"])).end();
    ended.with(0);
    assert_eq!(site.calls(), 600);
    assert_eq!(site.called().values().max(), Some(&1));
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn budgets_stop_before_the_call_that_would_exceed_them() {
    let settings = Settings { latency_ms: 5, ..Settings::default() };
    let site = Site::with(Options { settings, ..Options::default() });
    site.run(&["--max-calls", "25"]).with(8).says(&["--max-calls 25"]);
    assert_eq!(site.calls(), 25);
    assert_eq!(site.ledger(), (25, 0));
    site.costag(&["resume", "--max-calls", "40"]).with(8);
    assert_eq!(site.calls(), 65);
    site.costag(&["resume", "--max-duration", "1ms"]).with(10);
    site.costag(&["resume", "--daily-calls", "100", "--max-duration", ""]).with(8);
    assert_eq!(site.calls(), 100);
    let cost = ["--max-cost", "0.5", "--price-per-1000-calls", "10"];
    site.resume_with(&cost).with(8);
    assert_eq!(site.calls(), 150);
    assert_eq!(site.emulator.statistics().most_calls_for_one_key, 1);
}
