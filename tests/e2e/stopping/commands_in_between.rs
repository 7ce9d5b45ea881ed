//! Other commands between an interruption and its resume: the interrupted run still calls all that it wanted.

use costag::emulator::{Holdings, Options, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Dice, Site};

const KEYS: [&str; 7] =
    ["a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg", "b/4.jpg", "b/5.jpg", "c/6.jpg"];

/// A bucket of six images, one of them under two keys, and one other file. The budget ends the run after one call.
fn interrupted(options: &[&str]) -> Site {
    let objects: Vec<_> = KEYS.iter().map(|key| (*key, &key[2..])).collect();
    let site = Site::holding(&objects);
    site.put(&[("a/notes.txt", "text")]);
    site.write("keys.txt", KEYS.join("\n"));
    site.run(&[options, &["--max-calls", "1"]].concat()).with(8);
    site
}

/// The counts of the first run.
fn counted(site: &Site, name: &str) -> i64 {
    site.one(&format!("SELECT counts ->> '{name}' FROM run WHERE id = 1"))
}

/// The labels of all six images.
#[track_caller]
fn assert_all_labelled(site: &Site) {
    let rows = |rows: Vec<Vec<String>>| -> Vec<_> {
        rows.into_iter().filter(|row| KEYS.contains(&row[0].as_str())).collect()
    };
    assert_eq!(
        rows(site.export(&["--scene", "camera", "--bucket", "demo-1250000000"])),
        rows(site.expected("camera"))
    );
    site.assert_sound();
    assert_eq!(site.one::<i64>("SELECT count(*) FROM content WHERE state = 0"), 0);
}

#[rstest]
#[case::a_plan_of_other_files(&["plan", BUCKET, "--suffixes", "txt"], 6)]
#[case::a_plan_of_larger_files(&["plan", BUCKET, "--min-size", "1000"], 6)]
#[case::a_plan_of_other_scenes(&["plan", BUCKET, "--scenes", "web"], 6)]
#[case::a_plan_without_a_folder(&["plan", BUCKET, "--exclude", "a/**"], 6)]
#[case::a_plan_without_dedupe(&["plan", BUCKET, "--no-dedupe"], 6)]
#[case::a_folder_of_other_files(&["run", "cos://demo-1250000000/a/", "--suffixes", "png"], 6)]
#[case::a_folder_of_the_same_files(&["run", "cos://demo-1250000000/a/"], 6)]
#[case::a_folder_for_another_scene(&["run", "cos://demo-1250000000/b/", "--scenes", "web"], 8)]
#[case::a_list_for_another_scene(&["run", BUCKET, "--keys", "keys.txt", "--scenes", "web"], 12)]
fn resume_calls_everything_that_the_interrupted_run_wanted(
    #[case] between: &[&str],
    #[case] calls: u64,
) {
    let site = interrupted(&[]);
    site.costag(between).with(0);
    site.assert_sound();
    site.resume().with(0).says(&[
        "run 1",
        "listed    8 objects: 7 wanted, 1 skipped",
        "left      nothing",
    ]);
    assert_eq!(counted(&site, "wanted") - counted(&site, "done"), counted(&site, "reused"));
    assert_all_labelled(&site);
    assert_eq!(site.calls(), calls);
    site.resume().with(0).says(&["nothing to resume"]);
}

#[rstest]
#[case::of_a_listing(&[])]
#[case::of_a_list(&["--keys", "keys.txt"])]
fn resume_calls_everything_after_several_commands_and_a_second_interruption(
    #[case] interrupted_run: &[&str],
) {
    let site = interrupted(interrupted_run);
    site.costag(&["plan", BUCKET, "--suffixes", "txt"]).with(0);
    site.costag(&["resume", "--max-calls", "1"]).with(8);
    site.costag(&["run", "cos://demo-1250000000/a/", "--suffixes", "png"]).with(0);
    site.costag(&["plan", BUCKET, "--exclude", "**"]).with(0);
    site.resume().with(0).says(&["run 1", "7 wanted"]);
    assert_all_labelled(&site);
    assert_eq!(site.calls(), 6);
}

/// The number of pending images that a run reports is the number in its queue.
#[rstest]
#[case::adopted_by_another_run(&["run", "cos://demo-1250000000/b/", "--scenes", "web"])]
#[case::released_by_another_run(&["run", "cos://demo-1250000000/a/", "--suffixes", "png"])]
#[case::released_by_a_plan(&["plan", BUCKET, "--exclude", "a/**"])]
#[case::put_back_on_purpose(&["retag", "--all"])]
#[case::called_by_another_run(&["run", "cos://demo-1250000000/a/"])]
fn contents_that_left_the_queue_are_not_counted_as_pending(#[case] between: &[&str]) {
    let site = interrupted(&[]);
    site.costag(between).with(0);
    // If a key is overwritten, its old content leaves the queue too.
    site.put(&[("b/5.jpg", "other bytes")]);
    // Two calls would complete some of these runs if the listing is quicker than they are.
    let ended = site.costag(&["resume", "--max-calls", "1"]).with(8);
    let waits = "SELECT count(*) FROM content WHERE state = 0 AND run_id = 1";
    ended.says(&[&format!("left      {} image", site.one::<i64>(waits))]);
    site.resume().with(0).says(&["left      nothing"]);
    site.assert_sound();
}

#[test]
fn a_run_over_the_bucket_takes_nothing_from_an_interrupted_list() {
    let site = interrupted(&["--keys", "keys.txt"]);
    site.run(&["--suffixes", "png"]).with(0);
    assert_eq!(site.calls(), 1);
    site.resume().with(0).says(&["run 1", "listed    7 objects: 7 wanted"]);
    assert_all_labelled(&site);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM list_item"), 0, "no longer needed");
}

#[test]
fn resume_names_other_unfinished_runs() {
    let site = interrupted(&[]);
    site.costag(&["run", "cos://demo-1250000000/a/", "--max-calls", "1"]).with(8);
    site.resume()
        .with(0)
        .says(&["continuing run 2", "run 1 is unfinished too; to continue it:\n  costag resume"]);
    let last = site.resume().with(0).says(&["continuing run 1"]);
    assert!(!last.stderr.contains("unfinished"), "{}", last.stderr);
    assert_all_labelled(&site);
    assert_eq!(site.calls(), 6);
}

#[test]
fn a_copy_in_another_bucket_is_called_with_the_scenes_of_its_own_run() {
    let site = interrupted(&[]);
    let holdings = Holdings::Objects(Synthetic { objects: 0, ..Synthetic::default() });
    let bucket = "second-1250000001".to_owned();
    let other = Site::with(Options { holdings, bucket, ..Options::default() });
    other.put(&[("x.jpg", "1.jpg"), ("y.jpg", "6.jpg")]);
    let endpoint = other.emulator.endpoint();
    let run = ["run", "cos://second-1250000001", "--scenes", "web", "--endpoint", &endpoint];
    site.costag(&run).with(0);
    site.resume().with(0).says(&["run 1"]);
    assert_all_labelled(&site);
    assert_eq!(site.calls(), 6);
}

#[test]
fn commands_that_take_nothing_from_a_run_cause_no_second_listing() {
    let site = interrupted(&[]);
    site.costag(&["plan", BUCKET]).with(0);
    site.costag(&["plan", BUCKET, "--max-size", "1000000"]).with(0);
    let lists = site.emulator.statistics().list_calls;
    site.resume().with(0);
    assert_eq!(site.emulator.statistics().list_calls, lists);
    assert_all_labelled(&site);
}

#[rstest]
fn no_image_is_forgotten_after_any_sequence_of_commands(#[values(1, 2, 3, 4)] seed: u64) {
    let bucket = Synthetic { objects: 60, duplicates: 0.3, ..Synthetic::default() };
    let site = Site::new(bucket, costag::emulator::Settings::default());
    let keys: Vec<String> = {
        let mut keys: Vec<_> =
            site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
        keys.dedup();
        keys
    };
    site.write("keys.txt", keys[..20].join("\n"));
    let folder = format!("{BUCKET}/{}", &keys[30][..2]);
    let mut dice = Dice(0x5EED_0000 + seed);
    site.run(&["--max-calls", "3"]).with(8);
    for _ in 0..12 {
        let filter: &[&str] = dice.one_of(&[
            &[][..],
            &["--suffixes", "png"],
            &["--exclude", "**"],
            &["--max-size", "2000000"],
            &["--no-dedupe"],
            &["--scenes", "web"],
        ]);
        let limit = ["--max-calls", dice.one_of(&["1", "4", "9"])];
        let arguments: Vec<&str> = match dice.one_of(&["plan", "folder", "list", "resume"]) {
            "plan" => [&["plan", BUCKET], filter].concat(),
            "folder" => [&["run", &folder], filter, &limit].concat(),
            "list" => {
                let list = ["run", BUCKET, "--keys", "keys.txt", "--scenes", "web"];
                [&list[..], &limit].concat()
            }
            _ => [&["resume"], &limit[..]].concat(),
        };
        let ended = site.costag(&arguments);
        assert!(matches!(ended.code, Some(0 | 8)), "{arguments:?}: {ended:?}");
        site.assert_sound();
    }
    // Resume every interrupted run, the last one first. The very first run is among them.
    while !site.resume().with(0).stderr.contains("nothing to resume") {
        site.assert_sound();
    }
    let calls = site.calls();
    site.run(&[]).with(0).says(&["left      nothing"]);
    assert_eq!(site.calls(), calls, "a run finds nothing that a resume had forgotten");
    let labelled: std::collections::BTreeSet<String> =
        site.export(&["--scene", "camera"]).into_iter().map(|row| row[0].clone()).collect();
    assert!(labelled.iter().eq(&keys.into_iter().collect::<std::collections::BTreeSet<_>>()));
    assert_eq!(site.ledger(), (calls, 0));
    site.assert_sound();
}

/// A resumed run is newer than the runs that were started since it was interrupted: they have not compared what it
/// listed.
#[test]
fn objects_that_a_resumed_run_listed_first_are_compared_by_a_later_run() {
    let site = Site::holding(&[("a/1.jpg", "1"), ("a/2.jpg", "2"), ("b/3.jpg", "3")]);
    site.run(&[]).with(0);
    site.run(&["--scenes", "web", "--max-calls", "1"]).with(8);
    // This run wants less than the unfinished run, so the unfinished run lists again.
    let folder = ["run", "cos://demo-1250000000/a/"];
    site.costag(&folder).with(0);
    site.put(&[("a/new.jpg", "4")]);
    site.resume().with(0).says(&["run 2", "4 wanted"]);
    site.reset();
    site.costag(&folder).with(0);
    assert!(site.called().into_keys().eq(["a/new.jpg"]), "{:?}", site.called());
    site.assert_sound();
}
