//! For each change of the bucket or the settings between two nights: what the second night calls.

use std::collections::BTreeSet;

use costag::emulator::{Holdings, Options, Synthetic};
use rstest::rstest;

use self::Change::{Delete, Nothing, Put};
use crate::support::{BUCKET, Site};

/// Seven keys with five contents that can be called. The size of the last one is 9.
fn site() -> Site {
    let site = Site::holding(&[
        ("a/1.jpg", "one"),
        ("a/2.png", "two"),
        ("a/3.jpg", "three"),
        ("b/3.jpg", "three"),
        ("b/4.JPG", "four"),
        ("b/notes.txt", "text"),
    ]);
    change(&site, &Put("c.jpg", "cold bytes", "DEEP_ARCHIVE"));
    site
}

/// A change to the bucket between the two nights.
enum Change {
    Nothing,
    /// A key, a text that stands for its bytes, and its storage class.
    Put(&'static str, &'static str, &'static str),
    Delete(&'static str),
}

fn change(site: &Site, change: &Change) {
    match *change {
        Change::Nothing => {}
        Change::Put(key, content, class) => {
            let put = serde_json::json!({ "key": key, "content": content, "storage_class": class });
            site.ask("POST", "objects", &serde_json::json!({ "put": [put] }).to_string());
        }
        Change::Delete(key) => site.delete(&[key]),
    }
}

/// A night: the part of the address after the bucket, and the options.
struct Night(&'static str, &'static [&'static str]);

const ALL: Night = Night("", &[]);
const PLAIN: [&str; 5] = ["a/1.jpg", "a/2.png", "a/3.jpg", "b/3.jpg", "b/4.JPG"];

#[rstest]
#[case::nothing(ALL, Nothing, ALL, &[], &PLAIN)]
#[case::a_suffix_more(Night("", &["--suffixes", "jpg"]), Nothing, ALL, &["a/2.png"], &PLAIN)]
#[case::a_suffix_less(ALL, Nothing, Night("", &["--suffixes", "png"]), &[], &PLAIN)]
#[case::another_suffix(
    Night("", &["--suffixes", "png"]),
    Nothing,
    Night("", &["--suffixes", "jpg"]),
    &["a/1.jpg", "a/3.jpg|b/3.jpg", "b/4.JPG"],
    &PLAIN
)]
#[case::a_glob_less(Night("", &["--include", "a/*"]), Nothing, ALL, &["b/4.JPG"], &PLAIN)]
#[case::a_glob_more(ALL, Nothing, Night("", &["--exclude", "b/**"]), &[], &PLAIN)]
#[case::a_smaller_size(
    Night("", &["--min-size", "4"]),
    Nothing,
    Night("", &["--min-size", "3"]),
    &["a/1.jpg", "a/2.png"],
    &PLAIN
)]
#[case::a_larger_size(
    Night("", &["--max-size", "3"]),
    Nothing,
    Night("", &["--max-size", "4"]),
    &["b/4.JPG"],
    &["a/1.jpg", "a/2.png", "b/4.JPG"]
)]
#[case::a_scene_more(
    ALL,
    Nothing,
    Night("", &["--scenes", "camera,web"]),
    &["a/1.jpg", "a/2.png", "a/3.jpg|b/3.jpg", "b/4.JPG"],
    &PLAIN
)]
#[case::a_scene_less(Night("", &["--scenes", "camera,web"]), Nothing, ALL, &[], &PLAIN)]
#[case::a_prefix_then_all(Night("/a/", &[]), Nothing, ALL, &["b/4.JPG"], &PLAIN)]
#[case::all_then_a_prefix(ALL, Nothing, Night("/b/", &[]), &[], &PLAIN)]
#[case::another_prefix(
    Night("/b/", &[]),
    Nothing,
    Night("/a/", &[]),
    &["a/1.jpg", "a/2.png"],
    &PLAIN
)]
#[case::a_prefix_that_has_nothing(
    Night("/zzz", &[]),
    Nothing,
    Night("/a/2", &[]),
    &["a/2.png"],
    &["a/2.png"]
)]
#[case::restored(
    ALL,
    Put("c.jpg", "cold bytes", "STANDARD"),
    ALL,
    &["c.jpg"],
    &["a/1.jpg", "a/2.png", "a/3.jpg", "b/3.jpg", "b/4.JPG", "c.jpg"]
)]
#[case::still_archived(ALL, Put("c.jpg", "cold bytes", "ARCHIVE"), ALL, &[], &PLAIN)]
#[case::archived(ALL, Put("a/1.jpg", "one", "ARCHIVE"), ALL, &[], &PLAIN)]
#[case::a_copy_more(
    ALL,
    Put("b/5.jpg", "one", "STANDARD"),
    ALL,
    &[],
    &["a/1.jpg", "a/2.png", "a/3.jpg", "b/3.jpg", "b/4.JPG", "b/5.jpg"]
)]
#[case::the_called_copy_goes(
    Night("/a/", &[]),
    Delete("a/3.jpg"),
    ALL,
    &["b/4.JPG"],
    &["a/1.jpg", "a/2.png", "b/3.jpg", "b/4.JPG"]
)]
#[case::without_dedupe(
    ALL,
    Put("b/5.jpg", "one", "STANDARD"),
    Night("", &["--no-dedupe"]),
    &["b/5.jpg"],
    &["a/1.jpg", "a/2.png", "a/3.jpg", "b/3.jpg", "b/4.JPG", "b/5.jpg"]
)]
#[case::written_over_outside_the_prefix(
    ALL,
    Put("b/4.JPG", "five", "STANDARD"),
    Night("/a/", &[]),
    &[],
    &PLAIN
)]
fn a_change_between_two_nights_causes_exactly_the_expected_calls(
    #[case] first: Night,
    #[case] between: Change,
    #[case] second: Night,
    #[case] called: &[&str],
    #[case] labelled: &[&str],
) {
    let site = site();
    let run = |night: &Night| {
        let address = format!("{BUCKET}{}", night.0);
        site.costag(&[&["run", &address], night.1].concat()).with(0);
        site.assert_sound();
    };
    run(&first);
    change(&site, &between);
    site.reset();
    run(&second);
    // Any of several copies may be the one that is called.
    let mut left: Vec<Vec<_>> = called.iter().map(|keys| keys.split('|').collect()).collect();
    for (key, calls) in site.called() {
        assert_eq!(calls, 1, "{key}");
        let at = left.iter().position(|keys| keys.contains(&key.as_str()));
        left.remove(at.unwrap_or_else(|| panic!("{key} was called")));
    }
    assert!(left.is_empty(), "not called: {left:?}");
    let exported =
        || -> BTreeSet<String> { site.export(&[]).into_iter().map(|row| row[0].clone()).collect() };
    let after = exported();
    assert!(after.iter().eq(labelled), "{after:?}");
    // A third night with the settings of the second one makes no call.
    site.reset();
    run(&second);
    assert_eq!(site.calls(), 0);
    assert_eq!(exported(), after);
}

#[test]
fn another_bucket_in_the_same_database_shares_contents_but_not_objects() {
    let site = site();
    site.run(&[]).with(0);
    let holdings = Holdings::Objects(Synthetic { objects: 0, ..Synthetic::default() });
    let bucket = "second-1250000001".to_owned();
    let other = Site::with(Options { holdings, bucket, ..Options::default() });
    other.put(&[("x.jpg", "one"), ("y.jpg", "nine"), ("a/1.jpg", "ten")]);
    let endpoint = other.emulator.endpoint();
    let run = ["run", "cos://second-1250000001", "--endpoint", &endpoint];
    site.costag(&run).with(0);
    assert_eq!(other.called().into_keys().collect::<Vec<_>>(), ["a/1.jpg", "y.jpg"]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM object WHERE gone_run IS NOT NULL"), 0);
    let keys = |options: &[&str]| -> BTreeSet<String> {
        let text = site.costag(&[&["export"], options].concat()).with(0).stdout;
        crate::support::rows(&text).into_iter().map(|row| row[..2].join("/")).collect()
    };
    assert_eq!(keys(&[]).len(), PLAIN.len() + 3);
    let second = keys(&["--bucket", "second-1250000001"]);
    assert_eq!(second.len(), 3);
    site.reset();
    other.reset();
    site.run(&[]).with(0);
    site.costag(&run).with(0);
    assert_eq!((site.calls(), other.calls()), (0, 0));
    site.assert_sound();
}

#[rstest]
#[case::with_it_first(&[], &["--no-dedupe"])]
#[case::without_it_first(&["--no-dedupe"], &[])]
fn changing_dedupe_does_not_pay_again_for_labelled_images(
    #[case] first: &[&str],
    #[case] then: &[&str],
) {
    let site = site();
    let run = |options: &[&[&str]]| {
        site.reset();
        site.run(&options.concat()).with(0);
        site.assert_sound();
        site.called().into_keys().collect::<Vec<_>>()
    };
    run(&[first]);
    let exported = site.export(&[]);
    assert!(run(&[then]).is_empty());
    // Excluded by a filter, and wanted again.
    assert!(run(&[then, &["--exclude", "**"]]).is_empty());
    assert!(run(&[then]).is_empty());
    // Archived, and later restored.
    for class in ["ARCHIVE", "STANDARD"] {
        change(&site, &Put("a/1.jpg", "one", class));
        assert!(run(&[then]).is_empty());
        assert_eq!(site.export(&[]).len(), exported.len());
    }
    assert!(run(&[first]).is_empty());
    site.assert_exports("camera");
}

#[test]
fn another_scene_after_a_run_without_dedupe_is_called_alone() {
    let site = site();
    site.run(&["--no-dedupe"]).with(0);
    site.run(&["--scenes", "camera,web"]).with(0);
    let asked = "SELECT group_concat(DISTINCT scenes) FROM call WHERE run_id = 2";
    assert_eq!(site.one::<String>(asked), "8");
    for scene in ["camera", "web"] {
        assert_eq!(site.export(&["--scene", scene]), site.expected(scene));
    }
    site.assert_sound();
}

#[rstest]
#[case::off_and_on(&["--no-dedupe"], &[])]
#[case::on_and_off(&[], &["--no-dedupe"])]
fn labels_stay_when_dedupe_and_scenes_change(#[case] first: &[&str], #[case] then: &[&str]) {
    let site = site();
    // The same bytes exist as a shared content and as a content of their own.
    site.run(&["--scenes", "web", "--max-calls", "2"]).with(8);
    site.run(first).with(0);
    site.run(&[then, &["--scenes", "web"]].concat()).with(0);
    site.assert_sound();
    for scene in ["camera", "web"] {
        assert_eq!(site.export(&["--scene", scene]), site.expected(scene), "{scene}");
    }
    let calls = site.calls();
    site.run(first).with(0);
    site.run(then).with(0);
    assert_eq!(site.calls(), calls);
}
