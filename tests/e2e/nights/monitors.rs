//! Metrics and pings: what a run tells monitors by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use costag::emulator::{Settings, Synthetic};

use crate::support::{BUCKET, Site, answering, http, start, wait_until};

/// The secret part of an address for pings.
const SECRET: &str = "3f1c9a7e-hush-4b21";

type Requests = Arc<Mutex<Vec<String>>>;

/// A switch that answers every ping with this status and body, and the paths that it was asked for.
fn switch(status: &'static str, body: &'static str) -> (String, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let address = answering(move |head| {
        let line = head.lines().next().unwrap_or_default();
        let path = line.trim_start_matches("POST /").trim_end_matches(" HTTP/1.1");
        seen.lock().unwrap().push(path.replace(SECRET, "*"));
        http(status, body)
    });
    (format!("http://{address}/{SECRET}"), requests)
}

/// The value of a series in the metrics file.
#[track_caller]
fn value(text: &str, name: &str, label: &str) -> i64 {
    let start = format!("{name}{{database=\"costag.db\",profile=\"\"{label}}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {start} in\n{text}")).parse().unwrap()
}

#[test]
fn a_ping_is_sent_at_the_start_and_at_the_end_of_a_run() {
    let site = Site::plain(3);
    let (address, requests) = switch("200 OK", "OK");
    let pinged = |options: &[&str], secret_key: Option<&str>, code: i32| {
        let mut command = site.command(&[&["run", BUCKET, "--log", "trace"], options].concat());
        command.env("COSTAG_PING_URL", &address);
        if let Some(key) = secret_key {
            command.env("COSTAG_SECRET_KEY", key);
        }
        let ended = start(command).end().with(code);
        assert!(
            !ended.stderr.contains(SECRET) && !ended.stderr.contains("warning"),
            "{}",
            ended.stderr
        );
        std::mem::take(&mut *requests.lock().unwrap())
    };
    assert_eq!(pinged(&["--max-calls", "1", "-w", "1"], None, 8), ["*/start", "*"]);
    assert_eq!(pinged(&[], Some("wrong"), 6), ["*/start", "*/fail"]);
    assert_eq!(pinged(&["--success-codes", "3"], None, 0), ["*/start", "*/fail"]);
    assert!(pinged(&["--no-ping"], None, 0).is_empty());
    // A run that cannot begin is a failure too.
    assert_eq!(pinged(&["--patience", "long"], None, 2), ["*/fail"]);
    assert!(pinged(&["--patience", "long", "--no-ping"], None, 2).is_empty());
    // The address may also be in a file.
    let file = site.write("ping", format!("{address}\n"));
    fs::set_permissions(site.path(&file), fs::Permissions::from_mode(0o600)).unwrap();
    site.run(&["--ping-file", &file]).with(0);
    assert_eq!(*requests.lock().unwrap(), ["*/start", "*"]);
    // The address is nowhere in the database.
    let database = fs::read(site.path("costag.db")).unwrap();
    assert!(!database.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()));
}

#[test]
fn a_ping_that_fails_is_a_warning_without_the_address() {
    let site = Site::plain(1);
    let secret = |url: String, warning: &str| {
        let mut command = site.command(&["run", BUCKET]);
        command.env("COSTAG_PING_URL", url);
        let ended = start(command).end().with(0).says(&["warning: ", warning]);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    };
    secret(switch("404 Not Found", "").0, "the ping failed: it was answered with HTTP 404");
    secret(switch("200 OK", "OK (not found)").0, "answered with \"not found\": check its address");
    secret(format!("http://127.0.0.1:1/{SECRET}"), "the ping failed: no answer came");
    secret(format!("htp:{SECRET}"), "no ping is sent: COSTAG_PING_URL does not contain an address");
    site.run(&["--ping-file", "none"])
        .with(0)
        .says(&["no ping is sent: cannot read ping_file none"]);
}

#[test]
fn metrics_are_written_during_a_run_and_at_its_end() {
    let bucket = Synthetic { objects: 4, ..Synthetic::default() };
    let site = Site::new(bucket, Settings::default());
    let file = || fs::read_to_string(site.path("costag.prom"));
    site.run(&["--metrics-file", "costag.prom", "--scenes", "web,camera"]).with(0);
    let text = file().unwrap();
    assert_eq!(value(&text, "costag_run_exit_code", ""), 0);
    assert_eq!(value(&text, "costag_contents", ",state=\"done\""), 4);
    assert_eq!(value(&text, "costag_contents", ",state=\"failed\""), 0);
    assert_eq!(value(&text, "costag_calls_total", ",outcome=\"answered\""), 4);
    assert_eq!(value(&text, "costag_calls_total", ",outcome=\"throttled\""), 0);
    assert_eq!(value(&text, "costag_units_total", ""), 8);
    let success = value(&text, "costag_last_success_timestamp_seconds", "");
    assert!(success > 1_700_000_000, "{text}");

    // A run that fails changes the exit code, and not the time of the last success.
    let mut refused = site.command(&["run", BUCKET, "--metrics-file", "costag.prom"]);
    refused.env("COSTAG_SECRET_KEY", "wrong");
    start(refused).end().with(6);
    let text = file().unwrap();
    assert_eq!(value(&text, "costag_run_exit_code", ""), 6);
    assert_eq!(value(&text, "costag_last_success_timestamp_seconds", ""), success);
    site.run(&["--metrics-file", "costag.db"]).with(0).says(&["metrics_file names the database"]);
}

#[test]
fn a_run_that_finds_another_one_at_work_tells_monitors_nothing() {
    // Every call takes longer than the test.
    let settings = Settings { latency_ms: 600_000, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 4, ..Synthetic::default() }, settings);
    let (address, requests) = switch("200 OK", "OK");
    let options = ["run", BUCKET, "--metrics-file", "costag.prom"];
    let command = || {
        let mut command = site.command(&options);
        command.env("COSTAG_PING_URL", &address);
        command
    };
    let running = start(command());
    let seen = || requests.lock().unwrap().clone();
    wait_until("the first ping", || seen() == ["*/start"]);
    wait_until("metrics during the run", || site.path("costag.prom").exists());
    fs::remove_file(site.path("costag.prom")).unwrap();
    start(command()).end().with(11);
    assert_eq!(seen(), ["*/start"]);
    assert!(!site.path("costag.prom").exists());
    assert!(running.kill());
}
