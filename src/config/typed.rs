//! The options of a command line that a run keeps, so that `costag resume` can repeat the command.
//!
//! Only options that were typed are kept. The environment and files are read again, and a kept option never loosens a limit
//! that they set now.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};

use super::names::{option, option_words};

/// Options as they were typed, by the key of their setting. They contain no secrets: secrets are not settings, and settings
/// that say where secrets come from are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, serde_json::Value>", into = "BTreeMap<String, Given>")]
pub struct Typed(BTreeMap<String, Given>);

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Given {
    /// `true` for an option such as `--dedupe`, `false` for one such as `--no-dedupe`.
    Flag(bool),
    /// The text after the option.
    Text(String),
}

impl Given {
    /// The value of an option in the layer of options; `None` if it is neither a flag nor a text.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_, flag) => Some(Self::Flag(*flag)),
            Value::String(_, text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

/// A kept option has a value that no option can have: another program changed the database.
#[derive(Debug, thiserror::Error)]
#[error(
    "the option {key:?} was kept with a value that no option has, so the database was changed by another program: begin a new run"
)]
pub struct UnfitValue {
    key: String,
}

impl TryFrom<BTreeMap<String, serde_json::Value>> for Typed {
    type Error = UnfitValue;

    fn try_from(kept: BTreeMap<String, serde_json::Value>) -> Result<Self, UnfitValue> {
        let given = |(key, value)| match value {
            serde_json::Value::Bool(flag) => Ok((key, Given::Flag(flag))),
            serde_json::Value::String(text) => Ok((key, Given::Text(text))),
            _ => Err(UnfitValue { key }),
        };
        kept.into_iter().map(given).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Typed> for BTreeMap<String, Given> {
    fn from(typed: Typed) -> Self {
        typed.0
    }
}

impl FromIterator<(String, Given)> for Typed {
    fn from_iter<I: IntoIterator<Item = (String, Given)>>(options: I) -> Self {
        Self(options.into_iter().collect())
    }
}

impl Typed {
    /// The keys of the options.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn values(&self) -> Dict {
        let value = |given: &Given| match given {
            Given::Flag(flag) => Value::from(*flag),
            Given::Text(text) => Value::from(text.as_str()),
        };
        self.0.iter().map(|(key, given)| (key.clone(), value(given))).collect()
    }

    /// These options, each replaced by the one that is given now.
    pub(super) fn replaced_by(&self, now: Self) -> Self {
        Self(self.0.clone().into_iter().chain(now.0).collect())
    }

    /// The options as the words of a command line.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|(key, given)| match given {
            Given::Flag(true) => vec![option(key)],
            Given::Flag(false) => vec![option(&format!("no_{key}"))],
            Given::Text(text) => option_words(option(key), text.clone()),
        })
    }

    /// The options of these keys as a person would type them again.
    pub fn command_line(&self, holds: impl Fn(&str) -> bool) -> String {
        let typed = self.0.iter().filter(|(key, _)| holds(key)).map(|(key, given)| match given {
            Given::Flag(true) => option(key),
            Given::Flag(false) => option(&format!("no_{key}")),
            Given::Text(text) if text.is_empty() || text.contains(' ') => {
                format!("{} '{text}'", option(key))
            }
            Given::Text(text) => format!("{} {text}", option(key)),
        });
        typed.collect::<Vec<_>>().join(" ")
    }
}
