//! What a person sees while a run goes on.

use std::process::Command;

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Screen, Site, on_a_terminal_of, wait_until};

/// The names at the begin of the lines of the block.
const NAMES: [&str; 5] = ["listed  ", "tagged  ", "pace    ", "cost    ", "left    "];

fn slow() -> Site {
    let settings = Settings { latency_ms: 200, ..Settings::default() };
    Site::new(Synthetic { objects: 2_000, ..Synthetic::default() }, settings)
}

#[rstest]
#[case::narrow(40)]
#[case::usual(80)]
#[case::wide(200)]
fn the_block_never_wraps_and_no_line_tears_it(#[case] columns: usize) {
    let site = slow();
    site.change(r#"{"faults":{"internal_error":0.5}}"#);
    let arguments = format!("run {BUCKET} --log info --price-per-1000-calls 1.5");
    let set_up = |command: &mut Command| {
        site.set_up(command);
        command.env("NO_COLOR", "1");
    };
    let Some(mut run) = on_a_terminal_of(columns, set_up, &arguments) else { return };
    wait_until("calls in the block", || run.stdout().contains("━"));
    run.types("\u{3}");
    let ended = run.end().with(130);
    let mut screen = Screen::new(columns);
    let mut most = 0;
    screen.show(&ended.stdout, |lines| {
        for name in NAMES {
            let blocks = lines.iter().filter(|line| line.starts_with(name)).count();
            assert!(blocks <= 1, "two blocks:\n{}", lines.join("\n"));
        }
        let block = |line: &&String| NAMES.iter().any(|name| line.starts_with(name));
        let widest = lines.iter().filter(block).map(|line| line.chars().count()).max();
        most = most.max(widest.unwrap_or_default());
    });
    assert!((20..columns).contains(&most), "{most}");
    assert!(!ended.stdout.contains(" 0.0/s"), "{}", ended.stdout);
    let left = screen.lines();
    assert!(!left.iter().any(|line| line.contains(['━', '─'])), "{}", left.join("\n"));
    // The terminal has wrapped long lines, but nothing came in between.
    let whole = left.concat().replace(' ', "");
    assert!(whole.contains("stoppingafterthecallsinflighthaveended(atmost10s)"), "{whole}");
}

#[test]
fn progress_takes_the_form_that_is_asked_for() {
    let site = slow();
    let json = site.start(&["run", BUCKET, "--progress", "json"]);
    wait_until("a line of JSON", || json.stderr().contains("\"event\""));
    json.signal("INT");
    let ended = json.end().with(130);
    let line = ended.stderr.lines().find(|line| line.starts_with('{')).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["event"], "progress");

    // A terminal that cannot move its cursor gets no block.
    let dumb = |command: &mut Command| {
        site.set_up(command);
        command.env("TERM", "dumb");
    };
    let arguments = format!("run {BUCKET} --db dumb.db --limit 20");
    let Some(run) = on_a_terminal_of(80, dumb, &arguments) else { return };
    let ended = run.end().with(0);
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
}

#[test]
fn a_run_is_watched_from_another_terminal() {
    let site = slow();
    let run = site.start(&["run", BUCKET]);
    wait_until("a call", || site.calls() > 0);
    let watch = site.start(&["status", "--watch", "--progress", "json"]);
    let told = || -> Option<serde_json::Value> {
        let lines = watch.stderr();
        lines.lines().rev().find_map(|line| serde_json::from_str(line).ok())
    };
    // What only the process of the run knows arrives too.
    wait_until("the pace", || told().is_some_and(|told| told["calls_per_second"].is_number()));
    let told = told().unwrap();
    assert!(told["in_flight"].as_u64().unwrap() > 0 && told["tagged"].is_number(), "{told}");
    run.signal("INT");
    run.end().with(130);
    let ended = watch.end().with(0);
    assert!(ended.stdout.contains("run 1  interrupted"), "{}", ended.stdout);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM meta WHERE name = 'live'"), 0);
    site.costag(&["status", "--watch"]).with(0).says(&["no run is at work"]);
}
