//! Several nights over one bucket: only new contents are called, and objects are gone only if a listing proved it.

use costag::emulator::Synthetic;

use crate::support::{BUCKET, Site};

fn run_again(site: &Site, options: &[&str]) -> u64 {
    let before = site.calls();
    site.run(options).with(0);
    site.calls() - before
}

#[test]
fn exactly_the_changed_objects_are_called() {
    let bucket = Synthetic { objects: 1300, duplicates: 0.3, ..Synthetic::default() };
    let site = Site::new(bucket, costag::emulator::Settings::default());
    site.run(&[]).with(0);
    let mut keys: Vec<_> = site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
    keys.dedup();
    let [first, middle, last] = [&keys[0], &keys[650], &keys[1299]].map(String::as_str);
    site.put(&[
        ("new.jpg", "n1"),
        ("zz/new.jpg", "n2"),
        ("copy.jpg", "n1"),
        (middle, "other bytes"),
    ]);
    site.delete(&[first, last]);
    assert_eq!(run_again(&site, &[]), 3);
    site.assert_exports("camera");
    let gone = "SELECT count(*) FROM object WHERE gone_run IS NOT NULL";
    assert_eq!(site.one::<i64>(gone), 2, "the first and the last key of the bucket, too");
    let kinds = |kind: &str| -> i64 {
        site.one(&format!("SELECT count(*) FROM change WHERE run_id = 2 AND kind = '{kind}'"))
    };
    assert_eq!(["added", "changed", "gone"].map(kinds), [3, 1, 2]);

    // The object comes back under another name: it was moved and costs nothing.
    site.delete(&["new.jpg", "copy.jpg"]);
    site.put(&[("renamed.jpg", "n1")]);
    assert_eq!(run_again(&site, &[]), 0);
    site.put(&[("new.jpg", "n1")]);
    assert_eq!(run_again(&site, &[]), 0);
    site.assert_exports("camera");
    let calls = site.calls();
    let quiet = site.run(&[]).with(0);
    assert_eq!(site.calls(), calls);
    assert_eq!(keys.len() + 1, 1301);
    quiet.says(&["reused    1,301 wanted objects needed no separate call"]);
}

#[test]
fn objects_of_an_emptied_bucket_or_prefix_are_gone() {
    let site = Site::holding(&[("a/1.jpg", "1"), ("a/2.jpg", "2"), ("b/1.jpg", "3")]);
    site.run(&[]).with(0);
    let gone = || site.one::<i64>("SELECT count(*) FROM object WHERE gone_run IS NOT NULL");
    site.delete(&["a/1.jpg", "a/2.jpg", "b/1.jpg"]);
    site.costag(&["run", &format!("{BUCKET}/a/")]).with(0);
    assert_eq!(gone(), 2, "nothing is concluded beyond the prefix");
    site.run(&[]).with(0);
    assert_eq!(gone(), 3);
    assert!(site.export(&[]).is_empty());
    assert!(!site.export(&["--include-gone"]).is_empty());
    assert_eq!(site.calls(), 3);
}

#[test]
fn a_prefix_is_taken_literally() {
    let literal = "p %20+%2F?&=#'/";
    let keys = [format!("{literal}1.jpg"), "p  +//1.jpg".to_owned(), "p%20%2520/1.jpg".to_owned()];
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    let site = Site::holding(&objects);
    site.costag(&["run", &format!("{BUCKET}/{literal}")]).with(0);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), [keys[0].clone()]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), 1);
    site.costag(&["run", &format!("{BUCKET}/ ")]).with(0);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), 1);
}

#[test]
fn a_run_of_one_prefix_does_not_call_the_backlog_of_another() {
    let site = Site::plain(400);
    let backlog = "SELECT count(*) FROM content WHERE state = 0";
    site.costag(&["run", &format!("{BUCKET}/albums/"), "--max-calls", "20"]).with(8);
    let left: i64 = site.one(backlog);
    assert_eq!(left, 80);
    site.costag(&["run", &format!("{BUCKET}/photos/")]).with(0);
    assert_eq!(site.calls(), 120);
    assert_eq!(site.one::<i64>(backlog), left, "the first one's images still wait");
    site.resume().with(0).says(&["albums/"]);
    assert_eq!(site.calls(), 200);
    assert_eq!(site.called().keys().filter(|key| key.starts_with("albums/")).count(), 100);
    assert_eq!(run_again(&site, &[]), 200);
    site.assert_exports("camera");
}

#[test]
fn another_scene_calls_only_that_scene() {
    let site = Site::plain(50);
    site.run(&["--scenes", "camera"]).with(0);
    let camera = site.expected("camera");
    assert_eq!(site.export(&[]), camera);
    assert_eq!(run_again(&site, &["--scenes", "camera,web"]), 50);
    // The bits of the scenes: camera is 2, web is 8.
    assert_eq!(site.one::<i64>("SELECT count(*) FROM call WHERE scenes = 2"), 50);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM call WHERE scenes = 8"), 50);
    assert_eq!(site.export(&["--scene", "camera"]), camera);
    assert_eq!(site.export(&["--scene", "web"]), site.expected("web"));
    for scenes in ["camera,web", "web", "camera"] {
        assert_eq!(run_again(&site, &["--scenes", scenes]), 0, "{scenes}");
    }
}

#[test]
fn an_answer_without_labels_is_not_asked_for_again() {
    let bucket = Synthetic { objects: 40, empty_labels: 1.0, ..Synthetic::default() };
    let site = Site::new(bucket, costag::emulator::Settings::default());
    site.run(&[]).with(0);
    assert_eq!(site.states(), [0, 0, 40, 0]);
    assert!(site.export(&[]).is_empty());
    assert_eq!(run_again(&site, &[]), 0);
}

#[test]
fn another_filter_calls_only_what_is_newly_wanted() {
    let objects = [("a/1.jpg", "1"), ("a/2.png", "2"), ("b/3.JPG", "3"), ("b/4.jpg", "4")];
    let site = Site::holding(&objects);
    let labelled = || site.one::<i64>("SELECT count(DISTINCT key) FROM labels");
    assert_eq!(run_again(&site, &["--suffixes", "jpg"]), 3);
    assert_eq!(run_again(&site, &["--suffixes", "png"]), 1);
    assert_eq!(labelled(), 4, "the labels of what is not wanted any more stay");
    assert_eq!(run_again(&site, &["--suffixes", "jpg,png"]), 0);

    let site = Site::holding(&objects);
    assert_eq!(run_again(&site, &["--include", "a/**"]), 2);
    assert_eq!(run_again(&site, &["--exclude", "**/4.jpg"]), 1);
    assert_eq!(run_again(&site, &["--exclude", "a/**"]), 1);
    assert_eq!(run_again(&site, &["--min-size", "1k"]), 0);
    assert_eq!(run_again(&site, &[]), 0);
    assert_eq!(site.calls(), 4);
}

#[test]
fn an_archived_object_is_called_once_it_is_restored() {
    let site = Site::holding(&[("a.jpg", "1")]);
    let class = |class: &str| {
        let put =
            format!(r#"{{"put":[{{"key":"b.jpg","content":"2","storage_class":"{class}"}}]}}"#);
        site.ask("POST", "objects", &put);
    };
    class("DEEP_ARCHIVE");
    assert_eq!(run_again(&site, &[]), 1);
    class("STANDARD");
    assert_eq!(run_again(&site, &[]), 1);
    class("ARCHIVE");
    assert_eq!(run_again(&site, &[]), 0);
    class("STANDARD_IA");
    assert_eq!(run_again(&site, &[]), 0);
}
