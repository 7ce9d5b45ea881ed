//! `costag run --all`: every profile, one after the other.

use crate::support::{BUCKET, Ended, Site, start};

/// Writes the user's own configuration file. The home of a test is its folder.
fn own_file(site: &Site, text: &str) {
    std::fs::create_dir_all(site.path(".config/costag")).unwrap();
    site.write(".config/costag/costag.toml", text);
}

fn run_all(site: &Site, options: &[&str]) -> Ended {
    site.costag(&[&["run", "--all"], options].concat())
}

/// The profiles and exit codes of the summaries.
fn codes(ended: &Ended) -> Vec<(String, u64)> {
    let summary = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    let of = |json: serde_json::Value| {
        (json["profile"].as_str().unwrap().to_owned(), json["exit_code"].as_u64().unwrap())
    };
    ended.stdout.lines().map(|line| of(summary(line))).collect()
}

#[test]
fn every_profile_runs_in_the_order_of_the_file_and_the_worst_exit_code_counts() {
    let site = Site::plain(3);
    let other = "cos://other-1250000000";
    own_file(
        &site,
        &format!(
            "metrics_file = \"{{profile}}.prom\"\n\
             [profile.z]\naddress = \"{BUCKET}\"\ndb = \"z.db\"\nmax_calls = 1\nworkers = 1\n\
             [profile.nowhere]\naddress = \"{other}\"\ndb = \"n.db\"\n\
             [profile.unfinished]\naddress = \"{BUCKET}\"\nqps = \"fast\"\n\
             [profile.a]\naddress = \"{BUCKET}\"\ndb = \"a.db\"\n"
        ),
    );
    let all = |options: &[&str]| {
        let mut command = site.command(&[&["run", "--all", "--json"], options].concat());
        command.env_remove("COSTAG_QPS").env_remove("COSTAG_WORKERS");
        start(command).end()
    };
    let ended = all(&[]).with(2).says(&[
        "run z begins: cos://demo-1250000000/",
        "error: profile unfinished: qps = \"fast\" (profile unfinished in ",
        "run a ends: run 1, 3 tagged",
        "all together 2",
    ]);
    let codes = codes(&ended);
    let names: Vec<_> = codes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["z", "nowhere", "unfinished", "a"]);
    let codes: Vec<_> = codes.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, [8, 2, 2, 0]);
    let metrics = std::fs::read_to_string(site.path("a.prom")).unwrap();
    assert!(metrics.contains("costag_units_total{database=\"a.db\",profile=\"a\"} 3"), "{metrics}");
    assert!(site.path("z.prom").exists());
}

#[test]
fn a_signal_stops_the_profiles_that_follow() {
    let site = Site::plain(40);
    site.change("{\"latency_ms\": 300}");
    own_file(
        &site,
        &format!(
            "[profile.a]\naddress = \"{BUCKET}\"\n[profile.b]\naddress = \"{BUCKET}\"\nscenes = [\"web\"]\n"
        ),
    );
    let running = site.start(&["run", "--all", "-w", "1"]);
    crate::support::wait_until("the first call", || site.emulator.statistics().calls > 0);
    running.signal("TERM");
    let ended = running
        .end()
        .with(143)
        .says(&["exit codes of the profiles: a 143; 1 not begun; all together 143"]);
    assert!(!ended.stderr.contains("run b begins"), "{}", ended.stderr);
}

#[test]
fn all_needs_profiles_and_nothing_else() {
    let site = Site::plain(1);
    run_all(&site, &[]).with(2).says(&["--all runs over profiles", "config init"]);
    run_all(&site, &[BUCKET]).with(2).says(&["--all"]);
    run_all(&site, &["--keys", "x"]).with(2).says(&["--all"]);
    own_file(
        &site,
        &format!("[profile.a]\naddress = \"{BUCKET}\"\n[profile.b]\naddress = \"{BUCKET}\"\n"),
    );
    run_all(&site, &["--profile", "a"]).with(2).says(&["--profile"]);
    run_all(&site, &["--metrics-file", "m.prom"])
        .with(0)
        .says(&["warning: the metrics of the profile b replace those of a in m.prom"]);
}

#[test]
fn the_commands_that_follow_a_profile_are_about_this_profile_only() {
    let site = Site::plain(3);
    own_file(
        &site,
        &format!(
            "[profile.a]\naddress = \"{BUCKET}\"\ndb = \"a.db\"\nlimit = 1\n\
             [profile.b]\naddress = \"{BUCKET}\"\ndb = \"b.db\"\nlimit = 2\n"
        ),
    );
    let told = run_all(&site, &["--progress", "none"]).with(0).stderr;
    for name in ["a", "b"] {
        let line = format!("\n  costag run {name} --progress none --limit 0\n");
        assert!(told.contains(&line), "{told}");
    }
    assert!(!told.contains("costag run --all"), "{told}");
}

#[test]
fn an_error_of_a_profile_does_not_end_the_quiet_of_the_others() {
    let site = Site::plain(3);
    own_file(
        &site,
        &format!(
            "[profile.a]\naddress = \"{BUCKET}\"\nqps = \"fast\"\n\
             [profile.b]\naddress = \"{BUCKET}\"\ndb = \"b.db\"\n"
        ),
    );
    let mut command = site.command(&["run", "--all", "-q"]);
    command.env_remove("COSTAG_QPS");
    let ended = start(command).end().with(2).says(&["error: profile a: qps"]);
    assert!(ended.stderr.ends_with("\nexit codes of the profiles: a 2, b 0; all together 2\n"));
    assert!(!ended.stderr.contains("run b"), "{}", ended.stderr);
    own_file(&site, &format!("[profile.b]\naddress = \"{BUCKET}\"\ndb = \"b.db\"\n"));
    assert_eq!(run_all(&site, &["-q"]).with(0).stderr, "");
}
