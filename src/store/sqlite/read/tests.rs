use std::path::Path;

use super::*;
use crate::store::Error;
use crate::store::model::{RunState, SkipReason};
use crate::store::read::export::{ExportFilter, Standing};
use crate::store::read::{ContentCounts, Failure, RangeCounts};
use crate::store::sqlite::sql::Statement;
use crate::store::sqlite::{Reader, Store};

fn database(folder: &Path) -> Store {
    let store = Store::open(&folder.join("t.db")).unwrap();
    store
        .connection
        .execute_batch(
            "INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys');
             INSERT INTO run (id, bucket_id, source, prefix, eligibility, state, stop_reason, settings,
                              journals, tool_version, started_at, ended_at, counts)
             VALUES (1, 1, 'bucket', '', 0, 'complete', NULL, '{}', 0, '0.1.0', 100, 160,
                     '{\"listed\": 7, \"skipped\": {\"suffix\": 2}}'),
                    (2, 1, 'bucket', '2026/', 0, 'running', NULL, '{}', 1, '0.1.0', 200, NULL, '{}');
             INSERT INTO range VALUES (2, 0, '', 'm', 'm', 1), (2, 1, 'm', NULL, 'p', 0);
             DELETE FROM meta WHERE name = 'counted';",
        )
        .unwrap();
    store
}

/// Adds a content in a state with `copies` present objects.
fn content(store: &Store, state: i64, temporary: bool, run: i64, code: &str, copies: usize) {
    let db = &store.connection;
    db.execute(
        "INSERT INTO content (scenes_wanted, state, run_id, error_kind, attempts)
         VALUES (2, ?1, ?2, 1 + ?3, 3)",
        (state, run, temporary),
    )
    .unwrap();
    let id = db.last_insert_rowid();
    db.execute("INSERT INTO error (content_id, verdict, code, status, message, request_id) VALUES (?1, 'gone', ?2, 404, '', NULL)", (id, code)).unwrap();
    for copy in 0..copies {
        db.execute(
            "INSERT INTO object (bucket_id, key, content_id, fingerprint, first_run)
             VALUES (1, ?1, ?2, 0, 1)",
            (format!("{id:05}-{copy}"), id),
        )
        .unwrap();
    }
}

fn failures(reader: &Reader) -> Vec<Failure> {
    let mut failures = Vec::new();
    reader
        .failures(|failure| {
            failures.push(failure.clone());
            Ok::<_, Error>(())
        })
        .unwrap();
    failures
}

#[test]
fn runs_are_read_newest_first_with_their_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    let reader = store.reader().unwrap();
    let runs = reader.runs(10).unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(reader.last_run().unwrap().as_ref(), Some(&runs[0]));
    assert_eq!((runs[0].state, runs[0].ended_at), (RunState::Running, None));
    assert_eq!((runs[1].counts.listed, runs[1].counts.skipped["suffix"]), (7, 2));
    assert_eq!(reader.ranges(2).unwrap(), RangeCounts { done: 1, total: 2 });
    assert_eq!(reader.ranges(1).unwrap(), RangeCounts::default());
    store.connection.execute("UPDATE run SET counts = '{' WHERE id = 1", []).unwrap();
    assert!(matches!(reader.runs(10), Err(Error::Unsound { .. })));
}

#[test]
fn a_run_is_under_way_while_the_lock_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    let reader = store.reader().unwrap();
    assert!(reader.is_running());
    drop(store);
    assert!(!reader.is_running());
    Store::open(reader.path()).expect("a look does not keep the lock");
}

#[test]
fn contents_skip_reasons_and_error_codes_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    for (state, count) in [(0, 4), (1, 3), (2, 2)] {
        (0..count).for_each(|_| content(&store, state, false, 1, "", 1));
    }
    content(&store, 3, false, 1, "NoSuchKey", 2);
    content(&store, 3, true, 1, "InternalError", 1);
    content(&store, 3, true, 1, "InternalError", 1);
    store
        .connection
        .execute_batch(
            "INSERT INTO object (bucket_id, key, fingerprint, skip_reason, first_run, gone_run)
             VALUES (1, 'a', 0, 'suffix', 1, NULL), (1, 'b', 0, 'suffix', 1, NULL),
                    (1, 'c', 0, 'archive', 1, NULL), (1, 'd', 0, 'archive', 1, 1);
             INSERT INTO tag VALUES (1, 'cat', 'animal', 'pet'), (2, 'dog', 'animal', 'pet');
             INSERT INTO label (id, mark)
             VALUES (256 + 64 + 1, 2 * 128 + 90), (256 + 3 * 64 + 1, 2 * 128 + 80),
                    (2 * 256 + 64 + 1, 128 + 70);
             UPDATE content SET scenes_done = 10 WHERE id IN (1, 2);",
        )
        .unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(
        reader.content_counts().unwrap(),
        ContentCounts { pending: 4, in_flight: 3, done: 2, failed: 3 }
    );
    assert_eq!(reader.skip_reasons().unwrap(), [(SkipReason::Suffix, 2), (SkipReason::Archive, 1)]);
    let codes = reader.failure_codes(10).unwrap();
    let told: Vec<_> =
        codes.iter().map(|c| (c.code.as_deref().unwrap(), c.temporary, c.contents)).collect();
    assert_eq!(told, [("InternalError", true, 2), ("NoSuchKey", false, 1)]);
    let tags = reader.top_tags(1).unwrap();
    assert_eq!((tags.len(), tags[0].name.as_str(), tags[0].labels), (1, "dog", 2));
    assert!(reader.size().database > 0);
}

#[test]
fn failures_over_many_batches_equal_the_rows_of_the_view() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    store.connection.execute_batch("BEGIN").unwrap();
    for n in 0..1_203 {
        content(&store, 3, n % 2 == 0, 1 + n % 3 % 2, "NoSuchKey", usize::from(n % 10 != 0) + 1);
    }
    content(&store, 2, false, 1, "", 1);
    store
        .connection
        .execute_batch(
            "UPDATE object SET gone_run = 2 WHERE id % 100 = 1;
             UPDATE object SET skip_reason = 'excluded' WHERE id % 100 = 2;
             COMMIT",
        )
        .unwrap();
    let reader = store.reader().unwrap();
    let found = failures(&reader);
    let mut keys: Vec<_> = found.iter().map(|failure| failure.key.clone()).collect();
    keys.sort();
    let expected: Vec<String> = store
        .connection
        .prepare("SELECT key FROM failure ORDER BY key")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(keys == expected && keys.len() > 2_000, "{} of {}", keys.len(), expected.len());
    assert_eq!((found[0].http_status, found[0].attempts), (Some(404), 3));
}

#[test]
fn the_view_labels_reads_labels_by_their_content_under_any_condition() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    for condition in [
        "scene = 'web' AND name = 'cat' AND confidence >= 80",
        "name = 'cat'",
        "key = 'a.jpg'",
        "bucket = 'photos-1250000000' AND tagged_at > '2026'",
    ] {
        let plan: Vec<String> = store
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN SELECT * FROM labels WHERE {condition}"))
            .unwrap()
            .raw_query()
            .mapped(|row| row.get(3))
            .collect::<Result<_, _>>()
            .unwrap();
        let step = |table: &str| plan.iter().find(|step| step.contains(table)).unwrap();
        assert!(step(" label ").starts_with("SEARCH label USING INTEGER PRIMARY KEY"), "{plan:?}");
        assert!(step(" tag ").starts_with("SEARCH tag USING INTEGER PRIMARY KEY"), "{plan:?}");
    }
}

/// The statements of each file of this folder that has numbers or names of types in them.
const STATEMENTS: [&[&Statement]; 12] = [
    choose::STATEMENTS,
    compare::STATEMENTS,
    explore::STATEMENTS,
    export::STATEMENTS,
    failure::STATEMENTS,
    ledger::STATEMENTS,
    posting::STATEMENTS,
    queue::STATEMENTS,
    status::STATEMENTS,
    survey::STATEMENTS,
    verify::STATEMENTS,
    verify_counts::STATEMENTS,
];

#[test]
fn every_statement_of_the_reader_is_understood_by_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    for sql in STATEMENTS.iter().flat_map(|statements| *statements) {
        store.connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql:?}"));
    }
}

#[test]
fn failed_images_are_exported_however_many_there_are() {
    for images in [3, 60] {
        let folder = tempfile::tempdir().unwrap();
        let store = database(folder.path());
        for _ in 0..images {
            content(&store, 3, false, 1, "NoSuchKey", 2);
        }
        content(&store, 2, false, 1, "", 1);
        let reader = store.reader().unwrap();
        let filter = ExportFilter { standing: Standing::Failed, ..ExportFilter::default() };
        let mut export = reader.export(filter).unwrap();
        let mut keys = Vec::new();
        while let Some(batch) = export.next_batch().unwrap() {
            keys.extend(batch.objects().map(|object| object.key.to_owned()));
        }
        assert_eq!(keys.len(), 2 * images);
        assert!(keys.is_sorted());
    }
}
