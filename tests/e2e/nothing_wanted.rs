//! Globs, and what is said when nothing was wanted.

use rstest::rstest;

use crate::support::{BUCKET, Site};

fn site() -> Site {
    Site::holding(&[("a.jpg", "one"), ("x/b.jpg", "two"), ("x/y/c.jpg", "three"), ("x/n.txt", "n")])
}

#[rstest]
#[case(&["--include", "*.jpg"], &["a.jpg", "x/b.jpg", "x/y/c.jpg"])]
#[case(&["--include", "x/*.jpg"], &["x/b.jpg"])]
#[case(&["--include", "x/**/*.jpg"], &["x/b.jpg", "x/y/c.jpg"])]
#[case(&["--exclude", "b.*"], &["a.jpg", "x/y/c.jpg"])]
#[case(&["--exclude", "x/**"], &["a.jpg"])]
fn globs_choose_what_is_called(#[case] options: &[&str], #[case] keys: &[&str]) {
    let site = site();
    site.run(options).with(0);
    let called: Vec<String> = site.called().into_keys().collect();
    assert_eq!(called, keys);
}

#[rstest]
#[case::no_such_prefix("nowhere/", &[], &["no key begins with \"nowhere/\""])]
#[case::leading_slash("/x/", &[], &["keys seldom begin with a slash", "\"x/\""])]
#[case::glob_as_prefix("x/*.jpg", &[], &["a prefix is no glob", "--include"])]
#[case::not_included("", &["--include", "y/*.jpg"], &["no key matches --include 'y/*.jpg'"])]
#[case::all_excluded("", &["--exclude", "*"], &["--exclude '*' matches them"])]
#[case::suffixes("", &["--suffixes", "gif"], &["--suffixes takes only gif"])]
fn a_run_that_wants_nothing_says_why(
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

#[test]
fn a_first_run_with_the_new_meaning_of_globs_says_so() {
    let site = site();
    site.run(&["--include", "*.jpg"]).with(0);
    // As if a first version had begun that run.
    site.tamper(
        "UPDATE run SET settings = json_remove(settings, '$.filter.globs'), eligibility = 1",
    );
    site.run(&["--include", "*.jpg"]).with(0).says(&["match the name at any depth"]);
    let again = site.run(&["--include", "*.jpg"]).with(0);
    assert!(!again.stderr.contains("match the name at any depth"), "{}", again.stderr);
}
