//! What the program needs to know, checked: options over environment over `costag.toml` over defaults.
//!
//! Takes what was given as options, a way to ask for environment variables and a file; gives [`Settings`]
//! in which nothing is left to be checked, with the [`Provenance`] of each. Secrets are no settings: the
//! credentials themselves never pass through here.

mod defaults;
pub mod definitions;
mod error;
mod example;
mod file;
mod layers;
mod names;
mod settings;
mod stricter;
#[cfg(test)]
mod tests;
mod typed;
mod types;
mod value;
mod written;

pub use error::{Error, Origin};
pub use example::example;
pub use file::{ConfigFile, Content, DEFAULT_FILE};
pub use layers::{PartialOptions, Provenance};
pub use names::{option, variable};
pub use settings::{Budget, Connection, CredentialSources, Logging, Pace, Settings, Stored};
pub use typed::Typed;
pub use types::{Billing, FailureLimit, Filter, LogFormat, Rate, Until};
pub use value::command_shown;
