//! What the program needs to know, checked: options over environment over `costag.toml` over defaults.
//!
//! Takes what was given as options, a way to ask for environment variables and a file; gives [`Settings`]
//! in which nothing is left to be checked, with the [`Provenance`] of each. Secrets are no settings: the
//! credentials themselves never pass through here.

mod error;
mod file;
mod keys;
mod layers;
mod settings;
mod stricter;
#[cfg(test)]
mod tests;
mod typed;
mod types;
mod value;

pub use error::{Error, Origin};
pub use file::{ConfigFile, Content, DEFAULT_FILE};
pub use keys::{KEYS, guarded, option, variable};
pub use layers::{PartialOptions, Provenance};
pub use settings::{Budget, Connection, CredentialSources, Logging, Pace, Settings, Stored};
pub use typed::Typed;
pub use types::{Billing, FailureLimit, Filter, LogFormat, Rate, Until};
pub use value::command_shown;
