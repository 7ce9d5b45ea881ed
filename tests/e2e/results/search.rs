//! `costag find` and `costag stats` agree with the export.

use costag::emulator::{Settings, Synthetic};

use crate::support::{Row, Site};

fn keys(rows: &[Row], keep: impl Fn(&Row) -> bool) -> Vec<&str> {
    let mut keys: Vec<_> = rows.iter().filter(|row| keep(row)).map(|row| row[0].as_str()).collect();
    keys.dedup();
    keys
}

#[test]
fn find_prints_the_keys_that_the_export_has_for_a_label() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3"), ("same.jpg", "1")]);
    site.run(&["-s", "web,camera"]).with(0);
    let rows = site.export(&[]);
    let name = rows[0][3].as_str();
    let having = keys(&rows, |row| row[3] == name);
    let found = site.costag(&["find", "--label", name, "-0"]).with(0).stdout;
    assert_eq!(found.split_terminator('\0').collect::<Vec<_>>(), having);
    let others = site.costag(&["find", "--not", name, "--csv"]).with(0).stdout;
    assert_eq!(others.lines().count() - 1, keys(&rows, |_| true).len() - having.len());
}

#[test]
fn a_manifest_for_batch_operations_names_bucket_and_encoded_key_and_no_url() {
    let awkward = "a b/猫+%41,\"\n.jpg";
    let site = Site::holding(&[(awkward, "1"), ("b.jpg", "2")]);
    site.run(&[]).with(0);
    let urls = site.write("urls.txt", "https://example.com/1.jpg\n");
    site.run(&["--urls", &urls]).with(0);
    let find = ["find", "--not", "no such label", "--format", "cos-batch"];
    let found = site.costag(&find).with(0).says(&["1 public URL was left out"]);
    assert_eq!(
        found.stdout,
        "demo-1250000000,a%20b/%E7%8C%AB%2B%2541%2C%22%0A.jpg\ndemo-1250000000,b.jpg\n"
    );
    site.costag(&[&find[..], &["--json"]].concat()).with(2);
}

#[test]
fn stats_by_scene_have_a_header_and_a_row_for_each_scene() {
    let site = Site::plain(4);
    site.run(&["-s", "web,camera"]).with(0);
    let stats = site.costag(&["stats", "--by", "scene", "--csv"]).with(0).stdout;
    assert_eq!(stats.lines().count(), 3, "{stats}");
}

#[test]
fn find_prints_the_keys_that_the_export_has_for_every_condition() {
    let mut settings = Settings::default();
    settings.set_fault("invalid_state", 0.2).unwrap();
    let site = Site::new(Synthetic { objects: 60, ..Synthetic::default() }, settings);
    site.run(&["-s", "web,camera", "--max-failures", "100%"]).with(3);
    let rows = site.export(&[]);
    let find = |options: &[&str]| -> Vec<String> {
        let found = site.costag(&[&["find"], options].concat()).with(0).stdout;
        found.lines().map(str::to_owned).collect()
    };
    let (one, other) = (rows[0][3].as_str(), rows[rows.len() - 1][3].as_str());
    let either = keys(&rows, |row| row[3] == one || row[3] == other);
    assert_eq!(find(&["--any", one, "--any", other]), either);
    let category = rows[0][4].as_str();
    let of_category = keys(&rows, |row| row[4] == category || row[5] == category);
    assert_eq!(find(&["--category", category]), of_category);
    let labelled = keys(&rows, |_| true);
    assert_eq!(find(&["--since", "1970-01-01"]).len(), 60 - find(&["--failed"]).len());
    assert_eq!(find(&["--since", "2999-01-01"]), Vec::<String>::new());
    let failed = find(&["--failed"]);
    let told = site.costag(&["status", "--failures", "--csv"]).with(0).stdout;
    assert_eq!(failed.len(), told.lines().count() - 1);
    assert!(!failed.is_empty());
    assert_eq!(find(&["--no-labels"]).len(), 60 - failed.len() - labelled.len());
    site.costag(&["find", "--no-labels", "--failed"]).with(2);
}
