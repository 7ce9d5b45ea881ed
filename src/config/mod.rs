//! The settings of a command, in layers. An option wins over the environment variable, the variable wins over the profile,
//! the profile wins over the files, and the files win over the default.
//!
//! This module takes the options that were given, a way to read environment variables, and the files. It returns checked
//! [`Settings`], and the [`Provenance`] of each value. Secrets are not settings: credentials never pass through here.

mod defaults;
pub mod definitions;
mod error;
mod example;
mod file;
mod keys;
mod layers;
mod names;
mod profiles;
mod settings;
mod stricter;
#[cfg(test)]
mod tests;
mod typed;
mod types;
mod value;
mod written;

pub use error::{Error, Origin};
pub use example::{example, written};
pub use file::{ConfigFile, Content, DEFAULT_FILE, OWN_FILE, Role, leads_elsewhere};
pub use layers::{Files, PartialOptions, Provenance};
pub use names::{option, variable};
pub use profiles::{Profile, is_profile_name};
pub use settings::{
    Budget, Connection, CredentialSources, Logging, Pace, Settings, Stored, Watching,
};
pub use typed::Typed;
pub use types::{
    Billing, FailureLimit, Filter, Language, LogFormat, Notify, ProgressForm, Rate, Until, Workers,
};
pub use value::{command_shown, read_duration, read_failure_limit, read_size};
