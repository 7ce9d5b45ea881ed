//! `kill -9` at any moment loses nothing, and repeats at most as many calls as is promised.

use std::time::{Duration, Instant};

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Dice, Site, wait_until};

const WORKERS: u64 = 8;

/// The number of kills in a test. `COSTAG_TEST_KILLS` sets another number, for a long run by hand.
fn kills(usually: u64) -> u64 {
    std::env::var("COSTAG_TEST_KILLS").ok().map_or(usually, |text| text.parse().unwrap())
}

#[rstest]
#[case::a_service_without_faults(30, &[], 1)]
#[case::a_service_with_faults(30, &[("internal_error", 0.05), ("reset", 0.05), ("truncated", 0.03)], 2)]
fn a_run_that_is_killed_again_and_again_labels_each_image_once(
    #[case] kills_usually: u64,
    #[case] faults: &[(&str, f64)],
    #[case] seed: u64,
) {
    let kills = kills(kills_usually);
    let bucket = Synthetic {
        objects: 300 + 40 * kills,
        awkward: 0.2,
        non_images: 0.1,
        archived: 0.05,
        duplicates: 0.2,
        labels_per_image: 5,
        ..Synthetic::default()
    };
    let mut settings =
        Settings { latency_ms: 15, jitter_ms: 30, list_latency_ms: 20, ..Settings::default() };
    for (name, probability) in faults {
        settings.set_fault(name, *probability).unwrap();
    }
    let site = Site::new(bucket, settings);
    let contents = site.contents();
    let workers = WORKERS.to_string();
    let run = ["run", BUCKET, "--workers", &workers];
    let resume = ["resume", "--workers", &workers];
    let mut dice = Dice(0x5EED_0000 + seed);
    let mut done = 0;
    for number in 0..kills {
        // Alternate between three moments: early, while the database is created, opened or recovered; at any time,
        // including while pages and claims are written; and some time after the first call.
        let limit = [60_000, 300_000, 150_000][usize::try_from(number % 3).unwrap()];
        let after = Duration::from_micros(dice.below(limit));
        let has_database = site.path("costag.db").exists() && number > 2;
        let arguments = if number % 2 == 1 && has_database { &resume[..] } else { &run[..] };
        let mut program = site.start(arguments);
        let calls = site.calls();
        while number % 3 == 2 && site.calls() == calls && !program.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        // Sleep for a random time: there is no event to wait for.
        while begun.elapsed() < after && !program.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        done += u64::from(program.kill());
    }
    // Let the last run finish quickly.
    site.change(r#"{"latency_ms":0,"jitter_ms":0}"#);
    let end = site.costag(&run).with(0);
    site.assert_sound();

    let [pending, in_flight, settled_done, failed] = site.states();
    assert_eq!([pending, in_flight, failed], [0, 0, 0], "{}", end.stderr);
    assert_eq!(settled_done, contents.cast_signed());
    site.assert_exports("camera");
    let calls = site.calls();
    let (settled, unknown) = site.ledger();
    let bound = done * 2 * WORKERS;
    // Failed calls are repeated on purpose, and they are in the ledger.
    let failures =
        site.one::<i64>("SELECT count(*) FROM call WHERE outcome IN (1, 2, 3)").cast_unsigned();
    let repeated = calls.saturating_sub(contents + failures);
    eprintln!(
        "{done} kills, {repeated} calls repeated, bound {bound}; ledger {settled} <= {calls} <= {settled} + {unknown}"
    );
    assert!(done >= kills / 2, "only {done} of {kills} came before the end");
    assert!(repeated <= bound, "{repeated} > {bound}");
    assert!(settled <= calls && calls <= settled + unknown, "{settled} {calls} {unknown}");
    assert!(unknown <= bound);
    site.reset();
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 0, "nothing was forgotten");
}

/// With default options, the number of workers follows the pace and the time that a call takes.
#[test]
fn after_a_kill_status_tells_how_many_calls_may_be_repeated() {
    let settings = Settings { latency_ms: 2_000, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 600, ..Synthetic::default() }, settings);
    let contents = site.contents();
    let program = site.start(&["run", BUCKET, "--qps", "200"]);
    // The workers at the start could not make so many calls within the time of one.
    wait_until("many calls are in flight", || site.calls() >= 300);
    assert!(program.kill(), "it calls");
    let status = site.json(&["status", "--json"]);
    let in_flight = status["contents"]["in_flight"].as_u64().unwrap();
    assert!(in_flight > 0, "{status}");
    site.change(r#"{"latency_ms":0}"#);
    site.resume().with(0);
    let (_, unknown) = site.ledger();
    assert_eq!(unknown, in_flight);
    assert!(site.calls() <= contents + in_flight, "{} > {contents} + {in_flight}", site.calls());
}

/// A database with the first version of the schema and some labels.
const FIRST_SCHEMA: &str = include_str!("../../../migrations/sqlite/01-init/up.sql");
const FIRST_ROWS: &str = "
    PRAGMA user_version = 1;
    INSERT INTO bucket VALUES (1, 'elsewhere-1250000000', 'keys');
    INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals, tool_version, started_at)
    VALUES (1, 1, 'bucket', 0, 'stopped', '{}', 0, '0.1.0', 100);
    INSERT INTO tag VALUES (1, 'cat', 'animal', 'pet'), (2, 'dog', 'animal', 'pet');
    CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
    SELECT n FROM n;
    INSERT INTO content (id, ident, etag, size, scenes_wanted, scenes_done, state, run_id, tagged_at)
    SELECT n, n * 7919, randomblob(16), n, 2, 2, 2, 1, 180 FROM n;
    INSERT INTO object (id, bucket_id, key, content_id, fingerprint, first_run)
    SELECT n, 1, printf('%08d.jpg', n), n, 0, 1 FROM n;
    INSERT INTO label SELECT n, 1, rank, 1 + n % 2, rank FROM n, (SELECT 1 AS rank UNION VALUES (2), (3));
    INSERT INTO call (run_id, content_id, object_id, scenes, ended_at, duration_ms, outcome)
    SELECT 1, n, n, 2, 180000, 5, 0 FROM n;";

#[test]
fn a_kill_during_a_migration_loses_nothing() {
    let site = Site::plain(3);
    let old = rusqlite::Connection::open(site.path("costag.db")).unwrap();
    old.execute_batch(&format!("{FIRST_SCHEMA} {FIRST_ROWS}")).unwrap();
    drop(old);
    let labels = || {
        site.one::<String>(
            "SELECT group_concat(content_id || ' ' || scene || ' ' || rank || ' ' || tag_id || ' ' || confidence)
             FROM (SELECT * FROM label WHERE content_id <= 20000 ORDER BY content_id, scene, rank)",
        )
    };
    let version = || site.one::<i64>("PRAGMA user_version");
    let before = labels();
    let mut dice = Dice(0x5EED_0003);
    let mut cut = 0;
    for _ in 0..12 {
        let mut program = site.start(&["run", BUCKET]);
        let begun = Instant::now();
        let after = Duration::from_micros(dice.below(250_000));
        while begun.elapsed() < after && !program.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        program.kill();
        cut += u32::from(version() == 1);
        assert!(labels() == before, "a cut migration is none");
    }
    assert!(cut > 0, "every migration had ended before it was killed");
    site.run(&[]).with(0);
    assert!(version() > 1 && labels() == before);
    assert_eq!(site.one::<String>("PRAGMA integrity_check"), "ok");
    assert_eq!(site.one::<i64>("SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/// A lister requests only one page beyond the one that is being committed.
#[test]
fn a_kill_repeats_at_most_one_page_of_each_range() {
    const PAGES: u64 = 40;
    let bucket = Synthetic { objects: PAGES * 1000, ..Synthetic::default() };
    let site = Site::new(bucket, Settings { list_latency_ms: 100, ..Settings::default() });
    let lists = || site.emulator.statistics().list_calls;
    // With a single lister, every list request is for a page.
    let run = ["run", BUCKET, "--exclude", "**", "--list-workers", "1"];
    let mut program = site.start(&run);
    let committed = "SELECT count(*) FROM object";
    let look = || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(site.path("costag.db"), flags).ok()?;
        database.query_row(committed, [], |row| row.get::<_, i64>(0)).ok()
    };
    wait_until("a page in the database", || look().is_some_and(|objects| objects > 0));
    // While another program holds a write transaction, nothing can be committed.
    let other = rusqlite::Connection::open(site.path("costag.db")).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = site.one::<i64>(committed).cast_unsigned() / 1000;
    assert!(before < PAGES - 5, "{before}: there is enough left");
    site.change(r#"{"list_latency_ms":0}"#);
    wait_until("the page after the one that waits", || lists() >= before + 2);
    // A lister that did not wait would have requested many more pages by now.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        assert!(lists() <= before + 2, "{} pages asked for, {before} committed", lists());
        assert!(!program.has_ended());
        std::thread::sleep(Duration::from_millis(5));
    }
    program.kill();
    drop(other);
    site.costag(&run).with(0);
    assert!(lists() <= PAGES + 2, "{} questions for {PAGES} pages", lists());
    assert_eq!(site.one::<i64>(committed), (PAGES * 1000).cast_signed());
}
