//! A bucket has a name: a profile of a configuration file.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{BUCKET, Ended, Site, start};

/// Writes the user's own configuration file. The home of a test is its folder.
fn own_file(site: &Site, text: &str) {
    std::fs::create_dir_all(site.path(".config/costag")).unwrap();
    site.write(".config/costag/costag.toml", text);
}

fn costag(site: &Site, arguments: &[&str]) -> Ended {
    let mut command = site.command(arguments);
    command.env_remove("COSTAG_WORKERS");
    start(command).end()
}

#[test]
fn the_name_of_a_profile_stands_for_its_bucket_and_settings() {
    let site = Site::plain(4);
    own_file(
        &site,
        &format!(
            "currency = \"EUR\"\n[profile.photos]\naddress = \"{BUCKET}\"\nscenes = [\"web\"]\ndb = \"photos.db\"\n"
        ),
    );
    costag(&site, &["plan", "photos"]).with(0);
    costag(&site, &["doctor", "photos", "-y"]).with(0);
    costag(&site, &["run", "photos", "--limit", "1"]).with(0);
    costag(&site, &["run", "--profile", "photos", "--limit", "1"]).with(0);
    let mut by_variable = site.command(&["run", BUCKET]);
    by_variable.env("COSTAG_PROFILE", "photos");
    start(by_variable).end().with(0);
    assert!(!site.path("costag.db").exists(), "the profile names another database");
    let told = costag(&site, &["status", "--profile", "photos", "--json"]).with(0).stdout;
    assert!(told.contains("\"done\":4") || told.contains("\"done\": 4"), "{told}");
    let exported = costag(&site, &["export", "--profile", "photos"]).with(0).stdout;
    assert!(exported.lines().skip(1).all(|line| line.contains(",web,")), "{exported}");
    // An option wins over the profile.
    costag(&site, &["status", "--profile", "photos", "--db", "none.db"]).with(2);
}

#[test]
fn a_word_that_is_neither_address_nor_profile_is_told_as_both() {
    let site = Site::plain(1);
    for command in ["run", "plan", "doctor"] {
        costag(&site, &[command, "photos"]).with(2).says(&[
            "\"photos\" is not the address of a bucket, and no profile has this name",
            "cos://BUCKET-APPID",
            "config init",
        ]);
        costag(&site, &[command]).with(2).says(&["no bucket is given"]);
    }
    own_file(&site, "[profile.docs]\nqps = 1\n[profile.archive]\n");
    costag(&site, &["run", "photos"]).with(2).says(&["costag.toml: docs, archive"]);
    costag(&site, &["run", "docs"]).with(2).says(&["the profile docs", "has no address"]);
    costag(&site, &["status", "--profile", "photos"])
        .with(2)
        .says(&["there is no profile \"photos\"", "docs, archive"]);
    costag(&site, &["run", "docs", "--profile", "archive"])
        .with(2)
        .says(&["two profiles are given"]);
    own_file(&site, "[profile.docs]\naddress = \"photos\"\n");
    costag(&site, &["run", "docs"])
        .with(2)
        .says(&["profile docs in", "\"photos\" is not the address"]);
    costag(&site, &["config", "check"])
        .with(2)
        .says(&["profile docs", "\"photos\" is not the address"]);
    assert_eq!(site.emulator.statistics().calls, 0);
}

#[test]
fn config_show_tells_from_which_file_or_profile_each_value_came() {
    let site = Site::plain(1);
    own_file(
        &site,
        "qps = 1\npatience = \"1m\"\n[profile.a]\naddress = \"cos://a-1250000000\"\ntimeout = \"9s\"\n",
    );
    site.write("costag.toml", "patience = \"2m\"\n");
    let mut command = site.command(&["config", "show", "--profile", "a"]);
    command.env_remove("COSTAG_QPS");
    let shown = start(command).end().with(0).stdout;
    let line = |key: &str| shown.lines().find(|line| line.contains(key)).unwrap();
    assert!(line("qps = 1").ends_with(".config/costag/costag.toml"), "{shown}");
    assert!(line("patience = \"2m\"").ends_with("# costag.toml"), "{shown}");
    assert!(line("timeout = \"9s\"").contains("# profile a in "), "{shown}");
    assert!(line("address = \"cos://a-1250000000\"").contains("# profile a in "), "{shown}");
    let json = costag(&site, &["config", "show", "--json", "--profile", "a"]).with(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["address"]["value"], "cos://a-1250000000");
    // A named file takes the place of the one in the folder, and not of the own one.
    site.write("named.toml", "timeout = \"3s\"\n");
    let shown = costag(&site, &["config", "show", "--config", "named.toml"]).with(0).stdout;
    assert!(shown.contains("timeout = \"3s\"") && shown.contains("patience = \"1m\""), "{shown}");
    let shown = costag(&site, &["config", "show", "--no-config"]).with(0).stdout;
    assert!(shown.contains("patience = \"15m\""), "{shown}");
}

#[test]
fn a_file_in_the_current_folder_may_not_have_profiles() {
    let site = Site::plain(1);
    site.write("costag.toml", format!("[profile.photos]\naddress = \"{BUCKET}\"\n"));
    for command in [&["run", "photos"][..], &["run", BUCKET], &["status"], &["config", "check"]] {
        costag(&site, command).with(2).says(&[
            "costag.toml",
            "has profiles",
            "--config costag.toml",
        ]);
    }
    assert_eq!(site.emulator.statistics().calls, 0);
    costag(&site, &["run", "photos", "--config", "costag.toml"]).with(0);
}

#[test]
fn the_own_file_must_not_be_writable_by_everybody() {
    let site = Site::plain(1);
    own_file(&site, "endpoint = \"https://a.example\"\n");
    costag(&site, &["config", "show"]).with(0);
    let mode = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(site.path(".config/costag/costag.toml"), mode).unwrap();
    costag(&site, &["config", "show"]).with(2).says(&["everybody can write it"]);
    costag(&site, &["config", "show", "--no-config"]).with(0);
    let mut elsewhere = site.command(&["config", "show"]);
    elsewhere.env("XDG_CONFIG_HOME", site.path("other"));
    start(elsewhere).end().with(0);
    // What is no folder has no file in it.
    site.write("other", "");
    let mut elsewhere = site.command(&["config", "show"]);
    elsewhere.env("XDG_CONFIG_HOME", site.path("other"));
    start(elsewhere).end().with(0);
}

#[test]
fn config_init_writes_a_file_that_every_command_reads_and_never_replaces_one() {
    let site = Site::plain(2);
    costag(&site, &["config", "init"]).with(2).says(&["no terminal", "--address"]);
    let options = ["config", "init", "--address", BUCKET];
    costag(&site, &options).with(2).says(&["no terminal", "--region"]);
    let options = [&options[..], &["--region", "ap-guangzhou"]].concat();
    let wrong = [&options[..], &["--scenes", "cat"]].concat();
    costag(&site, &wrong).with(2).says(&["--scenes", "cat"]);
    assert!(!site.path(".config").exists(), "nothing is written if an answer is wrong");
    costag(&site, &options).with(0).says(&["with the profile demo", "  costag doctor demo\n"]);
    costag(&site, &["config", "check"]).with(0);
    costag(&site, &["run", "demo"]).with(0);
    let file = site.path(".config/costag/costag.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(before.contains("# qps = 10\n"), "every setting is there, commented out");
    costag(&site, &options).with(2).says(&["exists, and is not overwritten"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    let named = [&options[..], &["here.toml", "--profile", "照片"]].concat();
    costag(&site, &named).with(0).says(&["--config here.toml"]);
    costag(&site, &["plan", "照片", "--config", "here.toml"]).with(0);
}

#[test]
fn config_init_asks_three_questions_on_a_terminal() {
    let site = Site::plain(1);
    let Some(mut running) = site.start_on_a_terminal("config init") else { return };
    crate::support::wait_until("the first question", || running.stdout().contains("Which bucket?"));
    running.types("photos\ncos://photos-1250000000\nap-guangzhou\nweb,news\n");
    let ended = running.end().with(0);
    assert!(ended.stdout.contains("\"photos\" is not the address"), "{}", ended.stdout);
    let written = std::fs::read_to_string(site.path(".config/costag/costag.toml")).unwrap();
    let profile = "[profile.photos]\naddress = \"cos://photos-1250000000\"\nregion = \"ap-guangzhou\"\n\
                   scenes = [\"web\", \"news\"]\n";
    assert!(written.ends_with(profile), "{written}");
}

#[test]
fn the_variable_with_the_profile_is_read_as_exactly_as_the_option() {
    use std::os::unix::ffi::OsStringExt as _;
    let site = Site::plain(1);
    own_file(&site, &format!("[profile.photos]\naddress = \"{BUCKET}\"\n"));
    let with = |name: std::ffi::OsString, arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env("COSTAG_PROFILE", name);
        start(command).end()
    };
    with("photos".into(), &["run"]).with(0);
    with("documents".into(), &["run"]).with(2).says(&["no profile \"documents\""]);
    // Without a file there are no profiles.
    with("photos".into(), &["config", "show", "--no-config"]).with(0);
    with("photos".into(), &["run", BUCKET, "--no-config"]).with(0);
    with("photos".into(), &["run", "--no-config"]).with(2).says(&["no bucket is given"]);
    let not_text = || std::ffi::OsString::from_vec(b"photos\xff".to_vec());
    with(not_text(), &["run", BUCKET]).with(2).says(&["COSTAG_PROFILE"]);
    with(not_text(), &["run", BUCKET, "--no-config"]).with(0);
}

#[test]
fn a_profile_may_be_named_like_its_bucket() {
    let site = Site::plain(2);
    let name = BUCKET.trim_start_matches("cos://");
    let meant = format!("\n  costag run {BUCKET} --limit 1\n");
    let unknown = costag(&site, &["run", name, "--limit", "1"]).with(2);
    unknown.says(&["no profile has this name", "if it is meant as an address:", &meant]);
    let of_browser = format!("{name}.cos.ap-guangzhou.myqcloud.com");
    own_file(
        &site,
        &format!(
            "[profile.{name}]\naddress = \"{BUCKET}\"\ndb = \"named.db\"\n\
             [profile.\"{of_browser}\"]\naddress = \"{BUCKET}\"\ndb = \"browser.db\"\n"
        ),
    );
    costag(&site, &["run", name, "--limit", "1"]).with(0);
    costag(&site, &["run", &of_browser, "--limit", "1"]).with(0);
    assert!(site.path("named.db").exists() && site.path("browser.db").exists());
}
