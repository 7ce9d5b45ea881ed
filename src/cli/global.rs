//! The options every command has, and the way from options to checked settings.

#![expect(clippy::doc_markdown, reason = "the comments of fields are help texts")]

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use clap::Args;

use crate::config::{self, ConfigFile, KEYS, PartialOptions, Provenance, Settings};
use crate::telemetry::logging;

/// The variable that names the configuration file.
const CONFIG: &str = "COSTAG_CONFIG";

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global")]
pub struct GlobalOptions {
    /// Job database [default: costag.db] [env: COSTAG_DB]
    #[arg(long, value_name = "FILE", global = true)]
    db: Option<String>,
    /// Configuration file [default: ./costag.toml, if there is one] [env: COSTAG_CONFIG]
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, global = true)]
    no_config: bool,
    /// Log level or directives, such as info or costag=debug,warn [default: warn] [env: COSTAG_LOG]
    #[arg(long, value_name = "FILTER", global = true)]
    log: Option<String>,
    /// Form of log lines: text or json [default: text] [env: COSTAG_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<String>,
}

impl GlobalOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.text("db", self.db.as_deref());
        options.text("log", self.log.as_deref());
        options.text("log_format", self.log_format.as_deref());
    }

    /// The configuration file that holds, unless the command names one itself.
    pub fn config_file(&self) -> ConfigFile {
        let named = || env::var_os(CONFIG).filter(|name| !name.is_empty()).map(PathBuf::from);
        match &self.config {
            _ if self.no_config => ConfigFile::Without,
            Some(path) => ConfigFile::Named(path.clone()),
            None => named().map_or(ConfigFile::Default, ConfigFile::Named),
        }
    }

    /// Checked settings of a command with these options besides the global ones; starts logging by them.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub fn settings(
        &self,
        give: impl FnOnce(&mut PartialOptions),
    ) -> Result<Settings, config::Error> {
        let mut options = PartialOptions::default();
        self.give(&mut options);
        give(&mut options);
        let (settings, _) = resolve(&options, &self.config_file())?;
        logging::init(&settings.logging);
        Ok(settings)
    }
}

/// Settings by options, this process's environment and `file`.
///
/// # Errors
/// As [`Settings::resolve`], and a variable that is no text.
pub(super) fn resolve(
    options: &PartialOptions,
    file: &ConfigFile,
) -> Result<(Settings, Provenance), config::Error> {
    let mut variables = BTreeMap::new();
    for name in KEYS.into_iter().map(config::variable) {
        if let Some(value) = env::var_os(&name) {
            match value.into_string() {
                Ok(text) => variables.insert(name, text),
                Err(_) => return Err(config::Error::NotText { name }),
            };
        }
    }
    Settings::resolve(options, |name| variables.get(name).cloned(), file)
}
