use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::scene::Scene;

/// The names of all settings, in order.
fn names() -> Vec<&'static str> {
    definitions::all().map(|setting| setting.name).collect()
}

const EXAMPLE: &str = include_str!("../../config/costag.toml");

fn env(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let pairs: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |name| pairs.get(name).cloned()
}

fn options(pairs: &[(&'static str, &str)]) -> PartialOptions {
    let mut options = PartialOptions::default();
    for (key, text) in pairs {
        options.text(key, Some(text));
    }
    options
}

fn from_options(pairs: &[(&'static str, &str)]) -> Result<Settings, Error> {
    Settings::resolve(&options(pairs), env(&[]), &Files::default()).map(|(settings, _)| settings)
}

fn read(file: &ConfigFile) -> Result<Files, Error> {
    Files::parse(&file.read(None)?)
}

fn from_file(text: &str) -> Result<Settings, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    Settings::resolve(&PartialOptions::default(), env(&[]), &read(&ConfigFile::Named(path))?)
        .map(|(settings, _)| settings)
}

/// The settings of the example file without the leading `#`.
fn uncommented() -> String {
    let setting = |line: &&str| {
        line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).is_some_and(|(key, _)| {
            key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
    };
    let lines: Vec<_> = EXAMPLE.lines().filter(setting).map(|line| &line[2..]).collect();
    lines.join("\n")
}

/// With `INSTA_UPDATE=always`, the file is written instead, as snapshots are.
#[test]
fn the_example_file_follows_from_the_definitions() {
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/costag.toml");
        std::fs::write(path, example()).unwrap();
    } else {
        assert_eq!(EXAMPLE, example());
    }
}

#[test]
fn the_example_states_every_setting_and_its_default() {
    let text = uncommented();
    let keys: Vec<_> = text.lines().filter_map(|line| line.split(" = ").next()).collect();
    assert_eq!(keys, names(), "every key, once, in order");
    assert_eq!(from_file(&text).unwrap(), Settings::default());
    assert_eq!(from_file(EXAMPLE).unwrap(), Settings::default(), "all of it is commented out");
}

#[test]
fn the_entries_of_settings_have_every_key_and_can_be_read_again() {
    let keys: Vec<_> = Settings::default().entries().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, names());
    let given = [
        ("qps", "0.5"),
        ("list_qps", "0"),
        ("scenes", "web,album"),
        ("include", "a/{b,c}/*,[,]"),
        ("max_size", "20MB"),
        ("min_size", "1k"),
        ("max_failures", "12.5%"),
        ("max_duration", "1h30m"),
        ("until", "06:30-03:30"),
        ("max_cost", "1.25"),
        ("price_per_1000_calls", "1.5"),
        ("billing", "call"),
        ("region", "ap-guangzhou"),
        ("endpoint", "http://127.0.0.1:9000"),
    ];
    let settings = from_options(&given).unwrap();
    let entries = settings.entries();
    let defaults = Settings::default().entries();
    for (key, _) in given {
        let find = |list: &[(&str, figment::value::Value)]| {
            list.iter().find(|(name, _)| *name == key).map(|(_, value)| value::describe(value))
        };
        assert_ne!(find(&entries), find(&defaults), "{key} has an effect");
    }
    let toml: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{key} = {}", serde_json::to_string(value).unwrap()))
        .collect();
    let settings = Settings { typed: Typed::default(), ..settings };
    assert_eq!(from_file(&toml.join("\n")).unwrap(), settings);
}

#[test]
fn an_option_wins_over_environment_over_file_over_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "qps = 1\nworkers = 2\nlist_qps = 3\ndedupe = true\n").unwrap();
    let mut options = options(&[("qps", "20")]);
    options.flag("dedupe", false, true);
    let env = env(&[("COSTAG_QPS", "7"), ("COSTAG_WORKERS", "8"), ("COSTAG_LIST_QPS", "")]);
    let (settings, origins) =
        Settings::resolve(&options, env, &read(&ConfigFile::Named(path.clone())).unwrap()).unwrap();
    assert_eq!(settings.pace.qps, Rate::PerSecond(20.0));
    assert_eq!(settings.pace.workers.most(), 8);
    assert_eq!(settings.pace.list_qps, Rate::PerSecond(3.0), "an empty variable is unset");
    assert_eq!(settings.pace.list_workers.get(), 16);
    assert!(!settings.stored.dedupe);
    assert_eq!(origins["qps"], Origin::Option("--qps".to_owned()));
    assert_eq!(origins["dedupe"], Origin::Option("--no-dedupe".to_owned()));
    assert_eq!(origins["workers"], Origin::Environment("COSTAG_WORKERS".to_owned()));
    assert_eq!(origins["list_qps"], Origin::File(path));
    assert_eq!(origins["list_workers"], Origin::Default);
    assert_eq!(origins.keys().copied().collect::<BTreeSet<_>>(), names().into_iter().collect());
}

#[rstest]
#[case("billing", "")]
#[case("billing", "scenes")]
#[case("qps", "-1")]
#[case("qps", "NaN")]
#[case("qps", "inf")]
#[case("qps", "1e-9")]
#[case("qps", "fast")]
#[case("list_qps", "auto")]
#[case("workers", "0")]
#[case("workers", "4097")]
#[case("workers", "1.5")]
#[case("list_workers", "257")]
#[case("scenes", "web,cat")]
#[case("scenes", "")]
#[case("suffixes", "jpg,,png")]
#[case("suffixes", "a/b")]
#[case("include", "a[")]
#[case("min_size", "20 apples")]
#[case("max_size", "99999999999T")]
#[case("patience", "15")]
#[case("patience", "")]
#[case("patience", "15m1h")]
#[case("patience", "9999999d")]
#[case("timeout", "0s")]
#[case("max_failures", "0%")]
#[case("max_failures", "101%")]
#[case("max_failures", "-3")]
#[case("max_calls", "18446744073709551615")]
#[case("max_cost", "-0.5")]
#[case("until", "6:30")]
#[case("until", "24:00")]
#[case("until", "06:30+8")]
#[case("until", "06:30Zx")]
#[case("until", "é6:30")]
#[case("region", "ap guangzhou")]
#[case("endpoint", "cos.example.com")]
#[case("endpoint", "http://user:pass@cos.example.com")]
#[case("endpoint", "ftp://cos.example.com")]
#[case("log", "costag=loud")]
#[case("log_format", "xml")]
#[case("archive", "maybe")]
#[case("db", "")]
#[case("db", "a\u{1b}[2J")]
fn a_wrong_value_is_refused_by_name(#[case] key: &'static str, #[case] text: &str) {
    let error = from_options(&[(key, text)]).unwrap_err();
    assert!(matches!(&error, Error::Invalid { key: named, .. } if *named == key), "{error:?}");
    let shown = error.to_string();
    assert!(shown.starts_with(key) && shown.contains(&option(key)), "{shown}");
    assert!(!shown.contains('\u{1b}'), "control characters are escaped");
}

#[test]
fn valid_values_are_parsed() {
    let settings = from_options(&[
        ("qps", "auto"),
        ("suffixes", ".JPG,*.png, jpg"),
        ("max_size", "20 MiB"),
        ("max_failures", "3"),
        ("patience", "1h 30m"),
        ("confirm_above", "0"),
        ("until", "22:30Z"),
    ])
    .unwrap();
    assert_eq!(settings.pace.qps, Rate::Auto);
    assert_eq!(settings.stored.filter.suffixes, ["jpg", "png"]);
    assert_eq!(settings.stored.filter.max_size, Some(20 << 20));
    assert_eq!(settings.budget.max_failures, FailureLimit::Count(NonZeroU64::new(3).unwrap()));
    assert_eq!(settings.connection.patience, Duration::from_mins(90));
    assert_eq!(settings.budget.confirm_above, None);
    assert_eq!(settings.budget.until.unwrap().to_string(), "22:30+00:00");
    assert_eq!(settings.stored.scenes, Scene::Camera.into());
    let none = from_options(&[("max_failures", "0"), ("qps", "0"), ("suffixes", "")]).unwrap();
    assert_eq!(none.budget.max_failures, FailureLimit::Unlimited);
    assert_eq!(none.pace.qps, Rate::Unlimited);
    assert!(none.stored.filter.suffixes.is_empty());
}

#[test]
fn the_error_of_a_file_says_what_is_wrong() {
    let said = |text: &str| from_file(text).unwrap_err().to_string();
    assert!(
        said("qsp = 3").contains("unknown setting \"qsp\"") && said("qsp = 3").contains("qps?")
    );
    assert!(said("[pace]\nqps = 3").contains("\"pace\""));
    assert!(said("qps = 3\nworkers = = 4\n").contains("c.toml, line 2: "));
    assert!(said("qps = [3]").contains("qps = [3]"));
    assert!(said("patience = 15").contains("such as 90s"));
    assert!(said("min_size = 2000\nmax_size = 1000").contains("max_size"));
    assert!(said("max_cost = 5").contains("price_per_1000_calls"));
    let missing = ConfigFile::Named("no/such/file.toml".into());
    let error = read(&missing).unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for text in
        ["secret_key = \"AKIDabc\"", "secret_key = \"AKIDabc", "qps = \"x\"\nsecretKey = AKIDabc"]
    {
        let shown = format!("{:?}", from_file(text).unwrap_err());
        assert!(!shown.contains("AKIDabc"), "{shown}");
    }
    assert!(matches!(from_file("secret_id = \"a\""), Err(Error::Secret { .. })));
}

#[test]
fn a_command_is_shown_without_values_and_arguments() {
    for (command, shown) in [
        ("", ""),
        ("get-keys", "get-keys"),
        ("/usr/bin/get-keys --token hush", "/usr/bin/get-keys …"),
        ("KEY=hush get-keys", "KEY=… get-keys"),
        ("A=hush B_2='hush hush' get-keys x", "A=… B_2=… get-keys …"),
        ("A=hush\\ hush B=\"hu\\\" sh\" get-keys", "A=… B=… get-keys"),
        ("A=$(echo hush hush) get-keys", "A=… …"),
        ("A=hush", "A=…"),
        ("env A=hush get-keys", "env …"),
        ("'hush hush' x", "…"),
        ("hush;A=hush get-keys", "…"),
        ("echo${IFS}hush", "…"),
    ] {
        let told = value::command_shown(command);
        assert_eq!(told, shown, "{command}");
        assert!(!told.contains("hush"), "{command}");
    }
}

#[test]
fn no_message_about_a_value_shows_a_secret() {
    for (key, text) in [
        ("endpoint", "http://user:hush@cos.example"),
        ("endpoint", "user:hush@cos.example"),
        ("metadata_endpoint", "ftp://user:hu/sh@cos.example"),
        ("credential_process", "KEY=hush\u{1} get-keys hush"),
    ] {
        let shown = from_options(&[(key, text)]).unwrap_err().to_string();
        assert!(!shown.contains("hush") && !shown.contains("hu/sh"), "{shown}");
        assert!(shown.contains(key), "{shown}");
    }
}

#[test]
fn stored_settings_can_be_read_again_from_json() {
    let stored = from_options(&[("scenes", "web,news"), ("exclude", "tmp/*"), ("max_size", "5M")])
        .unwrap()
        .stored;
    let json = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<Stored>(&json).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Stored>("{}").unwrap(), Stored::default());
}

/// The settings with a profile of the user's own file or of a named file.
fn with_profile(
    own: &str,
    named: Option<&str>,
    profile: &str,
) -> Result<(Settings, Provenance), Error> {
    let content =
        |path: &str, text: &str, role| Content { path: path.into(), text: text.into(), role };
    let mut contents = vec![content("own.toml", own, Role::Own)];
    contents.extend(named.map(|named| content("named.toml", named, Role::Named)));
    let mut files = Files::parse(&contents)?;
    files.choose(profile)?;
    Settings::resolve(&options(&[("list_qps", "4")]), env(&[("COSTAG_WORKERS", "3")]), &files)
}

#[test]
fn a_profile_wins_over_every_file_and_loses_to_variables_and_options() {
    let own = "qps = 1\nworkers = 1\nlist_qps = 1\nlist_workers = 1\nregion = \"ap-own\"\ncurrency = \"EUR\"\n\
               [profile.a]\nqps = 2\nworkers = 2\nlist_qps = 2\naddress = \"cos://a-1\"\n";
    let (settings, origins) =
        with_profile(own, Some("qps = 5\nlist_workers = 5\nregion = \"ap-named\""), "a").unwrap();
    let of_profile = Origin::Profile { name: "a".to_owned(), path: "own.toml".into() };
    assert_eq!((settings.pace.qps, &origins["qps"]), (Rate::PerSecond(2.0), &of_profile));
    assert_eq!(settings.pace.workers.most(), 3);
    assert_eq!(settings.pace.list_qps, Rate::PerSecond(4.0));
    assert_eq!(settings.pace.list_workers.get(), 5);
    assert_eq!(origins["region"], Origin::File("named.toml".into()));
    assert_eq!(origins["currency"], Origin::File("own.toml".into()));
    assert_eq!(settings.profile.as_deref(), Some("a"));
}

#[test]
fn the_profiles_of_a_named_file_take_the_place_of_those_of_the_own_file() {
    let own = "[profile.a]\nqps = 1\n[profile.b]\nqps = 2\n";
    let error = with_profile(own, Some("[profile.a]\nworkers = 4\n"), "b").unwrap_err();
    assert!(
        matches!(&error, Error::NoProfile { known, .. } if known == "profiles in named.toml: a")
    );
    let (settings, _) = with_profile(own, Some("[profile.a]\ntimeout = \"1s\"\n"), "a").unwrap();
    assert_eq!(settings.pace.qps, Settings::default().pace.qps, "a profile is used as a whole");
    with_profile(own, Some("qps = 3"), "b").unwrap();
}

#[test]
fn an_endpoint_loses_to_a_region_of_a_higher_layer() {
    let endpoint = "endpoint = \"https://a.example\"\n";
    let in_profile = |text: &str| format!("{endpoint}[profile.a]\n{text}");
    let (settings, origins) = with_profile(&in_profile("region = \"ap-x\""), None, "a").unwrap();
    assert_eq!(settings.stored.endpoint, None);
    assert!(matches!(origins["endpoint"], Origin::Overruled(_)));
    let text = format!("region = \"ap-x\"\n[profile.a]\n{endpoint}");
    let (settings, _) = with_profile(&text, None, "a").unwrap();
    assert_eq!(settings.stored.endpoint.as_deref(), Some("https://a.example"));
    let (settings, _) =
        with_profile(&in_profile("qps = 1"), Some("region = \"ap-x\""), "a").unwrap();
    assert_eq!(settings.stored.endpoint, None, "the named file is meant, not the own one");
}

#[rstest]
#[case("profile = 3", "profile in own.toml")]
#[case("[profile]\nqps = 3", "profile.qps in own.toml")]
#[case("[profile.\"a b\"]\nqps = 3", "profile.a b in own.toml")]
#[case("[profile.a]\naddress = 3", "profile.a.address in own.toml")]
#[case("[profile.a]\nqsp = 3", "\"profile.a.qsp\" in own.toml: did you mean qps?")]
#[case("[profile.a]\nsecret_key = \"AKIDabc\"", "\"profile.a.secret_key\" in own.toml: secrets")]
#[case("[profile.a]\nqps = \"fast\"", "qps = \"fast\" (profile a in own.toml)")]
#[case("[profile.b]\n[profile.c]", "no profile \"a\": profiles in own.toml: b, c")]
#[case("", "no profile \"a\": no configuration file")]
fn the_error_of_a_profile_says_what_is_wrong(#[case] text: &str, #[case] said: &str) {
    let shown = with_profile(text, None, "a").unwrap_err().to_string();
    assert!(shown.contains(said) && !shown.contains("AKIDabc"), "{shown}");
}

#[test]
fn the_profile_of_the_example_is_one() {
    let begin = EXAMPLE.find("#     [profile.photos]").unwrap();
    let profile: Vec<_> =
        EXAMPLE[begin..].lines().map(|line| line.trim_start_matches('#')).collect();
    let (settings, _) = with_profile(&profile.join("\n"), None, "photos").unwrap();
    assert_eq!(settings.budget.max_calls, Some(50_000));
}
