//! `costag config`: prints the settings and where they came from, checks a file, or writes one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use figment::value::Value;
use serde::Serialize;

use crate::cli::connect::refuse_plain_http;
use crate::cli::exit::Exit;
use crate::cli::links;
use crate::cli::options::global::{GlobalOptions, Inputs};
use crate::cli::options::groups::{OfRun, SettingOptions};
use crate::cli::{address, init};
use crate::config::{
    self, ConfigFile, Files, Origin, PartialOptions, Profile, Provenance, Settings,
};
use crate::cos::Endpoint;
use crate::export::Output;
use crate::visible::visible;

/// Show the settings and where they came from, check a configuration file, or write one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print every setting with its value and where it came from, in the form of the file
    Show(Box<Show>),
    /// Read a configuration file and do nothing else; the exit code is 2 if it is wrong
    Check {
        /// The file to check [default: the file that a run would read]
        file: Option<PathBuf>,
    },
    /// Write a configuration file with a profile of a bucket, after three questions
    Init(init::Init),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Print one JSON object that maps each key to its value and origin
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: SettingOptions<OfRun>,
}

#[derive(Serialize)]
struct Entry<'a> {
    value: &'a Value,
    from: String,
}

impl Args {
    /// Prints the settings, or checks the file.
    ///
    /// # Errors
    /// The settings are wrong (exit code 2), or stdout cannot be written.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let text = match self.command {
            Command::Show(show) => {
                let inputs = global.inputs(|options| show.options.give(options))?;
                let (settings, origins) = inputs.resolve()?;
                let files = inputs.files();
                if show.json {
                    json(&settings, &origins, files)?
                } else {
                    toml(&settings, &origins, files)?
                }
            }
            Command::Check { file: Some(path) } => {
                let content = ConfigFile::Named(path.clone()).read(None)?;
                let inputs = Inputs::new(PartialOptions::default(), Files::parse(&content)?)?;
                let note = check(&inputs)?;
                format!("{}: ok{note}\n", visible(&path.to_string_lossy()))
            }
            Command::Check { file: None } => {
                let inputs = global.inputs(|_| {})?;
                let note = match global.config_file() {
                    ConfigFile::Named(_) => check(&inputs)?,
                    // A file that was merely found has been refused if it has a guarded setting, so there is nothing to
                    // note.
                    _ => check(&inputs).map(|_| String::new())?,
                };
                let paths: Vec<_> = inputs
                    .files()
                    .paths()
                    .map(|path| visible(&path.to_string_lossy()).into_owned())
                    .collect();
                match &paths[..] {
                    [] => "no configuration file; defaults and environment: ok\n".to_owned(),
                    paths => format!("{}: ok{note}\n", paths.join(", ")),
                }
            }
            Command::Init(init) => return init.execute(global),
        };
        let mut output = Output::open(Path::new("-"))?;
        output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
        output.commit()?;
        Ok(Exit::Complete)
    }
}

/// Checks the settings, and those of every profile. Returns a note for a file that other commands accept only if it is
/// named with an option or a variable; it is empty for any other file.
fn check(inputs: &Inputs) -> anyhow::Result<String> {
    let (settings, origins) = inputs.resolve()?;
    check_endpoint(&settings)?;
    for profile in inputs.files().profiles() {
        let mut inputs = inputs.clone();
        let in_profile = || format!("profile {}", profile.name);
        inputs.choose(&profile.name)?;
        let (settings, _) = inputs.resolve().with_context(in_profile)?;
        check_endpoint(&settings).with_context(in_profile)?;
        if let Some(address) = &profile.address {
            address::parse(address).map_err(|error| error.context(in_profile()))?;
        }
    }
    Ok(note(&settings, &origins, inputs.files()))
}

fn check_endpoint(settings: &Settings) -> anyhow::Result<()> {
    links::host(settings)?;
    match &settings.stored.endpoint {
        Some(endpoint) => {
            refuse_plain_http(&Endpoint::custom(endpoint)?, settings.connection.allow_http)
        }
        None => Ok(()),
    }
}

fn note(settings: &Settings, origins: &Provenance, files: &Files) -> String {
    let from_file = |key: &&str| matches!(origins.get(key), Some(Origin::File(_)));
    let mut guarded: Vec<&str> =
        config::definitions::guarded().map(|setting| setting.name).filter(from_file).collect();
    if from_file(&"db") && config::leads_elsewhere(&settings.db) {
        guarded.push("db");
    }
    if !files.profiles().is_empty() {
        guarded.push("profiles");
    }
    match guarded[..] {
        [] => String::new(),
        _ => format!(
            ", if you name it with --config or COSTAG_CONFIG (it sets {})",
            guarded.join(", ")
        ),
    }
}

/// The address of the chosen profile, and where it came from.
fn address_of_profile(files: &Files) -> Option<(&str, Origin)> {
    let Profile { name, address, path, .. } = files.chosen()?;
    let origin = Origin::Profile { name: name.clone(), path: path.clone() };
    Some((address.as_deref()?, origin))
}

/// The values by key. The arguments of a command are left out, since people put secrets there.
fn entries(settings: &Settings) -> Vec<(&'static str, Value)> {
    let mut entries = settings.entries();
    for (key, value) in &mut entries {
        if let (&mut "credential_process", Some(command)) = (&mut *key, value.as_str()) {
            *value = config::command_shown(command).into();
        }
    }
    entries
}

fn from(key: &str, origins: &Provenance) -> String {
    origins.get(key).map(ToString::to_string).unwrap_or_default()
}

fn toml(settings: &Settings, origins: &Provenance, files: &Files) -> anyhow::Result<String> {
    let entries = entries(settings);
    let lines: Vec<(String, String)> = entries
        .iter()
        // A text, number, flag or list of texts reads the same in JSON and TOML.
        .map(|(key, value)| {
            let value = config::written(value);
            Ok((format!("{key} = {value}"), from(key, origins)))
        })
        .collect::<anyhow::Result<_>>()?;
    let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|n| *n < 48).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    if !files.profiles().is_empty() {
        writeln!(text, "# {}", visible(&files.known_profiles()))?;
    }
    if let Some((address, origin)) = address_of_profile(files) {
        let address = config::written(&address.into());
        writeln!(text, "# address = {}  # {}", visible(&address), visible(&origin.to_string()))?;
    }
    for (line, from) in &lines {
        writeln!(text, "{line:width$}  # {}", visible(from))?;
    }
    Ok(text)
}

fn json(settings: &Settings, origins: &Provenance, files: &Files) -> anyhow::Result<String> {
    let entries = entries(settings);
    let mut object: serde_json::Map<String, serde_json::Value> = entries
        .iter()
        .map(|(key, value)| {
            let entry = Entry { value, from: from(key, origins) };
            Ok(((*key).to_owned(), serde_json::to_value(entry)?))
        })
        .collect::<anyhow::Result<_>>()?;
    if let Some((address, origin)) = address_of_profile(files) {
        let (value, from) = (&Value::from(address), origin.to_string());
        object.insert("address".to_owned(), serde_json::to_value(Entry { value, from })?);
    }
    Ok(serde_json::to_string_pretty(&object)? + "\n")
}
