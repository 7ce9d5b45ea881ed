//! Somebody loads exports into another database, and later only what changed.

use crate::support::Site;

#[test]
fn an_export_of_changes_has_each_changed_key_with_all_its_rows_and_no_other_key() {
    let site = Site::holding(&[("a.jpg", "one"), ("b.jpg", "two"), ("c.jpg", "three")]);
    site.put(&[("copy of a.jpg", "one"), ("d.txt", "no picture")]);
    site.run(&["--scenes", "camera"]).with(0);
    let mut loaded = site.loaded(&[]);
    assert_eq!(loaded.len(), 4);
    let nothing = site.costag(&["export", "--since-run", "1"]).with(0);
    assert_eq!(nothing.stdout.lines().count(), 1, "only the header: {}", nothing.stdout);
    assert!(nothing.stdout.ends_with(",tagged_at,deleted\n"));
    nothing.says(&["--since-run 1\n"]);

    site.run(&["--scenes", "camera"]).with(0);
    let nothing = site.costag(&["export", "--since-run", "1"]).with(0);
    assert_eq!(nothing.stdout.lines().count(), 1, "a night without changes: {}", nothing.stdout);

    site.delete(&["b.jpg", "d.txt"]);
    site.put(&[("c.jpg", "three, but new"), ("e.jpg", "one")]);
    site.run(&["--scenes", "camera"]).with(0);
    let changes =
        site.costag(&["export", "--since-run", "2", "--columns", "key", "--layout", "wide"]);
    let changes = changes.with(0).says(&["3 rows written", "--since-run 3\n"]);
    assert_eq!(changes.stdout, "key,deleted\nb.jpg,true\nc.jpg,false\ne.jpg,false\n");
    site.apply_changes(&mut loaded, 1, &[]);
    assert_eq!(loaded, site.loaded(&[]));
    let json = site.costag(&["export", "--since-run", "2", "--format", "jsonl"]).with(0).stdout;
    let gone: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&gone["key"], &gone["name"]), (&"b.jpg".into(), &serde_json::Value::Null));
    assert_eq!(gone["deleted"], true);

    // A scene that is added changes every labelled image.
    site.run(&["--scenes", "camera,web"]).with(0);
    let all = site.loaded(&["--since-run", "3"]);
    assert_eq!(all.len(), site.loaded(&[]).len());
    site.apply_changes(&mut loaded, 3, &[]);
    assert_eq!(loaded, site.loaded(&[]));
}

#[test]
fn changes_after_a_run_that_does_not_exist_are_refused() {
    let site = Site::plain(5);
    site.run(&[]).with(0);
    for (arguments, told) in [
        (&["--since-run", "2"][..], "there is no run 2"),
        (&["--since-run", "0"], "there is no run 0"),
        (&["--since-run", "1", "--columns", "name"], "needs the column key"),
        (&["--since-run", "1", "--include-gone"], "cannot be used with"),
        (&["--since-run", "one"], "invalid value"),
    ] {
        site.costag(&[&["export"], arguments].concat()).with(2).says(&[told]);
    }
    site.tamper("UPDATE meta SET value = 2 WHERE name = 'changes_since'");
    site.costag(&["export", "--since-run", "1"]).with(2).says(&["run 1 is not known", "run 2"]);
}
