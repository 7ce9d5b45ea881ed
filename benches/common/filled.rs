//! A database of many labelled images, filled by SQL within seconds.

use std::path::Path;
use std::time::Instant;

use costag::scene::Scenes;
use costag::store::model::Counts;
use costag::store::run::RunContext;
use costag::store::{Session, Store};
use rusqlite::Connection;

/// The label that one image in a thousand has.
pub(crate) const RARE: &str = "稀有";

/// Fills a new database with this many labelled images, each with ten labels in two scenes.
///
/// A few names are in every second picture and most names in few pictures, as with the real service.
pub(crate) fn fill(path: &Path, images: u32) {
    let begun = Instant::now();
    drop(Store::open(path).expect("a new database"));
    let connection = Connection::open(path).expect("it was made");
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = off; PRAGMA synchronous = off; PRAGMA cache_size = -1000000; BEGIN;
             INSERT INTO bucket (id, name, kind) VALUES (1, 'demo-1250000000', 'keys');
             INSERT INTO meta VALUES ('recogniser', 'emulator');
             DELETE FROM meta WHERE name = 'counted';
             INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals,
                              tool_version, started_at, listed_at, ended_at)
             VALUES (1, 1, 'bucket', 0, 'complete', '{{}}', 0, '0.1.0', 1767225600, 1767225600,
                     1767225600);
             INSERT INTO range (run_id, seq, start_after, cursor, done) VALUES (1, 0, '', '', 1);
             CREATE TEMP TABLE number AS
             WITH RECURSIVE number (i) AS (
                 SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < {images})
             SELECT i FROM number;
             INSERT INTO tag (id, name, first_category, second_category)
             SELECT i, CASE i WHEN 1 THEN '{RARE}' ELSE printf('标签%04d', i) END,
                    printf('类别%02d', i % 20), printf('细类%03d', i % 150)
             FROM number WHERE i <= 2000;
             INSERT INTO content (id, etag, size, scenes_wanted, scenes_done, state, run_id,
                                  object_id, tagged_at)
             SELECT i, randomblob(16), 100000 + i % 900000, 10, 10, 2, 1, i, 1767225600 + i / 1000
             FROM number;
             INSERT OR IGNORE INTO ident (hash, content_id) SELECT random(), i FROM number;
             INSERT INTO object (bucket_id, key, content_id, fingerprint, last_modified, first_run)
             SELECT 1, printf('photos/2026/%03d/%04d/img-%08d-original.jpg', i / 100000, i / 500, i),
                    i, random(), 1767225600000 + i, 1
             FROM number;
             INSERT INTO label (id, mark)
             SELECT 256 * i + CASE WHEN rank <= 5 THEN 64 ELSE 192 END + (rank - 1) % 5 + 1,
                    128 * CASE WHEN rank = 3 AND i % 1000 = 0 THEN 1
                         ELSE 2 + 1998 * (random() & 1023) * (random() & 1023) * (random() & 1023)
                                  / 1073741824
                    END + 99 - rank * 7
             FROM number, (SELECT i AS rank FROM number WHERE i <= 10);
             INSERT INTO call (run_id, content_id, object_id, scenes, ended_at, duration_ms, outcome)
             SELECT 1, i, i, 10, 1767225600000 + i, 120, 0 FROM number;
             COMMIT; PRAGMA wal_checkpoint(truncate);"
        ))
        .expect("the rows of a run");
    drop(connection);
    catch_up(path, images);
    eprintln!("filled {images} images in {:.1} s", begun.elapsed().as_secs_f64());
}

/// Counts everything, as the first run with this version does, and writes the postings of the labels.
fn catch_up(path: &Path, images: u32) {
    let begun = Instant::now();
    let store = Store::open(path).expect("it was made");
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(images);
    eprintln!("counted in {each:.2} µs an image");
    let run = RunContext {
        id: 1,
        bucket_id: 1,
        bucket: "demo-1250000000".to_owned(),
        prefix: String::new(),
        scenes: Scenes::NONE,
        dedupe: true,
        list: false,
        urls: false,
        journals: false,
        plan: false,
    };
    let mut session = Session::new(store, run, Counts::default());
    let begun = Instant::now();
    for _ in 0..images / 8192 {
        let turn = session.new_turn();
        drop(session.turn(&turn).expect("there is room"));
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(images);
    eprintln!("labels posted in {each:.2} µs an image");
}
