use std::collections::BTreeSet;

use clap::{Args as _, Command, FromArgMatches as _};

use super::options::groups::{Groups, OfNames, OfRun, SettingOptions};
use super::*;
use crate::config::definitions::{self, Group};
use crate::config::{PartialOptions, option, variable};

/// The groups that neither a run nor the names have.
enum Others {}

impl Groups for Others {
    const GROUPS: &'static [Group] = &[Group::Links];
}

/// A command with every group of options.
fn command() -> Command {
    let command = GlobalOptions::augment_args(Command::new("run"));
    let command = SettingOptions::<OfRun>::augment_args(command);
    SettingOptions::<Others>::augment_args(SettingOptions::<OfNames>::augment_args(command))
}

/// Options that are no settings: they say where settings are read from, and how much is said.
const FILES: [&str; 5] = ["config", "no-config", "quiet", "verbose", "profile"];

#[test]
fn every_setting_has_an_option_whose_help_names_its_variable() {
    let command = command();
    for key in definitions::all().map(|setting| setting.name) {
        let name = option(key);
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long().is_some_and(|long| format!("--{long}") == name))
            .unwrap_or_else(|| panic!("no option {name}"));
        let help = arg.get_help().unwrap().to_string().replace('\n', " ");
        assert!(help.contains(&format!("[env: {}]", variable(key))), "{name}: {help}");
        let flags = ["archive", "allow_http", "allow_missing"];
        assert!(help.contains("[default") || flags.contains(&key), "{name}: {help}");
    }
}

#[test]
fn every_option_sets_a_setting_of_its_name() {
    let command = command();
    let mut line = vec!["run".to_owned()];
    let mut seen = BTreeSet::new();
    for arg in command.get_arguments() {
        let long = arg.get_long().unwrap().to_owned();
        if FILES.contains(&long.as_str()) || long.starts_with("no-") {
            continue;
        }
        line.push(format!("--{long}"));
        if arg.get_action().takes_values() {
            line.push("x".to_owned());
        }
        seen.insert(long.replace('-', "_"));
    }
    assert_eq!(seen, definitions::all().map(|setting| setting.name.to_owned()).collect());
    let matches = command.try_get_matches_from(line).unwrap();
    let mut options = PartialOptions::default();
    GlobalOptions::from_arg_matches(&matches).unwrap().give(&mut options);
    SettingOptions::<OfRun>::from_arg_matches(&matches).unwrap().give(&mut options);
    SettingOptions::<OfNames>::from_arg_matches(&matches).unwrap().give(&mut options);
    SettingOptions::<Others>::from_arg_matches(&matches).unwrap().give(&mut options);
    assert_eq!(
        options.keys().collect::<BTreeSet<_>>(),
        definitions::all().map(|setting| setting.name).collect()
    );
}

#[test]
fn the_help_is_as_it_was_agreed() {
    Cli::command().debug_assert();
    let help = |mut command: Command| command.render_long_help().to_string();
    let cli = || Cli::command().term_width(100).color(clap::ColorChoice::Never);
    insta::assert_snapshot!("help", help(cli()));
    for name in ["export", "status", "config"] {
        let mut cli = cli();
        cli.build();
        let command = cli.find_subcommand(name).unwrap().clone();
        insta::assert_snapshot!(format!("help_{name}"), help(command));
    }
    insta::assert_snapshot!("options", help(command().term_width(100)));
}
