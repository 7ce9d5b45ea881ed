//! A full disk ends a run with a clear message and keeps what was committed; the next run continues.

use std::process::Command;

use costag::emulator::{Settings, Synthetic};

use crate::support::{BUCKET, Site, start};

/// Runs the program with a limit on file size, in blocks of 512 bytes (`ulimit -f` of POSIX).
fn limited(site: &Site, blocks: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    site.set_up(&mut command);
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_costag")]).args(arguments);
    command
}

#[test]
fn a_full_disk_ends_a_run_and_the_next_one_continues() {
    let bucket = Synthetic { objects: 1500, ..Synthetic::default() };
    let site = Site::new(bucket, Settings { latency_ms: 5, ..Settings::default() });
    let ended = start(limited(&site, 2400, &["run", BUCKET])).end().with(4);
    let ended = ended.says(&["costag.db", "costag resume"]);
    let calls = site.calls();
    assert!((1..1500).contains(&calls), "{calls}: {}", ended.stderr);
    let committed = site.one::<i64>("SELECT count(*) FROM call").cast_unsigned();
    assert!(committed <= calls && calls <= committed + 32, "{committed} {calls}");
    assert_eq!(site.one::<String>("PRAGMA integrity_check"), "ok");
    assert!(committed > 0);
    assert!(!site.export(&[]).is_empty(), "what was committed can be read");

    site.resume().with(0);
    site.assert_exports("camera");
    assert!(site.calls() <= 1500 + 32, "{}", site.calls());
    let (settled, unknown) = site.ledger();
    assert!(settled <= site.calls() && site.calls() <= settled + unknown);
}

#[test]
fn a_disk_without_room_for_a_database_ends_with_exit_code_4() {
    let site = Site::plain(3);
    for blocks in [0, 8, 64] {
        start(limited(&site, blocks, &["run", BUCKET])).end().with(4);
    }
    assert_eq!(site.calls(), 0);
    site.run(&[]).with(0);
    site.assert_exports("camera");
}

#[test]
fn an_export_that_finds_no_room_leaves_no_file() {
    let site = Site::plain(300);
    site.run(&[]).with(0);
    site.costag(&["export", "-o", "/dev/full"]).with(4).says(&["/dev/full"]);
    let mut command = Command::new("sh");
    site.set_up(&mut command);
    command.args(["-c", "exec \"$0\" export > /dev/full", env!("CARGO_BIN_EXE_costag")]);
    start(command).end().with(4);
    site.write("tags.csv", "the old one");
    start(limited(&site, 100, &["export", "-o", "tags.csv"])).end().with(4).says(&["tags.csv"]);
    assert_eq!(std::fs::read_to_string(site.path("tags.csv")).unwrap(), "the old one");
    start(limited(&site, 100, &["export", "-o", "new.csv"])).end().with(4);
    let names = std::fs::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let odd: Vec<_> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| !name.starts_with("costag.db") && name != "tags.csv")
        .collect();
    assert_eq!(odd, Vec::<String>::new());
}

#[test]
fn an_export_into_a_closed_pipe_is_not_an_error() {
    let site = Site::plain(300);
    site.run(&[]).with(0);
    let mut command = Command::new("sh");
    site.set_up(&mut command);
    let script = "\"$0\" export 2> err; echo $? > code";
    command.args(["-c", &format!("({script}) | head -n 1"), env!("CARGO_BIN_EXE_costag")]);
    let ended = start(command).end().with(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    assert_eq!(std::fs::read_to_string(site.path("code")).unwrap(), "0\n");
}

#[test]
fn a_full_disk_ends_a_run_without_calls_too() {
    // This run makes no calls that could notice the failed writes.
    let bucket = Synthetic { objects: 40_000, ..Synthetic::default() };
    let site = Site::new(bucket, Settings::default());
    let arguments = ["run", BUCKET, "--exclude", "**"];
    start(limited(&site, 4000, &arguments)).end().with(4).says(&["costag.db"]);
    assert_eq!(site.calls(), 0);
}

#[test]
fn a_backup_that_finds_no_room_leaves_no_file() {
    let site = Site::plain(2_000);
    site.run(&["--limit", "1"]).with(0);
    start(limited(&site, 64, &["backup", "copy.db"])).end().with(4).says(&["copy.db"]);
    let left = std::fs::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("copy")).collect();
    assert!(left.is_empty(), "{left:?}");
    site.assert_sound();
}
