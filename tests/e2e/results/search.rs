//! `costag find` and `costag stats` agree with the export.

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
    let found = site.costag(&find).with(0).says(&["1 public URLs were left out"]);
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
