//! If a limit of the process (`ulimit`) is reached, the error names it. No limit causes a panic.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rstest::rstest;

use crate::support::{BUCKET, Ended, Site, start};

/// A user who runs nothing else. Root is needed to switch to it, since the process limit does not apply to root.
const NOBODY_ELSE: &str = "54321";

/// The program under limits, set by bash, whose `ulimit` knows them all. Where the tests run as root it is run as
/// another user; `None` if that cannot be done.
fn limited(site: &Site, limits: &str, arguments: &str) -> Option<Ended> {
    let line = format!("{limits} && exec '{}' {arguments}", env!("CARGO_BIN_EXE_costag"));
    let is_root = rustix::process::getuid().is_root();
    let mut command = Command::new(if is_root { "setpriv" } else { "bash" });
    site.set_up(&mut command);
    if is_root {
        std::fs::set_permissions(site.folder(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let user = [format!("--reuid={NOBODY_ELSE}"), format!("--regid={NOBODY_ELSE}")];
        let can = Command::new("setpriv")
            .args(&user)
            .args(["--clear-groups", env!("CARGO_BIN_EXE_costag"), "--version"])
            .output();
        if !can.is_ok_and(|output| output.status.success()) {
            eprintln!("left out: the program cannot be run as another user here");
            return None;
        }
        command.args(user).args(["--clear-groups", "bash"]);
    }
    command.args(["-c", &line]);
    Some(start(command).end())
}

/// One command of each kind: with calls, lists, files to write, threads, a question, an emulator.
const COMMANDS: [&str; 14] = [
    "plan cos://demo-1250000000",
    "doctor cos://demo-1250000000 -y",
    "run cos://demo-1250000000 --keys keys.txt --patience 1s",
    "run cos://demo-1250000000 --scenes web --credential-process 'exit 1'",
    "demo",
    "resume --patience 1s",
    "status --failures",
    "export -o tags.csv",
    "find --label a",
    "ledger",
    "verify",
    "backup copy.db",
    "retag --all -y",
    "run cos://demo-1250000000 --patience 1s",
];

#[rstest]
#[case::no_process("ulimit -u 0")]
#[case::one_process("ulimit -u 1")]
#[case::two_processes("ulimit -u 2")]
#[case::three_processes("ulimit -u 3")]
#[case::no_file("ulimit -n 4")]
#[case::few_files("ulimit -n 8")]
#[case::some_files("ulimit -n 12")]
#[case::nearly_enough_files("ulimit -n 17")]
#[case::a_small_stack("ulimit -s 128")]
#[case::small_files("ulimit -f 1")]
#[case::little_memory("ulimit -v 120000")]
#[case::a_small_stack_and_no_process("ulimit -s 128; ulimit -u 1")]
fn no_process_limit_causes_a_panic(#[case] limits: &str) {
    let site = Site::plain(12);
    site.write("keys.txt", "a.jpg\n");
    for arguments in COMMANDS {
        let Some(ended) = limited(&site, limits, arguments) else { return };
        let told = &ended.stderr;
        assert!(!told.contains("panicked") && !told.contains("overflow"), "{arguments}: {told}");
        let code = ended.code.unwrap_or(-1);
        assert!((0..=11).contains(&code), "{arguments}: {code}: {told}");
        if code != 0 {
            assert!(
                !told.is_empty() || !ended.stdout.is_empty(),
                "{arguments}: {code}, not a word"
            );
        }
    }
    // No image is lost.
    if let Some(ended) = limited(&site, "true", &format!("run {BUCKET}")) {
        ended.with(0);
        site.assert_exports("camera");
    }
}

#[rstest]
#[case::processes("ulimit -u 1", "ulimit -u")]
#[case::files("ulimit -n 10", "ulimit -n")]
#[case::fewer_files("ulimit -n 4", "ulimit -n")]
#[case::some_files("ulimit -n 13", "ulimit -n")]
#[case::small_files("ulimit -f 8", "ulimit -f")]
fn a_process_limit_that_is_reached_is_named(#[case] limits: &str, #[case] told: &str) {
    let site = Site::plain(12);
    let arguments = format!("run {BUCKET} --patience 1s");
    let Some(ended) = limited(&site, limits, &arguments) else { return };
    let ended = ended.with(4).says(&[told]);
    assert!(!ended.stderr.contains("permissions"), "{}", ended.stderr);
}

#[rstest]
#[case("file:here?mode=memory")]
#[case("file:here")]
#[case(":memory:")]
#[case("here?mode=ro&vfs=x")]
fn the_database_is_a_file_even_if_its_name_looks_like_a_uri(#[case] name: &str) {
    let site = Site::plain(3);
    site.run(&["--db", name]).with(0);
    assert!(site.path(name).is_file(), "{name}");
    site.costag(&["status", "--db", name]).with(0);
    site.costag(&["export", "--db", name]).with(0);
    site.costag(&["backup", "--db", name, "file:copy?mode=memory"]).with(0);
    assert!(site.path("file:copy?mode=memory").is_file());
    site.costag(&["verify", "--db", "file:copy?mode=memory"]).with(0);
}
