//! `costag doctor` prints one line for each check and ends with the exit code of the first failure.

use costag::emulator::{Options, Settings};

use crate::support::{BUCKET, Ended, Site, canned, nobody, start};

/// Name and result of each check, in order.
fn lines(ended: &Ended) -> Vec<(&str, &str)> {
    let words = |line| str::split_whitespace(line).collect::<Vec<_>>();
    ended.stdout.lines().map(words).map(|words| (words[1], words[0])).collect()
}

fn doctor(site: &Site, options: &[&str]) -> Ended {
    site.costag(&[&["doctor", BUCKET], options].concat())
}

#[test]
fn doctor_prints_its_checks_for_programs() {
    let site = Site::plain(2);
    let told = lines(&doctor(&site, &[]).with(0)).len();
    let json = doctor(&site, &["--json"]).with(0).stdout;
    let rows: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), told, "{json}");
    assert_eq!((&rows[5]["check"], &rows[5]["result"]), (&"list".into(), &"ok".into()), "{json}");
    assert!(rows[6]["text"].as_str().unwrap().contains("-y allows one call"), "{json}");
    let csv = doctor(&site, &["--csv"]).with(0).stdout;
    assert!(csv.starts_with("result,check,text\r\n") || csv.starts_with("result,check,text\n"));
    assert!(csv.contains("\nok,list,"), "{csv}");
}

#[test]
fn doctor_reports_a_sound_setup_and_makes_one_call_if_allowed() {
    let site = Site::plain(20);
    let ended = doctor(&site, &[]).with(0);
    let expected = [
        ("configuration", "ok"),
        ("database", "ok"),
        ("credentials", "ok"),
        ("endpoint", "ok"),
        ("clock", "ok"),
        ("list", "ok"),
        ("detect-label", "skip"),
    ];
    assert_eq!(lines(&ended), expected, "{}", ended.stdout);
    assert!(ended.stdout.contains("-y allows one call"), "{}", ended.stdout);
    assert!(ended.stdout.contains("COSTAG_SECRET_ID: id AKID…"), "which source was used");
    assert_eq!(site.calls(), 0);
    let ended = doctor(&site, &["-y"]).with(0);
    assert_eq!(lines(&ended)[6], ("detect-label", "ok"), "{}", ended.stdout);
    assert!(ended.stdout.contains("by the emulator"));
    assert_eq!(site.calls(), 1);
    assert!(!ended.stdout.contains(costag::emulator::SECRET_KEY));
    assert_eq!(std::fs::read_dir(site.folder()).unwrap().count(), 0, "it leaves no file");
    site.run(&[]).with(0);
    assert_eq!(doctor(&site, &[]).with(0).stdout.lines().count(), 7);
}

#[test]
fn doctor_finds_wrong_and_missing_keys() {
    let site = Site::with(Options { secret_key: "another".to_owned(), ..Options::default() });
    let ended = doctor(&site, &["-y"]).with(6);
    assert_eq!(lines(&ended).last(), Some(&("list", "FAIL")), "{}", ended.stdout);
    assert!(ended.stdout.contains("SignatureDoesNotMatch"), "{}", ended.stdout);
    assert!(ended.stdout.contains("request id"), "{}", ended.stdout);
    let mut command = site.command(&["doctor", BUCKET, "-y"]);
    command.env_remove("COSTAG_SECRET_ID").env_remove("COSTAG_SECRET_KEY");
    command.env("COSTAG_METADATA_ENDPOINT", format!("http://{}", nobody()));
    let ended = start(command).end().with(6);
    assert_eq!(lines(&ended).last(), Some(&("credentials", "FAIL")), "{}", ended.stdout);
    assert!(ended.stdout.contains("COSTAG_SECRET_KEY"), "{}", ended.stdout);
    assert_eq!(site.calls(), 0);
}

#[test]
fn doctor_finds_a_missing_bucket_a_dead_endpoint_and_missing_permissions() {
    let site = Site::plain(20);
    let body = include_str!("../../data/samples/error-404-no-such-bucket.xml");
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let other = format!("http://{}", canned(answer));
    let ended = doctor(&site, &["-y", "--endpoint", &other]).with(2);
    assert_eq!(lines(&ended).last(), Some(&("list", "FAIL")), "{}", ended.stdout);
    assert!(ended.stdout.contains("NoSuchBucket"), "{}", ended.stdout);
    let nowhere = format!("http://{}", nobody());
    let ended = doctor(&site, &["-y", "--endpoint", &nowhere]).with(5);
    assert_eq!(lines(&ended).last(), Some(&("endpoint", "FAIL")), "{}", ended.stdout);
    site.change(r#"{"faults":{"list_access_denied":1.0}}"#);
    let ended = doctor(&site, &["-y"]).with(6);
    assert!(ended.stdout.contains("cos:GetBucket"), "{}", ended.stdout);
    assert_eq!(site.calls(), 0);
    site.change(r#"{"clear":true,"fail_code":{"status":403,"code":"NoProcessAuthority"}}"#);
    let ended = doctor(&site, &["-y"]).with(6);
    assert_eq!(lines(&ended).last(), Some(&("detect-label", "FAIL")), "{}", ended.stdout);
    assert!(ended.stdout.contains("Cloud Infinite"), "{}", ended.stdout);
    assert_eq!(site.calls(), 1);
    site.costag(&["doctor", "photos", "-y"]).with(2);
}

#[test]
fn doctor_measures_a_wrong_clock_and_finds_a_bad_configuration() {
    let settings = Settings { clock_offset_seconds: 3600, ..Settings::default() };
    let site = Site::with(Options { settings, ..Options::default() });
    let ended = doctor(&site, &["-y"]).with(0);
    let clock = ended.stdout.lines().find(|line| line.contains("clock")).unwrap();
    assert!(clock.contains("3600") || clock.contains("3599") || clock.contains("3601"), "{clock}");
    site.write("costag.toml", "timeout = 0\n");
    let ended = doctor(&site, &["-y"]).with(2);
    assert_eq!(lines(&ended), [("configuration", "FAIL")]);
    std::fs::remove_file(site.path("costag.toml")).unwrap();
    site.write("costag.db", "no database at all, but a text of more than sixteen bytes");
    let ended = doctor(&site, &["-y"]).with(7);
    assert_eq!(lines(&ended)[1], ("database", "FAIL"), "{}", ended.stdout);
    assert_eq!(lines(&ended).last(), Some(&("detect-label", "ok")), "the other checks go on");
}

#[test]
fn doctor_finds_a_bucket_that_a_run_refuses_and_images_without_suffix() {
    let site = Site::holding(&[("no-suffix", "one")]);
    let other = "cos://other-1250000000";
    site.costag(&["run", other]).with(2);
    let ended = site.costag(&["doctor", other]).with(2);
    assert!(ended.stdout.contains("FAIL  list"), "{}", ended.stdout);
    let ended = site.costag(&["doctor", crate::support::BUCKET, "-y"]);
    assert!(ended.stdout.contains("no image"), "{}", ended.stdout);
    site.write("costag.toml", "suffixes = []\n");
    let ended = site.costag(&["doctor", crate::support::BUCKET, "-y"]);
    // The emulator does not recognise the file as a picture, but the call was made.
    assert!(!ended.stdout.contains("no image"), "{}", ended.stdout);
    assert_eq!(site.calls(), 1);
}

#[test]
fn doctor_finds_a_database_that_a_run_refuses() {
    let site = Site::plain(5);
    site.run(&[]).with(0);
    let (database, second) = (site.folder().join("costag.db"), site.folder().join("second.db"));
    std::fs::hard_link(&database, &second).unwrap();
    let ended = doctor(&site, &[]).with(11);
    assert_eq!(lines(&ended)[1], ("database", "FAIL"), "{}", ended.stdout);
    assert!(ended.stdout.contains("hard links"), "{}", ended.stdout);
    std::fs::remove_file(&second).unwrap();
    let trigger = "CREATE TRIGGER evil AFTER INSERT ON run BEGIN DELETE FROM content; END";
    rusqlite::Connection::open(&database).unwrap().execute_batch(trigger).unwrap();
    let ended = doctor(&site, &[]).with(7);
    assert_eq!(lines(&ended)[1], ("database", "FAIL"), "{}", ended.stdout);
    assert!(ended.stdout.contains("trigger evil"), "{}", ended.stdout);
}
