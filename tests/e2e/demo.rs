//! Somebody without an account watches it work.

use crate::support::{bare, rows, start};

#[test]
fn the_demo_tags_exports_and_is_free_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(bare(folder.path(), &["demo"])).end().with(0);
    for part in ["most frequent labels", "first rows of the CSV", "bucket,key,scene,rank", "costag run cos://"] {
        assert!(first.stdout.contains(part), "no {part:?} in\n{}", first.stdout);
    }
    let csv = std::fs::read_to_string(folder.path().join("costag-demo/tags.csv")).unwrap();
    let labels = rows(&csv);
    assert!(labels.len() > 100, "{}", labels.len());
    assert!(first.stdout.contains(&format!("({} rows)", labels.len())));

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
fn another_folder_and_own_pictures() {
    let folder = tempfile::tempdir().unwrap();
    start(bare(folder.path(), &["demo", "--out", "here"])).end().with(0);
    let pictures: Vec<_> = std::fs::read_dir(folder.path().join("here"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    let [pictures] = &pictures[..] else { panic!("{pictures:?}") };
    let pictures = pictures.to_str().unwrap();
    start(bare(folder.path(), &["demo", "--images", pictures, "--out", "there"])).end().with(0);
    assert!(folder.path().join("there/tags.csv").is_file());
    start(bare(folder.path(), &["demo", "--out", "/dev/null/x"])).end().with(4);
}
