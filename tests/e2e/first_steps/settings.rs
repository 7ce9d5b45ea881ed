//! An option wins over the environment, the environment over the file, the file over the default; `config show`
//! says which.

use serde_json::Value;

use crate::support::{Ended, Site, bare, start};

#[test]
fn an_option_wins_over_a_variable_over_the_file_over_the_default() {
    let site = Site::plain(1);
    let folder = site.folder();
    let show = |options: &[&str], variable: Option<&str>| -> (f64, String) {
        let mut command = bare(folder, &[&["config", "show", "--json"], options].concat());
        if let Some(value) = variable {
            command.env("COSTAG_QPS", value);
        }
        let shown: Value = serde_json::from_str(&start(command).end().with(0).stdout).unwrap();
        let entry = &shown["qps"];
        (entry["value"].as_f64().unwrap(), entry["from"].as_str().unwrap().to_owned())
    };
    let is = |value: f64, from: &str| (value, from.to_owned());
    assert_eq!(show(&[], None), is(10.0, "default"));
    site.write("costag.toml", "qps = 11\n");
    assert_eq!(show(&[], None), is(11.0, "costag.toml"));
    assert_eq!(show(&["--no-config"], None), is(10.0, "default"));
    assert_eq!(show(&[], Some("12")), is(12.0, "COSTAG_QPS"));
    assert_eq!(show(&[], Some("")), is(11.0, "costag.toml"), "an empty variable is unset");
    assert_eq!(show(&["--qps", "13"], Some("12")), is(13.0, "--qps"));
    site.write("other.toml", "qps = 14\n");
    assert_eq!(show(&["--config", "other.toml"], None), is(14.0, "other.toml"));
}

#[test]
fn a_run_uses_the_file_and_resume_keeps_the_scenes_of_the_run() {
    let site = Site::plain(30);
    site.write("costag.toml", "scenes = [\"web\"]\nmax_calls = 10\n");
    site.run(&[]).with(8);
    site.write("costag.toml", "scenes = [\"news\"]\n");
    site.resume().with(0);
    site.assert_exports("web");
    assert_eq!(site.calls(), 30);
}

#[test]
fn config_check_reads_a_file_and_names_its_faults() {
    let site = Site::plain(1);
    let check = |content: &str| -> Ended {
        site.write("a.toml", content);
        start(bare(site.folder(), &["config", "check", "a.toml"])).end()
    };
    check("qps = 5\n").with(0);
    let named = check("endpoint = \"https://cos.example\"\n").with(0).stdout;
    assert!(named.contains("--config") && named.contains("endpoint"), "{named}");
    check("endpoint = \"http://cos.example\"\n").with(2).says(&["--allow-http"]);
    check("endpoint = \"http://cos.example\"\nallow_http = true\n").with(0);
    check("workers = 0\n").with(2).says(&["workers"]);
    check("secret_key = \"hush\"\n").with(2).says(&["secret_key"]);
}
