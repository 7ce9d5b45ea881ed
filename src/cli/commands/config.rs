//! `costag config`: prints the settings and where they came from, or checks a file.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use figment::value::Value;
use serde::Serialize;

use crate::cli::connect::refuse_plain_http;
use crate::cli::exit::Exit;
use crate::cli::options::global::{GlobalOptions, resolve};
use crate::cli::options::groups::{OfRun, SettingOptions};
use crate::config::{self, ConfigFile, Origin, PartialOptions, Provenance, Settings};
use crate::cos::Endpoint;
use crate::export::Output;
use crate::visible::visible;

/// Show the settings and where they came from, or check a configuration file
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
        let mut options = PartialOptions::default();
        let text = match self.command {
            Command::Show(show) => {
                global.give(&mut options);
                show.options.give(&mut options);
                let (settings, origins) = resolve(options, &global.config_file())?;
                if show.json { json(&settings, &origins)? } else { toml(&settings, &origins)? }
            }
            Command::Check { file } => {
                let file = file.map_or_else(|| global.config_file(), ConfigFile::Named);
                let (settings, origins) = resolve(options, &file)?;
                if let Some(endpoint) = &settings.stored.endpoint {
                    refuse_plain_http(
                        &Endpoint::custom(endpoint)?,
                        settings.connection.allow_http,
                    )?;
                }
                match &file {
                    ConfigFile::Named(path) => {
                        format!("{}: ok{}\n", visible(&path.to_string_lossy()), note(&origins))
                    }
                    ConfigFile::Default if Path::new(config::DEFAULT_FILE).exists() => {
                        format!("{}: ok\n", config::DEFAULT_FILE)
                    }
                    _ => "no configuration file; defaults and environment: ok\n".to_owned(),
                }
            }
        };
        let mut output = Output::open(Path::new("-"))?;
        output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
        output.commit()?;
        Ok(Exit::Complete)
    }
}

/// A note for a file that sets guarded settings: other commands accept it only if it is named with an option or a
/// variable. Empty for any other file.
fn note(origins: &Provenance) -> String {
    let from_file = |key: &&str| matches!(origins.get(key), Some(Origin::File(_)));
    let guarded: Vec<&str> =
        config::definitions::guarded().map(|setting| setting.name).filter(from_file).collect();
    match guarded[..] {
        [] => String::new(),
        _ => format!(
            ", if you name it with --config or COSTAG_CONFIG (it sets {})",
            guarded.join(", ")
        ),
    }
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

fn toml(settings: &Settings, origins: &Provenance) -> anyhow::Result<String> {
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
    for (line, from) in &lines {
        writeln!(text, "{line:width$}  # {}", visible(from))?;
    }
    Ok(text)
}

fn json(settings: &Settings, origins: &Provenance) -> anyhow::Result<String> {
    let entries = entries(settings);
    let object: serde_json::Map<String, serde_json::Value> = entries
        .iter()
        .map(|(key, value)| {
            let entry = Entry { value, from: from(key, origins) };
            Ok(((*key).to_owned(), serde_json::to_value(entry)?))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(serde_json::to_string_pretty(&object)? + "\n")
}
