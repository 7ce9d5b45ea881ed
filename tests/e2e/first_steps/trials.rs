//! Trials with `--limit` and `--sample`: a run is complete after N images, and the next run takes the rest.

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Site, start, wait_until};

/// A bucket of several pages whose listing takes longer than a few calls.
fn slow_listing(objects: u64) -> Site {
    let settings = Settings { list_latency_ms: 300, ..Settings::default() };
    Site::new(Synthetic { objects, ..Synthetic::default() }, settings)
}

/// Asserts that every content was called exactly once, and nothing is left.
#[track_caller]
fn assert_all_is_called_once(site: &Site) {
    assert_eq!(site.calls(), site.contents());
    assert_eq!(site.called().values().max(), Some(&1));
    site.assert_exports("camera");
    site.assert_sound();
}

#[rstest]
#[case::limit("--limit")]
#[case::sample("--sample")]
fn a_trial_is_complete_and_shows_what_the_rest_would_cost(#[case] option: &str) {
    let bucket = Synthetic { objects: 400, duplicates: 0.2, ..Synthetic::default() };
    let site = Site::new(bucket, Settings::default());
    let rest = site.contents() - 25;
    let priced = ["--price-per-1000-calls", "1000", "--qps", "200"];
    let ended = site.run(&[&[option, "25"], &priced[..]].concat()).with(0);
    let whole = format!("25 tagged as asked; {rest} more are wanted: about {rest}.00 CNY, ");
    let seconds = rest.div_ceil(200);
    ended.says(&[
        &whole,
        &format!("{seconds} s at 200/s"),
        &format!("to label the rest, without {option}:\n"),
        "\n  costag run cos://demo-1250000000 --price-per-1000-calls 1000 --qps 200\n",
    ]);
    assert_eq!(site.calls(), 25);
    assert_eq!(site.states()[2], 25);
    assert_eq!(site.one::<String>("SELECT state FROM run"), "complete");
    site.assert_sound();
    let status = site.costag(&["status"]).with(0).stdout;
    assert!(status.contains("complete") && status.contains("next: label the rest, without the limit of the last run:\n  costag run cos://demo-1250000000"), "{status}");
    site.resume().with(0).says(&["nothing to resume"]);
    assert_eq!(site.calls(), 25);
    // The same trial again takes the next images.
    let ended = site.run(&[option, "10"]).with(0);
    ended.says(&[&format!("10 tagged as asked; {} more are wanted", rest - 10)]);
    assert_eq!(site.calls(), 35);
    site.run(&[]).with(0);
    assert_all_is_called_once(&site);
    // Nothing is wanted any more, so nothing is called.
    let ended = site.run(&[option, "10"]).with(0);
    assert!(!ended.stderr.contains("as asked"), "{}", ended.stderr);
    assert_all_is_called_once(&site);
}

#[test]
fn a_trial_larger_than_the_bucket_covers_the_bucket() {
    let site = Site::plain(30);
    let ended = site.run(&["--limit", "30"]).with(0);
    assert!(!ended.stderr.contains("label the rest"), "{}", ended.stderr);
    site.put(&[("new/1.jpg", "one"), ("new/2.jpg", "two")]);
    let ended = site.run(&["--sample", "500"]).with(0);
    assert!(!ended.stderr.contains("label the rest"), "{}", ended.stderr);
    assert_eq!(site.calls(), 32);
}

#[test]
fn a_trial_that_ends_the_listing_early_marks_nothing_as_gone() {
    let site = slow_listing(4_000);
    site.change(r#"{"list_latency_ms":0}"#);
    site.run(&["--limit", "4000"]).with(0);
    assert_eq!(site.calls(), 4_000);
    let keys: Vec<String> = site.called().into_keys().collect();
    // One key of the first page, one of the last page.
    site.delete(&[&keys[3], &keys[3_990]]);
    site.put(&[("0.jpg", "new"), ("1.jpg", "newer"), ("zzz.jpg", "newest")]);
    site.change(r#"{"list_latency_ms":300}"#);
    let ended = site.run(&["--limit", "1", "--list-workers", "1"]).with(0);
    ended.says(&["1 tagged as asked; at least 1 more is wanted"]);
    assert_eq!(site.calls(), 4_001);
    let gone = "SELECT count(*) FROM object WHERE gone_run IS NOT NULL";
    assert_eq!(site.one::<i64>(gone), 0, "a listing that was cut short concludes nothing");
    assert_eq!(site.one::<i64>("SELECT count(*) FROM run WHERE listed_at IS NULL"), 1);
    site.assert_sound();
    site.change(r#"{"list_latency_ms":0}"#);
    site.run(&[]).with(0).says(&["2 gone"]);
    assert_eq!(site.calls(), 4_003, "and takes nothing away from the run that follows");
    assert_eq!(site.one::<i64>(gone), 2);
    site.assert_sound();
}

#[test]
fn a_trial_that_lists_everything_finds_what_is_gone() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3"), ("d.jpg", "4")]);
    site.run(&["--sample", "2"]).with(0);
    site.delete(&["a.jpg"]);
    site.put(&[("e.jpg", "3")]);
    site.delete(&["c.jpg"]);
    let ended = site.run(&["--sample", "1"]).with(0);
    ended.says(&["2 gone"]);
    let moved = site.costag(&["changes"]).with(0).stdout;
    assert!(moved.contains("moved") && moved.contains("a.jpg"), "{moved}");
    site.run(&[]).with(0);
    site.assert_exports("camera");
    site.assert_sound();
}

#[rstest]
#[case::limit("--limit", "run")]
#[case::sample("--sample", "run")]
#[case::limit("--limit", "resume")]
#[case::sample("--sample", "resume")]
fn an_interrupted_trial_continues_to_its_number(#[case] option: &str, #[case] how: &str) {
    let site = Site::plain(300);
    site.run(&[option, "40", "--max-calls", "15"]).with(8).says(&["--max-calls 15"]);
    assert_eq!(site.calls(), 15);
    let told = site.costag(&["status"]).with(0).stdout;
    assert!(told.contains("costag resume"), "{told}");
    let go_on = |limits: &[&str]| match how {
        "run" => site.run(&[&[option, "40"], limits].concat()),
        _ => site.resume_with(limits),
    };
    go_on(&["--max-calls", "5"]).with(8);
    assert_eq!(site.calls(), 20);
    go_on(&[]).with(0).says(&["40 tagged as asked; 260 more are wanted"]);
    assert_eq!(site.calls(), 40);
    assert_eq!(site.called().values().max(), Some(&1));
    site.resume().with(0).says(&["nothing to resume"]);
    site.run(&[]).with(0);
    assert_all_is_called_once(&site);
}

#[rstest]
#[case::limit("--limit")]
#[case::sample("--sample")]
fn a_killed_trial_continues_to_its_number(#[case] option: &str) {
    let settings = Settings { latency_ms: 50, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 200, ..Synthetic::default() }, settings);
    let run = site.start(&["run", BUCKET, option, "60", "--workers", "4"]);
    wait_until("some calls", || site.calls() >= 20);
    assert!(run.kill());
    site.change(r#"{"latency_ms":0}"#);
    site.resume().with(0).says(&["60 tagged as asked"]);
    assert_eq!(site.states(), [140, 0, 60, 0]);
    site.assert_sound();
}

#[test]
fn another_number_given_to_resume_replaces_that_of_the_trial() {
    let site = Site::plain(100);
    site.run(&["--limit", "40", "--max-calls", "15"]).with(8);
    let ended = site.resume_with(&["--limit", "20"]).with(0);
    ended.says(&[
        "20 tagged as asked; 80 more",
        "that command was:\n  costag run ",
        " --limit 40\n",
    ]);
    assert_eq!(site.calls(), 20);
    site.run(&["--limit", "40", "--max-calls", "15"]).with(8);
    // Without a number, the resumed run covers everything.
    site.resume_with(&["--limit", "0"]).with(0);
    assert_all_is_called_once(&site);
}

#[test]
fn a_smaller_number_than_a_run_has_come_to_is_told_as_it_is() {
    let site = Site::plain(30);
    site.run(&["--scenes", "web,news", "--exclude", "*.gif", "--limit", "20", "--max-calls", "10"])
        .with(8);
    let ended = site.resume_with(&["--limit", "5"]).with(0);
    ended.says(&[
        "10 tagged already, and 5 were asked for; ",
        " --scenes news,web --exclude '*.gif'",
        " --limit 20\n",
    ]);
    assert_eq!(site.calls(), 10);
}

#[test]
fn a_resumed_run_may_become_a_trial() {
    let site = Site::plain(100);
    site.run(&["--max-calls", "15"]).with(8);
    let ended = site.resume_with(&["--limit", "10"]).with(0);
    ended.says(&["10 tagged as asked; 75 more are wanted", "\n  costag run cos://demo-1250000000"]);
    assert_eq!(site.calls(), 25);
    site.resume().with(0).says(&["nothing to resume"]);
    site.run(&[]).with(0);
    assert_all_is_called_once(&site);
}

#[test]
fn a_failed_image_counts_for_a_trial() {
    let site = Site::plain(50);
    site.change(r#"{"faults":{"invalid_state":1.0}}"#);
    let ended = site.run(&["--limit", "6", "--max-failures", "0"]).with(3);
    ended.says(&["0 tagged and 6 failed, 6 as asked; 44 more are wanted"]);
    assert_eq!(site.states(), [44, 0, 0, 6]);
    site.change(r#"{"clear":true}"#);
    site.run(&["--limit", "4"]).with(0).says(&["4 tagged as asked; 40 more are wanted"]);
    site.run(&[]).with(0);
    assert_eq!(site.states(), [0, 0, 44, 6]);
    site.assert_sound();
}

#[test]
fn images_that_need_no_call_do_not_count_for_a_trial() {
    let site = Site::holding(&[("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3")]);
    site.run(&[]).with(0);
    site.put(&[("0.jpg", "1"), ("1.jpg", "2"), ("x.jpg", "4"), ("y.jpg", "5"), ("z.jpg", "6")]);
    site.run(&["--limit", "2"]).with(0).says(&["2 tagged as asked; 1 more is wanted"]);
    assert_eq!(site.calls(), 5);
    site.assert_sound();
}

#[rstest]
#[case::limit("--limit")]
#[case::sample("--sample")]
fn a_trial_can_take_its_images_from_a_list(#[case] option: &str) {
    let site = Site::plain(60);
    let keys: Vec<String> = site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.dedup();
    let list = site.write("keys.txt", keys.join("\n"));
    let ended = site.run(&["--keys", &list, option, "7"]).with(0);
    // A trial may end before every line has been looked up. A sample is chosen from the whole list.
    let rest = if option == "--sample" { "53 more are wanted" } else { "more are wanted" };
    ended.says(&["7 tagged as asked; ", rest, "--keys keys.txt\n"]);
    assert_eq!(site.calls(), 7);
    site.resume().with(0).says(&["nothing to resume"]);
    site.run(&["--keys", &list, option, "8"]).with(0);
    assert_eq!(site.calls(), 15);
    site.run(&["--keys", &list]).with(0);
    assert_all_is_called_once(&site);
}

#[test]
fn a_trial_supersedes_no_unfinished_run() {
    let site = Site::plain(100);
    site.run(&["--max-calls", "10"]).with(8);
    site.run(&["--limit", "5"]).with(0).says(&["run 2: complete"]);
    assert_eq!(site.calls(), 15);
    site.resume().with(0).says(&["continuing run 1"]);
    assert_all_is_called_once(&site);
}

#[test]
fn a_run_covers_an_unfinished_trial() {
    let site = Site::plain(100);
    site.run(&["--limit", "40", "--max-calls", "10"]).with(8);
    site.run(&[]).with(0).says(&["run 2: complete"]);
    assert_all_is_called_once(&site);
    site.resume().with(0).says(&["nothing to resume"]);
}

#[test]
fn the_advice_after_a_trial_undoes_a_limit_from_file_or_environment() {
    let site = Site::plain(30);
    site.write("costag.toml", "limit = 5\n");
    let ended = site.run(&[]).with(0);
    ended.says(&[
        "5 tagged as asked",
        "to label the rest:\n  costag run cos://demo-1250000000 --limit 0\n",
    ]);
    let mut command = site.command(&["run", BUCKET, "--no-config", "--scenes=camera"]);
    command.env("COSTAG_SAMPLE", "3");
    let told = "  costag run cos://demo-1250000000 --no-config --scenes=camera --sample 0\n";
    let ended = start(command).end().with(0);
    assert!(ended.stderr.contains(told) || ended.stderr.contains(&told.replace('\'', "")));
    site.run(&["--limit", "0"]).with(0);
    assert_all_is_called_once(&site);
}

#[rstest]
#[case::limit("--limit")]
#[case::sample("--sample")]
fn every_image_of_a_trial_is_settled_when_it_ends(#[case] option: &str) {
    // Each key fails until its second or third pass.
    let mut settings = Settings { fault_attempts: 5, ..Settings::default() };
    settings.set_fault("internal_error", 1.0).unwrap();
    let site = Site::new(Synthetic { objects: 60, ..Synthetic::default() }, settings);
    let ended = site.run(&[option, "8"]).with(0);
    ended.says(&["tagged    8 images", "left      52 images without a call", "  waited    once, "]);
    assert_eq!(site.called().into_values().collect::<Vec<_>>(), [6; 8]);
    // An image that was given up counts too, and the next run tries it again.
    site.change(r#"{"fault_attempts":0}"#);
    let ended = site.run(&[option, "5"]).with(3);
    ended.says(&["0 tagged and 5 failed, 5 as asked; 52 more are wanted"]);
    site.change(r#"{"clear":true}"#);
    site.run(&[]).with(0);
    assert_eq!(site.states(), [0, 0, 60, 0]);
    site.assert_sound();
}

#[test]
fn a_sample_is_taken_from_the_whole_bucket() {
    let site = Site::plain(1000);
    site.run(&["--sample", "60"]).with(0);
    let mut keys: Vec<_> = site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
    keys.dedup();
    let quarters: std::collections::BTreeSet<_> = site
        .called()
        .into_keys()
        .map(|called| keys.iter().position(|key| *key == called).unwrap() * 4 / keys.len())
        .collect();
    assert_eq!(quarters.len(), 4, "{quarters:?}");
    assert_eq!((site.calls(), site.states()), (60, [940, 0, 60, 0]));
    // A sample larger than the bucket takes everything.
    site.run(&["--sample", "5000"]).with(0);
    assert_eq!(site.calls(), 1000);
}

#[test]
fn the_short_option_v_logs_what_a_run_does() {
    let site = Site::plain(3);
    let told = ["the run begins", "range listed", "the listing is complete", "the run has ended"];
    let ended = site.run(&["-v"]).with(0);
    for text in told {
        assert!(ended.stderr.contains(text), "no {text:?} in {}", ended.stderr);
    }
    let ended = site.run(&[]).with(0);
    assert!(told.iter().all(|text| !ended.stderr.contains(text)), "{}", ended.stderr);
}
