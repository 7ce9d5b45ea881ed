//! Keys with control characters on a terminal, and a stderr or stdin that is closed.

use std::io::Write as _;
use std::process::Command;

use rusqlite::Connection;

use crate::support::{BUCKET, Site, on_a_terminal, start, wait_until};

/// A key that would clear the screen, start a new line and write backwards.
const NASTY: &str = "x/\u{1b}[2J\n\u{202e}gpj.\u{9b}31m.jpg";
/// How that key is shown.
const SHOWN: &str = "x/\\x1b[2J\\n\\u{202e}gpj.\\x9b31m.jpg";

/// Runs the program on a terminal without colours. Returns everything that it wrote there, or `None` if there is no
/// terminal here.
fn shown(site: &Site, arguments: &[&str]) -> Option<String> {
    let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let set_up = |command: &mut Command| {
        site.set_up(command);
        command.env("TERM", "dumb").env("NO_COLOR", "1");
    };
    Some(on_a_terminal(set_up, &quoted.join(" "))?.end().stdout)
}

#[track_caller]
fn assert_is_safe(text: &str) {
    for bad in ["\u{1b}[2J", "\u{202e}", "\u{9b}"] {
        assert!(!text.contains(bad), "{bad:?} in {text:?}");
    }
}

#[test]
fn control_characters_in_keys_are_escaped_on_a_terminal() {
    let site = Site::holding(&[(NASTY, "one"), ("b.jpg", "two")]);
    site.change(r#"{"faults":{"invalid_state":1.0}}"#);
    let ended = site.run(&["--log", "costag=trace"]).with(3);
    assert!(ended.stderr.contains("\\u{202e}"), "the key is in the log: {}", ended.stderr);
    assert_is_safe(&ended.stderr);
    let failures = site.costag(&["status", "--failures"]).with(0).stdout;
    assert!(failures.contains(SHOWN), "{failures}");
    assert_is_safe(&failures);
    site.change(r#"{"clear":true}"#);
    site.costag(&["retry"]).with(0);
    site.run(&[]).with(0);
    site.delete(&[NASTY]);
    site.run(&[]).with(0);
    site.put(&[(NASTY, "one")]);
    site.run(&[]).with(0);
    for (arguments, shows) in [
        (&["changes"][..], true),
        (&["find", "--not", "no such label"], true),
        (&["doctor", BUCKET, "-y"], false),
        (&["status", "--failures"], false),
        (&["status"], false),
        (&["run", BUCKET, "--log", "costag=trace"], false),
    ] {
        let Some(text) = shown(&site, arguments) else { return };
        assert!(!shows || text.contains(SHOWN), "{arguments:?}: {text}");
        assert_is_safe(&text);
    }
}

#[test]
fn rows_are_escaped_on_a_terminal_and_unchanged_in_a_pipe() {
    // Invisible characters: a filler, a Braille blank, a tag.
    let hidden = format!("{NASTY}\u{3164}\u{2800}\u{e0041}.jpg");
    let site = Site::holding(&[(&hidden, "one"), ("b.jpg", "two"), ("bad.jpg", "three")]);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"bad"}"#);
    site.run(&[]).with(3);
    site.delete(&[&hidden]);
    site.run(&[]).with(0);
    site.put(&[(&hidden, "one")]);
    site.run(&[]).with(0);
    let piped = site.costag(&["export"]).with(0).stdout;
    assert!(piped.contains(&hidden), "{piped}");
    let spelled = format!("{SHOWN}\\u{{3164}}\\u{{2800}}\\u{{e0041}}.jpg");
    for (arguments, is_json) in [
        (&["export"][..], false),
        (&["export", "--layout", "wide"], false),
        (&["export", "--format", "jsonl"], true),
        (&["export", "--format", "jsonl", "--layout", "wide"], true),
        (&["find", "--not", "x", "--csv"], false),
        (&["find", "--not", "x", "--json"], true),
        (&["find", "--not", "x", "-0"], false),
        (&["changes", "--csv"], false),
        (&["changes", "--json"], true),
    ] {
        let Some(text) = shown(&site, arguments) else { return };
        assert_is_safe(&text);
        assert!(!text.contains(['\u{3164}', '\u{2800}', '\u{e0041}']), "{text:?}");
        if is_json {
            let rows = text.lines().filter_map(|line| serde_json::from_str(line.trim()).ok());
            let keys = rows.map(|row: serde_json::Value| row["key"].as_str().unwrap().to_owned());
            assert!(keys.into_iter().any(|key| key == hidden), "{arguments:?}: {text}");
        } else {
            assert!(text.contains(&spelled), "{arguments:?}: {text}");
        }
    }
}

#[test]
fn a_closed_stderr_does_not_end_a_run() {
    let site = Site::plain(30);
    for (number, redirect) in ["2>&-", "2>/dev/full", "2>&1 >out.txt | :"].iter().enumerate() {
        site.change(r#"{"faults":{"internal_error":0.3}}"#);
        let database = format!("{number}.db");
        let script = format!(
            "set -o pipefail; \"$0\" run {BUCKET} --db {database} --log costag=trace {redirect}"
        );
        let mut command = Command::new("bash");
        site.set_up(&mut command);
        command.args(["-c", &script, env!("CARGO_BIN_EXE_costag")]);
        let ended = start(command).end().with(0);
        assert!(!ended.stderr.contains("panicked"), "{redirect}: {}", ended.stderr);
        let exported = site.costag(&["export", "--db", &database]).with(0).stdout;
        assert!(exported.lines().count() > 30, "{redirect}");
    }
}

#[test]
fn a_signal_ends_a_run_that_reads_a_list_from_stdin() {
    let site = Site::plain(0);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = site.command(&["run", BUCKET, "--keys", "-"]);
    command.stdin(reader);
    let run = start(command);
    let keys = (0..500).map(|number| format!("{number}.jpg\n")).collect::<Vec<_>>().concat();
    writer.write_all(keys.as_bytes()).unwrap();
    wait_until("it has read what there is", || {
        let sql = "SELECT max(cursor + 0) FROM range";
        let read = |database: Connection| database.query_row(sql, [], |row| row.get::<_, i64>(0));
        site.path("costag.db").exists() && read(site.database()).is_ok_and(|read| read == 500)
    });
    run.signal("INT");
    run.end().with(130);
    drop(writer);
}
