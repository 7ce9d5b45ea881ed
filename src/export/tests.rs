use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::scene::{Scene, Scenes};
use crate::store::Store;
use crate::store::read::ExportFilter;

/// A database with one bucket, one run and what a test adds.
fn database(folder: &Path) -> Store {
    let store = Store::open(&folder.join("t.db")).unwrap();
    store.sql(
            "INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys'), (2, 'photos-1250000000', 'urls');
             INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals,
                              tool_version, started_at)
             VALUES (1, 1, 'bucket', 0, 'complete', '{}', 0, '0.1.0', 1773476130);",
        );
    store
}

/// Adds an object with a new content and with these labels: scene, name, confidence.
fn object(store: &Store, bucket: i64, key: &str, scenes: u8, labels: &[(Scene, &str, i64)]) -> i64 {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let (etag, size, modified) = match bucket {
        1 => ("x'abababababababababababababababab'", "1234", "1773476130999"),
        _ => ("NULL", "NULL", "NULL"),
    };
    store.sql(&format!(
        "INSERT INTO content (etag, size, scenes_wanted, scenes_done, state, run_id, tagged_at)
         VALUES ({etag}, {size}, {scenes}, {scenes}, 2, 1, 1773476131)"
    ));
    let content: i64 = store.rows("SELECT max(id) FROM content")[0][0].parse().unwrap();
    store.sql(&format!(
        "INSERT INTO object (bucket_id, key, content_id, fingerprint, last_modified, first_run)
         VALUES ({bucket}, {}, {content}, 0, {modified}, 1)",
        quoted(key)
    ));
    let mut ranks = [0; 4];
    for (scene, name, confidence) in labels {
        let rank = &mut ranks[usize::from(scene.id())];
        *rank += 1;
        let (scene, name) = (scene.id(), quoted(name));
        store.sql(&format!(
            "INSERT OR IGNORE INTO tag VALUES (NULL, {name}, 'first, \"x\"', 'second');
             INSERT INTO label (id, mark)
             SELECT 256 * {content} + 64 * {scene} + {rank}, 128 * id + {confidence}
             FROM tag WHERE name = {name}"
        ));
    }
    content
}

fn export(store: &Store, filter: ExportFilter, format: Format, layout: Layout) -> String {
    export_as(store, filter, &Shape::whole(format, layout))
}

fn export_as(store: &Store, filter: ExportFilter, shape: &Shape) -> String {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out");
    let reader = store.reader().unwrap();
    let mut output = Output::open(&target).unwrap();
    let mut export = reader.export(filter).unwrap();
    let rows = write(&mut export, shape.clone(), &mut output, || true).unwrap();
    output.commit().unwrap();
    let text = std::fs::read_to_string(target).unwrap();
    if !text.contains('"') {
        let header = u64::from(shape.format == Format::Csv);
        assert_eq!(text.lines().count() as u64, rows + header);
    }
    text
}

fn sample(store: &Store) {
    use Scene::{Camera, Web};
    object(
        store,
        1,
        "b/2.jpg",
        0b1010,
        &[(Camera, "cat", 91), (Camera, "dog", 40), (Web, "cat", 70)],
    );
    object(store, 1, "a,\"1\"\n.jpg", 0b0010, &[(Camera, "猫;x", 88)]);
    object(store, 1, "b/none.jpg", 0b0010, &[]);
    // The label of a scene that is queued again does not count until the answer arrives.
    object(store, 1, "b/stale.jpg", 0b0010, &[(Web, "cat", 99)]);
    object(store, 2, "https://example.com/1.jpg", 0b0010, &[(Camera, "cat", 5)]);
    store.sql(
        "INSERT INTO object (bucket_id, key, fingerprint, skip_reason, first_run)
         VALUES (1, 'b/x.txt', 0, 'suffix', 1);",
    );
    let gone = object(store, 1, "z/gone.jpg", 0b0010, &[(Camera, "cat", 50)]);
    store.sql(&format!("UPDATE object SET gone_run = 1 WHERE content_id = {gone}"));
}

#[test]
fn the_long_csv_has_one_row_per_label() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    sample(&store);
    insta::assert_snapshot!(export(&store, ExportFilter::default(), Format::Csv, Layout::Long));
}

#[test]
fn wide_rows_and_json_rows_are_as_agreed() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    sample(&store);
    let all = |format, layout| export(&store, ExportFilter::default(), format, layout);
    insta::assert_snapshot!("csv_wide", all(Format::Csv, Layout::Wide));
    insta::assert_snapshot!("jsonl_long", all(Format::Jsonl, Layout::Long));
    insta::assert_snapshot!("jsonl_wide", all(Format::Jsonl, Layout::Wide));
}

#[test]
fn chosen_columns_have_the_same_cells_as_all_columns() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    sample(&store);
    for (layout, names) in [
        (Layout::Long, "name,key,etag,confidence,tagged_at,scene"),
        (Layout::Long, "size,bucket"),
        (Layout::Wide, "web,key,camera"),
    ] {
        let columns: Vec<Column> = names.split(',').map(|name| name.parse().unwrap()).collect();
        let whole = csv_rows(&export(&store, ExportFilter::default(), Format::Csv, layout));
        let places = columns
            .iter()
            .map(|column| Column::of(layout).iter().position(|known| known == column).unwrap());
        let places: Vec<_> = places.collect();
        let expected: Vec<Vec<String>> =
            whole.iter().map(|row| places.iter().map(|at| row[*at].clone()).collect()).collect();
        let shape = Shape { columns, ..Shape::whole(Format::Csv, layout) };
        let text = export_as(&store, ExportFilter::default(), &shape);
        assert!(text.starts_with(&format!("{names}\n")), "{text}");
        assert_eq!(csv_rows(&text), expected, "{names}");
        let lines =
            export_as(&store, ExportFilter::default(), &Shape { format: Format::Jsonl, ..shape });
        assert_eq!(lines.lines().count(), expected.len());
        for line in lines.lines() {
            let row: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).unwrap();
            assert!(
                names.split(',').all(|name| row.contains_key(name)) && row.len() == places.len()
            );
        }
    }
}

#[test]
fn the_csv_for_spreadsheets_has_the_same_rows_and_no_formula() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    sample(&store);
    for key in ["=1+1.jpg", "'quoted.jpg", "@SUM(1),2.jpg"] {
        object(&store, 1, key, 0b0010, &[(Scene::Camera, "-cat", 9)]);
    }
    let plain = csv_rows(&export(&store, ExportFilter::default(), Format::Csv, Layout::Long));
    let shape = Shape { dialect: Dialect::Excel, ..Shape::whole(Format::Csv, Layout::Long) };
    let text = export_as(&store, ExportFilter::default(), &shape);
    assert!(text.starts_with("\u{feff}bucket,key,"));
    assert!(text.ends_with("\r\n") && text.contains("\"'=1+1.jpg\"") && text.contains("\"'-cat\""));
    let mut rows = csv_rows(&text);
    for cell in rows.iter_mut().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
        if let Some(original) = cell.strip_prefix('\'') {
            *cell = original.to_owned();
        }
    }
    assert_eq!(rows, plain);
}

#[test]
fn filters_choose_the_rows_of_an_export() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    sample(&store);
    let rows = |filter| {
        let text = export(&store, filter, Format::Csv, Layout::Long);
        csv_rows(&text).into_iter().map(|row| format!("{} {}", row[1], row[4])).collect::<Vec<_>>()
    };
    let all = ExportFilter::default;
    assert_eq!(
        rows(ExportFilter { prefix: "b/".into(), min_confidence: 41, ..all() }),
        ["b/2.jpg cat", "b/2.jpg cat"]
    );
    assert_eq!(rows(ExportFilter { names: vec!["dog".into()], ..all() }), ["b/2.jpg dog"]);
    assert_eq!(rows(ExportFilter { scenes: Scene::Web.into(), ..all() }), ["b/2.jpg cat"]);
    assert_eq!(rows(ExportFilter { scenes: Scenes::NONE, ..all() }), Vec::<String>::new());
    assert_eq!(rows(ExportFilter { prefix: "z".into(), ..all() }), Vec::<String>::new());
    assert_eq!(rows(ExportFilter { prefix: "z".into(), include_gone: true, ..all() }).len(), 1);
    assert_eq!(rows(ExportFilter { buckets: vec!["other-1".into()], ..all() }).len(), 0);
    assert_eq!(rows(ExportFilter { prefix: "b/2.jpg".into(), ..all() }).len(), 3);
}

#[test]
fn the_csv_has_the_rows_of_the_view_over_many_batches() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    store.sql("BEGIN");
    // Two full batches and a bit, with spans of objects that give no row at their ends.
    for n in 0..4_321 {
        let labels = [(Scene::Camera, "cat", n % 101), (Scene::Web, "dog", 7)];
        let some = if (1_900..2_100).contains(&n) { 0 } else { usize::try_from(n % 3).unwrap() };
        object(&store, 1, &format!("k{:04}", n * 7919 % 10_000), 0b1010, &labels[..some]);
    }
    sample(&store);
    store.sql("COMMIT");
    let text = export(&store, ExportFilter::default(), Format::Csv, Layout::Long);
    let expected = store.rows(
        "SELECT labels.* FROM labels JOIN bucket ON bucket.name = labels.bucket
         WHERE bucket.kind = 'keys' ORDER BY etag IS NULL, bucket, key, scene, rank",
    );
    let rows = csv_rows(&text);
    assert_eq!(rows.len(), expected.len());
    assert!(rows == expected, "same rows in the same order");
}

/// No read may be open while rows are written. Otherwise a slow reader of the output keeps the write-ahead log from
/// being truncated.
#[test]
fn no_snapshot_is_open_while_a_batch_waits_to_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    sample(&store);
    let reader = store.reader().unwrap();
    let mut export = reader.export(ExportFilter::default()).unwrap();
    let batch = export.next_batch().unwrap().unwrap();
    object(&store, 1, "new.jpg", 0, &[]);
    let checkpoint = store.rows("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(checkpoint[0][0], "0", "a checkpoint completes");
    assert_eq!(batch.objects().count(), 4);
}

fn csv_rows(text: &str) -> Vec<Vec<String>> {
    ::csv::Reader::from_reader(text.as_bytes())
        .into_records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

proptest! {
    #![proptest_config(crate::property::config())]

    #[test]
    fn any_text_survives_csv(fields in prop::collection::vec(".*|[,\"\r\n a]*", 2..5)) {
        // A header first, as in an export: a reader takes a byte order mark off the very beginning.
        let mut text = vec![b','; fields.len() - 1];
        text.push(b'\n');
        line(&fields, Dialect::Plain, &mut text);
        let mut reader = ::csv::Reader::from_reader(&text[..]);
        let mut rows = reader.records();
        let row = rows.next().unwrap().unwrap();
        prop_assert_eq!(row.iter().collect::<Vec<_>>(), fields);
        prop_assert!(rows.next().is_none());
    }

}

proptest! {
    // Each case makes a database, which syncs.
    #![proptest_config(crate::property::with_cases(24))]

    #[test]
    fn any_key_and_name_survive_an_export(
        keys in prop::collection::btree_set("[^\0]{1,9}|[,\"\r\n]{1,5}", 1..5),
        name in "[^\0]{1,9}",
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = database(folder.path());
        for key in &keys {
            object(&store, 1, key, 0b0010, &[(Scene::Camera, &name, 60)]);
        }
        let rows = csv_rows(&export(&store, ExportFilter::default(), Format::Csv, Layout::Long));
        let exported: Vec<_> = rows.iter().map(|row| (row[1].clone(), row[4].clone())).collect();
        // A set of strings is sorted by bytes, and so is an export.
        let expected: Vec<_> = keys.into_iter().map(|key| (key, name.clone())).collect();
        prop_assert_eq!(exported, expected);
    }
}
