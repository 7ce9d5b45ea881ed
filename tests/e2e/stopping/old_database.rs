//! A database that an earlier build wrote, with a killed run in it, is resumed as if nothing had changed: the stored
//! names, hashes and JSON keep their form, whatever the types in the program are called.
//!
//! `tests/data/store/interrupted-0.1.0.db` was made by `costag backup` after a `kill -9` between two pages of the
//! listing: 1,000 of 2,500 keys are listed, 28 images are labelled and 15 were in flight.

use costag::emulator::{Settings, Synthetic};

use crate::support::Site;

/// The bucket over which the run of the file was begun.
fn site_of_the_file() -> Site {
    let bucket =
        Synthetic { objects: 2500, duplicates: 0.2, non_images: 0.1, ..Synthetic::default() };
    let site = Site::new(bucket, Settings::default());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/store/interrupted-0.1.0.db");
    std::fs::copy(file, site.path("costag.db")).unwrap();
    site
}

#[test]
fn resume_continues_a_killed_run_of_an_earlier_build() {
    let site = site_of_the_file();
    let stored = "SELECT eligibility || ' ' || (settings ->> 'bucket') FROM run WHERE id = 1";
    let eligibility: String = site.one(stored);
    let fingerprints = "SELECT group_concat(fingerprint) FROM (SELECT fingerprint FROM object
                        WHERE id <= 1000 ORDER BY id)";
    let before: String = site.one(fingerprints);
    let mut loaded = site.loaded(&[]);
    site.costag(&["export", "--since-run", "1"]).with(2).says(&["an earlier version of costag"]);

    site.resume_with(&["--qps", "0"]).with(0);

    assert_eq!(site.calls(), site.contents() - 28, "what was labelled is not called again");
    assert_eq!(site.ledger(), (site.contents(), 15), "the calls in flight are in the ledger");
    assert_eq!(site.states(), [0, 0, site.contents().cast_signed(), 0]);
    assert_eq!(site.one::<i64>("SELECT count(*) FROM run"), 1, "no other run was begun");
    assert_eq!(site.one::<String>(stored), eligibility);
    assert_eq!(site.one::<String>(fingerprints), before);
    site.assert_exports("web,camera");
    site.apply_changes(&mut loaded, 1, &[]);
    assert_eq!(loaded, site.loaded(&[]), "what the resumed run added is known");
    site.assert_sound();
}

#[test]
fn a_new_run_over_a_database_of_an_earlier_build_finds_its_objects_unchanged() {
    let site = site_of_the_file();
    site.resume_with(&["--qps", "0"]).with(0);
    let called = site.calls();
    site.run(&["--scenes", "web,camera"]).with(0);
    assert_eq!(site.calls(), called, "every image is labelled already");
    let changes: i64 = site.one("SELECT count(*) FROM change");
    assert_eq!(changes, 0, "fingerprints and identities mean what they meant");
}
