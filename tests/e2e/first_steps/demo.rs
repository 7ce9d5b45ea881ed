//! `costag demo` shows the whole job to somebody without an account.

use std::collections::BTreeSet;

use crate::support::{bare, rows, start};

#[test]
fn the_demo_labels_and_exports_and_calls_nothing_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(bare(folder.path(), &["demo"])).end().with(0);
    for part in [
        "most frequent labels",
        "first rows of the CSV",
        "bucket,key,scene,rank",
        "costag run cos://",
    ] {
        assert!(first.stdout.contains(part), "no {part:?} in\n{}", first.stdout);
    }
    let csv = std::fs::read_to_string(folder.path().join("costag-demo/tags.csv")).unwrap();
    let labels = rows(&csv);
    assert!(labels.len() > 100, "{}", labels.len());
    assert!(
        first
            .stdout
            .contains(&format!("({})", costag::numbers::counted(labels.len() as u64, "row")))
    );

    let database = rusqlite::Connection::open(folder.path().join("costag-demo/costag.db")).unwrap();
    let count = |sql: &str| {
        let count = database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        usize::try_from(count).unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM labels"), labels.len());
    let calls = count("SELECT count(*) FROM call");
    assert!(calls > 20);

    let second = start(bare(folder.path(), &["demo"])).end().with(0).says(&["nothing was called"]);
    assert!(second.stdout.contains("first rows of the CSV"));
    assert_eq!(count("SELECT count(*) FROM call"), calls);
    assert_eq!(std::fs::read_to_string(folder.path().join("costag-demo/tags.csv")).unwrap(), csv);
}

#[test]
fn the_demo_takes_another_folder_and_own_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let few = folder.path().join("few");
    std::fs::create_dir(&few).unwrap();
    for (name, colour) in
        [("red.png", [220, 20, 20]), ("green.png", [20, 200, 20]), ("dark.jpg", [9; 3])]
    {
        image::RgbImage::from_pixel(64, 48, image::Rgb(colour)).save(few.join(name)).unwrap();
    }
    start(bare(folder.path(), &["demo", "--images", "few", "--out", "there"])).end().with(0);
    let keys: BTreeSet<_> =
        rows(&std::fs::read_to_string(folder.path().join("there/tags.csv")).unwrap())
            .into_iter()
            .map(|row| few.join(&row[1]))
            .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|file| file.is_file()));
    start(bare(folder.path(), &["demo", "--out", "/dev/null/x"])).end().with(4);
}
