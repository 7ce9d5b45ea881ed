//! What can be wrong with the settings; every one of these ends with exit code 2.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::names::{option, variable};

/// Where the value of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
    /// This option, with its dashes.
    Option(String),
    /// The option that was typed when the run began.
    Run,
    /// A file gave a value, and what this names has put it out of force.
    Overruled(Box<Origin>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) | Self::Option(name) => f.write_str(name),
            Self::Run => f.write_str("as it was typed when the run began"),
            Self::Overruled(by) => write!(f, "not used, because {by} is given"),
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration file that was named, or that is there, cannot be read.
    #[error(
        "cannot read the configuration file {path}: name another with --config, or use --no-config"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        #[source]
        source: io::Error,
    },
    /// The file in the current folder may have been made or changed by others.
    #[error(
        "{path} in the current folder is not used: {reason}. If you trust it, name it with --config {path}; \
         --no-config goes on without it"
    )]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that was merely found in the current folder sets what only a named file may set.
    #[error(
        "{path} in the current folder sets {key}, and a file that is only found there may not decide \
         {decides}. If you trust it, name it with --config {path} (or COSTAG_CONFIG); otherwise take the line \
         out and give {} or {}",
        option(.key),
        variable(.key)
    )]
    Guarded {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it decides.
        decides: &'static str,
    },
    /// The file is not TOML. The line itself is not repeated: it may hold what should not be shown.
    #[error("{path}, line {line}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What the parser expected.
        reason: String,
    },
    /// A key in the file that no setting has.
    #[error("unknown setting {key:?} in {path}{}", advice(.near.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
        /// The setting whose name is the most like it.
        near: Option<String>,
    },
    /// A key in the file that looks like a secret.
    #[error(
        "{key:?} in {path}: secrets are not settings, take it out; use the environment, credentials_file or credential_process"
    )]
    Secret {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// A value of the wrong type or out of bounds.
    #[error("{key} = {value} ({origin}): {reason}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// The value, quoted and cut to a line.
        value: String,
        /// Where it was given.
        origin: Origin,
        /// What is expected.
        reason: String,
    },
    /// Two settings that exclude each other.
    #[error("{reason}")]
    Conflict {
        /// Which, and what to do.
        reason: String,
    },
    /// A run keeps an option that no run keeps: its settings were changed, or are those of another version.
    #[error("a run does not keep the setting {key:?}")]
    NotKept {
        /// The key.
        key: String,
    },
    /// A variable whose bytes are no text.
    #[error("the environment variable {name} is not UTF-8 text: set it anew, or unset it")]
    NotText {
        /// The variable.
        name: String,
    },
}

fn advice(near: Option<&str>) -> String {
    match near {
        Some(near) => format!(": did you mean {near}?"),
        None => ": `costag config show` lists the settings".to_owned(),
    }
}
