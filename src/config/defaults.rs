//! The default settings, from the definitions.

use figment::value::Value;

use super::definitions;
use super::settings::{Settings, Stored};
use super::types::Filter;

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self::blank();
        for setting in definitions::all() {
            (setting.set)(&Value::from(setting.default), &mut settings)
                .expect("a test reads the default of every setting");
        }
        settings
    }
}

impl Default for Stored {
    fn default() -> Self {
        Settings::default().stored
    }
}

impl Default for Filter {
    fn default() -> Self {
        Settings::default().stored.filter
    }
}

impl Settings {
    /// Every setting as it would be written in the file, by key, in the order of `config/costag.toml`.
    ///
    /// Reading these values gives the same settings again.
    pub fn entries(&self) -> Vec<(&'static str, Value)> {
        definitions::all().map(|setting| (setting.name, (setting.get)(self))).collect()
    }
}
