//! Overwritten objects: labels belong to the bytes, not to the key.

use crate::support::{BUCKET, Site};

#[test]
fn an_overwritten_object_gets_new_labels_and_other_keys_keep_the_old_ones() {
    let site = Site::holding(&[("a.jpg", "old"), ("b.jpg", "old"), ("c.jpg", "old")]);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 1);
    let of = |key: &str| -> Vec<_> {
        let rows = site.export(&[]).into_iter().filter(|row| row[0] == key);
        rows.map(|row| row[1..7].to_vec()).collect()
    };
    let old = of("b.jpg");
    // The object is overwritten some time after it was called.
    site.put_at("a.jpg", "new", 5);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 2);
    assert_eq!(of("b.jpg"), old);
    assert_eq!(of("c.jpg"), old);
    assert_ne!(of("a.jpg"), old);
    site.assert_exports("camera");
    // The old bytes come back: their labels are known.
    site.put_at("a.jpg", "old", 10);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 2);
    assert_eq!(of("a.jpg"), old);
    site.assert_exports("camera");
    site.assert_sound();
}

/// A run lists the object with the bytes "old" and stops before it calls them. Then the object is overwritten.
fn overwritten_before_its_call(objects: &[(&str, &str)]) -> Site {
    let site = Site::holding(&[&[("0.jpg", "first")], objects].concat());
    site.run(&["--max-calls", "1", "--workers", "1"]).with(8);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["0.jpg"]);
    site.put_at("a.jpg", "new", -5);
    site
}

#[test]
fn an_object_overwritten_before_its_call_is_corrected_the_next_night() {
    let site = overwritten_before_its_call(&[("a.jpg", "old"), ("b.jpg", "old")]);
    site.resume().with(0);
    assert_eq!(site.calls(), 2);
    // In this night, the answer is stored under the ETag that was listed, for both keys.
    let names = |rows: &[Vec<String>], key: &str| -> Vec<String> {
        rows.iter().filter(|row| row[0] == key).map(|row| row[3].clone()).collect()
    };
    let (exported, expected) = (site.export(&[]), site.expected("camera"));
    assert_eq!(names(&exported, "a.jpg"), names(&expected, "a.jpg"));
    assert_eq!(names(&exported, "b.jpg"), names(&exported, "a.jpg"));
    assert_ne!(names(&exported, "b.jpg"), names(&expected, "b.jpg"));
    // The next night notices: the new bytes are called, and the old bytes again through the key that still has them.
    site.run(&[]).with(0);
    site.assert_exports("camera");
    assert_eq!(site.calls(), 4);
    assert_eq!(site.called()["b.jpg"], 1);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 4);
    site.assert_sound();
}

#[test]
fn wrong_labels_are_dropped_for_keys_outside_the_prefix_too() {
    let site = overwritten_before_its_call(&[("a.jpg", "old"), ("z/b.jpg", "old")]);
    site.resume().with(0);
    // This run lists a.jpg but not z/b.jpg.
    site.costag(&["run", &format!("{BUCKET}/a")]).with(0);
    site.assert_sound();
    site.run(&[]).with(0);
    site.assert_exports("camera");
    site.assert_sound();
}

/// `a.jpg` was overwritten before its call. The next listing drops the labels that it shares with other keys.
#[test]
fn an_excluded_key_is_not_called_when_its_shared_labels_are_dropped() {
    let site = overwritten_before_its_call(&[("a.jpg", "old"), ("b.jpg", "old"), ("c.png", "old")]);
    site.resume().with(0);
    site.reset();
    site.run(&["--exclude", "b*", "--suffixes", "jpg"]).with(0);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["a.jpg"]);
    site.assert_sound();
    // A run that wants the key calls it.
    site.reset();
    site.run(&["--suffixes", "png", "--scenes", "camera"]).with(0);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["c.png"]);
    site.assert_sound();
    site.reset();
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 0);
    site.assert_exports("camera");
}

#[test]
fn dropped_labels_are_called_again_with_the_scenes_of_the_run_that_wants_the_image() {
    let site = overwritten_before_its_call(&[("a.jpg", "old"), ("z/b.jpg", "old")]);
    site.resume().with(0);
    site.reset();
    // The other key is outside the prefix of this run.
    site.costag(&["run", &format!("{BUCKET}/a"), "--scenes", "news"]).with(0);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["a.jpg"]);
    site.assert_sound();
    site.reset();
    site.costag(&["run", &format!("{BUCKET}/z"), "--scenes", "web"]).with(0);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["z/b.jpg"]);
    let asked = "SELECT scenes FROM call ORDER BY id DESC LIMIT 1";
    assert_eq!(site.one::<i64>(asked), 8, "web, which this run asks for");
    site.assert_sound();
}
