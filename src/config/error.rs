//! The errors of settings. Each of them ends with exit code 2.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::names::{option, variable};

/// Where the value of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// This configuration file.
    File(PathBuf),
    /// The profile that was chosen.
    Profile {
        /// Its name.
        name: String,
        /// The file that has it.
        path: PathBuf,
    },
    /// This environment variable.
    Environment(String),
    /// This option, with its dashes.
    Option(String),
    /// The option that was typed when the run began.
    Run,
    /// A file gave a value, but the setting named here takes precedence over it.
    Overruled(Box<Origin>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Profile { name, path } => write!(f, "profile {name} in {}", path.display()),
            Self::Environment(name) | Self::Option(name) => f.write_str(name),
            Self::Run => f.write_str("typed when the run began"),
            Self::Overruled(by) => write!(f, "not used, because {by} is given"),
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file cannot be read.
    #[error(
        "cannot read the configuration file {path}; name another one with --config, or use --no-config"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason that the system gives.
        #[source]
        source: io::Error,
    },
    /// A file that nobody named may have been created or changed by others.
    #[error(
        "the configuration file {path} is not used: {reason}. If you trust it, name it with --config {path}; \
         otherwise use --no-config"
    )]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that was merely found in the current folder sets a guarded setting.
    #[error(
        "{path} in the current folder sets {key}, but only a file that you name may decide {decides}. If you \
         trust the file, name it with --config {path} (or COSTAG_CONFIG); otherwise remove the line, and give \
         {} or {}",
        option(.key),
        variable(.key)
    )]
    Guarded {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the setting decides.
        decides: &'static str,
    },
    /// A file that was merely found in the current folder has profiles.
    #[error(
        "{path} in the current folder has profiles, but only a file that you name, or your own one in \
         ~/.config/costag, may decide which bucket a profile stands for. If you trust the file, name it with --config \
         {path} (or COSTAG_CONFIG); otherwise use --no-config"
    )]
    FoundProfiles {
        /// The file.
        path: PathBuf,
    },
    /// A profile of the file is not written as it has to be.
    #[error("{key} in {path}: {reason}")]
    Profile {
        /// The file.
        path: PathBuf,
        /// The key with its tables.
        key: String,
        /// What is expected.
        reason: &'static str,
    },
    /// The profile that was chosen is in no file.
    #[error("there is no profile {name:?}: {known}")]
    NoProfile {
        /// Its name.
        name: String,
        /// Which profiles there are.
        known: String,
    },
    /// The file is not TOML. The message does not repeat the line, since it may contain a secret.
    #[error("{path}, line {line}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What the parser expected.
        reason: String,
    },
    /// The file has a key that is not a setting.
    #[error("unknown setting {key:?} in {path}{}", advice(.near.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
        /// The setting whose name is most similar to the key, if one is similar.
        near: Option<String>,
    },
    /// The file has a key that looks like a secret.
    #[error(
        "{key:?} in {path}: secrets must not be in this file. Remove the line, and use the environment, \
         credentials_file or credential_process"
    )]
    Secret {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// A value is of the wrong type or out of bounds.
    #[error("{key} = {value} ({origin}): {reason}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// The value, quoted and shortened to one line.
        value: String,
        /// Where the value was given.
        origin: Origin,
        /// What is expected.
        reason: String,
    },
    /// Two settings contradict each other.
    #[error("{reason}")]
    Conflict {
        /// Which settings, and what to do.
        reason: String,
    },
    /// The database has an option that costag never keeps with a run. Somebody changed the database, or another version
    /// wrote it.
    #[error(
        "the setting {key:?} is never kept with a run, so the database was changed by another program: begin a new run"
    )]
    NotKept {
        /// The key.
        key: String,
    },
    /// The value of an environment variable is not text.
    #[error("the environment variable {name} is not UTF-8 text: set it again, or unset it")]
    NotText {
        /// The variable.
        name: String,
    },
}

fn advice(near: Option<&str>) -> String {
    match near {
        Some(near) => format!(": did you mean {near}?"),
        None => String::new(),
    }
}
