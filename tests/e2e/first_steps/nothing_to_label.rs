//! A run that found nothing to label explains why.

use rstest::rstest;
use rusqlite::Connection;

use crate::support::{BUCKET, Site, start};

fn site() -> Site {
    Site::holding(&[("a.jpg", "one"), ("x/b.jpg", "two"), ("x/y/c.jpg", "three"), ("x/n.txt", "n")])
}

#[rstest]
#[case(&["--include", "*.jpg"], &["a.jpg", "x/b.jpg", "x/y/c.jpg"])]
#[case(&["--include", "x/*.jpg"], &["x/b.jpg"])]
#[case(&["--include", "x/**/*.jpg"], &["x/b.jpg", "x/y/c.jpg"])]
#[case(&["--exclude", "b.*"], &["a.jpg", "x/y/c.jpg"])]
#[case(&["--exclude", "x/**"], &["a.jpg"])]
#[case(&["--include", "**/c.jpg"], &["x/y/c.jpg"])]
#[case(&["--include", "**/a.jpg"], &["a.jpg"])]
#[case(&["--include", "x/**/b.jpg"], &["x/b.jpg"])]
#[case(&["--include", "x/*"], &["x/b.jpg"])]
fn globs_choose_what_is_called(#[case] options: &[&str], #[case] keys: &[&str]) {
    let site = site();
    site.run(options).with(0);
    let called: Vec<String> = site.called().into_keys().collect();
    assert_eq!(called, keys);
}

#[rstest]
#[case::no_such_prefix("nowhere/", &[], &["no key begins with \"nowhere/\""])]
#[case::leading_slash("/x/", &[], &["keys rarely begin with a slash", "\"x/\""])]
#[case::glob_as_prefix("x/*.jpg", &[], &["a prefix is not a glob", "--include"])]
#[case::near("X", &[], &["no key begins with \"X\"", "there are similar keys: \"x/\""])]
#[case::misspelt("x/y/d/", &[], &["there are similar keys: \"x/y/c.jpg\""])]
#[case::not_included(
    "",
    &["--include", "y/*.jpg"],
    &["3 not-included (none matches --include 'y/*.jpg'", "1 suffix (--suffixes takes only"]
)]
#[case::all_excluded("", &["--exclude", "*"], &["--exclude '*' matches them"])]
#[case::suffixes("", &["--suffixes", "gif"], &["--suffixes takes only gif"])]
fn a_run_that_finds_nothing_to_label_says_why(
    #[case] prefix: &str,
    #[case] options: &[&str],
    #[case] told: &[&str],
) {
    let site = site();
    for command in ["plan", "run"] {
        let target = format!("{BUCKET}/{prefix}");
        let ended = site.costag(&[&[command, &target], options].concat()).with(0);
        ended.says(&["nothing to do"]).says(told);
    }
    assert_eq!(site.calls(), 0);
}

#[rstest]
#[case::include(&["--include", "*.jpg,y/*.png"], "--include 'y/*.png'")]
#[case::exclude(&["--exclude", "x/b.jpg,thumbs/**"], "--exclude 'thumbs/**'")]
#[case::suffix(&["--suffixes", "jpg,gif"], "--suffixes 'gif'")]
#[case::several(&["--include", "*.jpg,*.bmp", "--exclude", "n*,m*"], "--include '*.bmp', --exclude 'm*'")]
fn parts_of_a_filter_that_match_nothing_are_named(#[case] options: &[&str], #[case] told: &str) {
    let site = site();
    for command in ["plan", "run"] {
        let ended = site.costag(&[&[command, BUCKET], options].concat()).with(0);
        let lines: Vec<&str> =
            ended.stderr.lines().filter(|line| line.contains("no listed key")).collect();
        assert_eq!(lines, [format!("no listed key matches {told}")], "{}", ended.stderr);
    }
}

#[test]
fn a_filter_that_matches_all_or_was_not_compared_with_all_is_not_named() {
    let site = site();
    let whole = site.run(&["--include", "*.jpg", "--exclude", "b.jpg"]).with(0);
    assert!(!whole.stderr.contains("no listed key"), "{}", whole.stderr);
    let usual = site.run(&[]).with(0);
    assert!(!usual.stderr.contains("no listed key"), "{}", usual.stderr);
}

#[test]
fn a_resumed_run_remembers_which_filters_have_matched() {
    let site = site();
    for listed_before in ["everything", "a part"] {
        let db = format!("{}.db", &listed_before[..1]);
        let options = ["--db", &db, "--include", "a.*,x/**,y/*.png", "--max-calls"];
        site.run(&[&options[..], &["1"]].concat()).with(8);
        if listed_before == "a part" {
            let database = Connection::open(site.path(&db)).unwrap();
            database
                .execute_batch(
                    "UPDATE run SET listed_at = NULL; UPDATE range SET done = 0, cursor = 'a.jpg'",
                )
                .unwrap();
        }
        let resumed = site.costag(&["resume", "--db", &db, "--max-calls", "10"]).with(0);
        resumed.says(&["no listed key matches --include 'y/*.png'\n"]);
    }
}

#[test]
fn an_unfinished_run_of_the_first_version_keeps_the_old_meaning_of_globs() {
    let site = site();
    site.change(r#"{"faults":{"list_access_denied":1}}"#);
    site.run(&["--include", "*.jpg"]).with(6);
    // Make the run look like one of the first version.
    site.tamper("UPDATE run SET settings = json_remove(settings, '$.filter.globs')");
    site.change(r#"{"faults":{"list_access_denied":0}}"#);
    site.resume().with(0);
    let called: Vec<String> = site.called().into_keys().collect();
    assert_eq!(called, ["a.jpg"]);
}

#[test]
fn a_first_run_with_the_new_meaning_of_globs_says_so() {
    let site = site();
    site.run(&["--include", "*.jpg"]).with(0);
    // Make the run look like one of the first version.
    site.tamper(
        "UPDATE run SET settings = json_remove(settings, '$.filter.globs'), eligibility = 1",
    );
    site.run(&["--include", "*.jpg"]).with(0).says(&["match the name at any depth"]);
    let again = site.run(&["--include", "*.jpg"]).with(0);
    assert!(!again.stderr.contains("match the name at any depth"), "{}", again.stderr);
}

#[rstest]
#[case("--keys", "")]
#[case("--keys", "\n\n  \n")]
#[case("--keys", "\u{feff}\r\n")]
#[case("--urls", "# only a comment\n\n")]
fn an_empty_list_is_named_as_such(#[case] option: &str, #[case] content: &str) {
    let site = site();
    site.write("list.txt", content);
    for file in ["list.txt", "-"] {
        let mut command = site.command(&["run", BUCKET, option, file]);
        command.stdin(std::fs::File::open(site.path("list.txt")).unwrap());
        let ended = start(command).end();
        if content.contains("  ") {
            // Blanks are a key like any other.
            ended.with(3);
        } else {
            ended.with(0).says(&["nothing to do: the list has no"]);
        }
    }
    assert_eq!(site.calls(), 0);
}

#[rstest]
#[case(&["--include", "*.jpg"])]
#[case(&["--exclude", "x/*"])]
#[case(&["--suffixes", "jpg"])]
#[case(&["--max-size", "3M"])]
fn an_option_for_listings_is_named_as_without_effect_on_a_list(#[case] filter: &[&str]) {
    let site = site();
    site.write("keys.txt", "a.jpg\nx/b.jpg\n");
    let options = [filter, &["--keys", "keys.txt", "--max-calls", "1"]].concat();
    let no_effect = [filter[0], "applies to listings only and has no effect", "--keys"];
    site.run(&options).with(8).says(&no_effect);
    site.costag(&[&["resume", "--max-calls", "9"], filter].concat()).with(0).says(&no_effect);
    assert_eq!(site.calls(), 2);
    // A setting in the file is meant for commands that list a bucket.
    site.write("costag.toml", "include = [\"y/*\"]\n");
    let ended = site.run(&["--keys", "keys.txt"]).with(0);
    assert!(!ended.stderr.contains("no effect"), "{}", ended.stderr);
}

#[test]
fn a_glob_that_gets_a_new_meaning_by_a_resume_is_named() {
    let site = site();
    site.run(&["--include", "*.jpg", "--exclude", "c.*", "--max-calls", "1"]).with(8);
    site.tamper("UPDATE run SET settings = json_remove(settings, '$.filter.globs')");
    let resumed = site.costag(&["resume", "--exclude", "b.*", "--max-calls", "9"]).with(0);
    resumed.says(&["--include '*.jpg' of that run now matches as in this version"]);
}
