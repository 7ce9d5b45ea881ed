//! The exit code when stdout is closed or full: an answer that nobody can read is still the answer.

use std::process::{Command, Output, Stdio};

use crate::support::{BUCKET, Site};

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A device without room.
fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[track_caller]
fn ends(mut command: Command, stdout: Stdio, code: i32) -> String {
    let Output { status, stderr, .. } = command.stdout(stdout).output().unwrap();
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{told}");
    told
}

#[test]
fn a_summary_that_cannot_be_written_does_not_hide_the_exit_code_of_a_run() {
    let site = Site::plain(6);
    let limited = || site.command(&["run", BUCKET, "--max-calls", "2", "-w", "1", "--json"]);
    ends(limited(), closed(), 8);
    let told = ends(limited(), full(), 4);
    assert!(told.contains("error: the summary cannot be written to standard output"), "{told}");
    assert!(!told.contains("export again"), "{told}");
    let mut wrong = site.command(&["run", BUCKET, "--json"]);
    wrong.env("COSTAG_SECRET_KEY", "wrong");
    ends(wrong, closed(), 6);
    ends(site.command(&["plan", "cos://none-1250000000", "--json"]), closed(), 2);
    ends(site.command(&["resume", "--max-calls", "0", "--json"]), closed(), 0);
}

#[test]
fn every_profile_runs_although_no_summary_can_be_written() {
    for (stdout, code) in [(closed(), 2), (full(), 4)] {
        let site = Site::plain(2);
        std::fs::create_dir_all(site.path(".config/costag")).unwrap();
        site.write(
            ".config/costag/costag.toml",
            format!(
                "[profile.a]\naddress = \"{BUCKET}\"\ndb = \"a.db\"\n\
                 [profile.b]\naddress = \"cos://none-1250000000\"\ndb = \"b.db\"\n\
                 [profile.c]\naddress = \"{BUCKET}\"\ndb = \"c.db\"\n"
            ),
        );
        let told = ends(site.command(&["run", "--all", "--json"]), stdout, code);
        assert!(told.contains("run c ends: run 1, 2 tagged"), "{told}");
        let codes = if code == 2 { "a 0, b 2, c 0" } else { "a 4, b 4, c 4" };
        assert!(told.contains(&format!("exit codes of the profiles: {codes}")), "{told}");
    }
}

#[test]
fn a_check_that_cannot_be_written_ends_with_its_exit_code() {
    let site = Site::plain(2);
    ends(site.command(&["status", "--check"]), closed(), 3);
    site.costag(&["plan", BUCKET]).with(0);
    ends(site.command(&["status", "--check"]), closed(), 2);
    ends(site.command(&["status", "--check"]), full(), 2);
    site.run(&[]).with(0);
    ends(site.command(&["status", "--check"]), closed(), 0);
    ends(site.command(&["status", "--check"]), full(), 3);
    ends(site.command(&["verify"]), closed(), 0);
    ends(site.command(&["verify"]), full(), 4);
    site.tamper("UPDATE run SET counts = 'none' WHERE id = 2");
    ends(site.command(&["verify"]), closed(), 7);
    let told = ends(site.command(&["verify"]), full(), 7);
    assert!(told.contains("error: the result cannot be written to standard output"), "{told}");
    let doctor = |key: &str| {
        let mut command = site.command(&["doctor", BUCKET]);
        command.env("COSTAG_SECRET_KEY", key);
        command
    };
    ends(doctor("wrong"), closed(), 6);
    ends(doctor("wrong"), full(), 4);
}
