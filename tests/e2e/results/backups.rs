//! `costag backup` copies the database while a run goes on, and a run waits for other programs' transactions.

use std::time::{Duration, Instant};

use costag::emulator::{Settings, Synthetic};
use rusqlite::{Connection, TransactionBehavior};

use crate::support::{BUCKET, Site, wait_until};

fn slow(objects: u64) -> Site {
    let settings = Settings { latency_ms: 20, ..Settings::default() };
    Site::new(Synthetic { objects, duplicates: 0.2, ..Synthetic::default() }, settings)
}

/// The rows of a copy's or the database's ledger, as text.
fn calls(site: &Site, name: &str) -> Vec<String> {
    let database = Connection::open(site.path(name)).unwrap();
    let mut rows = database
        .prepare(
            "SELECT concat_ws('|', id, run_id, content_id, object_id, scenes, ended_at, outcome)
             FROM call ORDER BY id",
        )
        .unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_backup_during_a_run_is_a_sound_copy_of_one_moment() {
    let site = slow(1500);
    let mut run = site.start(&["run", BUCKET]);
    let mut copies = Vec::new();
    wait_until("some calls", || site.calls() >= 50);
    while copies.len() < 4 && !run.has_ended() {
        let name = format!("copy{}.db", copies.len());
        site.costag(&["backup", &name]).with(0).says(&["bytes copied to"]);
        let ended = site.costag(&["verify", "--db", &name]).with(0);
        assert!(ended.stdout.contains("is sound"), "{}", ended.stdout);
        copies.push(name);
    }
    assert!(copies.len() >= 2 && !run.has_ended(), "the run was to go on meanwhile");
    run.end().with(0);
    let all = calls(&site, "costag.db");
    let rows = site.export(&[]);
    let mut before = 0;
    for name in &copies {
        let some = calls(&site, name);
        assert!(before < some.len() && some.len() < all.len(), "{name}: {}", some.len());
        assert_eq!(some, all[..some.len()], "{name}");
        before = some.len();
        let exported = site.export(&["--db", name]);
        assert!(!exported.is_empty() && exported.iter().all(|row| rows.contains(row)));
    }
    // The copy is an ordinary database: a run can continue from it.
    let contents = site.contents();
    site.reset();
    site.costag(&["resume", "--db", &copies[0]]).with(0);
    let known = calls(&site, &copies[0]).len() as u64;
    assert!(site.calls() < contents && known >= contents);
    assert_eq!(site.export(&["--db", &copies[0]]), rows);
    site.assert_sound();
}

#[test]
fn a_backup_overwrites_no_existing_file() {
    let site = Site::plain(20);
    site.costag(&["backup", "copy.db"]).with(2).says(&["no database"]);
    site.run(&[]).with(0);
    site.write("copy.db", "something dear");
    site.costag(&["backup", "copy.db"]).with(4).says(&["copy.db"]);
    site.costag(&["backup", "costag.db"]).with(4);
    site.costag(&["backup", "no/such/folder/copy.db"]).with(4);
    assert_eq!(std::fs::read_to_string(site.path("copy.db")).unwrap(), "something dear");
    site.assert_sound();
    site.costag(&["backup", "other.db"]).with(0);
    let names: Vec<_> = std::fs::read_dir(site.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("costag.db"))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_run_waits_for_a_sql_shell_with_an_open_transaction() {
    let site = slow(600);
    let run = site.start(&["run", BUCKET]);
    wait_until("some calls", || site.calls() >= 40);
    let mut shell = Connection::open(site.path("costag.db")).unwrap();
    shell.busy_timeout(Duration::from_secs(10)).unwrap();
    let transaction = shell.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let held = Instant::now();
    let during = site.calls();
    while held.elapsed() < Duration::from_secs(2) {
        // The open transaction of the shell blocks writers. Readers are not blocked.
        site.costag(&["status"]).with(0);
    }
    // While nothing can be settled, at most two contents for each worker are claimed.
    assert!(site.calls() - during <= 64, "{}", site.calls() - during);
    transaction.rollback().unwrap();
    run.end().with(0);
    site.assert_exports("camera");
    assert_eq!(site.calls(), site.contents());
    site.assert_sound();
}
