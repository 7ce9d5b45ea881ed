//! What a definition of a setting consists of.

use figment::value::Value;

use crate::config::names::{option, option_words};
use crate::config::settings::Settings;
use crate::config::value::{self, Checked};

/// The definition of one setting.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file. The environment variable and the option are named after it.
    pub name: &'static str,
    /// The letter of the short option, if there is one.
    pub short: Option<char>,
    /// How the option takes its value.
    pub kind: Kind,
    /// The group of options under which `--help` shows the setting.
    pub group: Group,
    /// The default, as it would be written in an environment variable; empty if there is none.
    pub default: &'static str,
    /// The sentence that says what the setting does, with its unit and its bounds, without a full stop.
    pub help: &'static str,
    /// Further sentences for `--help` and the file; may be empty.
    pub more: &'static str,
    /// Must be given for a setting that starts a program, names a host, or decides whom to trust. A file that was merely
    /// found in the current folder must not set it, because another user may have left that file there. The text says
    /// what the setting decides, as the end of a sentence. `None` means that any file may set it.
    pub(crate) guarded: Option<&'static str>,
    /// What `costag resume` does with the option that was typed when the run began. Guarded settings are not kept with a
    /// run, except the endpoint, which `costag resume` asks to confirm.
    pub(crate) resume: Resume,
    /// Checks a value of the file, a variable or an option, and stores it. Returns what was expected if the value is wrong.
    pub(crate) set: fn(&Value, &mut Settings) -> Checked<()>,
    /// Returns the value as it would be written in the file.
    pub(crate) get: fn(&Settings) -> Value,
}

impl Setting {
    /// Whether a run keeps neither the value of the setting nor the option that was typed.
    pub const fn is_forgotten(&self) -> bool {
        matches!(self.resume, Resume::Forget)
    }

    /// The option that gives this setting the value that it has in `settings`, as words of a command line.
    pub fn words(&self, settings: &Settings) -> Vec<String> {
        let text = match (self.get)(settings) {
            Value::Bool(_, true) => return vec![option(self.name)],
            Value::Bool(_, false) => return vec![option(&format!("no_{}", self.name))],
            Value::Array(_, items) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                items.join(",")
            }
            value => value::scalar(&value, "").unwrap_or_default(),
        };
        option_words(option(self.name), text)
    }
}

/// How an option takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `--NAME VALUE`; the text names the value in the help.
    Value(&'static str),
    /// `--NAME VALUE`, where the value may begin with a minus sign, so that the message about a negative number names the
    /// option.
    Number(&'static str),
    /// `--NAME VALUE`, which may be repeated, with commas between several values.
    List(&'static str),
    /// `--NAME` and `--no-NAME`.
    Flag {
        /// The help of `--no-NAME`.
        no: &'static str,
    },
}

/// A group of options in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Options of every command.
    Global,
    /// Where the images are; kept with a run.
    Place,
    /// What is asked about the images; kept with a run.
    Source,
    /// Which listed objects are wanted; kept with a run. Every line of a list is wanted.
    FilterOfListings,
    /// Which objects are wanted, listed or on a list of keys; kept with a run.
    Filter,
    /// How fast requests are sent.
    Pace,
    /// What stops a run, or makes it ask.
    Budget,
    /// What calls cost.
    Price,
    /// How requests are made, and how long faults are waited out.
    Connection,
    /// Where credentials come from.
    Credentials,
    /// Signed links to pictures and files.
    Links,
    /// How a run is reported to those who do not watch it.
    Watching,
    /// How names are shown.
    Names,
}

impl Group {
    /// The heading in `--help`.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Global => "Global",
            Self::Place | Self::Source => "Source",
            Self::FilterOfListings => "Filter (of listings)",
            Self::Filter => "Filter (of listings and lists of keys)",
            Self::Pace => "Pace",
            Self::Budget => "Budget (of this invocation)",
            Self::Price => "Price",
            Self::Connection => "Connection",
            Self::Watching => "Watching",
            Self::Names => "Names",
            Self::Links => "Links",
            Self::Credentials => "Credentials (never given as options)",
        }
    }
}

/// What `costag resume` does with an option that was typed when its run began.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resume {
    /// The option is not kept with the run.
    Forget,
    /// The run itself keeps the value, see [`Stored`](crate::config::Stored). An option that is given now replaces it.
    Stored,
    /// The option applies again, and takes precedence over the environment and files.
    Again,
    /// The option applies again, unless the environment or a file sets a stricter value now. The function gets the
    /// settings with the typed option and the settings of now. It copies the value of the second into the first if it is
    /// stricter, and returns whether it did.
    Stricter(fn(&mut Settings, &Settings) -> bool),
}

impl Resume {
    /// Whether a run keeps the option that was typed.
    pub(crate) const fn keeps(self) -> bool {
        matches!(self, Self::Again | Self::Stricter(_))
    }
}

/// A section of `config/costag.toml`.
pub(crate) struct Section {
    /// The heading and what applies to all settings of the section; may be empty.
    pub(crate) heading: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// Stores a checked value.
pub(super) fn put<T>(place: &mut T, checked: Checked<T>) -> Checked<()> {
    *place = checked?;
    Ok(())
}
