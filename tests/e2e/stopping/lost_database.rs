//! The database is removed, replaced, cut short or unmounted during a run.

use std::fs;
use std::path::Path;
use std::process::Command;

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;
use rusqlite::Connection;

use crate::support::{BUCKET, Site, start, wait_until};

const WORKERS: u64 = 4;

fn slow() -> Site {
    let settings = Settings { latency_ms: 15, ..Settings::default() };
    Site::new(Synthetic { objects: 600, ..Synthetic::default() }, settings)
}

fn take_away(site: &Site, how: &str) {
    let at = |name: &str| site.path(name);
    match how {
        "removed" => fs::remove_file(at("costag.db")).unwrap(),
        "all files removed" => {
            for name in ["costag.db", "costag.db-wal", "costag.db-shm", "costag.db.lock"] {
                fs::remove_file(at(name)).unwrap();
            }
        }
        "moved" => fs::rename(at("costag.db"), at("moved.db")).unwrap(),
        "replaced" => fs::rename(at("other.db"), at("costag.db")).unwrap(),
        "replaced by a link to itself" => {
            fs::create_dir(at("away")).unwrap();
            fs::rename(at("costag.db"), at("away/costag.db")).unwrap();
            std::os::unix::fs::symlink("away/costag.db", at("costag.db")).unwrap();
        }
        "cut to nothing" => drop(fs::File::create(at("costag.db")).unwrap()),
        "cut to a half" => {
            // The new content is longer than the file was when the run began.
            let file = fs::OpenOptions::new().write(true).open(at("costag.db")).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }
        "its log cut to nothing" => drop(fs::File::create(at("costag.db-wal")).unwrap()),
        "its name leads elsewhere" => {
            fs::remove_file(at("costag.db")).unwrap();
            std::os::unix::fs::symlink("other.db", at("costag.db")).unwrap();
        }
        "written over by something short" => fs::write(at("costag.db"), "no database").unwrap(),
        "another database is copied over it" => {
            // The bytes are written into the same file, as `cp` does.
            fs::copy(at("other.db"), at("costag.db")).unwrap();
        }
        "without its log" => fs::remove_file(at("costag.db-wal")).unwrap(),
        "without its index" => fs::remove_file(at("costag.db-shm")).unwrap(),
        other => panic!("{other}"),
    }
}

#[rstest]
fn a_run_whose_database_is_taken_away_makes_no_further_calls(
    #[values(
        "removed",
        "all files removed",
        "moved",
        "replaced",
        "replaced by a link to itself",
        "cut to nothing",
        "cut to a half",
        "its log cut to nothing",
        "its name leads elsewhere",
        "written over by something short",
        "another database is copied over it",
        "without its log",
        "without its index"
    )]
    how: &str,
) {
    let site = slow();
    let mut calls_before = 0;
    if how == "replaced" {
        site.costag(&["plan", BUCKET, "--db", "other.db"]).with(0);
    } else if how == "another database is copied over it" {
        // Longer than the other one will be at that moment.
        site.run(&["--db", "other.db", "--qps", "0"]).with(0);
        calls_before = site.calls();
    }
    if how == "its name leads elsewhere" {
        std::os::unix::fs::symlink("real.db", site.path("costag.db")).unwrap();
    }
    let run = site.start(&["run", BUCKET, "--workers", "4"]);
    wait_until("some calls", || site.calls() >= calls_before + 50);
    if how == "cut to a half" {
        let length = || fs::metadata(site.path("costag.db")).unwrap().len();
        let begin = length();
        wait_until("a checkpoint", || length() > 2 * begin);
        // Let the checkpoint end: pages that are cut off while it writes them are written again.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    take_away(&site, how);
    let calls = site.calls();
    let told = match how {
        "cut to nothing" | "cut to a half" | "its log cut to nothing" => "cut short",
        _ => "removed, replaced, written over, cut short",
    };
    let ended = run.end();
    if how == "its log cut to nothing" && ended.code == Some(7) {
        // SQLite met the cut log in the middle of a turn, and took what it read for damage.
        return;
    }
    let ended = ended.with(4).says(&["costag.db", told]);
    // Calls that were just being sent. A missing log is noticed only by the next transaction.
    let more = if how.starts_with("without") { 3 * WORKERS } else { WORKERS };
    let calls_at_end = site.calls();
    assert!(calls_at_end <= calls + more, "{how}: {calls} {calls_at_end}");
    assert!(!ended.stderr.contains("complete"), "{}", ended.stderr);
    match how {
        "moved" => {
            // Everything that was paid for and reported is in the file, wherever it is now.
            let moved = Connection::open(site.path("moved.db")).unwrap();
            let done: i64 = moved
                .query_row("SELECT count(*) FROM content WHERE state = 2", [], |row| row.get(0))
                .unwrap();
            assert_eq!(done.cast_unsigned(), site.calls(), "{}", ended.stderr);
            drop(moved);
            fs::rename(site.path("moved.db"), site.path("costag.db")).unwrap();
            site.resume().with(0);
            assert_eq!(site.calls(), 600);
            site.assert_sound();
        }
        "another database is copied over it" => {
            let same = fs::read(site.path("other.db")).unwrap();
            assert!(fs::read(site.path("costag.db")).unwrap() == same, "it is left as it is");
            assert!(!site.path("costag.db-wal").exists());
            site.assert_sound();
            site.run(&[]).with(0);
            assert_eq!(site.calls(), calls_at_end, "{how}");
        }
        "written over by something short" => {
            assert_eq!(fs::read(site.path("costag.db")).unwrap(), b"no database");
            site.run(&["--limit", "5"]).with(7);
        }
        "its name leads elsewhere" => {
            fs::rename(site.path("real.db"), site.path("costag.db")).unwrap();
            site.resume().with(0);
            assert_eq!(site.calls(), 600);
            site.assert_sound();
        }
        "replaced" | "without its log" | "without its index" => {
            // The file that is now in its place is unchanged, and a run continues from it.
            site.assert_sound();
            site.run(&[]).with(0);
            site.assert_sound();
        }
        // A turn or a checkpoint that is being written while the file is cut makes it long again. Then the run cannot
        // restore the database, and only says that it is lost.
        "cut to nothing" | "cut to a half" | "its log cut to nothing"
            if !ended.stderr.contains("cut short by another") =>
        {
            let code = site.run(&["--limit", "5"]).code;
            assert!(matches!(code, Some(0 | 7)), "{how}: {code:?}");
        }
        "replaced by a link to itself"
        | "cut to nothing"
        | "cut to a half"
        | "its log cut to nothing" => {
            assert!(!site.path("costag.db-wal").exists());
            site.resume().with(0);
            assert_eq!(site.calls(), 600);
            site.assert_sound();
        }
        _ => {
            // Leftover files do no harm.
            site.run(&["--limit", "5"]).with(0);
            site.assert_sound();
        }
    }
}

/// Whether this process can mount file systems in a private namespace.
fn can_mount() -> bool {
    let status = Command::new("unshare").args(["-m", "true"]).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_run_stops_when_its_file_system_is_unmounted() {
    if !can_mount() {
        return;
    }
    let site = slow();
    fs::create_dir(site.path("disk")).unwrap();
    let mut command = Command::new("unshare");
    site.set_up(&mut command);
    // A lazy unmount, like a forced removal: the file stays open but nobody else can find it.
    let script = format!(
        "mount -t tmpfs none disk && {{ \"$0\" run {BUCKET} --workers 4 --db disk/costag.db & }} && \
         pid=$! && until [ -e go ]; do sleep 0.01; done && umount -l disk && wait $pid"
    );
    command.args(["-m", "bash", "-c", &script, env!("CARGO_BIN_EXE_costag")]);
    let run = start(command);
    wait_until("some calls", || site.calls() >= 50);
    site.write("go", "");
    run.end().with(4).says(&["disk/costag.db", "unmounted"]);
    assert!(site.calls() < 600, "{}", site.calls());
    assert!(!Path::new(&site.path("disk/costag.db")).exists());
}

/// A power failure can leave a log whose length was written and whose content was not.
#[test]
fn a_log_of_zeros_that_a_power_failure_left_is_ignored() {
    let site = Site::plain(30);
    site.run(&["--limit", "10"]).with(0);
    fs::write(site.path("costag.db-wal"), vec![0; 40_000]).unwrap();
    site.run(&[]).with(0);
    assert_eq!(site.calls(), site.contents());
    site.assert_sound();
}
