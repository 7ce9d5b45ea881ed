//! The question before more calls than a person may have expected, on a pseudo terminal.

use std::process::{Command, Stdio};

use costag::emulator::{Settings, Synthetic};

use crate::support::{BUCKET, Running, Site, start, wait_until};

/// The program on a terminal that `script` of util-linux gives; none if there is no such tool.
fn on_a_terminal(site: &Site, arguments: &str) -> Option<Running> {
    let version = Command::new("script").arg("--version").output();
    let has_tool =
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"));
    if !has_tool {
        let required = std::env::var_os("COSTAG_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!required, "`script` of util-linux is missing");
        eprintln!("left out: there is no `script` of util-linux here");
        return None;
    }
    let mut command = Command::new("script");
    site.set_up(&mut command);
    let line = format!("exec {} {arguments}", env!("CARGO_BIN_EXE_costag"));
    command.args(["-q", "-e", "-c", &line, "typescript"]).stdin(Stdio::piped());
    command.env("TERM", "xterm").env("SHELL", "/bin/sh");
    Some(start(command))
}

fn site() -> Site {
    let settings = Settings { latency_ms: 5, ..Settings::default() };
    let bucket = Synthetic { objects: 1500, ..Synthetic::default() };
    Site::new(bucket, settings)
}

const QUESTION: &str = "go on calling?";

#[test]
fn it_asks_a_person_and_a_no_ends_it_before_the_next_call() {
    let site = site();
    let arguments = format!("run {BUCKET} --confirm-above 40 --price-per-1000-calls 2");
    let Some(mut run) = on_a_terminal(&site, &arguments) else { return };
    wait_until("the question", || run.stdout().contains(QUESTION));
    // Listing goes on while it waits.
    wait_until("the whole listing", || site.one::<i64>("SELECT count(*) FROM object") == 1500);
    // It is asked for the next call, when those before it may still be on their way.
    wait_until("the calls before it", || site.calls() >= 40);
    run.types("n\n");
    let ended = run.end().with(8);
    assert!(ended.stdout.contains("40 calls are made"), "{}", ended.stdout);
    assert!(ended.stdout.contains("about ") && ended.stdout.contains("CNY"), "{}", ended.stdout);
    assert!(ended.stdout.contains("costag resume"), "{}", ended.stdout);
    assert_eq!(site.calls(), 40, "nothing above was called");
    assert_eq!(site.ledger(), (40, 0));
    site.assert_sound();
    // A pipe is not asked.
    site.costag(&["resume", "--confirm-above", "40"]).with(0);
    assert_eq!(site.calls(), 1500);
}

#[test]
fn a_yes_lets_the_rest_through_and_so_does_the_option() {
    let site = site();
    let Some(mut run) = on_a_terminal(&site, &format!("run {BUCKET} --confirm-above 40")) else {
        return;
    };
    wait_until("the question", || run.stdout().contains(QUESTION));
    run.types("y\n");
    run.end().with(0);
    assert_eq!(site.calls(), 1500);
    let more = format!("run {BUCKET} --scenes web --confirm-above 40 -y");
    let ended = on_a_terminal(&site, &more).map(|run| run.end().with(0));
    assert!(ended.is_some_and(|ended| !ended.stdout.contains(QUESTION)));
    assert_eq!(site.calls(), 3000);
    site.assert_sound();
}

#[test]
fn doctor_and_retag_ask_a_person_too() {
    let site = site();
    let Some(mut doctor) = on_a_terminal(&site, &format!("doctor {BUCKET}")) else { return };
    wait_until("the question", || doctor.stdout().contains("it is paid"));
    doctor.types("\n");
    let ended = doctor.end().with(0);
    assert!(ended.stdout.contains("not called"), "{}", ended.stdout);
    assert_eq!(site.calls(), 0);
    site.run(&["--limit", "30"]).with(0);
    let before = site.tables(&[]);
    let Some(mut retag) = on_a_terminal(&site, "retag --all") else { return };
    wait_until("the question", || retag.stdout().contains("put back 30 images"));
    retag.types("no\n");
    let ended = retag.end().with(0);
    assert!(ended.stdout.contains("nothing was changed"), "{}", ended.stdout);
    assert_eq!(site.tables(&[]), before);
}
