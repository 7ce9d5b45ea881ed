//! What a run tells people and programs that do not watch it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{BUCKET, Ended, Site, start};

/// The one line of JSON on stdout.
#[track_caller]
fn summary(ended: &Ended) -> Value {
    assert_eq!(ended.stdout.lines().count(), 1, "{}\n{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The names in the first columns of the tables of a page.
fn documented(page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let first = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    first
        .flat_map(|cell| cell.split("`, `"))
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_summary_has_exactly_the_documented_fields() {
    let site = Site::plain(3);
    let ended = site.run(&["--json"]).with(0);
    let told = summary(&ended);
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let all: BTreeSet<String> = names(&told).union(&names(&told["counts"])).cloned().collect();
    assert_eq!(all, documented("json.md"));
    let values = ["schema", "run_id", "exit_code", "tagged", "failed", "calls", "units", "pending"];
    assert_eq!(values.map(|name| told[name].as_i64().unwrap()), [1, 1, 0, 3, 0, 3, 3, 0]);
    assert_eq!((&told["reason"], &told["success"]), (&"complete".into(), &true.into()));
    assert_eq!(site.json(&["status", "--json"])["runs"][0]["exit_code"], 0);
}

#[test]
fn a_summary_counts_only_what_its_invocation_did() {
    let site = Site::plain(5);
    let first = summary(&site.run(&["--json", "--max-calls", "2", "-w", "1"]).with(8));
    assert_eq!((&first["tagged"], &first["pending"]), (&2.into(), &3.into()));
    assert_eq!(first["reason"], "budget: --max-calls 2");
    assert_eq!(site.json(&["status", "--json"])["runs"][0]["exit_code"], 8);
    let rest = summary(&site.resume_with(&["--json"]).with(0));
    assert_eq!((&rest["tagged"], &rest["counts"]["done"]), (&3.into(), &5.into()));
    assert_eq!((&rest["command"], &rest["resumed"]), (&"resume".into(), &true.into()));
}

#[test]
fn an_error_is_in_the_summary_with_its_exit_code() {
    let site = Site::plain(1);
    let wrong = summary(&site.run(&["--json", "--qps", "x"]).with(2));
    assert!(wrong["reason"].as_str().unwrap().starts_with("qps = \"x\""), "{wrong}");
    assert_eq!((&wrong["exit_code"], &wrong["success"]), (&2.into(), &false.into()));
    let mut command = site.command(&["plan", BUCKET, "--json"]);
    command.env("COSTAG_SECRET_KEY", "wrong");
    let refused = summary(&start(command).end().with(6));
    assert_eq!((&refused["command"], &refused["exit_code"]), (&"plan".into(), &6.into()));
    assert_eq!(site.json(&["plan", BUCKET, "--json"])["schema"], 1);
}

#[test]
fn every_line_on_stderr_is_json_if_the_log_format_is_json() {
    let site = Site::plain(3);
    for (arguments, code) in [
        (vec!["run", BUCKET, "--log-format", "json", "--log", "debug"], 0),
        (vec!["run", BUCKET, "--log-format=json", "--qps", "x"], 2),
        (vec!["export", "--log-format", "json", "--no-such-option"], 2),
    ] {
        let ended = site.costag(&arguments).with(code);
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
        for line in ended.stderr.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        }
    }
}

#[test]
fn a_run_says_with_dates_when_it_begins_and_how_it_ends() {
    let site = Site::plain(2);
    let mut command = site.command(&["run", BUCKET, "--price-per-1000-calls", "100"]);
    command.env("TZ", "Asia/Shanghai");
    let ended = start(command).end().with(0);
    let dated: Vec<&str> =
        ended.stderr.lines().filter(|line| line.contains("+08:00 costag ")).collect();
    let [first, last] = dated[..] else { panic!("{}", ended.stderr) };
    let version = env!("CARGO_PKG_VERSION");
    assert!(first.ends_with(&format!("costag {version} run begins: {BUCKET}/")), "{first}");
    let told =
        format!("costag {version} run ends: run 1, 2 tagged, 0 failed, 2 units, about 0.20 CNY, ");
    assert!(last.contains(&told) && last.ends_with(", exit code 0"), "{last}");
    assert_eq!(ended.stderr.lines().next_back(), Some(last));
}

#[test]
fn the_dated_lines_of_every_run_are_appended_to_the_log_file() {
    let site = Site::plain(2);
    let run = |options: &[&str]| site.run(&[&["--log-file", "nights.log"], options].concat());
    let told = [run(&["--limit", "1"]).with(0).stderr, run(&[]).with(0).stderr].concat();
    let dated: Vec<&str> = told.lines().filter(|line| line.contains(" costag ")).collect();
    let kept = std::fs::read_to_string(site.path("nights.log")).unwrap();
    assert_eq!(kept.lines().filter(|line| line.contains(" begins: ")).count(), 2, "{kept}");
    assert_eq!(kept.lines().filter(|line| line.contains(" ends: ")).count(), 2, "{kept}");
    for line in kept.lines() {
        assert!(dated.contains(&line), "{line} is not in {told}");
    }
    // Neither a folder nor the database is written, and the exit code stays.
    std::fs::create_dir(site.path("folder")).unwrap();
    for (file, why) in [("folder", "cannot append to folder"), ("costag.db", "names the database")]
    {
        site.run(&["--log-file", file]).with(0).says(&["the log file is not written", why]);
    }
    site.costag(&["verify"]).with(0);
    // A database that does not exist yet is not written either, by whatever name. A pipe that nobody reads is not waited for.
    let new = ["--db", "new.db", "--log-file", "./new.db"];
    site.run(&new).with(0).says(&["names the database: name another file"]);
    assert!(Command::new("mkfifo").arg(site.path("pipe")).status().unwrap().success());
    site.run(&["--log-file", "pipe"]).with(0).says(&["cannot append to pipe"]);
}

#[test]
fn a_check_tells_a_monitor_whether_a_run_has_succeeded_lately() {
    let site = Site::plain(4);
    let check = |options: &[&str], code: i32, word: &str| {
        let ended = site.costag(&[&["status", "--check"], options].concat()).with(code);
        assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
        assert!(ended.stdout.starts_with(word), "{}", ended.stdout);
    };
    check(&[], 3, "UNKNOWN: there is no database");
    let mut refused = site.command(&["run", BUCKET]);
    refused.env("COSTAG_SECRET_KEY", "wrong");
    start(refused).end().with(6);
    check(&[], 2, "CRITICAL: no run has succeeded yet; run 1 ended with exit code 6");
    site.resume_with(&["--max-calls", "1", "-w", "1"]).with(8);
    check(&[], 0, "OK: the last success was run 1");
    check(&["--max-age", "yesterday"], 3, "UNKNOWN: --max-age: expected a duration");
    site.costag(&["status", "--check", "--no-such-option"]).with(3);
    site.tamper("UPDATE run SET succeeded_at = succeeded_at - 26 * 3600 - 1");
    check(&[], 1, "WARNING: the last success was run 1, 26 h 0 min ago, more than 26 h 0 min");
    check(&["--max-age", "27h"], 0, "OK");
    // The list of codes that are successes is a setting.
    site.resume_with(&["--max-calls", "1", "-w", "1", "--success-codes", "0"]).with(8);
    check(&[], 1, "WARNING: the last success was run 1");
    site.resume_with(&["-w", "1"]).with(0);
    check(&[], 0, "OK");
}
