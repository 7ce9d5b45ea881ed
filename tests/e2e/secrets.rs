//! No secret in any output, log, database, error or argument.

use costag::emulator::{Holdings, Options, Settings, Synthetic};

use crate::support::{BUCKET, Ended, Site, start, wait_until};

const KEY: &str = "hUsH0kEy1d2c3b4a5968778695a4b3c2";
const TOKEN: &str = "hUsH0tOkEn.d2c3b4a5968778695a4b3";

fn site() -> Site {
    let settings =
        Settings { token: Some(TOKEN.to_owned()), latency_ms: 20, ..Settings::default() };
    let bucket = Synthetic { objects: 60, ..Synthetic::default() };
    let holdings = Holdings::Objects(bucket);
    let secret_key = KEY.to_owned();
    Site::with(Options { settings, holdings, secret_key, ..Options::default() })
}

fn costag(site: &Site, arguments: &[&str], key: &str) -> Ended {
    let mut command = site.command(&[arguments, &["--log", "trace"]].concat());
    command.env("COSTAG_SECRET_KEY", key).env("COSTAG_TOKEN", TOKEN);
    let run = start(command);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", run.id())).unwrap_or_default();
    assert!(!holds_secret(&arguments));
    let ended = run.end();
    assert!(!holds_secret(ended.stdout.as_bytes()), "{arguments:?}");
    assert!(!holds_secret(ended.stderr.as_bytes()), "{arguments:?}");
    ended
}

fn holds_secret(bytes: &[u8]) -> bool {
    [KEY, TOKEN]
        .iter()
        .any(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

#[track_caller]
fn assert_no_file_holds_one(site: &Site) {
    let mut files = 0;
    for entry in std::fs::read_dir(site.folder()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!holds_secret(&bytes), "{}", path.display());
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn wherever_one_looks_there_is_none() {
    let site = site();
    let ended = costag(&site, &["run", BUCKET, "--max-calls", "30"], KEY).with(8);
    assert!(ended.stderr.contains("TRACE") || ended.stderr.contains("DEBUG"), "it was a full log");
    assert_no_file_holds_one(&site);
    costag(&site, &["resume", "--log-format", "json"], KEY).with(0);
    costag(&site, &["status"], KEY).with(0);
    costag(&site, &["config", "show"], KEY).with(0);
    costag(&site, &["config", "show", "--json"], KEY).with(0);
    costag(&site, &["export", "-o", "tags.csv"], KEY).with(0);
    // Errors tell what the service says of the signature; the right key is the wrong one here.
    site.change(r#"{"token":"another"}"#);
    costag(&site, &["run", BUCKET, "--scenes", "web"], KEY).with(6);
    costag(&site, &["run", BUCKET, "--scenes", "web"], &KEY[1..]).with(6);
    assert_no_file_holds_one(&site);
}

#[test]
fn nor_while_it_runs() {
    let site = site();
    let mut command = site.command(&["run", BUCKET, "--workers", "2", "--log", "trace"]);
    command.env("COSTAG_SECRET_KEY", KEY).env("COSTAG_TOKEN", TOKEN);
    let run = start(command);
    wait_until("some calls", || site.calls() >= 20);
    if cfg!(target_os = "linux") {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", run.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "no core dump: {core}");
    }
    assert_no_file_holds_one(&site);
    run.kill();
    assert_no_file_holds_one(&site);
}
