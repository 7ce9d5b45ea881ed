//! Commands that only read work where nothing can be written, and leave nothing behind.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use costag::emulator::{Settings, Synthetic};
use rusqlite::Connection;

use crate::support::{BUCKET, Ended, Site, start, wait_until};

/// The id of a user who owns no files.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Every command that only reads, with its arguments.
const READS: [&[&str]; 16] = [
    &["status"],
    &["status", "--json"],
    &["status", "--failures", "--csv"],
    &["export"],
    &["export", "--format", "jsonl", "--layout", "wide"],
    &["find", "--not", "no such label"],
    &["find", "--label", "低对比度", "--csv"],
    &["stats"],
    &["stats", "--by", "scene", "--json"],
    &["ledger"],
    &["ledger", "--by", "run", "--csv"],
    &["changes"],
    &["changes", "--run", "1"],
    &["verify"],
    &["retry", "--dry-run"],
    &["retag", "--all", "--dry-run"],
];

/// A database with copies, failures, and changes between two runs.
fn eventful() -> Site {
    let mut settings = Settings::default();
    settings.set_fault("invalid_state", 0.1).unwrap();
    let bucket =
        Synthetic { objects: 150, duplicates: 0.2, non_images: 0.1, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    site.run(&["--scenes", "web,camera"]).with(3);
    site.put(&[("new.jpg", "1"), ("other.jpg", "2")]);
    site.run(&["--scenes", "web,camera", "--max-calls", "1"]).with(8);
    site
}

/// The command as a user who may only read: another user if these tests run as root, otherwise the same one.
fn as_reader(site: &Site, arguments: &[&str]) -> Command {
    let mut command = site.command(arguments);
    if is_root() {
        fs::set_permissions(site.folder(), Permissions::from_mode(0o755)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Removes write permission from a folder and everything in it.
fn forbid_writing(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
}

fn allow_writing(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Copies these files of the site into a folder without write permission.
fn place(site: &Site, folder: &str, files: &[&str]) -> String {
    fs::create_dir(site.path(folder)).unwrap();
    for file in files {
        fs::copy(site.path(file), site.path(folder).join(file)).unwrap();
    }
    forbid_writing(&site.path(folder));
    format!("{folder}/{}", files[0])
}

/// The output of a command without the name and the size of the database.
fn printed(ended: Ended, database: &str) -> String {
    let whole = ended.with(0).stdout.replace(database, "DATABASE");
    whole
        .lines()
        .filter(|line| {
            !line.contains("bytes")
                && !line.contains("wal")
                && !line.contains("MiB")
                && !line.contains("\"database\":")
                // Version 2 did not store it.
                && !line.contains("\"exit_code\":")
                // It names the database.
                && !line.contains("next_command")
                && !line.starts_with("  costag ")
        })
        .collect()
}

#[track_caller]
fn assert_reads_all(site: &Site, database: &str) {
    let folder = site.path(database).parent().unwrap().to_owned();
    let before = names(&folder);
    for command in READS {
        let expected = printed(site.costag(command), "costag.db");
        let read = start(as_reader(site, &[command, &["--db", database]].concat())).end();
        assert_eq!(printed(read, database), expected, "{command:?} of {database}");
        assert_eq!(names(&folder), before, "{command:?} of {database}");
    }
    fs::create_dir_all(site.path("out")).unwrap();
    fs::set_permissions(site.path("out"), Permissions::from_mode(0o777)).unwrap();
    start(as_reader(site, &["backup", "out/copy.db", "--db", database])).end().with(0);
    start(as_reader(site, &["verify", "--db", "out/copy.db"])).end().with(0);
    fs::remove_file(site.path("out/copy.db")).unwrap();
}

#[test]
fn reading_commands_work_where_nothing_can_be_written() {
    let site = eventful();
    site.costag(&["backup", "backup.db"]).with(0);
    assert_reads_all(&site, &place(&site, "ended", &["costag.db"]));
    assert_reads_all(&site, &place(&site, "backed up", &["backup.db"]));
    // Only the file itself, in a folder where everybody can create files.
    fs::create_dir(site.path("open")).unwrap();
    fs::copy(site.path("costag.db"), site.path("open/costag.db")).unwrap();
    fs::set_permissions(site.path("open/costag.db"), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(site.path("open"), Permissions::from_mode(0o777)).unwrap();
    assert_reads_all(&site, "open/costag.db");
    // A command that writes says that it cannot.
    let ended = start(as_reader(&site, &["run", BUCKET, "--db", "ended/costag.db"])).end();
    ended.with(4).says(&["ended/costag.db"]);
}

#[test]
fn reading_commands_read_the_log_that_a_killed_run_left() {
    let settings = Settings { latency_ms: 10, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 600, ..Synthetic::default() }, settings);
    let run = site.start(&["run", BUCKET]);
    wait_until("some calls", || site.calls() >= 100);
    assert!(run.kill());
    assert!(fs::metadata(site.path("costag.db-wal")).unwrap().len() > 100_000);
    let (database, log) = ("costag.db", "costag.db-wal");
    let whole = place(&site, "whole", &[database, log, "costag.db-shm"]);
    let no_index = place(&site, "no index", &[database, log]);
    let no_log = place(&site, "no log", &[database]);
    // A user with write permission reads the site's own database, which removes the log.
    assert!(site.costag(&["export"]).with(0).stdout.lines().count() > 100);
    assert_eq!(names(site.folder()).iter().filter(|name| name.contains("-wal")).count(), 0);
    assert_reads_all(&site, &whole);
    assert_reads_all(&site, &no_index);
    // A missing log cannot be noticed: without it, the database has no labels yet, or is not a database yet.
    start(as_reader(&site, &["export", "--db", &no_log])).end();
    if is_root() {
        for (folder, file) in [("whole", log), ("no index", log), ("whole", "costag.db-shm")] {
            let path = site.path(folder).join(file);
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let database = format!("{folder}/{database}");
            for command in ["export", "status", "verify"] {
                let ended = start(as_reader(&site, &[command, "--db", &database])).end();
                ended.with(4).says(&[&format!("{folder}/{file}"), "cannot be read"]);
            }
            fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        }
    }
}

#[test]
fn a_running_run_can_be_inspected_without_write_permission() {
    if !is_root() {
        return;
    }
    let settings = Settings { latency_ms: 15, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 600, ..Synthetic::default() }, settings);
    site.run(&["--limit", "1"]);
    fs::set_permissions(site.path("costag.db"), Permissions::from_mode(0o644)).unwrap();
    let mut run = site.start(&["run", BUCKET]);
    wait_until("some calls", || site.calls() >= 50);
    let mut rows = 0;
    while !run.has_ended() {
        let status = start(as_reader(&site, &["status"])).end().with(0);
        assert!(status.stdout.contains("running") || run.has_ended(), "{}", status.stdout);
        let export = start(as_reader(&site, &["export"])).end().with(0).stdout.lines().count();
        assert!(export >= rows, "{export} {rows}");
        rows = export;
    }
    run.end().with(0);
    site.assert_sound();
    site.assert_exports("camera");
}

/// Returns true if each thread of the process is stopped, so that none is in the middle of a look at a file.
fn stands_still(process: u32) -> bool {
    fs::read_dir(format!("/proc/{process}/task")).unwrap().all(|thread| {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains("T (stopped)"))
    })
}

/// SQLite removes the index of the log before the log, so a reader in between finds a log without an index.
#[test]
fn a_read_waits_for_a_run_that_removes_its_files() {
    if !is_root() {
        return;
    }
    let settings = Settings { latency_ms: 2000, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 1, ..Synthetic::default() }, settings);
    site.costag(&["plan", BUCKET]).with(0);
    fs::set_permissions(site.path("costag.db"), Permissions::from_mode(0o644)).unwrap();
    let run = site.start(&["run", BUCKET]);
    wait_until("the call", || site.calls() == 1);
    // A stopped process holds its locks, and does not notice that its file is away for a moment.
    run.signal("STOP");
    wait_until("every thread of it stands still", || stands_still(run.id()));
    let (index, aside) = (site.path("costag.db-shm"), site.path("aside"));
    fs::rename(&index, &aside).unwrap();
    let status = start(as_reader(&site, &["status"]));
    thread::sleep(Duration::from_millis(300));
    fs::rename(&aside, &index).unwrap();
    run.signal("CONT");
    status.end().with(0);
    run.end().with(0);
}

#[test]
fn a_run_that_starts_ends_a_read_without_locks() {
    let site = Site::new(Synthetic { objects: 3000, ..Synthetic::default() }, Settings::default());
    site.run(&[]).with(0);
    let database = place(&site, "shelf", &["costag.db"]);
    let mut command = as_reader(&site, &["export", "--db", &database]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut reader = command.spawn().unwrap();
    let mut stdout = reader.stdout.take().unwrap();
    // The export has started and waits until its output is read.
    let mut begun = [0; 1024];
    stdout.read_exact(&mut begun).unwrap();
    allow_writing(&site.path("shelf"));
    site.put(&[("new.jpg", "new")]);
    site.costag(&["run", BUCKET, "--db", &database]).with(0);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let ended = reader.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(11), "{stderr}");
    assert!(stderr.contains("was written to while it was read"), "{stderr}");
    // No output file appears.
    forbid_writing(&site.path("shelf"));
    start(as_reader(&site, &["export", "--db", &database])).end().with(0);
}

#[test]
fn a_database_on_a_read_only_medium_can_be_read() {
    let can_mount = Command::new("unshare").args(["-m", "true"]).status();
    if !can_mount.is_ok_and(|status| status.success()) {
        return;
    }
    let site = eventful();
    fs::create_dir(site.path("disk")).unwrap();
    site.costag(&["backup", "disk/backup.db"]).with(0);
    fs::copy(site.path("costag.db"), site.path("disk/costag.db")).unwrap();
    for database in ["disk/costag.db", "disk/backup.db"] {
        for read in READS {
            let mut command = Command::new("unshare");
            site.set_up(&mut command);
            let script =
                "mount --bind disk disk && mount -o remount,bind,ro disk && exec \"$0\" \"$@\"";
            command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_costag")]);
            command.args(read).args(["--db", database]);
            let expected = printed(site.costag(read), "costag.db");
            assert_eq!(printed(start(command).end(), database), expected, "{read:?} {database}");
        }
    }
    assert_eq!(names(&site.path("disk")), ["backup.db", "costag.db"]);
}

#[test]
fn a_read_leaves_no_file_behind_and_a_backup_needs_no_other_file() {
    let site = eventful();
    let before = names(site.folder());
    for command in READS {
        site.costag(command).with(0);
        assert_eq!(names(site.folder()), before, "{command:?}");
    }
    site.costag(&["backup", "backup.db"]).with(0);
    let copy = fs::read(site.path("backup.db")).unwrap();
    assert_eq!(copy[18..20], [1, 1], "no write-ahead log is needed to read it");
    // A run continues from it as from any other database.
    site.costag(&["run", BUCKET, "--db", "backup.db", "--scenes", "web,camera"]).with(0);
    site.costag(&["verify", "--db", "backup.db"]).with(0);
    assert!(!names(site.folder()).iter().any(|name| name.contains("backup.db-")));
}

/// A database of schema version 2 with the rows of this one.
fn of_version_2(site: &Site) -> String {
    let old = Connection::open(site.path("old.db")).unwrap();
    old.execute_batch(include_str!("../../../migrations/sqlite/01-init/up.sql")).unwrap();
    old.execute_batch(include_str!("../../../migrations/sqlite/02-compact/up.sql")).unwrap();
    old.pragma_update(None, "user_version", 2).unwrap();
    old.pragma_update(None, "journal_mode", "wal").unwrap();
    old.pragma_update(None, "foreign_keys", "off").unwrap();
    old.execute("ATTACH ?1 AS new", [site.path("costag.db").to_str().unwrap()]).unwrap();
    let mut tables =
        old.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in tables {
        let columns: String = old
            .query_row(
                "SELECT group_concat(name) FROM pragma_table_info(?1, 'main')",
                [&table],
                |row| row.get(0),
            )
            .unwrap();
        let sql = format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table} {}",
            // A later version adds this row to `meta`.
            if table == "meta" { "WHERE name <> 'changes_since'" } else { "" }
        );
        old.execute_batch(&sql).unwrap();
    }
    "old.db".to_owned()
}

#[test]
fn a_database_of_the_previous_version_is_read_without_a_migration() {
    let site = eventful();
    let old = of_version_2(&site);
    for command in READS {
        let expected = printed(site.costag(command), "costag.db");
        let read = site.costag(&[command, &["--db", &old]].concat());
        assert_eq!(printed(read, &old), expected, "{command:?}");
    }
    let version = |name: &str| -> i64 {
        let database = Connection::open(site.path(name)).unwrap();
        database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&old), 2, "reading changes nothing");
    let shelf = place(&site, "shelf", &["old.db"]);
    start(as_reader(&site, &["export", "--db", &shelf])).end().with(0);
    start(as_reader(&site, &["verify", "--db", &shelf])).end().with(0);
    site.costag(&["resume", "--db", &old]).with(0);
    assert_eq!(version(&old), version("costag.db"));
    site.costag(&["verify", "--db", &old]).with(0);
}
