//! A `retag` or `retry` is kept until an answer comes or the image fails permanently, whatever comes between.

use std::collections::BTreeMap;

use rstest::rstest;

use crate::support::{BUCKET, Site};

const KEYS: [&str; 6] = ["a/1.jpg", "a/2.jpg", "a/3.jpg", "b/4.jpg", "b/5.jpg", "c/6.jpg"];

/// Six images in three folders, labelled with the scene `camera`.
fn labelled() -> Site {
    let objects: Vec<_> = KEYS.iter().map(|key| (*key, *key)).collect();
    let site = Site::holding(&objects);
    site.write("keys.txt", KEYS[..2].join("\n"));
    site.run(&[]).with(0);
    site.reset();
    site
}

/// Runs, asserts the exit code, and returns how often each key was called.
#[track_caller]
fn called_by(site: &Site, arguments: &[&str], code: i32) -> BTreeMap<String, u64> {
    site.reset();
    site.costag(arguments).with(code);
    site.assert_sound();
    site.called()
}

fn once<'k>(keys: impl IntoIterator<Item = &'k str>) -> BTreeMap<String, u64> {
    keys.into_iter().map(|key| (key.to_owned(), 1)).collect()
}

/// Asserts that each key was called this many times.
#[track_caller]
fn assert_calls_of_each_key(site: &Site, calls: u64) {
    assert_eq!(site.called(), KEYS.iter().map(|key| ((*key).to_owned(), calls)).collect());
}

const RUN: [&str; 2] = ["run", BUCKET];

#[rstest]
#[case::a_plan_of_other_files(&[&["plan", BUCKET, "--suffixes", "png"][..]])]
#[case::a_plan_of_the_same_files(&[&["plan", BUCKET][..]])]
#[case::two_plans(&[&["plan", BUCKET, "--exclude", "a/**"][..], &["plan", BUCKET, "--scenes", "web"]])]
#[case::a_run_of_other_files(&[&["run", BUCKET, "--suffixes", "png"][..]])]
#[case::a_run_of_nothing(&[&["run", BUCKET, "--exclude", "**"][..]])]
#[case::a_run_of_larger_files(&[&["run", BUCKET, "--min-size", "100000000"][..]])]
#[case::a_folder_with_nothing(&[&["run", "cos://demo-1250000000/z/"][..]])]
#[case::a_folder(&[&["run", "cos://demo-1250000000/a/"][..]])]
#[case::a_folder_of_other_files(&[&["run", "cos://demo-1250000000/a/", "--suffixes", "png"][..]])]
#[case::a_list(&[&["run", BUCKET, "--keys", "keys.txt"][..]])]
#[case::several(&[
    &["run", BUCKET, "--suffixes", "png"][..],
    &["run", "cos://demo-1250000000/b/"],
    &["plan", BUCKET, "--suffixes", "gif"],
    &["run", BUCKET, "--exclude", "*/*"],
])]
fn a_retag_is_kept_whatever_commands_come_between(#[case] between: &[&[&str]]) {
    let site = labelled();
    site.costag(&["retag", "--all"]).with(0).says(&["put back 6 images"]);
    for arguments in between {
        site.costag(arguments).with(0);
        site.assert_sound();
    }
    site.run(&[]).with(0);
    assert_calls_of_each_key(&site, 1);
    site.assert_sound();
    site.assert_exports("camera");
    assert_eq!(called_by(&site, &RUN, 0), once([]), "and only once");
}

#[test]
fn a_retag_is_called_with_its_own_scenes() {
    let site = labelled();
    site.costag(&["retag", "--all"]).with(0);
    site.run(&["--scenes", "web"]).with(0);
    assert_calls_of_each_key(&site, 1);
    let asked = "SELECT group_concat(DISTINCT scenes) FROM call WHERE run_id = 2";
    assert_eq!(site.one::<String>(asked), "10", "camera on purpose, and web");
    assert_eq!(called_by(&site, &RUN, 0), once([]));
    assert_eq!(called_by(&site, &["run", BUCKET, "--scenes", "web"], 0), once([]));
    // A scene that no run has asked for since.
    site.costag(&["retag", "--all", "--scene", "camera"]).with(0);
    let web = ["run", BUCKET, "--scenes", "web"];
    assert_eq!(called_by(&site, &web, 0), once(KEYS));
    assert_eq!(site.one::<i64>("SELECT sum(scenes = 2) FROM call WHERE run_id = 5"), 6);
    site.assert_sound();
}

#[rstest]
#[case::one_that_ends_first(&[&["run", BUCKET, "--max-calls", "2"][..]], 8)]
#[case::one_that_ends_first_and_other_files(
    &[&["run", BUCKET, "--max-calls", "2"][..], &["run", BUCKET, "--suffixes", "png"]], 8)]
#[case::two_that_end_first(
    &[&["run", BUCKET, "--max-calls", "1"][..], &["resume", "--max-calls", "1"]], 8)]
#[case::a_folder_that_ends_first(&[&["run", "cos://demo-1250000000/a/", "--max-calls", "1"][..]], 8)]
fn a_retag_is_kept_when_a_budget_ends_the_run(#[case] between: &[&[&str]], #[case] first: i32) {
    let site = labelled();
    site.costag(&["retag", "--all"]).with(0);
    site.costag(between[0]).with(first);
    for arguments in &between[1..] {
        site.costag(arguments);
        site.assert_sound();
    }
    site.run(&[]).with(0);
    assert_calls_of_each_key(&site, 1);
    site.assert_sound();
    assert_eq!(called_by(&site, &RUN, 0), once([]));
}

#[test]
fn a_retag_follows_its_image_to_another_key() {
    let site = labelled();
    site.costag(&["retag", "--all"]).with(0);
    // Renamed to keys before and after the old ones in key order, and one that is only copied.
    site.delete(&["a/1.jpg", "c/6.jpg"]);
    site.put(&[("z/1.jpg", "a/1.jpg"), ("A/6.jpg", "c/6.jpg"), ("b/copy.jpg", "b/4.jpg")]);
    let called = called_by(&site, &RUN, 0);
    assert_eq!(called.values().sum::<u64>(), 6, "{called:?}");
    assert!(called.contains_key("z/1.jpg") && called.contains_key("A/6.jpg"), "{called:?}");
    site.assert_exports("camera");
    assert_eq!(called_by(&site, &RUN, 0), once([]));
}

#[test]
fn a_retag_is_kept_while_its_image_is_gone() {
    let site = labelled();
    site.costag(&["retag", "--prefix", "a/"]).with(0);
    site.delete(&["a/1.jpg", "a/2.jpg"]);
    assert_eq!(called_by(&site, &RUN, 0), once(["a/3.jpg"]));
    assert_eq!(called_by(&site, &RUN, 0), once([]));
    site.put(&[("a/1.jpg", "a/1.jpg"), ("elsewhere.jpg", "a/2.jpg")]);
    assert_eq!(called_by(&site, &RUN, 0), once(["a/1.jpg", "elsewhere.jpg"]));
    assert_eq!(called_by(&site, &RUN, 0), once([]));
}

#[test]
fn a_retag_belongs_to_the_bytes_and_not_to_the_key() {
    let site = labelled();
    site.costag(&["retag", "--prefix", "a/1"]).with(0);
    site.put_at("a/1.jpg", "other bytes", 10);
    assert_eq!(called_by(&site, &RUN, 0), once(["a/1.jpg"]), "the new bytes, once");
    site.put_at("a/1.jpg", "a/1.jpg", 20);
    assert_eq!(called_by(&site, &RUN, 0), once(["a/1.jpg"]), "the old bytes are asked for still");
    assert_eq!(called_by(&site, &RUN, 0), once([]));
    site.assert_exports("camera");
}

#[test]
fn a_retag_of_an_excluded_image_waits_for_a_run_that_wants_it() {
    let site = labelled();
    site.run(&["--suffixes", "png"]).with(0);
    site.costag(&["retag", "--all"]).with(0).says(&["put back 6 images"]);
    site.costag(&["retag", "--all"]).with(0).says(&["nothing to put back"]);
    site.assert_sound();
    assert_eq!(called_by(&site, &["run", BUCKET, "--suffixes", "png"], 0), once([]));
    assert_eq!(called_by(&site, &RUN, 0), once(KEYS));
    assert_eq!(called_by(&site, &RUN, 0), once([]));
}

#[test]
fn a_retag_that_fails_temporarily_is_called_again() {
    let site = labelled();
    site.costag(&["retag", "--prefix", "a/"]).with(0);
    site.change(r#"{"faults":{"internal_error":1.0},"fault_keys":"a/"}"#);
    site.run(&[]).with(3);
    site.assert_sound();
    site.change(r#"{"clear":true}"#);
    site.run(&["--suffixes", "png"]).with(0);
    site.assert_sound();
    assert_eq!(called_by(&site, &RUN, 0), once(["a/1.jpg", "a/2.jpg", "a/3.jpg"]));
    assert_eq!(called_by(&site, &RUN, 0), once([]));
    site.assert_exports("camera");
}

#[test]
fn a_retag_ends_when_its_image_fails_permanently() {
    let site = labelled();
    site.costag(&["retag", "--prefix", "a/1"]).with(0);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"a/"}"#);
    site.run(&[]).with(3);
    site.change(r#"{"clear":true}"#);
    site.assert_sound();
    assert_eq!(called_by(&site, &RUN, 0), once([]));
    site.costag(&["retag", "--prefix", "a/1"]).with(0).says(&["put back 1 image"]);
    assert_eq!(called_by(&site, &RUN, 0), once(["a/1.jpg"]));
    assert_eq!(called_by(&site, &RUN, 0), once([]));
}

/// A run calls two images before its budget ends it. The others are pending.
fn unfinished(options: &[&str]) -> Site {
    let objects: Vec<_> = KEYS.iter().map(|key| (*key, *key)).collect();
    let site = Site::holding(&objects);
    site.write("keys.txt", KEYS.join("\n"));
    site.run(&[options, &["--max-calls", "2"]].concat()).with(8);
    // Which two depends on the order in which the look-ups of a list are answered.
    assert_eq!(site.called().into_values().collect::<Vec<_>>(), [1, 1]);
    site
}

#[rstest]
#[case::run(&[], &["run", BUCKET])]
#[case::resume(&[], &["resume", "--max-calls", "1000"])]
#[case::resume_of_a_list(&["--keys", "keys.txt"], &["resume", "--max-calls", "1000"])]
fn an_image_put_back_during_an_unfinished_run_is_called_when_it_continues(
    #[case] options: &[&str],
    #[case] goes_on: &[&str],
) {
    let site = unfinished(options);
    site.costag(&["retag", "--all"]).with(0).says(&["put back 2 images"]);
    site.assert_sound();
    let called = called_by(&site, goes_on, 0);
    assert_eq!(called, once(KEYS));
    assert_eq!(called_by(&site, &RUN, 0), once([]));
    site.assert_exports("camera");
}

#[rstest]
#[case::run(&["run", BUCKET], 0)]
#[case::resume(&["resume", "--max-calls", "1000"], 3)]
fn a_retry_during_an_unfinished_run_is_called_when_it_continues(
    #[case] goes_on: &[&str],
    #[case] code: i32,
) {
    let objects: Vec<_> = KEYS.iter().map(|key| (*key, *key)).collect();
    let site = Site::holding(&objects);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"a/"}"#);
    site.run(&["--max-calls", "4", "--workers", "1"]).with(8);
    assert_eq!(site.states(), [2, 0, 1, 3]);
    site.change(r#"{"clear":true}"#);
    site.costag(&["retry", "--key", "a/[12].jpg"]).with(0).says(&["put back 2 images"]);
    // An image that was put back is no longer a failure of the run. One that was not put back is still a failure of
    // the first run.
    let called = called_by(&site, goes_on, code);
    assert_eq!(called, once(["a/1.jpg", "a/2.jpg", "b/5.jpg", "c/6.jpg"]));
    site.costag(&["retry"]).with(0).says(&["put back 1 image"]);
    assert_eq!(called_by(&site, &RUN, 0), once(["a/3.jpg"]));
    site.assert_exports("camera");
}

#[test]
fn a_resumed_run_has_no_failure_left_if_all_were_put_back() {
    let objects: Vec<_> = KEYS.iter().map(|key| (*key, *key)).collect();
    let site = Site::holding(&objects);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"a/"}"#);
    site.run(&["--max-calls", "4", "--workers", "1"]).with(8);
    site.change(r#"{"clear":true}"#);
    site.costag(&["retry"]).with(0);
    site.resume().with(0).says(&["tagged    6 images", "left      nothing"]);
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn an_image_put_back_outside_the_scope_of_an_unfinished_run_waits() {
    let site = labelled();
    site.costag(&["run", "cos://demo-1250000000/a/", "--scenes", "web", "--max-calls", "1"])
        .with(8);
    site.costag(&["retag", "--all"]).with(0);
    site.reset();
    let resumed = called_by(&site, &["resume", "--max-calls", "1000"], 0);
    assert_eq!(resumed, once(["a/1.jpg", "a/2.jpg", "a/3.jpg"]));
    assert_eq!(called_by(&site, &RUN, 0), once(["b/4.jpg", "b/5.jpg", "c/6.jpg"]));
    assert_eq!(called_by(&site, &RUN, 0), once([]));
}

#[test]
fn a_retag_during_an_unfinished_run_calls_no_key_that_is_gone() {
    let site = unfinished(&[]);
    site.costag(&["retag", "--all"]).with(0);
    site.delete(&["a/3.jpg"]);
    site.put(&[("z/3.jpg", "a/3.jpg")]);
    site.put_at("b/4.jpg", "other bytes", 10);
    site.reset();
    let plan = site.json(&["plan", BUCKET, "--json"]);
    assert_eq!(plan["calls"], 6);
    site.run(&[]).with(0);
    assert_eq!(
        site.called(),
        once(["a/1.jpg", "a/2.jpg", "b/4.jpg", "b/5.jpg", "c/6.jpg", "z/3.jpg"])
    );
    site.assert_exports("camera");
    site.assert_sound();
    site.resume().with(0).says(&["nothing to resume"]);
}
