//! Applies the definitions to whole settings: the defaults, the values by key, and what is kept with a run.

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

impl Stored {
    /// These settings, where each setting that `given` chooses has its value in `now` instead.
    ///
    /// # Panics
    /// Does not panic: the value of a checked setting passes its own check.
    #[must_use]
    pub fn replaced_by(&self, now: &Self, given: impl Fn(&str) -> bool) -> Self {
        let (mut settings, now) = (Self::in_settings(self), Self::in_settings(now));
        for setting in definitions::stored().filter(|setting| given(setting.name)) {
            (setting.set)(&(setting.get)(&now), &mut settings)
                .expect("the value of a checked setting is valid");
        }
        settings.stored
    }

    /// The options for scenes, filters and dedupe that differ from the defaults, as words of a command line.
    pub fn words(&self) -> Vec<String> {
        let (settings, default) = (Self::in_settings(self), Settings::default());
        definitions::stored()
            .filter(|setting| (setting.get)(&settings) != (setting.get)(&default))
            .flat_map(|setting| setting.words(&settings))
            .collect()
    }

    fn in_settings(&self) -> Settings {
        Settings { stored: self.clone(), ..Settings::blank() }
    }
}
