//! The options that set settings, in groups. A command takes the groups that it uses.
//!
//! The options are made from the [definitions] of the settings. Their values are only texts
//! here; [`crate::config`] checks them, together with the values of variables and the file.

use std::fmt;
use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use crate::config::definitions::{self, Group, Kind, Setting};
use crate::config::{PartialOptions, variable};

/// Which groups of settings a command takes as options.
pub trait Groups {
    /// The groups, in the order of the help.
    const GROUPS: &'static [Group];
}

/// The options of the groups `G` that were given.
pub struct SettingOptions<G> {
    given: PartialOptions,
    groups: PhantomData<G>,
}

/// Every group that a run uses.
#[derive(Debug)]
pub enum OfRun {}

impl Groups for OfRun {
    const GROUPS: &'static [Group] = &[
        Group::Place,
        Group::Source,
        Group::FilterOfListings,
        Group::Filter,
        Group::Pace,
        Group::Budget,
        Group::Price,
        Group::Connection,
        Group::Credentials,
        Group::Watching,
    ];
}

/// The groups that are needed to send requests.
#[derive(Debug)]
pub enum OfRequests {}

impl Groups for OfRequests {
    const GROUPS: &'static [Group] =
        &[Group::Place, Group::Source, Group::Connection, Group::Credentials];
}

/// The groups that are needed to read objects.
#[derive(Debug)]
pub enum OfObjects {}

impl Groups for OfObjects {
    const GROUPS: &'static [Group] = &[Group::Place, Group::Connection, Group::Credentials];
}

/// The groups that are needed to make signed links.
#[derive(Debug)]
pub enum OfLinks {}

impl Groups for OfLinks {
    const GROUPS: &'static [Group] = &[Group::Place, Group::Credentials, Group::Links];
}

/// The prices of calls.
#[derive(Debug)]
pub enum OfPrices {}

impl Groups for OfPrices {
    const GROUPS: &'static [Group] = &[Group::Price];
}

/// How names are shown.
#[derive(Debug)]
pub enum OfNames {}

impl Groups for OfNames {
    const GROUPS: &'static [Group] = &[Group::Names];
}

/// The group of options that every command has.
#[derive(Debug)]
pub enum OfEveryCommand {}

impl Groups for OfEveryCommand {
    const GROUPS: &'static [Group] = &[Group::Global];
}

impl<G> SettingOptions<G> {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.extend(self.given.clone());
    }
}

impl<G: Groups> SettingOptions<G> {
    fn settings() -> impl Iterator<Item = &'static Setting> {
        G::GROUPS.iter().flat_map(|group| definitions::of_group(*group))
    }
}

impl<G> Clone for SettingOptions<G> {
    fn clone(&self) -> Self {
        Self { given: self.given.clone(), groups: PhantomData }
    }
}

impl<G> Default for SettingOptions<G> {
    fn default() -> Self {
        Self { given: PartialOptions::default(), groups: PhantomData }
    }
}

impl<G> fmt::Debug for SettingOptions<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.given.fmt(f)
    }
}

impl<G: Groups> clap::Args for SettingOptions<G> {
    fn augment_args(command: Command) -> Command {
        Self::settings().fold(command, |command, setting| command.args(arguments(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<G: Groups> FromArgMatches for SettingOptions<G> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::default();
        options.update_from_arg_matches(matches)?;
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in Self::settings() {
            let name = setting.name;
            match setting.kind {
                Kind::Value(_) | Kind::Number(_) => {
                    self.given.text(name, matches.get_one::<String>(name).map(String::as_str));
                }
                Kind::List(_) => {
                    let values = matches.get_many::<String>(name);
                    let values = values.map(|values| values.cloned().collect::<Vec<_>>());
                    self.given.list(name, values.as_deref());
                }
                Kind::Flag { .. } => {
                    self.given.flag(name, matches.get_flag(name), matches.get_flag(&no(name)));
                }
            }
        }
        Ok(())
    }
}

/// The name of the argument that switches a setting off.
fn no(name: &str) -> String {
    format!("no_{name}")
}

/// The option of a setting, or its two options if it is a flag.
fn arguments(setting: &Setting) -> Vec<Arg> {
    let name = setting.name;
    let long = |name: &str| name.replace('_', "-");
    let option = |name: String| {
        Arg::new(name.clone())
            .long(long(&name))
            .help_heading(setting.group.heading())
            .global(setting.group == Group::Global)
    };
    let default = match (setting.kind, setting.default) {
        (Kind::Flag { .. }, "true") => " [default]".to_owned(),
        (Kind::Flag { .. }, _) => String::new(),
        (_, "") => " [default: none]".to_owned(),
        (_, default) => format!(" [default: {default}]"),
    };
    let repeated = match setting.kind {
        Kind::List(_) => "; separate several with commas, or repeat the option",
        _ => "",
    };
    let help = format!("{}{repeated}{default} [env: {}]", setting.help, variable(name));
    let mut main = option(name.to_owned()).help(help.clone());
    if !setting.more.is_empty() {
        main = main.long_help(format!("{help}\n\n{}", setting.more));
    }
    // -h is one screen. --help shows everything.
    let main_settings =
        ["region", "scenes", "include", "exclude", "qps", "limit", "max_calls", "max_cost", "db"];
    if !main_settings.contains(&name) {
        main = main.hide_short_help(true);
    }
    if name == "scenes" {
        // Other commands call their option --scene.
        main = main.alias("scene");
    }
    if let Some(letter) = setting.short {
        main = main.short(letter);
    }
    match setting.kind {
        Kind::Value(value_name) => vec![main.value_name(value_name)],
        Kind::Number(value_name) => {
            vec![main.value_name(value_name).allow_negative_numbers(true)]
        }
        Kind::List(value_name) => vec![main.value_name(value_name).action(ArgAction::Append)],
        Kind::Flag { no: help } => {
            let default = if setting.default == "false" { " [default]" } else { "" };
            let off = option(no(name)).help(format!("{help}{default}")).hide_short_help(true);
            vec![
                main.action(ArgAction::SetTrue).overrides_with(no(name)),
                off.action(ArgAction::SetTrue).overrides_with(name),
            ]
        }
    }
}
