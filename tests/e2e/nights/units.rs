//! The files in `config/` that start a run every night treat exit codes alike.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use costag::cli::exit::Exit;

use crate::support::{start, wait_until};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)).unwrap()
}

fn codes(text: &str) -> BTreeSet<u8> {
    text.split([' ', ',']).filter_map(|code| code.trim().parse().ok()).collect()
}

/// The numbers in the line that begins with this text.
#[track_caller]
fn codes_after(text: &str, start: &str) -> BTreeSet<u8> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(start));
    codes(line.unwrap().trim_matches(['[', ']']))
}

/// The shell script of the Kubernetes file.
fn script() -> String {
    let text = file("costag-cronjob.yaml");
    let (_, rest) = text.split_once("- |\n").unwrap();
    let indent = rest.len() - rest.trim_start().len();
    let lines =
        rest.lines().take_while(|line| line.len() > indent && line[..indent].trim().is_empty());
    lines.map(|line| &line[indent..]).collect::<Vec<_>>().join("\n")
}

#[test]
fn systemd_and_kubernetes_start_a_run_again_after_the_same_exit_codes() {
    let all: BTreeSet<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
    let service = file("costag.service");
    let mut ends = codes_after(&service, "RestartPreventExitStatus=");
    ends.extend(codes_after(&service, "SuccessExitStatus="));
    ends.insert(0);
    let again: BTreeSet<u8> = all.difference(&ends).copied().collect();
    assert_eq!(again, BTreeSet::from([5]));
    let mut ends = codes_after(&file("costag-cronjob.yaml"), "values: ");
    ends.extend([0, 3, 8, 10]);
    assert_eq!(all.difference(&ends).copied().collect::<BTreeSet<_>>(), again);
    assert!(script().contains("3|8|10) exit 0"), "{}", script());
}

#[test]
fn the_script_of_the_cron_job_keeps_exit_codes_and_passes_signals_on() {
    let folder = tempfile::tempdir().unwrap();
    let stub = folder.path().join("costag");
    let write = |text: &str| {
        fs::write(&stub, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let shell = || {
        let mut command = Command::new("/bin/sh");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        command.args(["-c", &script()]).env("PATH", path).current_dir(folder.path());
        command
    };
    for (code, seen) in [(0, 0), (3, 0), (8, 0), (10, 0), (5, 5), (6, 6), (143, 143)] {
        write(&format!("exit {code}"));
        start(shell()).end().with(seen);
    }
    // It ends as costag does after SIGTERM: a moment later, with a code of its own.
    write(
        "trap 'echo stopped; sleep 0.2; exit 143' TERM; echo began >&2; n=0; while [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done",
    );
    let running = start(shell());
    wait_until("the stub", || running.stderr().contains("began"));
    running.signal("TERM");
    let ended = running.end().with(143);
    assert!(ended.stdout.contains("stopped"), "{}", ended.stdout);
}
