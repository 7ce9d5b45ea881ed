//! What is asked of a database beside running it: plans, checks, copies, sums, and putting back on purpose.

use std::io::Write as _;
use std::process::Stdio;

use costag::emulator::{Settings, Synthetic};
use serde_json::Value;

use crate::support::{BUCKET, Site, start, wait_until};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[track_caller]
fn plan(site: &Site, options: &[&str]) -> Value {
    let ended = site.costag(&[&["plan", BUCKET, "--json"], options].concat()).with(0);
    json(&ended.stdout)
}

#[track_caller]
fn assert_sound(site: &Site) {
    let verdict = site.costag(&["verify"]).with(0).stdout;
    assert!(verdict.ends_with("is sound: 13 checks\n"), "{verdict}");
}

#[test]
fn a_plan_calls_nothing_and_tells_exactly_what_a_run_calls() {
    let bucket = Synthetic { objects: 400, duplicates: 0.3, ..Synthetic::default() };
    let site = Site::new(bucket, Settings::default());
    let calls = |plan: &Value| plan["calls"].as_u64().unwrap();
    let first = plan(&site, &[]);
    assert_eq!((site.calls(), calls(&first)), (0, site.contents()));
    assert_eq!(first["need_no_call"].as_u64().unwrap(), 400 - site.contents());
    // Stop, plan, resume: the plan takes nothing from the run.
    site.run(&["--max-calls", "50"]).with(8);
    let rest = plan(&site, &["--until", "23:59"]);
    assert_eq!(calls(&rest), site.contents() - 50);
    assert!(rest["window_seconds"].is_number() && rest["measured_pace"].is_number(), "{rest}");
    site.resume().with(0);
    assert_eq!(site.calls(), site.contents());
    assert_eq!(calls(&plan(&site, &[])), 0);
    // Plan another scene, with a price.
    let price = ["-s", "web,camera", "--price-per-1000-calls", "2"];
    let web = plan(&site, &price);
    assert_eq!(web["calls_by_scenes"]["web"].as_u64(), Some(site.contents()));
    let cost = format!("{:.3}", web["cost"].as_f64().unwrap());
    assert_eq!(cost, format!("{}.{:03}", calls(&web) * 2 / 1000, calls(&web) * 2 % 1000));
    let before = site.calls();
    site.run(&price).with(0);
    assert_eq!(site.calls() - before, calls(&web));
    assert_eq!(calls(&plan(&site, &price)), 0);
    assert_sound(&site);
}

#[test]
fn what_is_put_back_is_called_once_more_and_keeps_its_labels_till_then() {
    let site = Site::plain(60);
    site.run(&[]).with(0);
    let before = site.export(&[]);
    site.costag(&["retag"]).with(2).says(&["which images?", "--all"]);
    let prefix = before[0][0].split_inclusive('/').take(3).collect::<String>();
    let within = |row: &&Vec<String>| row[0].starts_with(&prefix);
    let mut keys: Vec<_> = before.iter().filter(within).map(|row| &row[0]).collect();
    keys.dedup();
    let put_back = format!("{} images", keys.len());
    let retag = ["retag", "--prefix", &prefix];
    site.costag(&[&retag[..], &["--dry-run"]].concat())
        .with(0)
        .says(&["would put back", &put_back]);
    assert_eq!(site.states()[0], 0, "a dry run changes nothing");
    site.costag(&retag).with(0).says(&["put back", &put_back, "costag run"]);
    assert_eq!(site.export(&[]), before);
    assert_sound(&site);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 60 + keys.len() as u64);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 60 + keys.len() as u64, "once");
    site.assert_exports("camera");
    assert_sound(&site);
}

#[test]
fn what_failed_for_good_comes_back_on_request_only() {
    let site = Site::holding(&[("a/1.jpg", "1"), ("a/2.jpg", "2"), ("b/3.jpg", "3")]);
    site.change(r#"{"fail_code": {"status": 400, "code": "InvalidImageFormat"}}"#);
    site.run(&[]).with(3);
    site.change(r#"{"clear": true}"#);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 3);
    assert_eq!(plan(&site, &[])["given_up"].as_u64(), Some(3));
    site.costag(&["retry", "--code", "NoSuchKey"]).with(0).says(&["nothing to put back"]);
    site.costag(&["retry", "--key", "a/*", "--dry-run"]).with(0).says(&["2 images"]);
    site.costag(&["retry", "--key", "a/*", "--code", "InvalidImageFormat"]).with(0);
    assert_sound(&site);
    site.run(&[]).with(0);
    assert_eq!((site.calls(), site.states()), (5, [0, 0, 2, 1]));
}

#[test]
fn a_limit_and_a_sample_take_exactly_so_many() {
    let site = Site::plain(300);
    site.run(&["--sample", "70"]).with(0).says(&["--sample 70"]);
    assert_eq!((site.calls(), site.states()), (70, [230, 0, 70, 0]));
    // The sample is spread over the keys and is not just the first ones.
    let called = site.called();
    let mut keys: Vec<_> = site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
    keys.dedup();
    let in_first_half = keys[..150].iter().filter(|key| called.contains_key(*key)).count();
    assert!((15..=55).contains(&in_first_half), "{in_first_half} of 70");
    site.run(&["--limit", "40"]).with(0).says(&["--limit 40"]);
    assert_eq!((site.calls(), site.states()), (110, [190, 0, 110, 0]));
    site.run(&["--sample", "500"]).with(0);
    assert_eq!(site.calls(), 300);
    site.assert_exports("camera");
}

#[test]
fn copies_and_checks_while_a_run_goes_on_and_no_putting_back() {
    let site = Site::new(
        Synthetic { objects: 400, ..Synthetic::default() },
        Settings { latency_ms: 60, ..Settings::default() },
    );
    let run = site.start(&["run", BUCKET, "-w", "8"]);
    wait_until("calls", || site.calls() > 40);
    site.costag(&["backup", "copy.db"]).with(0);
    assert_sound(&site);
    site.costag(&["retag", "--all", "-y"]).with(11);
    site.costag(&["retry"]).with(11);
    assert_eq!(run.end().with(0).code, Some(0));
    site.costag(&["verify", "--db", "copy.db"]).with(0);
    site.costag(&["backup", "copy.db"]).with(4);
    // A run can continue from the copy. Calls that were in flight in it may have been paid for.
    site.change(r#"{"clear": true}"#);
    site.costag(&["resume", "--db", "copy.db"]).with(0);
    site.costag(&["verify", "--db", "copy.db"]).with(0);
    let exported = site.costag(&["export", "--db", "copy.db"]).with(0).stdout;
    assert_eq!(exported.lines().count(), site.expected("camera").len() + 1);
}

#[test]
fn a_copy_on_a_full_disk_is_none() {
    let site = Site::plain(2_000);
    site.run(&["--limit", "1"]).with(0);
    let mut shell = std::process::Command::new("sh");
    let line = format!("ulimit -f 64; exec {} backup copy.db", env!("CARGO_BIN_EXE_costag"));
    site.set_up(shell.args(["-c", &line]));
    start(shell).end().with(4).says(&["copy.db"]);
    let left = std::fs::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("copy")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_sound(&site);
}

#[test]
fn a_broken_database_is_told_with_exit_code_7() {
    let site = Site::plain(20);
    site.run(&[]).with(0);
    let database = rusqlite::Connection::open(site.path("costag.db")).unwrap();
    database.execute_batch("DELETE FROM label WHERE rank = 1 AND content_id = 3").unwrap();
    drop(database);
    let told = site.costag(&["verify"]).with(7).stdout;
    assert!(
        told.contains("labels: content 3") && told.contains("is not sound: 1 problem"),
        "{told}"
    );
    let told = json(&site.costag(&["verify", "--json"]).with(7).stdout);
    assert_eq!(told["sound"], false);
}

#[test]
fn the_ledger_the_journal_and_labels_are_told() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3"), ("same.jpg", "1")]);
    site.run(&["-s", "web,camera"]).with(0);
    site.costag(&["changes"]).with(0).says(&["no journal"]);
    site.delete(&["b.jpg", "c.jpg"]);
    site.put(&[("a.jpg", "other"), ("moved.jpg", "2"), ("new\u{1b}[2J.jpg", "4")]);
    site.run(&["-s", "web,camera"]).with(0);
    let changes = site.costag(&["changes"]).with(0).stdout;
    let mut lines: Vec<_> = changes.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "added    new\\x1b[2J.jpg",
            "changed  a.jpg",
            "gone     c.jpg",
            "moved    b.jpg -> moved.jpg"
        ]
    );
    let moved = site.costag(&["changes", "--kind", "moved", "--json", "--run", "2"]).with(0).stdout;
    assert_eq!(json(&moved)["from_key"], "b.jpg");
    let ledger = ["ledger", "--by", "scene", "--json"];
    let ledger = json(&site.costag(&ledger).with(0).stdout);
    assert_eq!(ledger["total"]["calls"].as_u64(), Some(site.calls()));
    assert_eq!(ledger["rows"][0]["scenes"], "camera,web");
    assert_eq!(ledger["total"]["scenes_asked"].as_u64(), Some(2 * site.calls()));
    let month = site.costag(&["ledger", "--month", "1999-01", "--csv"]).with(0).stdout;
    assert_eq!(month.lines().count(), 1, "{month}");

    let rows = site.export(&[]);
    let name = rows[0][3].as_str();
    let of = |name: &str| {
        let mut keys: Vec<_> =
            rows.iter().filter(|row| row[3] == name).map(|row| row[0].as_str()).collect();
        keys.dedup();
        keys
    };
    let found = site.costag(&["find", "--label", name, "-0"]).with(0).stdout;
    assert_eq!(found.split_terminator('\0').collect::<Vec<_>>(), of(name));
    let others = site.costag(&["find", "--not", name, "--csv"]).with(0).stdout;
    let mut all: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    all.dedup();
    assert_eq!(others.lines().count() - 1, all.len() - of(name).len());
    let stats = site.costag(&["stats", "--by", "scene", "--csv"]).with(0).stdout;
    assert_eq!(stats.lines().count(), 3, "{stats}");
}

#[test]
fn the_doctor_tells_what_is_wrong_and_makes_no_database() {
    let site = Site::plain(5);
    let well = site.costag(&["doctor", BUCKET]).with(0).stdout;
    assert!(well.contains("id AKID…") && well.contains("skip  detect-label"), "{well}");
    assert!(!well.contains("emulator-secret-key") && site.calls() == 0, "{well}");
    let called = site.costag(&["doctor", BUCKET, "-y"]).with(0).stdout;
    assert!(called.contains("ok    detect-label") && site.calls() == 1, "{called}");
    let mut wrong = site.command(&["doctor", BUCKET, "-y"]);
    wrong.env("COSTAG_SECRET_KEY", "wrong");
    let told = start(wrong).end().with(6).stdout;
    assert!(told.contains("FAIL  list") && told.contains("request id"), "{told}");
    site.change(r#"{"fail_code": {"status": 403, "code": "NoProcessAuthority"}}"#);
    let told = site.costag(&["doctor", BUCKET, "-y"]).with(6).stdout;
    assert!(told.contains("FAIL  detect-label") && told.contains("Cloud Infinite"), "{told}");
    assert!(!site.path("costag.db").exists());
}

/// Runs the command on a terminal made by `script`, and types this answer.
fn on_a_terminal(site: &Site, arguments: &str, answer: &str) -> (Option<i32>, String) {
    let mut script = std::process::Command::new("script");
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_costag"));
    site.set_up(script.args(["-qec", &line, "/dev/null"]));
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(answer.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned())
}

#[test]
fn people_are_asked_before_many_calls_and_pipes_are_not() {
    let site = Site::plain(100);
    let line = format!("run {BUCKET} --confirm-above 30");
    let (code, told) = on_a_terminal(&site, &line, "n\n");
    assert!(told.contains("go on calling? [y/N]"), "{told}");
    assert_eq!((code, site.calls()), (Some(8), 30), "{told}");
    let (code, told) = on_a_terminal(&site, "resume --confirm-above 30", "y\n");
    assert_eq!((code, site.calls()), (Some(0), 100), "{told}");

    let piped = Site::plain(40);
    piped.run(&["--confirm-above", "30"]).with(0);
    assert_eq!(piped.calls(), 40);
    let (code, told) = on_a_terminal(&piped, "retag --all", "n\n");
    assert!(code == Some(0) && told.contains("nothing was changed"), "{told}");
    let yes = Site::plain(40);
    let (code, told) = on_a_terminal(&yes, &format!("run {BUCKET} --confirm-above 30 -y"), "");
    assert!(code == Some(0) && !told.contains("go on calling?"), "{told}");
}
