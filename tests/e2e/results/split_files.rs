//! An export that is divided over several files.

use std::collections::BTreeSet;
use std::fs;
use std::io::read_to_string;

use crate::support::{Site, rows};

/// The names of all files that an export left, sorted.
fn names(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains("tags")).collect();
    names.sort();
    names
}

#[test]
fn the_files_of_a_divided_export_are_valid_by_themselves_and_hold_whole_keys() {
    let site = Site::plain(60);
    site.run(&["--scenes", "web,camera"]).with(0);
    let whole = site.costag(&["export"]).with(0).stdout;
    let header = whole.lines().next().unwrap();
    site.costag(&["export", "-o", "tags.csv", "--split", "4k"])
        .with(0)
        .says(&["files for tags.csv"]);
    let files = names(&site);
    assert!(files.len() > 5, "{files:?}");
    assert_eq!((files[0].as_str(), files[1].as_str()), ("tags-001.csv", "tags-002.csv"));
    let (mut joined, mut seen) = (format!("{header}\n"), BTreeSet::new());
    for name in &files {
        let text = fs::read_to_string(site.path(name)).unwrap();
        assert!(text.len() <= 4096, "{name} has {} bytes", text.len());
        let keys: BTreeSet<_> = rows(&text).into_iter().map(|row| row[1].clone()).collect();
        assert!(!keys.is_empty());
        for key in keys {
            assert!(seen.insert(key.clone()), "{key} is in two files");
        }
        joined.push_str(text.strip_prefix(header).unwrap().strip_prefix('\n').unwrap());
    }
    assert_eq!(joined, whole);

    // The files of an earlier export would be taken for parts of the new one.
    let again = ["export", "-o", "tags.csv", "--split", "1G"];
    site.costag(&again).with(2).says(&["exists and could be taken for a part"]);
    assert_eq!(names(&site), files);
    for name in &files {
        fs::remove_file(site.path(name)).unwrap();
    }
    site.costag(&again).with(0).says(&["1 file for tags.csv"]);
    assert_eq!(fs::read_to_string(site.path("tags-001.csv")).unwrap(), whole);
}

#[test]
fn the_files_of_a_divided_export_are_compressed_or_for_spreadsheets_each() {
    let site = Site::plain(20);
    site.run(&[]).with(0);
    let whole = site.costag(&["export", "--format", "jsonl"]).with(0).stdout;
    let options = ["export", "--format", "jsonl", "-o", "tags.jsonl.gz", "--split", "2k"];
    site.costag(&options).with(0);
    let files = names(&site);
    assert!(files.len() > 2 && files[1] == "tags-002.jsonl.gz", "{files:?}");
    let unpacked = files.iter().map(|name| {
        let file = fs::File::open(site.path(name)).unwrap();
        read_to_string(flate2::read::GzDecoder::new(file)).unwrap()
    });
    assert_eq!(unpacked.collect::<String>(), whole);
    site.costag(&["export", "--excel", "-o", "tags.csv", "--split", "2k"]).with(0);
    for name in names(&site).iter().filter(|name| name.contains("csv")) {
        let text = fs::read_to_string(site.path(name)).unwrap();
        assert!(text.starts_with("\u{feff}bucket,") && text.ends_with("\r\n"), "{name}");
    }
}

#[test]
fn a_divided_export_that_fails_leaves_no_file() {
    let site = Site::plain(700);
    site.run(&[]).with(0);
    let options = ["export", "--layout", "wide", "-o", "tags.csv", "--split"];
    site.costag(&[&options[..], &["1"]].concat()).with(2).says(&["more than 500 files"]);
    assert!(names(&site).is_empty(), "{:?}", names(&site));
    site.costag(&[&options[..], &["0"]].concat()).with(2);
    site.costag(&["export", "--split", "1M"]).with(2).says(&["--split needs a file"]);
    site.costag(&["export", "--split", "1M", "-o", "nowhere/tags.csv"]).with(4);
}
