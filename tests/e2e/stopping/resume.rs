//! `costag resume` repeats the interrupted command: its options hold, options given now replace them, and nothing in
//! the database loosens a limit or decides where secrets are sent.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use costag::emulator::{SECRET_ID, SECRET_KEY, Settings, Synthetic};
use rstest::rstest;

use crate::support::{BUCKET, Ended, Site, bare, clean, nobody, on_a_terminal, start, wait_until};

/// A bucket of many images with different bytes.
fn site(objects: u64) -> Site {
    Site::new(Synthetic { objects, ..Synthetic::default() }, Settings::default())
}

/// Runs the program with only the emulator's keys and endpoint in the environment.
fn plain(site: &Site, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = bare(site.folder(), arguments);
    command
        .env("COSTAG_SECRET_ID", SECRET_ID)
        .env("COSTAG_SECRET_KEY", SECRET_KEY)
        .env("COSTAG_ENDPOINT", site.emulator.endpoint())
        .envs(variables.iter().copied());
    start(command).end()
}

#[test]
fn a_budget_starts_afresh_with_every_resume() {
    let site = site(70);
    let run = ["run", BUCKET, "--qps", "0", "--max-calls", "30", "--scenes", "web"];
    plain(&site, &run, &[]).with(8);
    assert_eq!(site.calls(), 30);
    plain(&site, &["resume"], &[]).with(8).says(&["--max-calls 30", "--qps 0"]);
    assert_eq!(site.calls(), 60);
    plain(&site, &["resume"], &[]).with(0);
    assert_eq!(site.calls(), 70);
    site.assert_exports("web");
}

#[test]
fn an_option_given_to_resume_replaces_the_earlier_one_for_good() {
    let site = site(90);
    plain(&site, &["run", BUCKET, "--qps", "0", "--max-calls", "30"], &[]).with(8);
    plain(&site, &["resume", "--max-calls", "20"], &[]).with(8);
    assert_eq!(site.calls(), 50);
    plain(&site, &["resume"], &[]).with(8).says(&["--max-calls 20"]);
    assert_eq!(site.calls(), 70);
    plain(&site, &["resume", "--max-calls", "0"], &[]).with(0);
    assert_eq!(site.calls(), 90);
}

#[test]
fn resume_keeps_the_pace_of_the_command() {
    // At the default of ten calls a second, the rest would take twelve seconds.
    let site = site(240);
    plain(&site, &["run", BUCKET, "--qps", "500", "--max-calls", "120"], &[]).with(8);
    let begun = std::time::Instant::now();
    plain(&site, &["resume", "--max-calls", "0"], &[]).with(0).says(&["--qps 500"]);
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
}

#[rstest]
#[case::of_the_environment(&[("COSTAG_MAX_CALLS", "7")], None)]
#[case::of_the_file(&[], Some("max_calls = 7\n"))]
fn a_stricter_limit_of_environment_or_file_holds(
    #[case] variables: &[(&str, &str)],
    #[case] file: Option<&str>,
) {
    let site = site(60);
    plain(&site, &["run", BUCKET, "--qps", "0", "--max-calls", "20"], &[]).with(8);
    if let Some(content) = file {
        site.write("costag.toml", content);
    }
    plain(&site, &["resume"], variables).with(8).says(&["stricter", "--max-calls 20"]);
    assert_eq!(site.calls(), 27);
    // A looser limit does not replace it. A setting that was not an option is read again.
    site.write("costag.toml", "");
    plain(&site, &["resume"], &[("COSTAG_MAX_CALLS", "25")]).with(8);
    assert_eq!(site.calls(), 47);
    plain(&site, &["resume", "--max-calls", "0"], &[("COSTAG_MAX_CALLS", "1")]).with(0);
    assert_eq!(site.calls(), 60);
}

#[test]
fn settings_from_environment_or_file_are_read_again() {
    let site = site(60);
    site.write("costag.toml", "workers = 4\n");
    plain(&site, &["run", BUCKET], &[("COSTAG_QPS", "0"), ("COSTAG_MAX_CALLS", "20")]).with(8);
    let typed: String = site.one("SELECT coalesce(settings ->> 'typed', 'none') FROM run");
    assert_eq!(typed, "{}");
    plain(&site, &["resume"], &[("COSTAG_QPS", "0")]).with(0);
    assert_eq!(site.calls(), 60);
}

#[test]
fn a_run_that_continues_uses_the_options_of_the_new_command() {
    let settings = Settings { latency_ms: 20, ..Settings::default() };
    let site = Site::new(Synthetic { objects: 3000, ..Synthetic::default() }, settings);
    let first = [
        "run",
        BUCKET,
        "--qps",
        "0",
        "--max-calls",
        "10",
        "--list-qps",
        "2",
        "--list-workers",
        "1",
    ];
    plain(&site, &first, &[]).with(8);
    let listed: Option<i64> = site.one("SELECT listed_at FROM run");
    assert_eq!(listed, None, "its listing is unfinished");
    plain(&site, &["run", BUCKET, "--qps", "0", "--max-calls", "15"], &[]).with(8);
    assert_eq!((site.calls(), site.one::<i64>("SELECT max(id) FROM run")), (25, 1));
    plain(&site, &["resume"], &[]).with(8).says(&["--max-calls 15"]);
    assert_eq!(site.calls(), 40);
}

#[test]
fn other_scenes_given_to_resume_start_a_new_run_over_the_same_source() {
    let site = site(40);
    plain(&site, &["run", BUCKET, "--qps", "0", "--max-calls", "10"], &[]).with(8);
    let ended = plain(&site, &["resume", "--max-calls", "0", "--scenes", "news"], &[]).with(0);
    ended.says(&["a new run replaces it"]);
    assert_eq!(site.export(&["--scene", "news"]), site.expected("news"));
    assert_eq!(site.calls(), 50);
    plain(&site, &["resume"], &[]).with(0).says(&["nothing to resume"]);
}

#[test]
fn a_run_of_an_older_version_resumes_with_the_present_settings() {
    let site = site(50);
    plain(&site, &["run", BUCKET, "--qps", "0", "--max-calls", "20"], &[]).with(8);
    site.tamper("UPDATE run SET settings = json_remove(settings, '$.typed')");
    plain(&site, &["resume", "--qps", "0"], &[]).with(0);
    assert_eq!(site.calls(), 50);
}

#[test]
fn no_secret_and_no_source_of_secrets_is_stored() {
    let site = site(30);
    let mut command = bare(
        site.folder(),
        &[
            "run",
            BUCKET,
            "--qps",
            "0",
            "--max-calls",
            "10",
            "--endpoint",
            &site.emulator.endpoint(),
            "--credential-process",
            &format!("echo '{{\"SecretId\":\"{SECRET_ID}\",\"SecretKey\":\"{SECRET_KEY}\"}}'"),
            "--metadata-endpoint",
            "http://127.0.0.1:9",
        ],
    );
    command.env("COSTAG_COOLDOWN", "100ms");
    start(command).end().with(8);
    let settings: String = site.one("SELECT settings FROM run");
    for word in [SECRET_ID, SECRET_KEY, "credential", "metadata", "echo"] {
        assert!(!settings.contains(word), "{word} in {settings}");
    }
    // The credential command has to be given again.
    let resume = ["resume", "--endpoint", &site.emulator.endpoint()];
    start(bare(site.folder(), &resume)).end().with(6);
}

/// Runs `resume` without an endpoint in the environment.
fn without_an_endpoint(site: &Site, arguments: &[&str]) -> Ended {
    let mut command = bare(site.folder(), arguments);
    command.env("COSTAG_SECRET_ID", SECRET_ID).env("COSTAG_SECRET_KEY", SECRET_KEY);
    start(command).end()
}

#[test]
fn an_endpoint_that_only_the_database_names_must_be_confirmed() {
    let site = site(45);
    let endpoint = site.emulator.endpoint();
    without_an_endpoint(
        &site,
        &["run", BUCKET, "--endpoint", &endpoint, "--qps", "0", "--max-calls", "10"],
    )
    .with(8);
    let told = format!("costag resume --endpoint {endpoint}");
    without_an_endpoint(&site, &["resume"]).with(2).says(&[&endpoint, &told]);
    without_an_endpoint(&site, &["resume", "-y"]).with(2);
    assert_eq!(site.calls(), 10);
    // The endpoint is confirmed by giving it as an option, as a variable, or in a named file.
    without_an_endpoint(&site, &["resume", "--endpoint", &endpoint]).with(8);
    plain(&site, &["resume"], &[]).with(8);
    site.write("named.toml", format!("endpoint = \"{endpoint}\"\n"));
    without_an_endpoint(&site, &["resume", "--config", "named.toml"]).with(8);
    assert_eq!(site.calls(), 40);
}

#[test]
fn an_unconfirmed_endpoint_of_the_database_gets_no_request() {
    let site = site(40);
    plain(&site, &["run", BUCKET, "--qps", "0", "--max-calls", "10"], &[]).with(8);
    let stranger = Site::plain(40);
    let other = stranger.emulator.endpoint();
    for path in ["$.endpoint", "$.typed.endpoint"] {
        site.tamper(&format!("UPDATE run SET settings = json_set(settings, '{path}', '{other}')"));
        without_an_endpoint(&site, &["resume"]).with(2).says(&[&other]);
        without_an_endpoint(&site, &["resume", "--db", "costag.db", "-y"]).with(2);
        // A region that is given now leads to the service, whatever endpoint the database names.
        let region = ["resume", "--region", "ap-nowhere", "--patience", "1s", "--max-calls", "0"];
        let mut command = bare(site.folder(), &region);
        command.env("COSTAG_SECRET_ID", SECRET_ID).env("COSTAG_SECRET_KEY", SECRET_KEY);
        // A proxy where nobody listens, so that no host name is looked up.
        command.env("HTTPS_PROXY", format!("http://{}", nobody()));
        start(command).end().with(5).says(&["ap-nowhere.myqcloud.com"]);
    }
    let seen = stranger.emulator.statistics();
    assert_eq!((seen.calls, seen.list_calls, seen.head_calls), (0, 0, 0));
}

#[rstest]
#[case::no_json("settings = '{'")]
#[case::no_text("settings = x'ff00ff'")]
#[case::a_number("settings = 7")]
#[case::nothing("settings = ''")]
#[case::wrong_types("settings = json_set(settings, '$.scenes', 7)")]
#[case::another_bucket("settings = json_set(settings, '$.bucket', 'other-1250000000')")]
#[case::another_prefix("settings = json_set(settings, '$.source.prefix', 'private/')")]
#[case::another_source(
    "settings = json_set(settings, '$.source', json('{\"kind\":\"keys\",\"file\":\"/etc/shadow\"}'))"
)]
#[case::a_host_as_region(
    "settings = json_set(json_remove(settings, '$.endpoint'), '$.region', 'x.evil.example/')"
)]
#[case::a_region_that_escapes(
    "settings = json_set(json_remove(settings, '$.endpoint'), '$.region', 'x@evil.example')"
)]
#[case::a_typed_region_that_escapes(
    "settings = json_set(json_remove(settings, '$.endpoint'), '$.typed.region', 'evil.example/')"
)]
#[case::an_endpoint_that_is_none(
    "settings = json_set(settings, '$.endpoint', 'file:///etc/passwd')"
)]
#[case::typed_is_a_list("settings = json_set(settings, '$.typed', json('[1]'))")]
#[case::a_typed_number("settings = json_set(settings, '$.typed.qps', 1e308)")]
#[case::a_typed_text("settings = json_set(settings, '$.typed.qps', 'fast')")]
#[case::too_many_workers(
    "settings = json_set(settings, '$.typed.workers', '99999999999999999999')"
)]
#[case::a_typed_command(
    "settings = json_set(settings, '$.typed.credential_process', 'touch started')"
)]
#[case::a_typed_authority("settings = json_set(settings, '$.typed.ca_file', 'evil.pem')")]
#[case::a_typed_stranger("settings = json_set(settings, '$.typed.later', 'x')")]
#[case::a_bad_glob("settings = json_set(settings, '$.filter.include[#]', 'a{b')")]
#[case::a_negative_size("settings = json_set(settings, '$.filter.min_size', -1)")]
#[case::a_huge_size("settings = json_set(settings, '$.filter.max_size', 1e300)")]
fn stored_settings_that_were_changed_are_a_clear_error(#[case] change: &str) {
    let site = site(20);
    let run = ["run", BUCKET, "--qps", "0", "--max-calls", "10"];
    plain(&site, &run, &[]).with(8);
    site.tamper(&format!("UPDATE run SET {change}"));
    let mut resume = bare(site.folder(), &["resume"]);
    resume.env("COSTAG_SECRET_ID", SECRET_ID).env("COSTAG_SECRET_KEY", SECRET_KEY);
    let ended = start(resume).end_untried();
    assert!(matches!(ended.code, Some(2 | 7)), "{:?} {}", ended.code, ended.stderr);
    assert!(ended.stderr.contains("error: "), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
    assert!(!site.path("started").exists());
    assert_eq!(site.calls(), 10);
}

#[rstest]
#[case::of_the_reading("UPDATE range SET cursor = 'many' WHERE seq = 0")]
#[case::of_the_look_ups("UPDATE range SET cursor = '-1x' WHERE seq = 1")]
fn progress_in_a_list_that_is_no_number_is_an_error(#[case] change: &str) {
    let site = site(20);
    let keys: BTreeSet<String> =
        site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
    site.write("keys.txt", Vec::from_iter(keys).join("\n"));
    site.costag(&["run", BUCKET, "--keys", "keys.txt", "--max-calls", "1"]).with(8);
    site.tamper("UPDATE range SET done = 0");
    site.tamper(change);
    let ended = site.costag(&["resume", "--keys", "keys.txt"]).with(7);
    assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
}

#[test]
fn a_list_file_is_read_further_only_if_it_is_named_again() {
    let site = site(700);
    let keys: Vec<String> = site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
    let mut keys: Vec<String> = keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    keys.truncate(650);
    assert_eq!(keys.len(), 650);
    // A named pipe, so that the list has not ended when the run is killed.
    let pipe = site.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let run = site.start(&["run", BUCKET, "--keys", "pipe"]);
    // Opened for reading too, so that the pipe has a reader while the program checks whether it can open it.
    let mut writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    writer.write_all(format!("{}\n", keys[..600].join("\n")).as_bytes()).unwrap();
    wait_until("lines in the database", || {
        site.path("costag.db").exists()
            && site
                .database()
                .query_row("SELECT count(*) FROM list_item", [], |row| row.get(0))
                .unwrap_or(0)
                >= 500
    });
    run.kill();
    drop(writer);
    let read: u64 = site.one::<i64>("SELECT count(*) FROM list_item").cast_unsigned();
    let ended = site.resume().with(2);
    let named = format!("--keys {}", pipe.display());
    ended.says(&[&named, "not read to its end", "costag resume"]);
    assert_eq!(site.calls(), read);
    // If the file is named, reading continues, and only the missing keys are called.
    site.write("whole.txt", keys.join("\n"));
    site.resume_with(&["--urls", "whole.txt"]).with(2).says(&["cannot be used here"]);
    site.resume_with(&["--keys", "whole.txt"]).with(0);
    assert_eq!((site.calls(), site.emulator.statistics().most_calls_for_one_key), (650, 1));
}

#[test]
fn a_file_that_only_the_database_names_is_not_opened() {
    let site = Site::plain(3);
    let keys: Vec<String> = site.expected("camera").into_iter().map(|row| row[0].clone()).collect();
    site.write("keys.txt", &keys[0]);
    site.run(&["--keys", "keys.txt", "--max-duration", "1ms"])
        .with(10)
        .says(&["costag resume", " --keys keys.txt"]);
    let secret = site.write("secret.txt", "root:hush-hush:1:2\n");
    let secret = site.path(&secret);
    site.tamper(&format!(
        "UPDATE run SET settings = json_set(settings, '$.source.file', '{}'); UPDATE range SET done = 0",
        secret.display()
    ));
    site.resume().with(2).says(&["secret.txt", "--keys"]);
    assert!(!site.called().keys().any(|key| key.contains("hush")));
    assert_eq!(site.one::<i64>("SELECT count(*) FROM list_item WHERE item LIKE '%hush%'"), 0);
    assert!(site.emulator.statistics().head_calls <= 1);
}

#[test]
fn a_stored_endpoint_is_confirmed_on_a_terminal_with_yes() {
    let site = site(20);
    let endpoint = site.emulator.endpoint();
    let run = ["run", BUCKET, "--endpoint", &endpoint, "--qps", "0", "--max-calls", "5"];
    without_an_endpoint(&site, &run).with(8);
    for (answer, calls) in [("n\n", 5), ("\n", 5), ("y\n", 10)] {
        let set_up = |command: &mut Command| {
            clean(command, site.folder());
            command.env("COSTAG_SECRET_ID", SECRET_ID).env("COSTAG_SECRET_KEY", SECRET_KEY);
        };
        let Some(mut asked) = on_a_terminal(set_up, "resume") else { return };
        let question = format!("send signed requests to {endpoint}?");
        wait_until("the question", || asked.stdout().contains(&question));
        assert_eq!(site.calls(), 5, "nothing is sent before the answer");
        asked.types(answer);
        let code = asked.end().code;
        assert_eq!((code, site.calls()), (Some(if calls == 5 { 2 } else { 8 }), calls));
    }
}

#[test]
fn a_suggested_command_works_as_it_is_printed() {
    let site = Site::plain(10);
    std::fs::create_dir(site.path("it's here")).unwrap();
    site.write("night.toml", "qps = 0\n");
    let options = ["--db", "it's here/a.db", "--config", "night.toml", "--max-calls", "5"];
    let ended = site.run(&options).with(8);
    let suggested = ended.stderr.lines().find(|line| line.starts_with("  costag resume ")).unwrap();
    assert_eq!(suggested, r"  costag resume --db 'it'\''s here/a.db' --config night.toml");
    let mut shell = Command::new("/bin/sh");
    site.set_up(&mut shell);
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_costag")).parent().unwrap();
    shell.env("PATH", programs).arg("-c").arg(suggested);
    start(shell).end().with(0).says(&["run 1: complete", "left      nothing"]);
    assert_eq!(site.calls(), 10);
}
