//! `costag changes` shows how a night's listing differs from the one before.

use std::collections::BTreeSet;

use crate::support::{BUCKET, Site, rows};

/// The lines of a run's journal, without their order.
fn journal(site: &Site, options: &[&str]) -> BTreeSet<String> {
    let text = site.costag(&[&["changes"], options].concat()).with(0).stdout;
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn lines(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// Two nights: after the second one, one object of four is unchanged.
fn second_night() -> Site {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3"), ("d.jpg", "4")]);
    site.run(&[]).with(0);
    site.put(&[("new.jpg", "5"), ("b.jpg", "other"), ("z/a.jpg", "1"), ("notes.txt", "6")]);
    site.delete(&["a.jpg", "c.jpg"]);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 4 + 2);
    site
}

const SECOND: [&str; 5] =
    ["added new.jpg", "added notes.txt", "changed b.jpg", "gone c.jpg", "moved a.jpg -> z/a.jpg"];

#[test]
fn changes_shows_added_changed_gone_and_moved_objects() {
    let site = second_night();
    assert_eq!(journal(&site, &[]), lines(&SECOND));
    assert_eq!(journal(&site, &["--kind", "gone", "--kind", "moved"]), lines(&SECOND[3..]));
    assert_eq!(journal(&site, &["--run", "2", "--kind", "changed"]), lines(&SECOND[2..3]));
    // A night without changes has an empty journal. The journal of the night before is kept.
    site.run(&[]).with(0);
    site.costag(&["changes"]).with(0).says(&["run 3", "0 changes"]);
    assert_eq!(journal(&site, &["--run", "last"]), lines(&[]));
    assert_eq!(journal(&site, &["--run", "2"]), lines(&SECOND));
    // An object that returns counts as added, whatever its bytes.
    // Clearly later than its call: listings give times in whole seconds.
    site.put_at("c.jpg", "3", 5);
    site.put_at("a.jpg", "another one", 5);
    site.run(&[]).with(0);
    assert_eq!(journal(&site, &[]), lines(&["added a.jpg", "added c.jpg"]));
    assert_eq!(site.calls(), 6 + 1, "the bytes of c.jpg were known");
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn changes_can_be_written_as_csv_and_as_json_lines() {
    let site = second_night();
    let text = site.costag(&["changes", "--csv"]).with(0).stdout;
    assert_eq!(text.lines().next(), Some("run_id,kind,bucket,key,from_key,etag,size"));
    let csv = rows(&text);
    assert_eq!(csv.len(), SECOND.len());
    let row = |kind: &str| csv.iter().find(|row| row[1] == kind).unwrap();
    // The MD5 of "1" belongs to the moved object, the MD5 of "2" is what b.jpg had before.
    let (one, two) = ("c4ca4238a0b923820dcc509a6f75849b", "c81e728d9d4c2f636f067f89cc14862c");
    let bucket = BUCKET.trim_start_matches("cos://");
    assert_eq!(row("moved")[..], ["2", "moved", bucket, "z/a.jpg", "a.jpg", one, "1"]);
    assert_eq!(row("changed")[..], ["2", "changed", bucket, "b.jpg", "", two, "1"]);
    let text = site.costag(&["changes", "--json"]).with(0).stdout;
    let json: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (json, csv) in json.iter().zip(&csv) {
        assert_eq!(json["kind"], csv[1]);
        assert_eq!(json["key"], csv[3]);
        assert_eq!(json["etag"].as_str().unwrap_or_default(), csv[5]);
    }
    assert_eq!(json.len(), csv.len());
}

#[test]
fn the_first_listing_of_each_prefix_has_no_journal() {
    let site = Site::holding(&[("a/1.jpg", "1"), ("b/1.jpg", "2")]);
    let prefix = format!("{BUCKET}/a/");
    site.costag(&["run", &prefix]).with(0);
    site.costag(&["changes"]).with(0).says(&["no changes to show"]);
    assert_eq!(journal(&site, &[]), lines(&[]));
    site.put(&[("a/2.jpg", "3"), ("b/2.jpg", "4")]);
    site.costag(&["run", &prefix]).with(0);
    assert_eq!(journal(&site, &[]), lines(&["added a/2.jpg"]));
    // This is the first listing of the whole bucket.
    site.run(&[]).with(0);
    assert_eq!(journal(&site, &[]), lines(&[]));
    site.costag(&["changes", "--run", "9"]).with(2).says(&["there is no run 9"]);
    site.costag(&["changes", "--run", "first"]).with(2);
    site.costag(&["changes", "--kind", "lost"]).with(2);
}

#[test]
fn a_gone_object_leaves_the_exports_and_costs_nothing_when_it_comes_back() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2")]);
    site.run(&[]).with(0);
    let all = site.export(&[]);
    site.delete(&["a.jpg"]);
    site.run(&[]).with(0);
    let left = site.export(&[]);
    assert!(!left.is_empty() && left.iter().all(|row| row[0] == "b.jpg"), "{left:?}");
    assert_eq!(site.export(&["--include-gone"]), all);
    let found = |site: &Site| {
        let name = &all[0][3];
        let keys = site.costag(&["find", "--label", name]).with(0).stdout;
        keys.lines().any(|key| key == "a.jpg")
    };
    assert!(!found(&site), "what is gone is not found");
    site.put(&[("a.jpg", "1")]);
    site.run(&[]).with(0);
    assert!(found(&site));
    assert_eq!(site.export(&[]).len(), all.len());
    site.assert_exports("camera");
    assert_eq!(site.calls(), 2);
    site.assert_sound();
}

#[test]
fn changes_escapes_control_characters_in_keys() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3"), ("same.jpg", "1")]);
    site.run(&[]).with(0);
    site.delete(&["b.jpg", "c.jpg"]);
    site.put(&[("a.jpg", "other"), ("moved.jpg", "2"), ("new\u{1b}[2J.jpg", "4")]);
    site.run(&[]).with(0);
    let expected =
        ["added new\\x1b[2J.jpg", "changed a.jpg", "gone c.jpg", "moved b.jpg -> moved.jpg"];
    assert_eq!(journal(&site, &[]), lines(&expected));
    let moved = site.json(&["changes", "--kind", "moved", "--json", "--run", "2"]);
    assert_eq!(moved["from_key"], "b.jpg");
}
