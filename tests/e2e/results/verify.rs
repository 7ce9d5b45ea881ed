//! `costag verify`, and what other commands do with a damaged database.

use rstest::rstest;
use rusqlite::Connection;

use costag::emulator::{Settings, Synthetic};

use crate::support::{BUCKET, Site};

/// A database with two runs, copies, failures, changes and two scenes. The second run is unfinished.
fn eventful() -> Site {
    let mut settings = Settings::default();
    settings.set_fault("invalid_state", 0.1).unwrap();
    settings.set_fault("internal_error", 0.1).unwrap();
    let bucket =
        Synthetic { objects: 200, duplicates: 0.2, non_images: 0.1, ..Synthetic::default() };
    let site = Site::new(bucket, settings);
    site.run(&["--scenes", "web,camera"]).with(3);
    site.put(&[("new.jpg", "1"), ("other.jpg", "2")]);
    site.run(&["--scenes", "web,camera", "--max-calls", "1"]).with(8);
    site
}

#[rstest]
#[case::state("UPDATE content SET state = 7 WHERE id = (SELECT min(id) FROM content)", "states")]
#[case::done_without_a_scene(
    "UPDATE content SET scenes_done = 2 WHERE state = 2 AND id < 9",
    "states"
)]
#[case::in_flight("UPDATE content SET state = 1, run_id = 1 WHERE state = 0", "in-flight")]
#[case::forgotten("UPDATE content SET state = 2, scenes_wanted = 0 WHERE state = 0", "objects")]
#[case::an_object_without_content(
    "UPDATE object SET content_id = NULL WHERE key = 'new.jpg'",
    "objects"
)]
#[case::a_reference("UPDATE object SET content_id = 99999 WHERE key = 'new.jpg'", "references")]
#[case::a_range_with_a_gap("UPDATE range SET start_after = 'b' WHERE run_id = 2", "ranges")]
#[case::a_range_not_done("UPDATE range SET done = 0 WHERE run_id = 1", "ranges")]
#[case::a_lost_call("DELETE FROM call WHERE id = 5", "ledger")]
#[case::a_call_too_many(
    "INSERT INTO call (run_id, content_id, scenes, ended_at, outcome) VALUES (1, 1, 2, 0, 0)",
    "ledger"
)]
#[case::a_lost_label(
    "DELETE FROM label WHERE rank = 1 AND content_id = (SELECT min(content_id) FROM label)",
    "labels"
)]
#[case::a_confidence("UPDATE label SET mark = mark | 127 WHERE rank = 2", "labels")]
#[case::a_failure_without_a_code("DELETE FROM error", "failures")]
#[case::an_identity(
    "UPDATE content SET size = size + 1 WHERE id = (SELECT min(id) FROM content)",
    "identities"
)]
#[case::a_runs_counts("UPDATE run SET counts = 'none' WHERE id = 1", "runs")]
#[case::a_runs_state("UPDATE run SET ended_at = NULL WHERE id = 1", "runs")]
#[case::a_lost_index_entry(
    "PRAGMA writable_schema = 1;
     UPDATE sqlite_schema SET sql = 'CREATE INDEX object_content ON object (id)'
     WHERE name = 'object_content'",
    "integrity"
)]
fn verify_finds_each_kind_of_damage(#[case] sql: &str, #[case] check: &str) {
    let site = eventful();
    site.assert_sound();
    site.tamper(sql);
    let before = site.tables(&[]);
    let ended = site.costag(&["verify"]).with(7);
    assert!(
        ended.stdout.lines().any(|line| line.starts_with(&format!("{check}: "))),
        "{}",
        ended.stdout
    );
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.contains("is not sound") && last.contains("backup"), "{last}");
    let json = site.costag(&["verify", "--json"]).with(7).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sound"], false);
    assert_eq!(site.tables(&[]), before, "it writes nothing");
}

/// Overwrites pages in the middle of the database file, where the rows are.
fn damage(site: &Site) {
    // First move everything from the log into the file.
    site.tamper("PRAGMA wal_checkpoint(TRUNCATE)");
    let path = site.path("costag.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let page = 4096;
    let pages = bytes.len() / page;
    assert!(pages > 40, "{pages}");
    for number in pages / 4..pages * 3 / 4 {
        bytes[number * page..number * page + 2048].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn an_empty_file_becomes_a_database() {
    // A kill at the very beginning leaves an empty file.
    let site = Site::plain(2);
    site.write("costag.db", "");
    site.costag(&["status"]).with(7).says(&["the next run brings it up to date"]);
    let doctor = site.costag(&["doctor", BUCKET]).with(0);
    assert!(doctor.stdout.contains("costag.db can be written"), "{}", doctor.stdout);
    site.resume().with(0).says(&["nothing to resume"]);
    site.assert_sound();
}

#[test]
fn a_damaged_page_ends_a_command_with_advice() {
    let site = Site::plain(1500);
    site.run(&["--max-calls", "700"]).with(8);
    damage(&site);
    let calls = site.calls();
    site.costag(&["verify"]).with(7);
    site.costag(&["export"]).with(7).says(&["damaged", ".recover", "restore a backup"]);
    let before = std::fs::read(site.path("costag.db")).unwrap();
    // Opening checks only the header, so a run notices the damage later.
    site.run(&[]).with(7).says(&["damaged", ".recover", "restore a backup"]);
    site.resume().with(7);
    let after = std::fs::read(site.path("costag.db")).unwrap();
    let page = |bytes: &[u8], number: usize| bytes[number * 4096..(number + 1) * 4096].to_vec();
    let damaged = |number: &usize| page(&before, *number).starts_with(&[0xa5; 64]);
    let pages = before.len() / 4096;
    assert!((0..pages).filter(damaged).all(|n| page(&after, n) == page(&before, n)));
    assert!(site.calls() <= calls + 32, "it does not go on calling");
}

#[test]
fn damage_during_a_run_stops_it() {
    let settings = Settings { latency_ms: 20, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 1500, ..Synthetic::default() }, settings);
    site.run(&["--max-calls", "700"]).with(8);
    let resumed = site.start(&["resume"]);
    crate::support::wait_until("calls", || site.calls() >= 750);
    damage_under(&site);
    resumed.end().with(7).says(&["damaged"]);
    assert!(site.calls() < 1500);
}

/// As [`damage`], while a program has the file open.
fn damage_under(site: &Site) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().write(true).open(site.path("costag.db")).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for number in 3..pages {
        file.write_all_at(&[0xa5; 2048], number * 4096).unwrap();
    }
}

#[test]
fn verify_creates_no_database_and_works_during_a_run() {
    let site = Site::plain(200);
    site.costag(&["verify"]).with(2).says(&["no database"]);
    assert!(!site.path("costag.db").exists());
    site.change(r#"{"latency_ms":20}"#);
    let mut run = site.start(&["run", BUCKET]);
    crate::support::wait_until("some calls", || site.calls() >= 10);
    let mut looks = 0;
    while !run.has_ended() {
        site.assert_sound();
        looks += 1;
    }
    assert!(looks > 0);
    run.end().with(0);
    site.assert_sound();
    let other = Connection::open(site.path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    site.costag(&["verify", "--db", "other.db"]).with(7).says(&["not a costag database"]);
}

#[test]
fn verify_names_the_content_and_counts_the_problems() {
    let site = Site::plain(20);
    site.run(&[]).with(0);
    site.tamper("UPDATE content SET state = 9 WHERE id = 3");
    let told = site.costag(&["verify"]).with(7).stdout;
    assert!(
        told.contains("states: content 3") && told.contains("is not sound: 1 problem"),
        "{told}"
    );
}

#[test]
fn verify_notices_deleted_labels() {
    // An image without any label may have been answered so. The kept counts tell that it was not.
    for (deleted, told) in
        [("rank = 1 AND content_id = 3", "labels: content 3"), ("content_id = 3", "counts: ")]
    {
        let site = Site::plain(20);
        site.run(&[]).with(0);
        site.tamper(&format!("DELETE FROM label WHERE {deleted}"));
        let found = site.costag(&["verify"]).with(7).stdout;
        assert!(found.contains(told) && found.contains("is not sound"), "{found}");
    }
}
