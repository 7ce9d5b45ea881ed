//! Ctrl-C, a polite kill, and their second time.

use std::time::Instant;

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site, wait_until};

fn slow(objects: u64, latency_ms: u64) -> Site {
    let bucket = Synthetic { objects, duplicates: 0.2, ..Synthetic::default() };
    Site::new(bucket, Settings { latency_ms, ..Settings::default() })
}

#[rstest]
#[case::interrupted("INT", 130, "SIGINT")]
#[case::terminated("TERM", 143, "SIGTERM")]
fn a_signal_settles_what_is_in_flight_and_resume_does_the_rest(
    #[case] signal: &str,
    #[case] code: i32,
    #[case] named: &str,
) {
    let site = slow(260, 80);
    let contents = site.contents();
    let run = site.start(&["run", BUCKET]);
    wait_until("some calls", || site.calls() >= 20);
    run.signal(signal);
    run.end().with(code).says(&["costag resume", named]);
    let calls = site.calls();
    assert!(calls < contents, "{calls}: it was to be stopped before the end");
    assert_eq!(site.ledger(), (calls, 0), "every call that was begun is in the ledger");
    let [pending, in_flight, done, failed] = site.states();
    assert_eq!([in_flight, done, failed], [0, calls.cast_signed(), 0]);
    assert!(pending > 0);
    assert_eq!(site.one::<String>("SELECT state FROM run"), "interrupted");

    site.resume().with(0).says(&["going on with run 1"]);
    let statistics = site.emulator.statistics();
    assert_eq!((statistics.calls, statistics.most_calls_for_one_key), (contents, 1));
    assert_eq!(site.ledger(), (contents, 0));
    site.assert_exports("camera");
    assert_eq!(site.one::<i64>("SELECT count(*) FROM run"), 1);

    site.resume().with(0).says(&["nothing to resume"]);
    assert_eq!(site.calls(), contents);
}

#[test]
fn run_goes_on_after_a_signal_too_and_repeats_nothing() {
    let site = slow(260, 80);
    let run = site.start(&["run", BUCKET]);
    wait_until("some calls", || site.calls() >= 20);
    run.signal("INT");
    run.end().with(130);
    site.run(&[]).with(0);
    let statistics = site.emulator.statistics();
    assert_eq!((statistics.calls, statistics.most_calls_for_one_key), (site.contents(), 1));
    site.assert_exports("camera");
    assert_eq!(
        site.one::<i64>("SELECT count(*) FROM run WHERE state IN ('running', 'interrupted')"),
        0
    );
}

#[test]
fn a_second_signal_quits_at_once_and_nothing_is_lost() {
    let site = slow(40, 30_000);
    let run = site.start(&["run", BUCKET]);
    wait_until("calls in flight", || site.calls() >= 16);
    run.signal("INT");
    wait_until("the first signal was seen", || run.stderr().contains("again to quit at once"));
    let begun = Instant::now();
    run.signal("INT");
    run.end().with(130);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());

    site.change(r#"{"latency_ms":0}"#);
    let lost = site.calls();
    site.resume().with(0);
    site.assert_exports("camera");
    let (settled, unknown) = site.ledger();
    let calls = site.calls();
    assert!(settled <= calls && calls <= settled + unknown, "{settled} {calls} {unknown}");
    assert!(calls <= site.contents() + lost);
}

#[test]
fn calls_that_hang_are_cut_after_ten_seconds() {
    let site = slow(4, 30_000);
    let run = site.start(&["run", BUCKET]);
    wait_until("calls in flight", || site.calls() >= 1);
    run.signal("TERM");
    let begun = Instant::now();
    run.end().with(143).says(&["costag resume"]);
    let waited = begun.elapsed().as_secs();
    assert!((9..20).contains(&waited), "{waited}");
    assert_eq!(site.states()[1], 0, "none is left in flight");
    let (settled, unknown) = site.ledger();
    assert_eq!((settled, unknown), (0, site.calls()));
}
