//! Signals end a run with everything saved; a second signal ends it at once.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site, nobody, start, wait_until};

fn slow(objects: u64, latency_ms: u64) -> Site {
    let bucket = Synthetic { objects, duplicates: 0.2, ..Synthetic::default() };
    Site::new(bucket, Settings { latency_ms, ..Settings::default() })
}

#[rstest]
#[case::interrupted("INT", 130, "run 1: interrupted")]
#[case::terminated("TERM", 143, "run 1: terminated")]
#[case::quit("QUIT", 131, "quit with Ctrl-")]
#[case::hung_up("HUP", 129, "the terminal was closed")]
fn a_signal_settles_calls_in_flight_and_resume_does_the_rest(
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

    site.resume().with(0).says(&["continuing run 1"]);
    let statistics = site.emulator.statistics();
    assert_eq!((statistics.calls, statistics.most_calls_for_one_key), (contents, 1));
    assert_eq!(site.ledger(), (contents, 0));
    site.assert_exports("camera");
    assert_eq!(site.one::<i64>("SELECT count(*) FROM run"), 1);

    site.resume().with(0).says(&["nothing to resume"]);
    assert_eq!(site.calls(), contents);
}

#[test]
fn a_new_run_continues_after_a_signal_and_repeats_nothing() {
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
fn a_second_signal_ends_the_program_at_once_and_loses_nothing() {
    let site = slow(40, 30_000);
    let run = site.start(&["run", BUCKET]);
    wait_until("calls in flight", || site.calls() >= 16);
    run.signal("INT");
    wait_until("the first signal was seen", || run.stderr().contains("again to quit at once"));
    // Only a signal at least a second later counts as a second one.
    std::thread::sleep(Duration::from_millis(1100));
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
fn calls_that_hang_are_cut_off_ten_seconds_after_a_signal() {
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

#[test]
fn a_second_signal_within_one_second_is_ignored() {
    let site = slow(200, 1500);
    let run = site.start(&["run", BUCKET]);
    wait_until("calls in flight", || site.calls() >= 16);
    run.signal("TERM");
    wait_until("the first signal was seen", || run.stderr().contains("again to quit at once"));
    // `timeout` and service managers send several signals at once.
    for signal in ["TERM", "CONT", "HUP", "INT"] {
        run.signal(signal);
    }
    run.end().with(143).says(&["costag resume", "terminated by another program"]);
    let calls = site.calls();
    assert_eq!(site.ledger(), (calls, 0), "the calls in flight have been waited for");
    assert_eq!(site.states()[2].cast_unsigned(), calls);
}

#[test]
fn sighup_stays_ignored_if_it_was_ignored_at_the_start() {
    let site = slow(100, 100);
    let line = format!("trap '' HUP; exec '{}' run {BUCKET}", env!("CARGO_BIN_EXE_costag"));
    let mut command = Command::new("sh");
    site.set_up(&mut command);
    command.args(["-c", &line]);
    let run = start(command);
    wait_until("some calls", || site.calls() >= 5);
    run.signal("HUP");
    run.end().with(0);
    site.assert_exports("camera");
}

/// Whether a process has a handler for SIGHUP. If so, it has handlers for all signals.
fn catches_hang_up(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

#[rstest]
#[case::a_listing("a listing", "INT", 130)]
#[case::the_service("the service", "QUIT", 131)]
#[case::the_network("the network", "HUP", 129)]
#[case::a_pause("a pause", "TERM", 143)]
#[case::a_list("a list", "INT", 130)]
#[case::a_list_hung_up("a list", "HUP", 129)]
fn a_signal_ends_a_run_whatever_it_waits_for(
    #[case] what: &str,
    #[case] signal: &str,
    #[case] code: i32,
) {
    let site = slow(30, 0);
    let mut command = site.command(&["run", BUCKET]);
    match what {
        "a listing" => site.change(r#"{"list_latency_ms":40000}"#),
        "the service" => site.change(r#"{"faults":{"stall":1.0}}"#),
        "the network" => {
            command.env("COSTAG_ENDPOINT", format!("http://{}", nobody()));
        }
        "a pause" => site.change(r#"{"faults":{"internal_error":1.0}}"#),
        _ => {
            command = site.command(&["run", BUCKET, "--keys", "-"]);
            command.stdin(Stdio::piped());
        }
    }
    command.env("COSTAG_COOLDOWN", "1m").env("COSTAG_LOG", "debug");
    let run = start(command);
    wait_until("it has begun", || match what {
        "a listing" => site.emulator.statistics().list_calls > 0,
        "the service" => site.calls() >= 16,
        "a pause" => site.calls() >= 20,
        "the network" => run.stderr().contains("WARN"),
        _ => catches_hang_up(run.id()),
    });
    let begun = Instant::now();
    run.signal(signal);
    run.end().with(code).says(&["costag resume"]);
    let most = if what == "the service" { 20 } else { 8 };
    assert!(begun.elapsed().as_secs() < most, "{what}: {:?}", begun.elapsed());
}

#[test]
fn a_stopped_process_reads_arrived_answers_before_it_times_out() {
    let site = slow(120, 700);
    let run = site.start(&["run", BUCKET, "--timeout", "2s", "--patience", "3s"]);
    wait_until("some answers", || site.emulator.statistics().answered_ok >= 16);
    // Stop the process three times, longer than any timeout, while calls are in flight.
    for _ in 0..3 {
        let calls = site.calls();
        wait_until("further calls", || site.calls() >= (calls + 8).min(site.contents()));
        run.signal("STOP");
        std::thread::sleep(Duration::from_millis(4500));
        run.signal("CONT");
    }
    run.end().with(0);
    assert_eq!(site.calls(), site.contents(), "no call is made twice");
    let failed: i64 = site.one("SELECT count(*) FROM call WHERE outcome <> 0");
    let answered: i64 = site.one("SELECT count(*) FROM call");
    assert_eq!((failed, answered.cast_unsigned()), (0, site.contents()), "none was late");
    site.assert_exports("camera");
}

#[rstest]
#[case::a_key("\u{3}", None, 130)]
#[case::quit_by_a_key("\u{1c}", None, 131)]
#[case::hung_up("", Some("HUP"), 129)]
#[case::terminated("", Some("TERM"), 143)]
fn a_signal_ends_a_run_that_waits_for_an_answer(
    #[case] types: &str,
    #[case] signal: Option<&str>,
    #[case] code: i32,
) {
    let site = slow(300, 5);
    let arguments = format!("run {BUCKET} --confirm-above 20");
    let Some(mut run) = site.start_on_a_terminal(&arguments) else { return };
    let pid = site.pid_on_the_terminal();
    wait_until("the question", || run.stdout().contains("[y/N]"));
    wait_until("the calls before it", || site.calls() >= 20);
    let begun = Instant::now();
    match signal {
        Some(signal) => {
            let sent = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
            assert!(sent.success());
        }
        None => run.types(types),
    }
    run.end().with(code);
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
    assert_eq!(site.calls(), 20);
    assert_eq!(site.one::<String>("SELECT state FROM run"), "interrupted");
}
