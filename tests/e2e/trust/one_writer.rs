//! Only one process writes to a database, whatever name it uses for the file and whatever happens to the lock file.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use costag::emulator::{Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Running, Site, start, wait_until};

fn slow(objects: u64) -> Site {
    let settings = Settings { latency_ms: 15, ..Settings::default() };
    Site::new(Synthetic { objects, ..Synthetic::default() }, settings)
}

/// Starts a run that has made some calls and has many more to make.
fn at_work(site: &Site) -> Running {
    let run = site.start(&["run", BUCKET, "--workers", "4"]);
    wait_until("some calls", || site.calls() >= 20);
    run
}

/// Another name for the database, and how it is created.
#[derive(Debug, Clone, Copy)]
enum Name {
    Same,
    Absolute,
    Roundabout,
    Link,
    LinkedFolder,
    HardLink,
}

impl Name {
    fn of(self, site: &Site) -> String {
        match self {
            Self::Same => "costag.db".to_owned(),
            Self::Absolute => site.path("costag.db").display().to_string(),
            Self::Roundabout => {
                fs::create_dir_all(site.path("a/b")).unwrap();
                "a/b/../../costag.db".to_owned()
            }
            Self::Link => {
                fs::create_dir_all(site.path("links")).unwrap();
                symlink("../costag.db", site.path("links/first.db")).unwrap();
                symlink("links/first.db", site.path("second.db")).unwrap();
                "second.db".to_owned()
            }
            Self::LinkedFolder => {
                symlink(site.folder(), site.path("here")).unwrap();
                "here/costag.db".to_owned()
            }
            Self::HardLink => {
                fs::hard_link(site.path("costag.db"), site.path("twin.db")).unwrap();
                "twin.db".to_owned()
            }
        }
    }
}

#[rstest]
fn a_second_writer_is_refused_under_any_name_of_the_file(
    #[values(
        Name::Same,
        Name::Absolute,
        Name::Roundabout,
        Name::Link,
        Name::LinkedFolder,
        Name::HardLink
    )]
    name: Name,
) {
    let site = slow(500);
    site.change(r#"{"latency_ms":50}"#);
    let run = at_work(&site);
    let name = name.of(&site);
    site.write("keys.txt", "a.jpg\n");
    let refuses = || {
        for command in [
            &["run", BUCKET][..],
            &["plan", BUCKET],
            &["run", BUCKET, "--keys", "keys.txt"],
            &["resume"],
            &["retry"],
            &["retag", "--all", "-y"],
        ] {
            site.costag(&[command, &["--db", &name]].concat()).with(11).says(&[&name]);
        }
    };
    refuses();
    fs::remove_file(site.path("costag.db.lock")).unwrap();
    refuses();
    goes_on_alone(&site, run, 500);
}

/// Asserts that the run continues undisturbed as the only writer, and that everything is called once.
#[track_caller]
fn goes_on_alone(site: &Site, mut run: Running, objects: i64) {
    assert!(!run.has_ended(), "all this was to happen while the run goes on");
    run.signal("INT");
    let interrupted = run.end_untried().with(130);
    let done = (site.calls(), site.ledger(), site.states());
    if site.path("twin.db").exists() {
        fs::remove_file(site.path("twin.db")).unwrap();
    }
    site.change(r#"{"latency_ms":0}"#);
    let resumed = site.resume().with(0);
    let told = format!("{done:?}\n{}\n{}", interrupted.stderr, resumed.stderr);
    assert_eq!(site.calls(), objects.cast_unsigned(), "{told}");
    assert_eq!(site.emulator.statistics().most_calls_for_one_key, 1);
    assert_eq!(site.states(), [0, 0, objects, 0]);
    site.assert_sound();
}

#[test]
fn removing_the_lock_file_lets_no_second_writer_in() {
    let site = slow(500);
    site.change(r#"{"latency_ms":50}"#);
    let run = at_work(&site);
    let lock = site.path("costag.db.lock");
    for round in 0..5 {
        fs::remove_file(&lock).unwrap();
        site.run(&[]).with(11).says(&["costag.db", "another costag run"]);
        // A lock file that somebody else created.
        site.write("costag.db.lock", round.to_string());
        site.run(&[]).with(11).says(&["costag.db", "another costag run"]);
    }
    goes_on_alone(&site, run, 500);
    // A link in place of the lock file could lead anywhere.
    fs::remove_file(&lock).unwrap();
    symlink("elsewhere", &lock).unwrap();
    site.run(&[]).with(4).says(&["costag.db.lock"]);
    assert!(!site.path("elsewhere").exists());
}

#[test]
fn a_database_with_two_names_is_read_but_not_written() {
    let site = Site::plain(5);
    site.run(&[]).with(0);
    fs::hard_link(site.path("costag.db"), site.path("twin.db")).unwrap();
    for name in ["costag.db", "twin.db"] {
        for command in [&["run", BUCKET][..], &["plan", BUCKET], &["resume"], &["retry"]] {
            let arguments = [command, &["--db", name]].concat();
            site.costag(&arguments).with(11).says(&[name, "2 names", "hard links"]);
        }
        for command in ["status", "export", "verify"] {
            site.costag(&[command, "--db", name]).with(0);
        }
    }
    assert_eq!(site.calls(), 5);
    fs::remove_file(site.path("twin.db")).unwrap();
    site.run(&[]).with(0);
}

#[test]
fn a_write_ahead_log_under_another_name_is_not_skipped() {
    let site = slow(300);
    let run = at_work(&site);
    fs::hard_link(site.path("costag.db"), site.path("twin.db")).unwrap();
    site.costag(&["export", "--db", "twin.db"]).with(11).says(&["twin.db", "another costag run"]);
    assert!(run.kill());
    for command in ["export", "status", "verify", "retry", "resume"] {
        let ended = site.costag(&[command, "--db", "twin.db"]).with(11);
        ended.says(&["twin.db", "2 names", "use that name"]);
    }
    assert!(site.costag(&["export"]).with(0).stdout.lines().count() > 20);
    site.costag(&["export", "--db", "twin.db"]).with(0);
}

#[test]
fn of_runs_that_start_together_only_one_calls() {
    let site = slow(100);
    for round in 0..6 {
        let database = format!("{round}.db");
        symlink(&database, site.path(&format!("link{round}.db"))).unwrap();
        site.reset();
        let link = format!("link{round}.db");
        let names = [database.as_str(), &link, &database, &link];
        let runs = names.map(|name| site.start(&["run", BUCKET, "--db", name]));
        let codes = runs.map(|run| run.end().code);
        // On a busy machine, a process may start only after the run of another one has ended. It has nothing to call.
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 11))), "{codes:?}");
        assert!(codes.contains(&Some(0)), "{codes:?}");
        assert_eq!(site.calls(), 100);
    }
}

#[test]
fn a_run_is_not_complete_while_its_images_are_pending() {
    // While the run goes on, another program puts images back. The run must not report that everything is done.
    let site = slow(200);
    let mut run = at_work(&site);
    let (mut puts, begun) = (0, site.calls());
    while !run.has_ended() && puts < 40 {
        // The last images are put back when everything else is done, but not after the run has ended.
        site.tamper(
            "PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE;
             CREATE TEMP TABLE back AS
                 SELECT id FROM content
                 WHERE state = 2 AND EXISTS (SELECT 1 FROM run WHERE state = 'running')
                 ORDER BY id LIMIT 2;
             DELETE FROM label WHERE id >> 8 IN (SELECT id FROM back);
             UPDATE content SET state = 0, scenes_done = 0, pass = 0
             WHERE id IN (SELECT id FROM back);
             COMMIT",
        );
        puts += 1;
        wait_until("more calls", || site.calls() > begun + puts * 6 || run.has_ended());
    }
    let ended = run.end();
    let [pending, in_flight, ..] = site.states();
    assert!(in_flight == 0, "{}", ended.stderr);
    let says_so = ended.code == Some(0) || ended.stderr.contains("complete,");
    assert!(!says_so || pending == 0, "{pending} wait: {:?}\n{}", ended.code, ended.stderr);
    site.costag(&["resume"]);
    site.run(&[]);
    assert_eq!(site.states(), [0, 0, 200, 0]);
}

#[test]
fn a_run_that_has_left_an_image_behind_says_so_and_resume_calls_it() {
    let site = slow(200);
    let run = at_work(&site);
    wait_until("the listing is complete", || {
        site.one::<bool>("SELECT EXISTS (SELECT 1 FROM run WHERE listed_at IS NOT NULL)")
            && site.states()[2] > 0
    });
    // Another program puts an image back for no run at all: nothing claims it before the end.
    site.tamper(
        "PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE;
         DELETE FROM label WHERE id >> 8 = (SELECT min(id) FROM content WHERE state = 2);
         UPDATE content SET state = 0, scenes_done = 0, pass = 0, run_id = NULL
         WHERE id = (SELECT min(id) FROM content WHERE state = 2);
         COMMIT",
    );
    run.end().with(5).says(&["images that this run wants are still pending"]);
    assert_eq!(site.states(), [1, 0, 199, 0]);
    assert_eq!(site.one::<String>("SELECT state FROM run"), "stopped");
    site.resume().with(0);
    assert_eq!((site.states(), site.calls()), ([0, 0, 200, 0], 201));
    site.assert_exports("camera");
}

#[test]
fn a_dangling_link_creates_the_database_at_its_target() {
    let site = Site::plain(3);
    fs::create_dir(site.path("data")).unwrap();
    symlink("data/real.db", site.path("costag.db")).unwrap();
    site.run(&[]).with(0);
    assert!(fs::symlink_metadata(site.path("costag.db")).unwrap().is_symlink());
    assert!(site.path("data/real.db.lock").exists() && !site.path("costag.db.lock").exists());
    site.assert_sound();
}

#[test]
fn a_database_name_that_looks_like_an_address_is_a_file() {
    let site = Site::plain(3);
    site.run(&["--db", "file:x.db?mode=memory"]).with(0);
    assert!(site.path("file:x.db?mode=memory").exists());
    site.costag(&["verify", "--db", "file:x.db?mode=memory"]).with(0);
}

#[test]
fn files_of_a_run_are_readable_for_their_owner_only() {
    let site = slow(200);
    let modes = |site: &Site| -> Vec<(String, u32)> {
        let mut all: Vec<_> = fs::read_dir(site.folder())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap()))
            .map(|(name, metadata)| (name, metadata.mode() & 0o777))
            .collect();
        all.sort();
        all
    };
    let named = |mode| {
        ["costag.db", "costag.db-shm", "costag.db-wal", "costag.db.lock"]
            .map(|name| (name.to_owned(), if name.ends_with("lock") { 0o600 } else { mode }))
            .to_vec()
    };
    let mut command = std::process::Command::new("sh");
    site.set_up(&mut command);
    let script = format!("umask 000; exec \"$0\" run {BUCKET}");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_costag")]);
    let run = start(command);
    wait_until("some calls", || site.calls() >= 20);
    assert_eq!(modes(&site), named(0o600));
    run.signal("INT");
    run.end().with(130);
    // A mode that is set later is kept, also for the `-wal` and `-shm` files.
    fs::set_permissions(site.path("costag.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let resumed = site.start(&["resume"]);
    let calls = site.calls();
    wait_until("more calls", || site.calls() >= calls + 10);
    assert_eq!(modes(&site), named(0o644));
    resumed.end().with(0);
}

#[test]
fn a_second_run_is_refused_and_does_not_disturb_the_first() {
    let settings = Settings { latency_ms: 100, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 200, ..Synthetic::default() }, settings);
    let first = site.start(&["run", BUCKET]);
    wait_until("some calls", || site.calls() > 0);
    site.run(&[]).with(11).says(&["another costag run"]);
    site.resume().with(11);
    // Commands that only read are not locked out.
    site.costag(&["status"]).with(0);
    site.costag(&["export", "-o", "part.csv"]).with(0);
    assert!(site.path("part.csv").is_file());
    first.end().with(0);
    assert_eq!(site.calls(), 200);
    site.assert_exports("camera");
}
