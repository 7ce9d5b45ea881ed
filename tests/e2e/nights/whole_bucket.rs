//! A whole bucket with every kind of key: the export has exactly what the service knows.

use costag::emulator::{Settings, Synthetic};

use crate::support::{Site, rows};

fn odd(objects: u64) -> Synthetic {
    Synthetic {
        objects,
        awkward: 0.3,
        non_images: 0.08,
        folders: 0.05,
        zero_bytes: 0.05,
        archived: 0.06,
        duplicates: 0.2,
        labels_per_image: 6,
        ..Synthetic::default()
    }
}

#[test]
fn every_key_is_exported_unchanged_and_every_content_is_called_once() {
    let site = Site::new(odd(2500), Settings::default());
    let ended = site.run(&["--scenes", "web,camera"]).with(0);
    site.assert_exports("web,camera");

    let statistics = site.emulator.statistics();
    let contents = site.contents();
    assert_eq!(statistics.calls, contents);
    assert_eq!(statistics.most_calls_for_one_key, 1);
    assert_eq!(statistics.bad_signatures, 0);
    assert_eq!(statistics.head_calls, 0);
    assert_eq!(site.ledger(), (contents, 0));
    assert_eq!(site.states(), [0, 0, contents.cast_signed(), 0]);

    assert_eq!(site.one::<i64>("SELECT count(*) FROM object"), 2500);
    let skipped = |reason: &str, by: &str| {
        let of = |sql: String| site.one::<i64>(&format!("SELECT count(*) FROM object WHERE {sql}"));
        let all = of(format!("skip_reason = '{reason}'"));
        assert!(all > 0, "{reason}");
        assert_eq!(of(format!("skip_reason = '{reason}' AND NOT ({by})")), 0, "{reason}");
        assert!(ended.stderr.contains(&format!("{reason} {all}")), "{}", ended.stderr);
        all
    };
    let skips = skipped("folder", "key LIKE '%/'")
        + skipped("suffix", "key LIKE '%.txt' OR key LIKE '%.mp4'")
        + skipped("archive", "storage_class LIKE '%ARCHIVE'")
        + skipped("empty", "key LIKE '%.jpg' OR key LIKE '%.png'");
    let wanted = site.one::<i64>("SELECT count(*) FROM object WHERE skip_reason IS NULL");
    assert_eq!(wanted + skips, 2500);
    let labelled = "SELECT count(DISTINCT key) FROM labels";
    assert_eq!(site.one::<i64>(labelled), wanted, "every wanted object has labels");
    assert!(contents.cast_signed() < wanted, "some are copies");
}

#[test]
fn a_second_night_over_the_same_bucket_calls_nothing_and_writes_nothing() {
    let site = Site::new(Synthetic { empty_labels: 0.2, ..odd(1200) }, Settings::default());
    site.run(&[]).with(0);
    let (calls, tables) = (site.calls(), site.tables(&["run", "range"]));
    assert!(calls > 0 && tables["label"].len() > 100);
    for _ in 0..2 {
        let ended = site.run(&[]).with(0);
        assert!(!ended.stderr.contains("changes"), "nothing has changed: {}", ended.stderr);
        assert_eq!(site.calls(), calls);
        assert_eq!(site.tables(&["run", "range"]), tables);
    }
    assert_eq!(site.one::<i64>("SELECT count(*) FROM run WHERE state = 'complete'"), 3);
}

#[test]
fn the_hundredth_night_costs_as_little_as_the_second() {
    let site = Site::new(odd(40), Settings::default());
    site.run(&[]).with(0);
    let (calls, tables) = (site.calls(), site.tables(&["run", "range"]));
    for _ in 2..=100 {
        site.run(&[]).with(0);
    }
    assert_eq!((site.calls(), site.tables(&["run", "range"])), (calls, tables));
    assert_eq!(site.one::<i64>("SELECT count(*) FROM run WHERE state = 'complete'"), 100);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM range"), 100);
    site.assert_sound();
}

#[test]
fn without_dedupe_every_key_is_called() {
    let site = Site::holding(&[("a.jpg", "same"), ("b.jpg", "same"), ("c.jpg", "other")]);
    site.run(&[]).with(0);
    assert_eq!(site.calls(), 2);
    let site = Site::holding(&[("a.jpg", "same"), ("b.jpg", "same"), ("c.jpg", "other")]);
    site.run(&["--no-dedupe"]).with(0);
    assert_eq!(site.called().len(), 3);
    assert_eq!(site.calls(), 3);
    site.assert_exports("camera");
}

#[test]
fn an_export_contains_exactly_the_chosen_rows() {
    let site = Site::new(odd(60), Settings::default());
    site.run(&["--scenes", "web,camera"]).with(0);
    let all = site.export(&[]);
    let only = |keep: &dyn Fn(&Vec<String>) -> bool, options: &[&str]| {
        let some: Vec<_> = all.iter().filter(|row| keep(row)).cloned().collect();
        assert!(!some.is_empty() && some.len() < all.len(), "{options:?}");
        assert_eq!(site.export(options), some, "{options:?}");
    };
    only(&|row| row[1] == "web", &["--scene", "web"]);
    only(&|row| row[6].parse::<i64>().unwrap() >= 60, &["--min-confidence", "60"]);
    only(&|row| row[3] == all[0][3], &["--label", &all[0][3]]);
    only(&|row| row[0].starts_with("albums/"), &["--prefix", "albums/"]);
    assert!(site.export(&["--bucket", "other-1250000000"]).is_empty());

    let stdout = site.costag(&["export"]).with(0).stdout;
    site.costag(&["export", "-o", "tags.csv"]).with(0);
    let file = std::fs::read_to_string(site.path("tags.csv")).unwrap();
    assert_eq!(file, stdout);
    assert_eq!(rows(&file).len(), all.len());
}
