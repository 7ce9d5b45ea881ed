//! A folder, a database or a network that somebody else controls cannot decide where requests go or secrets come from.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use costag::emulator::{SECRET_ID, SECRET_KEY};
use rstest::rstest;

use crate::support::{BUCKET, Ended, Site, bare, nobody, start};

/// Commands that read the configuration file and would follow it.
const READERS: [&[&str]; 7] = [
    &["run", BUCKET, "--region", "ap-guangzhou"],
    &["plan", BUCKET, "--region", "ap-guangzhou"],
    &["doctor", BUCKET, "--region", "ap-guangzhou"],
    &["resume"],
    &["status"],
    &["config", "show"],
    &["config", "check"],
];

/// A file in the current folder is not a choice of the user, so it cannot name an endpoint.
fn costag(site: &Site, arguments: &[&str]) -> Ended {
    let mut command = bare(site.folder(), arguments);
    command.env("COSTAG_SECRET_ID", SECRET_ID).env("COSTAG_SECRET_KEY", SECRET_KEY);
    start(command).end()
}

fn said(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

#[rstest]
#[case::a_command("credential_process", "\"touch started\"")]
#[case::a_credentials_file("credentials_file", "\"keys.env\"")]
#[case::a_role("cvm_role", "\"admin\"")]
#[case::a_metadata_service("metadata_endpoint", "\"http://127.0.0.1:9\"")]
#[case::an_endpoint("endpoint", "\"http://127.0.0.1:9\"")]
#[case::an_authority("ca_file", "\"ca.pem\"")]
#[case::a_file_of_aliases("aliases", "\"other\"")]
#[case::a_log_file("log_file", "\"other\"")]
#[case::a_file_of_metrics("metrics_file", "\"other\"")]
#[case::an_address_of_pings("ping_file", "\"ping\"")]
#[case::addresses_of_notifications("notify_file", "\"robots\"")]
#[case::plain_http("allow_http", "true")]
#[case::a_host_of_links("link_host", "\"http://127.0.0.1:9\"")]
fn a_file_in_the_current_folder_cannot_set_endpoint_or_credentials(
    #[case] key: &str,
    #[case] value: &str,
) {
    let site = Site::plain(1);
    site.write("costag.toml", format!("qps = 5\n{key} = {value}\n"));
    let option = format!("--{}", key.replace('_', "-"));
    let variable = format!("COSTAG_{}", key.to_uppercase());
    for command in READERS {
        let ended = costag(&site, command);
        assert_eq!(ended.code, Some(2), "{command:?}: {}", said(&ended));
        for word in ["costag.toml", key, &option, &variable, "--config costag.toml"] {
            assert!(said(&ended).contains(word), "{command:?}: no {word} in {}", said(&ended));
        }
    }
    assert!(!site.path("started").exists());
    assert!(!site.path("costag.db").exists());
    assert_eq!(site.emulator.statistics().list_calls, 0);
    // The same file is accepted once it is named by an option or by the environment.
    costag(&site, &["config", "show", "--config", "costag.toml"]).with(0);
    costag(&site, &["config", "check", "costag.toml"]).with(0);
    let mut named = bare(site.folder(), &["config", "show"]);
    named.env("COSTAG_CONFIG", "costag.toml");
    assert!(start(named).end().with(0).stdout.contains(key));
    costag(&site, &["config", "show", "--no-config"]).with(0);
}

#[test]
fn the_output_of_config_show_can_be_the_file_in_the_current_folder() {
    let site = Site::plain(1);
    let shown = costag(&site, &["config", "show"]).with(0).stdout;
    site.write("costag.toml", shown);
    costag(&site, &["config", "check"]).with(0);
}

#[test]
fn a_file_in_the_current_folder_may_set_region_and_pace() {
    let site = Site::plain(3);
    site.write("costag.toml", "region = \"ap-guangzhou\"\nqps = 50\nscenes = [\"web\"]\n");
    site.run(&[]).with(0);
    site.assert_exports("web");
}

#[test]
fn a_file_in_the_current_folder_that_everybody_can_write_is_refused() {
    let site = Site::plain(1);
    site.write("costag.toml", "qps = 5\n");
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(site.path("costag.toml"), permissions).unwrap();
    };
    for refused in [0o666, 0o602, 0o777] {
        mode(refused);
        for command in READERS {
            let ended = costag(&site, command);
            assert_eq!(ended.code, Some(2), "{command:?}: {}", said(&ended));
            assert!(said(&ended).contains("everybody can write"), "{}", said(&ended));
        }
    }
    costag(&site, &["config", "show", "--config", "costag.toml"]).with(0);
    for allowed in [0o664, 0o600, 0o444] {
        mode(allowed);
        costag(&site, &["config", "show"]).with(0);
    }
}

#[test]
fn a_special_file_is_refused_in_the_current_folder_and_accepted_when_named() {
    let site = Site::plain(1);
    let refused = |what: &str| {
        for command in READERS {
            let ended = costag(&site, command);
            assert_eq!(ended.code, Some(2), "{what}, {command:?}: {}", said(&ended));
            assert!(said(&ended).contains("not a regular file"), "{what}: {}", said(&ended));
        }
    };
    // Nobody writes into this pipe: opening it would block for ever.
    assert!(Command::new("mkfifo").arg(site.path("costag.toml")).status().unwrap().success());
    refused("a pipe");
    std::fs::remove_file(site.path("costag.toml")).unwrap();
    std::fs::create_dir(site.path("costag.toml")).unwrap();
    refused("a folder");
    std::fs::remove_dir(site.path("costag.toml")).unwrap();
    symlink("/dev/null", site.path("costag.toml")).unwrap();
    refused("a device");
    let mut shell = Command::new("bash");
    crate::support::clean(&mut shell, site.folder());
    let binary = env!("CARGO_BIN_EXE_costag");
    shell
        .arg("-c")
        .arg(format!("'{binary}' config show --config <(echo 'endpoint = \"https://a.b\"')"));
    let ended = start(shell).end().with(0);
    assert!(ended.stdout.contains("endpoint = \"https://a.b\""), "{}", ended.stdout);
}

#[test]
fn links_are_followed_if_they_belong_to_the_user_or_root() {
    let site = Site::plain(1);
    std::fs::create_dir(site.path("etc")).unwrap();
    site.write("etc/costag.toml", "qps = 7\n");
    symlink("etc/costag.toml", site.path("between")).unwrap();
    symlink("between", site.path("costag.toml")).unwrap();
    let shown = costag(&site, &["config", "show"]).with(0).stdout;
    assert!(shown.contains("qps = 7"), "{shown}");
    std::fs::remove_file(site.path("between")).unwrap();
    costag(&site, &["config", "show"]).with(2).says(&["costag.toml"]);
    symlink("costag.toml", site.path("between")).unwrap();
    costag(&site, &["config", "show"]).with(2).says(&["costag.toml"]);
}

#[test]
fn a_file_of_another_user_is_refused_in_the_current_folder() {
    use std::os::unix::fs::{chown, lchown};
    let site = Site::plain(1);
    site.write("costag.toml", "qps = 7\n");
    let Ok(()) = chown(site.path("costag.toml"), Some(4321), None) else {
        return; // Only root can give a file away.
    };
    for command in READERS {
        let ended = costag(&site, command);
        assert_eq!(ended.code, Some(2), "{command:?}: {}", said(&ended));
        assert!(said(&ended).contains("another user"), "{}", said(&ended));
    }
    costag(&site, &["config", "show", "--config", "costag.toml"]).with(0);
    // The link belongs to another user, the target does not.
    std::fs::rename(site.path("costag.toml"), site.path("target")).unwrap();
    chown(site.path("target"), Some(0), None).unwrap();
    symlink("target", site.path("costag.toml")).unwrap();
    costag(&site, &["config", "show"]).with(0);
    lchown(site.path("costag.toml"), Some(4321), None).unwrap();
    costag(&site, &["config", "show"]).with(2).says(&["the link", "another user"]);
}

#[test]
fn a_region_as_option_wins_over_an_endpoint_in_a_file() {
    let site = Site::plain(1);
    site.write("named.toml", "endpoint = \"https://file.example\"\nregion = \"ap-beijing\"\n");
    let endpoint = |options: &[&str], variables: &[(&str, &str)]| -> String {
        let options = [&["config", "show", "--json", "--config", "named.toml"], options].concat();
        let mut command = bare(site.folder(), &options);
        command.envs(variables.iter().copied());
        let shown: serde_json::Value =
            serde_json::from_str(&start(command).end().with(0).stdout).unwrap();
        shown["endpoint"]["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(endpoint(&[], &[]), "https://file.example");
    assert_eq!(endpoint(&["--region", "ap-guangzhou"], &[]), "");
    assert_eq!(endpoint(&[], &[("COSTAG_REGION", "ap-guangzhou")]), "");
    let variable = ("COSTAG_ENDPOINT", "https://variable.example");
    assert_eq!(endpoint(&["--region", "ap-guangzhou"], &[variable]), variable.1);
    let option = ["--endpoint", "https://option.example"];
    assert_eq!(endpoint(&option, &[("COSTAG_REGION", "ap-guangzhou"), variable]), option[1]);
}

#[test]
fn a_found_region_leaves_the_endpoint_of_the_own_file() {
    let site = Site::plain(1);
    std::fs::create_dir_all(site.path("home/costag")).unwrap();
    site.write("home/costag/costag.toml", "endpoint = \"https://own.example\"\n");
    site.write("costag.toml", "region = \"ap-guangzhou\"\n");
    let endpoint = |options: &[&str]| -> String {
        let mut command = bare(site.folder(), &[&["config", "show", "--json"], options].concat());
        command.env("XDG_CONFIG_HOME", site.path("home"));
        let shown: serde_json::Value =
            serde_json::from_str(&start(command).end().with(0).stdout).unwrap();
        assert_eq!(shown["region"]["value"], "ap-guangzhou");
        shown["endpoint"]["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(endpoint(&[]), "https://own.example");
    // A person who names the file, or gives the region, means it.
    assert_eq!(endpoint(&["--config", "costag.toml"]), "");
}

#[test]
fn a_found_file_cannot_name_a_database_elsewhere() {
    let site = Site::plain(1);
    std::fs::create_dir(site.path("elsewhere")).unwrap();
    std::fs::create_dir(site.path("below")).unwrap();
    let absolute = site.path("elsewhere/x.db").to_string_lossy().into_owned();
    for db in [&absolute, "below/../../x.db", "../x.db"] {
        site.write("costag.toml", format!("db = \"{db}\"\n"));
        for command in READERS {
            let ended = costag(&site, command);
            assert_eq!(ended.code, Some(2), "{command:?}: {}", said(&ended));
            for word in ["sets db", "--config costag.toml", "--db", "COSTAG_DB"] {
                assert!(said(&ended).contains(word), "{command:?}: no {word} in {}", said(&ended));
            }
        }
        costag(&site, &["config", "show", "--config", "costag.toml"]).with(0);
        let checked = costag(&site, &["config", "check", "costag.toml"]).with(0);
        assert!(checked.stdout.contains("it sets db"), "{}", checked.stdout);
    }
    assert!(!Path::new(&absolute).exists());
    for db in ["x.db", "./below/x.db"] {
        site.write("costag.toml", format!("db = \"{db}\"\n"));
        costag(&site, &["config", "show"]).with(0);
    }
}

#[rstest]
#[case("http://192.0.2.1")]
#[case("http://cos.example:8080")]
#[case("http://demo-1250000000.cos.ap-guangzhou.myqcloud.com")]
#[case("http://x.localhost")]
#[case("http://0.0.0.0:1")]
fn plain_http_to_another_machine_is_refused_unless_it_is_allowed(#[case] endpoint: &str) {
    let site = Site::plain(1);
    for command in [&["run", BUCKET][..], &["plan", BUCKET], &["doctor", BUCKET]] {
        let ended = costag(&site, &[command, &["--endpoint", endpoint]].concat());
        assert_eq!(ended.code, Some(2), "{}", said(&ended));
        for word in [endpoint, "--allow-http", "https://"] {
            assert!(said(&ended).contains(word), "{command:?}: {}", said(&ended));
        }
    }
    assert!(!site.path("costag.db").exists());
}

#[test]
fn plain_http_is_accepted_on_this_machine_and_where_it_is_allowed() {
    let site = Site::plain(3);
    let endpoint = site.emulator.endpoint().replace("127.0.0.1", "localhost");
    costag(&site, &["run", BUCKET, "--endpoint", &endpoint]).with(0);
    // A proxy carries the request, so that no host name has to be resolved.
    let proxy = format!("http://{}", nobody());
    let far = |option: &[&str], variable: &[(&str, &str)]| {
        let plain = ["run", BUCKET, "--endpoint", "http://cos.example", "--patience", "1s"];
        let mut command = bare(site.folder(), &[&plain[..], option].concat());
        command.env("COSTAG_SECRET_ID", SECRET_ID).env("COSTAG_SECRET_KEY", SECRET_KEY);
        command.env("HTTP_PROXY", &proxy).env("http_proxy", &proxy).envs(variable.iter().copied());
        start(command).end()
    };
    far(&["--allow-http"], &[]).with(5);
    far(&[], &[("COSTAG_ALLOW_HTTP", "true")]).with(5);
    far(&["--no-allow-http"], &[("COSTAG_ALLOW_HTTP", "true")]).with(2);
    site.write("named.toml", "allow_http = true\n");
    far(&["--config", "named.toml"], &[]).with(5);
    assert!(Path::new(&site.path("costag.db")).exists());
}
