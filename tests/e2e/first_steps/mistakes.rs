//! Mistakes in commands and settings: each has its own message and exit code, and makes no call.

use costag::emulator::{SECRET_ID, SECRET_KEY};
use rstest::rstest;
use rusqlite::Connection;

use crate::support::{BUCKET, Ended, Site, bare, canned, nobody, start};

fn assert_untroubled(site: &Site) {
    let seen = site.emulator.statistics();
    assert_eq!((seen.calls, seen.list_calls, seen.head_calls, seen.bad_signatures), (0, 0, 0, 0));
    assert!(!site.path("costag.db").exists());
}

#[rstest]
#[case::no_scene(&["--scenes", ""], "scene")]
#[case::unknown_scene(&["--scenes", "web,cinema"], "cinema")]
#[case::negative_rate(&["--qps=-1"], "qps")]
#[case::no_number(&["--qps", "NaN"], "qps")]
#[case::no_workers(&["--workers", "0"], "workers")]
#[case::too_many_workers(&["--workers", "5000"], "workers")]
#[case::no_duration(&["--timeout", "fast"], "timeout")]
#[case::bad_glob(&["--include", "a{b"], "glob")]
#[case::unknown_flag(&["--quick"], "--quick")]
#[case::malformed_endpoint(&["--endpoint", "127.0.0.1:80"], "endpoint")]
#[case::endpoint_with_query(&["--endpoint", "http://127.0.0.1/?a=b"], "endpoint")]
#[case::endpoint_with_user(&["--endpoint", "http://a:b@127.0.0.1/"], "endpoint")]
#[case::two_sources(&["--keys", "-", "--urls", "-"], "--urls")]
#[case::nul_without_list(&["-0"], "-0")]
#[case::no_such_list(&["--keys", "no-such-file"], "no-such-file")]
#[case::no_such_config(&["--config", "no-such.toml"], "no-such.toml")]
fn a_wrong_command_ends_with_exit_code_2_and_a_message(
    #[case] options: &[&str],
    #[case] named: &str,
) {
    let site = Site::plain(3);
    site.run(options).with(2).says(&[named]);
    assert_untroubled(&site);
}

#[rstest]
#[case("demo-1250000000")]
#[case("s3://demo-1250000000")]
#[case("cos://")]
#[case("cos://demo")]
#[case("cos://Demo_1-1250000000")]
fn a_wrong_address_is_explained(#[case] address: &str) {
    let site = Site::plain(3);
    site.costag(&["run", address]).with(2).says(&["bucket"]);
    assert_untroubled(&site);
}

#[test]
fn a_wrong_variable_or_configuration_file_is_named() {
    let site = Site::plain(3);
    let mut command = site.command(&["run", BUCKET]);
    command.env("COSTAG_WORKERS", "many");
    start(command).end().with(2).says(&["COSTAG_WORKERS"]);
    site.write("costag.toml", "qsp = 5\n");
    site.run(&[]).with(2).says(&["qsp", "qps", "costag.toml"]);
    site.write("costag.toml", "qps = = 5\n");
    site.run(&[]).with(2).says(&["costag.toml, line 1"]);
    assert_untroubled(&site);
    site.run(&["--no-config"]).with(0);
}

#[test]
fn a_run_without_region_or_endpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare(folder.path(), &["run", BUCKET]);
    command.env("COSTAG_SECRET_ID", SECRET_ID).env("COSTAG_SECRET_KEY", SECRET_KEY);
    start(command).end().with(2).says(&["--region"]);
}

/// If the endpoint serves another bucket, its objects must not be stored under the name of this one.
#[test]
fn an_endpoint_that_serves_another_bucket_is_refused() {
    let site = Site::plain(5);
    site.costag(&["run", "cos://other-1250000000"]).with(2).says(&[
        "demo-1250000000",
        "other-1250000000",
        "--endpoint",
    ]);
    assert_eq!((site.calls(), site.one::<i64>("SELECT count(*) FROM object")), (0, 0));
}

#[test]
fn help_and_version_are_printed_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let costag = |arguments: &[&str]| start(bare(folder.path(), arguments)).end();
    let alone = costag(&[]).with(2).says(&["Usage: costag", "run", "export"]);
    assert_eq!(alone.stdout, "");
    let version = costag(&["--version"]).with(0);
    assert_eq!(version.stdout, concat!("costag ", env!("CARGO_PKG_VERSION"), "\n"));
    for command in ["run", "resume", "export", "status", "emulator", "demo", "config"] {
        assert!(costag(&[command, "--help"]).with(0).stdout.contains("Usage: costag"), "{command}");
    }
    costag(&["tag"]).with(2);
    for command in ["export", "status", "resume"] {
        costag(&[command]).with(2).says(&["no database at"]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made by reading");
}

#[test]
fn missing_credentials_end_with_exit_code_6() {
    let site = Site::plain(3);
    let with = |variables: &[(&str, &str)]| {
        let mut command = site.command(&["run", BUCKET]);
        command.env_remove("COSTAG_SECRET_ID").env_remove("COSTAG_SECRET_KEY");
        start({
            command.envs(variables.iter().copied());
            command
        })
        .end()
    };
    with(&[]).with(6).says(&["COSTAG_SECRET_ID", "TENCENTCLOUD_SECRET_ID", "COS_SECRETID"]);
    with(&[("COSTAG_SECRET_ID", ""), ("COSTAG_SECRET_KEY", "")])
        .with(6)
        .says(&["COSTAG_SECRET_ID"]);
    with(&[("COSTAG_SECRET_ID", SECRET_ID)]).with(6).says(&["COSTAG_SECRET_KEY is not"]);
    with(&[("COSTAG_SECRET_KEY", SECRET_KEY)]).with(6).says(&["COSTAG_SECRET_ID is not"]);
    let blank = format!("{SECRET_KEY}\n");
    with(&[("COSTAG_SECRET_ID", SECRET_ID), ("COSTAG_SECRET_KEY", &blank)])
        .with(6)
        .says(&["blanks"]);
    // An incomplete pair of variables is not completed from another pair.
    with(&[
        ("COSTAG_SECRET_ID", SECRET_ID),
        ("TENCENTCLOUD_SECRET_ID", SECRET_ID),
        ("TENCENTCLOUD_SECRET_KEY", SECRET_KEY),
    ])
    .with(6);
    assert_untroubled(&site);
    with(&[("TENCENTCLOUD_SECRET_ID", SECRET_ID), ("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)]).with(0);
}

#[test]
fn a_missing_bucket_ends_with_exit_code_2() {
    let site = Site::plain(0);
    let body = include_str!("../../data/samples/error-404-no-such-bucket.xml");
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let endpoint = format!("http://{}", canned(answer));
    site.run(&["--endpoint", &endpoint]).with(2).says(&["NoSuchBucket", "APPID"]);
    // A redirect with a request id comes from the service: the endpoint is wrong. One without comes from a proxy.
    for (id, code) in [("x-cos-request-id: NjZm\r\n", 2), ("", 5)] {
        let answer = format!(
            "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n{id}Content-Length: 0\r\n\r\n"
        );
        let endpoint = format!("http://{}", canned(answer));
        site.run(&["--endpoint", &endpoint, "--patience", "1s"])
            .with(code)
            .says(&["http://127.0.0.1:1/"]);
    }
}

#[test]
fn an_endpoint_that_does_not_answer_ends_with_exit_code_5() {
    let site = Site::plain(0);
    let endpoint = format!("http://{}", nobody());
    site.run(&["--endpoint", &endpoint, "--patience", "1s"]).with(5).says(&["network"]);
    let endpoint = format!("http://{}", canned(String::new()));
    site.run(&["--endpoint", &endpoint, "--patience", "1s", "--timeout", "600ms"]).with(5);
    assert_eq!(site.one::<String>("SELECT state FROM run ORDER BY id DESC"), "stopped");
}

#[test]
fn a_folder_without_write_permission_ends_with_exit_code_4() {
    let site = Site::plain(3);
    site.write("file", "");
    for database in ["/dev/null/x.db", "file/x.db", "/proc/costag.db", "no/such/folder/x.db", "."] {
        site.run(&["--db", database]).with(4);
    }
    assert_untroubled(&site);
}

#[test]
fn a_foreign_database_is_left_unchanged() {
    let site = Site::plain(3);
    let refused = |name: &str, says: &str| {
        let before = std::fs::read(site.path(name)).unwrap();
        let all: [&[&str]; 4] = [&["run", BUCKET], &["resume"], &["status"], &["export"]];
        for command in all {
            let ended: Ended = site.costag(&[command, &["--db", name]].concat());
            ended.with(7).says(&[says, name]);
            assert_eq!(std::fs::read(site.path(name)).unwrap(), before, "{command:?}");
        }
    };
    site.write("noise.db", vec![7; 8192]);
    refused("noise.db", "damaged or no database");
    let made = |name: &str, sql: &str| {
        Connection::open(site.path(name)).unwrap().execute_batch(sql).unwrap();
    };
    made("other.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    refused("other.db", "not a costag database");
    site.run(&["--db", "newer.db"]).with(0);
    made("newer.db", "PRAGMA user_version = 99");
    refused("newer.db", "schema version 99");
    assert_eq!(site.calls(), 3);
}

#[rstest]
#[case::another_command(&["ls"], "costag plan --help")]
#[case::another_option(&["run", BUCKET, "--tpslimit", "5"], "costag run cos://demo-1250000000 --qps 5")]
#[case::not_needed(&["run", BUCKET, "--recursive"], "costag run cos://demo-1250000000")]
#[case::no_scheme(&["plan", "demo-1250000000/a"], "costag plan cos://demo-1250000000/a")]
#[case::of_a_browser(
    &["run", "https://demo-1250000000.cos.ap-guangzhou.myqcloud.com/a/"],
    "costag run cos://demo-1250000000/a/ --region ap-guangzhou"
)]
#[case::wide_comma(
    &["run", BUCKET, "--scenes", "web，camera"],
    "costag run cos://demo-1250000000 --scenes web,camera"
)]
fn words_of_other_tools_are_answered_with_the_command_that_is_meant(
    #[case] typed: &[&str],
    #[case] meant: &str,
) {
    let site = Site::plain(1);
    site.costag(typed).with(2).says(&["error: ", &format!("\n  {meant}\n")]);
    assert_untroubled(&site);
}

#[test]
fn a_quiet_run_says_nothing_and_a_misspelt_variable_is_named() {
    let site = Site::plain(3);
    let quiet = site.run(&["--quiet"]).with(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let planned = site.run(&["-n"]).with(0);
    assert!(planned.stdout.contains("plan (run 2)"), "{}", planned.stdout);
    let mut command = site.command(&["status"]);
    command.env("COSTAG_MAX_CALS", "5");
    start(command)
        .end()
        .with(0)
        .says(&["COSTAG_MAX_CALS has no effect: did you mean COSTAG_MAX_CALLS?"]);
}

#[test]
fn a_dry_run_suggests_the_run_and_not_another_dry_run() {
    let site = Site::plain(3);
    let without = |typed: &[&str], meant: &str| {
        let planned = site.run(typed).with(0).stdout;
        let line = format!("\n  costag run {BUCKET}{meant}\n");
        assert!(planned.ends_with(&line), "{typed:?}: {planned}");
    };
    without(&["-n"], "");
    without(&["--dry-run", "--limit", "2"], " --limit 2");
    without(&["-nq"], " -q");
    without(&["-qn"], " -q");
    without(&["-ynq"], " -yq");
    without(&["-nw3"], " -w3");
    without(&["-rap-nanjing", "-n"], " -rap-nanjing");
    assert_eq!(site.calls(), 0);
}

#[test]
fn a_quiet_run_says_why_its_exit_code_is_not_zero() {
    let site = Site::plain(3);
    site.write("keys.txt", "no/such.jpg\nnor/this.jpg\n");
    let missing = site.run(&["--keys", "keys.txt", "-q"]).with(3);
    let first = missing.stderr.lines().next();
    assert_eq!(first, Some("error: 2 keys of the list are missing"), "{}", missing.stderr);
    assert!(missing.stderr.contains("\n  costag status --failures\n"), "{}", missing.stderr);
    let site = Site::plain(40);
    site.change("{\"latency_ms\": 300}");
    let running = site.start(&["run", BUCKET, "-w", "1", "-q"]);
    crate::support::wait_until("the first call", || site.emulator.statistics().calls > 0);
    running.signal("TERM");
    let ended = running.end().with(143);
    assert!(ended.stderr.starts_with("stopped: terminated"), "{}", ended.stderr);
}

#[test]
fn a_manual_page_is_written_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    start(bare(folder.path(), &["man", "--out", "man1"])).end().with(0);
    for name in ["costag.1", "costag-run.1", "costag-status.1", "costag-export.1"] {
        let page = std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
        assert!(page.contains(".SH"), "{name}");
    }
}
