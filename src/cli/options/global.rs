//! The options that every command has, and the way from options to checked settings.

#![expect(clippy::doc_markdown, reason = "the comments of fields are help texts")]

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::slice;

use clap::Args;

use super::groups::{OfEveryCommand, SettingOptions};
use crate::cli::{habits, terminal};
use crate::config::{
    self, ConfigFile, Files, LogFormat, Logging, OWN_FILE, PartialOptions, Provenance, Settings,
    Typed, definitions,
};
use crate::telemetry::logging;

/// The variable that names the configuration file.
const CONFIG: &str = "COSTAG_CONFIG";

/// The variable that names the profile.
const PROFILE: &str = "COSTAG_PROFILE";

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global")]
pub struct GlobalOptions {
    #[command(flatten)]
    settings: SettingOptions<OfEveryCommand>,
    /// The configuration file; the user's own ~/.config/costag/costag.toml applies too [default: ./costag.toml, if there is
    /// one] [env: COSTAG_CONFIG]
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, global = true)]
    no_config: bool,
    /// Say only what goes wrong: no progress, no summary
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log more: -v logs what the run does, -vv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The profile of the configuration file whose settings apply [env: COSTAG_PROFILE]
    #[arg(long, value_name = "NAME", global = true, conflicts_with = "no_config")]
    profile: Option<String>,
}

impl GlobalOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        let log = match (self.quiet, self.verbose) {
            (true, _) => Some("error"),
            (false, 0) => None,
            (false, 1) => Some("warn,costag=info"),
            (false, _) => Some("warn,costag=debug"),
        };
        options.text("log", log);
        options.text("progress", self.quiet.then_some("none"));
        // --log and --progress come last, because they win over -q and -v.
        self.settings.give(options);
    }

    /// The configuration file that these options and the environment ask for.
    pub fn config_file(&self) -> ConfigFile {
        let named = || env::var_os(CONFIG).filter(|name| !name.is_empty()).map(PathBuf::from);
        match &self.config {
            _ if self.no_config => ConfigFile::Without,
            Some(path) => ConfigFile::Named(path.clone()),
            None => named().map_or(ConfigFile::Default, ConfigFile::Named),
        }
    }

    /// The checked settings of a command that adds its own options to the global ones. Starts logging.
    ///
    /// # Errors
    /// The same as those of [`Settings::resolve`].
    pub fn settings(
        &self,
        give: impl FnOnce(&mut PartialOptions),
    ) -> Result<Settings, config::Error> {
        self.inputs(give)?.settings()
    }

    /// Reads what the settings of a command are made from. The command adds its own options.
    ///
    /// # Errors
    /// A configuration file cannot be read or is malformed, or there is no profile of the chosen name.
    pub fn inputs(&self, give: impl FnOnce(&mut PartialOptions)) -> Result<Inputs, config::Error> {
        terminal::be_quiet(self.quiet);
        let mut options = PartialOptions::default();
        self.give(&mut options);
        give(&mut options);
        let files = Files::parse(&self.config_file().read(own_file().as_deref())?)?;
        let mut inputs = Inputs::new(options, files)?;
        inputs.profile_option.clone_from(&self.profile);
        if let Some(name) = self.chosen_profile()? {
            inputs.choose(&name)?;
        }
        Ok(inputs)
    }

    /// The name of the profile that the option or the environment chooses. Without configuration files there are no
    /// profiles, so the variable means nothing then.
    fn chosen_profile(&self) -> Result<Option<String>, config::Error> {
        if self.profile.is_some() || self.no_config {
            return Ok(self.profile.clone());
        }
        let given = env::var_os(PROFILE).filter(|name| !name.is_empty()).map(OsString::into_string);
        given.transpose().map_err(|_| config::Error::NotText { name: PROFILE.to_owned() })
    }

    /// The settings that can be read although [`GlobalOptions::inputs`] has failed or a setting is wrong. They say who is
    /// told about this. `profile` is the name of the profile that the command names instead of an address.
    pub fn readable_settings(
        &self,
        give: impl FnOnce(&mut PartialOptions),
        profile: Option<&str>,
    ) -> Settings {
        let mut options = PartialOptions::default();
        self.give(&mut options);
        give(&mut options);
        let mut contents = self.config_file().read(own_file().as_deref()).unwrap_or_default();
        contents.retain(|content| Files::parse(slice::from_ref(content)).is_ok());
        let mut files = Files::parse(&contents).unwrap_or_default();
        let chosen = || self.chosen_profile().ok().flatten();
        if let Some(name) = profile.map(str::to_owned).or_else(chosen) {
            // The command has failed because there is no such profile.
            let _ = files.choose(&name);
        }
        Settings::resolve_readable(&options, |name| env::var(name).ok(), &files)
    }

    /// The name that `--profile` gives.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }
}

/// The path of the user's own configuration file. `None` if the user has no home.
pub fn own_file() -> Option<PathBuf> {
    // The specification of base directories says that a relative path is not to be used.
    let of_variable =
        env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = of_variable.or_else(|| env::home_dir().map(|home| home.join(".config")))?;
    folder.is_absolute().then(|| folder.join(OWN_FILE))
}

/// Starts logging, and gives messages the same form.
fn speak(logging: &Logging) {
    terminal::write_json(logging.format == LogFormat::Json);
    logging::init(logging);
}

/// Whether a setting is read from this variable.
fn is_variable(name: &str) -> bool {
    definitions::all().any(|setting| config::variable(setting.name) == name)
}

/// The options, the environment of this process, and the configuration files, which are read only once.
#[derive(Debug, Clone)]
pub struct Inputs {
    options: PartialOptions,
    variables: BTreeMap<String, String>,
    files: Files,
    profile_option: Option<String>,
}

impl Inputs {
    /// Reads the environment.
    ///
    /// # Errors
    /// A variable is not text.
    pub fn new(options: PartialOptions, files: Files) -> Result<Self, config::Error> {
        let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for warning in habits::misspelt(names, definitions::nearest, is_variable) {
            say!("{warning}");
        }
        let mut variables = BTreeMap::new();
        for name in definitions::all().map(|setting| config::variable(setting.name)) {
            if let Some(value) = env::var_os(&name) {
                match value.into_string() {
                    Ok(text) => variables.insert(name, text),
                    Err(_) => return Err(config::Error::NotText { name }),
                };
            }
        }
        Ok(Self { options, variables, files, profile_option: None })
    }

    /// What the configuration files say.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The name that the option `--profile` gave.
    pub fn profile_option(&self) -> Option<&str> {
        self.profile_option.as_deref()
    }

    /// Chooses a profile, in place of another one.
    ///
    /// # Errors
    /// There is no profile of this name.
    pub fn choose(&mut self, name: &str) -> Result<(), config::Error> {
        self.files.choose(name)
    }

    /// The checked settings. Starts logging.
    ///
    /// # Errors
    /// The same as those of [`Settings::resolve`].
    pub fn settings(&self) -> Result<Settings, config::Error> {
        let (settings, _) = self.resolve()?;
        speak(&settings.logging);
        Ok(settings)
    }

    /// The checked settings, and where each came from.
    ///
    /// # Errors
    /// The same as those of [`Settings::resolve`].
    pub fn resolve(&self) -> Result<(Settings, Provenance), config::Error> {
        self.resolve_again(&Typed::default())
    }

    /// The settings without those of the run that is resumed, which is not known yet. Starts logging.
    ///
    /// # Errors
    /// The same as those of [`Settings::resolve_alone`].
    pub fn resolve_alone(&self) -> Result<Settings, config::Error> {
        let variable = |name: &str| self.variables.get(name).cloned();
        let (settings, _) = Settings::resolve_alone(&self.options, variable, &self.files)?;
        speak(&settings.logging);
        Ok(settings)
    }

    /// The settings for a run that was begun with the options `typed`.
    ///
    /// # Errors
    /// The same as those of [`Settings::resolve_again`].
    pub fn resolve_again(&self, typed: &Typed) -> Result<(Settings, Provenance), config::Error> {
        let variable = |name: &str| self.variables.get(name).cloned();
        Settings::resolve_again(&self.options, variable, &self.files, typed)
    }
}
