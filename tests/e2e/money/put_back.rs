//! `costag retag` and `costag retry`: exactly the chosen images are called again.

use std::collections::BTreeMap;

use costag::emulator::Settings;

use crate::support::{BUCKET, Site};

/// Twelve labelled images in two folders.
fn labelled() -> Site {
    let keys: Vec<String> =
        (0..12).map(|n| format!("{}/{n}.jpg", if n < 8 { "many" } else { "few" })).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_str())).collect();
    let site = Site::holding(&objects);
    site.run(&[]).with(0);
    site.reset();
    site
}

/// Runs once more and returns how often each key was called.
#[track_caller]
fn next_run(site: &Site, options: &[&str]) -> BTreeMap<String, u64> {
    site.reset();
    site.run(options).with(0);
    site.called()
}

#[test]
fn retag_calls_exactly_the_chosen_images() {
    let site = labelled();
    let before = site.export(&[]);
    let tables = site.tables(&[]);
    let price = ["--price-per-1000-calls", "10"];
    site.write("costag.toml", "price_per_1000_calls = 10\n");
    let dry = site.costag(&["retag", "--prefix", "few/", "--dry-run"]).with(0);
    dry.says(&["would put back 4 images", "calls: 4 for camera", "0.04 CNY"]);
    assert_eq!(site.tables(&[]), tables, "a dry run changes nothing");
    assert!(next_run(&site, &price).is_empty());

    site.costag(&["retag", "--prefix", "few/"]).with(0).says(&["put back 4 images", "costag run"]);
    assert_eq!(site.export(&[]), before, "labels stay until the new answer is there");
    site.assert_sound();
    let called = next_run(&site, &[]);
    assert_eq!(called.len(), 4);
    assert!(called.iter().all(|(key, calls)| key.starts_with("few/") && *calls == 1));
    assert!(next_run(&site, &[]).is_empty(), "once");
    assert_eq!(site.export(&[]), before);
    site.assert_sound();
}

#[test]
fn retag_chooses_by_label_scene_confidence_and_date() {
    let site = labelled();
    let rows = site.export(&[]);
    let name = rows[0][3].clone();
    let having: std::collections::BTreeSet<_> =
        rows.iter().filter(|row| row[3] == name).map(|row| row[0].clone()).collect();
    site.costag(&["retag", "--label", &name]).with(0);
    assert!(next_run(&site, &[]).into_keys().eq(having), "{name}");
    site.costag(&["retag", "--label", "no such label"]).with(0).says(&["nothing to put back"]);
    site.costag(&["retag", "--scene", "web"]).with(0).says(&["nothing to put back"]);
    site.costag(&["retag", "--older-than", "2020-01-01"]).with(0).says(&["nothing to put back"]);
    assert!(next_run(&site, &[]).is_empty());
    site.costag(&["retag", "--older-than", "2120-01-01"]).with(0).says(&["put back 12 images"]);
    assert_eq!(next_run(&site, &[]).len(), 12);
    site.costag(&["retag"]).with(2).says(&["no images are chosen"]);
    site.costag(&["retag", "--all"]).with(0);
    // A run over a part of the bucket calls the images of that part only. The others still wait.
    site.reset();
    site.costag(&["run", &format!("{BUCKET}/few/")]).with(0);
    assert_eq!(site.calls(), 4);
    assert_eq!(next_run(&site, &[]).len(), 8);
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn labels_stay_when_the_new_answer_fails() {
    let site = labelled();
    let before = site.export(&[]);
    site.costag(&["retag", "--all"]).with(0);
    site.change(r#"{"faults":{"invalid_state":1.0}}"#);
    site.run(&[]).with(3);
    assert_eq!(site.export(&[]), before);
    site.assert_sound();
    // The image has failed for this run. `retry` puts it back once more.
    site.change(r#"{"clear":true}"#);
    assert!(next_run(&site, &[]).is_empty());
    site.costag(&["retry"]).with(0).says(&["put back 12 images"]);
    assert_eq!(next_run(&site, &[]).len(), 12);
    assert_eq!(site.export(&[]), before);
    site.assert_sound();
}

fn failed() -> Site {
    let site = Site::with(costag::emulator::Options {
        settings: Settings::default(),
        holdings: costag::emulator::Holdings::Objects(costag::emulator::Synthetic {
            objects: 0,
            ..Default::default()
        }),
        ..Default::default()
    });
    site.put(&[("a/1.jpg", "1"), ("a/2.jpg", "2"), ("b/3.jpg", "3"), ("good.jpg", "4")]);
    site.put(&[("broken.txt", "no picture")]);
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"/"}"#);
    site.run(&ALL).with(3);
    assert_eq!(site.states(), [0, 0, 1, 4]);
    site.change(r#"{"clear":true}"#);
    site
}

const ALL: [&str; 2] = ["--suffixes", "jpg,txt"];

#[test]
fn retry_puts_back_by_code_and_by_key() {
    let site = failed();
    assert!(next_run(&site, &ALL).is_empty(), "nothing of it heals by itself");
    site.costag(&["retry", "--key", "a/*", "--dry-run"]).with(0).says(&["would put back 2 images"]);
    assert!(next_run(&site, &ALL).is_empty());
    site.costag(&["retry", "--key", "a/*"]).with(0).says(&["put back 2 images"]);
    site.assert_sound();
    assert_eq!(next_run(&site, &ALL).into_keys().collect::<Vec<_>>(), ["a/1.jpg", "a/2.jpg"]);
    site.costag(&["retry", "--code", "NoSuchCode"]).with(0).says(&["nothing to put back"]);
    let both = ["retry", "--code", "InvalidObjectState", "--dry-run", "--key"];
    site.costag(&[&both[..], &["b/*"]].concat()).with(0).says(&["would put back 1 image"]);
    site.costag(&[&both[..], &["*.txt"]].concat()).with(0).says(&["would put back no image"]);
    site.costag(&["retry", "--code", "InvalidObjectState"]).with(0).says(&["put back 1 image"]);
    assert_eq!(next_run(&site, &ALL).into_keys().collect::<Vec<_>>(), ["b/3.jpg"]);
    assert_eq!(site.one::<String>("SELECT key FROM failure"), "broken.txt");
    site.costag(&["retry", "--key", "[", "--code", "X"]).with(2);
    // A permanent failure fails again.
    site.costag(&["retry"]).with(0).says(&["put back 1 image"]);
    site.reset();
    site.run(&ALL).with(3);
    assert_eq!(site.called().into_keys().collect::<Vec<_>>(), ["broken.txt"]);
    site.assert_exports("camera");
    site.assert_sound();
}

#[test]
fn a_failed_scene_is_not_reported_once_no_run_asks_for_it() {
    let site = labelled();
    let both = ["--scenes", "camera,web"];
    let failed =
        || site.costag(&["status", "--failures", "--csv"]).with(0).stdout.lines().count() - 1;
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"few/"}"#);
    site.run(&both).with(3);
    assert_eq!(failed(), 4);
    site.change(r#"{"clear":true}"#);
    site.reset();
    site.run(&[]).with(0);
    assert_eq!((site.calls(), failed()), (0, 0));
    assert_eq!(site.one::<i64>("SELECT count(*) FROM failure"), 0);
    site.assert_sound();
    // costag remembers that these images cannot be labelled, so the next run makes no call.
    let plan = site.json(&[&["plan", BUCKET, "--json"], &both[..]].concat());
    assert_eq!((&plan["calls"], &plan["given_up"]), (&0.into(), &4.into()));
    site.run(&both).with(0);
    assert_eq!((site.calls(), failed()), (0, 4));
    site.assert_sound();
    site.costag(&["retry"]).with(0).says(&["put back 4 images"]);
    assert_eq!(next_run(&site, &both).len(), 4);
    assert_eq!(failed(), 0);
    for scene in ["camera", "web"] {
        assert_eq!(site.export(&["--scene", scene]), site.expected(scene));
    }
    site.assert_sound();
}

#[test]
fn an_image_put_back_stays_so_until_a_run_wants_it() {
    let site = labelled();
    let both = ["--scenes", "camera,web"];
    site.change(r#"{"faults":{"invalid_state":1.0},"fault_keys":"few/"}"#);
    site.run(&both).with(3);
    site.change(r#"{"clear":true}"#);
    site.costag(&["retry"]).with(0);
    assert!(next_run(&site, &[]).is_empty());
    assert_eq!(next_run(&site, &both).len(), 4);
}

#[test]
fn nothing_is_put_back_during_a_run() {
    let site = labelled();
    site.change(r#"{"latency_ms":30000}"#);
    let run = site.start(&["run", BUCKET, "--scenes", "web"]);
    crate::support::wait_until("a call", || site.calls() >= 1);
    site.costag(&["retry"]).with(11);
    site.costag(&["retag", "--all"]).with(11);
    site.costag(&["retag", "--all", "--dry-run"]).with(0);
    drop(run);
}

/// One good image and one file that is not an image, both called long after they were written.
fn with_a_bad_image() -> Site {
    let site = Site::with(costag::emulator::Options {
        holdings: costag::emulator::Holdings::Objects(costag::emulator::Synthetic {
            objects: 0,
            ..Default::default()
        }),
        ..Default::default()
    });
    site.put_at("bad.txt", BAD, -1_000);
    site.put_at("good.jpg", "4", -1_000);
    site.run(&ALL).with(3);
    assert_eq!(site.states(), [0, 0, 1, 1]);
    site.reset();
    site
}

const BAD: &str = "no picture";

#[test]
fn a_bad_image_that_was_gone_and_is_back_is_not_called_again() {
    let site = with_a_bad_image();
    for (back, seconds) in [("bad.txt", 10), ("bad.txt", 2_000), ("renamed.txt", 3_000)] {
        site.delete(&["bad.txt"]);
        site.run(&ALL).with(0);
        site.put_at(back, BAD, seconds);
        site.run(&ALL).with(0);
        site.assert_sound();
        assert_eq!(site.calls(), 0, "{back}");
        assert_eq!(site.one::<String>("SELECT key FROM failure"), back);
    }
    // A copy of the bad file, and then the same bytes written again.
    site.put_at("copy.txt", BAD, 4_000);
    site.put_at("renamed.txt", BAD, 4_000);
    site.run(&ALL).with(0);
    assert_eq!(site.calls(), 0);
    site.costag(&["retry"]).with(0).says(&["put back 1 image"]);
    site.run(&ALL).with(3);
    assert_eq!(site.calls(), 1);
    site.assert_sound();
}

#[test]
fn a_bad_image_that_was_written_over_and_is_back_is_not_called_again() {
    let site = with_a_bad_image();
    site.put_at("copy.txt", BAD, -1_000);
    site.put_at("bad.txt", "now a picture, or not", 100);
    site.run(&ALL);
    assert_eq!(next_run_of_all(&site), 0, "the copy has the bytes that failed");
    let calls = site.calls();
    site.put_at("bad.txt", BAD, 200);
    site.run(&ALL).with(0);
    assert_eq!(site.calls(), calls, "the old bytes are known to fail");
    site.assert_sound();
}

/// Runs over everything once more and returns the number of calls.
fn next_run_of_all(site: &Site) -> u64 {
    let before = site.calls();
    site.run(&ALL);
    site.calls() - before
}

#[test]
fn an_image_that_was_missing_when_it_was_called_is_called_when_it_returns() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2")]);
    site.change(r#"{"faults":{"not_found":1.0},"fault_keys":"a"}"#);
    site.run(&[]).with(3);
    site.change(r#"{"clear":true}"#);
    site.delete(&["a.jpg"]);
    site.run(&[]).with(0);
    site.assert_sound();
    site.put(&[("moved.jpg", "1")]);
    assert!(next_run(&site, &[]).into_keys().eq(["moved.jpg"]));
    site.assert_exports("camera");
    site.assert_sound();
}
