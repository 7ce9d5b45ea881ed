//! The layers: options win over environment variables, these over the file, and the file over the defaults. figment merges
//! them and keeps where each value came from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::definitions::{self, Resume};
use super::error::{Error, Origin};
use super::file::{self, ConfigFile, Content};
use super::names::{option, variable};
use super::settings::Settings;
use super::typed::{Given, Typed};
use super::value::shown;

/// The options that were given, by the key of their setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartialOptions(BTreeMap<&'static str, Value>);

impl PartialOptions {
    /// Records the text of an option, if it was given.
    pub fn text(&mut self, key: &'static str, given: Option<&str>) {
        if let Some(text) = given {
            self.0.insert(key, text.into());
        }
    }

    /// Records the values of an option that may be repeated, if it was given.
    pub fn list(&mut self, key: &'static str, given: Option<&[String]>) {
        // The values are joined as in a variable, so that both forms mean the same: commas separate, and an empty text is an
        // empty list.
        if let Some(list) = given {
            self.text(key, Some(&list.join(",")));
        }
    }

    /// Records a pair of options, `--x` and `--no-x`, if one was given.
    pub fn flag(&mut self, key: &'static str, yes: bool, no: bool) {
        if yes || no {
            self.0.insert(key, yes.into());
        }
    }

    /// Adds other options.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The keys that were given.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }

    /// The options that a run keeps.
    pub(super) fn kept(&self) -> Typed {
        let kept = self.0.iter().filter(|(key, _)| is_kept(key));
        kept.filter_map(|(key, value)| Some(((*key).to_owned(), Given::of(value)?))).collect()
    }
}

fn is_kept(key: &str) -> bool {
    definitions::find(key).is_some_and(|setting| setting.resume.keeps())
}

/// Refuses options that no run keeps: somebody who can change the database could otherwise set them.
fn check_kept(typed: &Typed) -> Result<(), Error> {
    match typed.keys().find(|key| !is_kept(key)) {
        Some(key) => Err(Error::NotKept { key: key.to_owned() }),
        None => Ok(()),
    }
}

/// Where each setting came from, by key.
pub type Provenance = BTreeMap<&'static str, Origin>;

const DEFAULTS: &str = "default";
const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const RUN: &str = "run";
const OPTIONS: &str = "option";

struct Layer(&'static str, Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.1.clone()))
    }
}

impl Settings {
    /// Merges the layers and checks every value. Returns the settings, and where each of them came from.
    ///
    /// `env` returns the text of an environment variable; an empty text counts as not set. It is called only for the
    /// variables of settings.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML, a key is unknown, or a value is of the wrong type or out of bounds. The
    /// message names the key and where its value came from.
    pub fn resolve(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        file: &ConfigFile,
    ) -> Result<(Self, Provenance), Error> {
        Self::lay(options, env, &file.read()?)
    }

    /// Does the same as [`Settings::resolve`] with a file that was read already.
    pub(crate) fn lay(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        content: &Content,
    ) -> Result<(Self, Provenance), Error> {
        let layers = Layers::new(options, env, content, &Typed::default())?;
        let (settings, origins) = layers.settings(options.kept())?;
        layers.conflicts(&settings)?;
        Ok((settings, origins))
    }

    /// Does the same as [`Settings::resolve`] for a command that takes further settings from a run. Conflicts between
    /// settings are not errors yet, since the settings of the run are still missing.
    ///
    /// # Errors
    /// The same as those of [`Settings::resolve`].
    pub fn resolve_alone(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        content: &Content,
    ) -> Result<(Self, Provenance), Error> {
        Layers::new(options, env, content, &Typed::default())?.settings(options.kept())
    }

    /// Does the same as [`Settings::resolve`] for a run that is resumed. The options that were `typed` when it began
    /// apply again: the options that are given now win over them, and they win over the environment and the file. A
    /// limit that the environment or the file sets now applies if it is stricter.
    ///
    /// # Errors
    /// The same as those of [`Settings::resolve`], and [`Error::NotKept`].
    pub fn resolve_again(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        content: &Content,
        typed: &Typed,
    ) -> Result<(Self, Provenance), Error> {
        check_kept(typed)?;
        let (now, now_from) = Self::resolve_alone(options, &env, content)?;
        let layers = Layers::new(options, &env, content, typed)?;
        let (mut again, mut origins) = layers.settings(typed.replaced_by(options.kept()))?;
        for setting in definitions::all() {
            let Resume::Stricter(keep_stricter) = setting.resume else { continue };
            let (key, from) = (setting.name, &now_from[setting.name]);
            if origins[key] == Origin::Run
                && *from != Origin::Default
                && keep_stricter(&mut again, &now)
            {
                origins.insert(key, from.clone());
            }
        }
        layers.conflicts(&again)?;
        Ok((again, origins))
    }

    /// Drops the endpoint that a file sets if an option, a variable or the resumed run gives a region. The region says
    /// where the bucket is, and it was given for this command, while the file may be meant for other buckets.
    fn drop_endpoint_of_file(&mut self, origins: &mut Provenance) {
        let (Some(region), Some(Origin::File(_))) =
            (origins.get("region"), origins.get("endpoint"))
        else {
            return;
        };
        let wins = matches!(region, Origin::Option(_) | Origin::Environment(_) | Origin::Run);
        if wins && self.stored.region.is_some() && self.stored.endpoint.take().is_some() {
            let overruled = Origin::Overruled(Box::new(region.clone()));
            origins.insert("endpoint", overruled);
        }
    }
}

/// The merged layers, whose values are not checked yet.
struct Layers {
    figment: Figment,
    /// The path of the file.
    path: PathBuf,
}

impl Layers {
    /// Parses the file and merges the layers.
    fn new(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        content: &Content,
        typed: &Typed,
    ) -> Result<Self, Error> {
        let from_file = file::parse(content)?;
        let from_env = definitions::all()
            .map(|setting| setting.name)
            .filter_map(|key| {
                let text = env(&variable(key)).filter(|text| !text.is_empty())?;
                Some((key.to_owned(), text.into()))
            })
            .collect();
        let named = |(key, value): (&'static str, Value)| (key.to_owned(), value);
        let defaults = Settings::default().entries().into_iter().map(named).collect();
        let given = options.0.clone().into_iter().map(named).collect();
        Ok(Self {
            figment: Figment::from(Layer(DEFAULTS, defaults))
                .merge(Layer(FILE, from_file))
                .merge(Layer(ENVIRONMENT, from_env))
                .merge(Layer(RUN, typed.values()))
                .merge(Layer(OPTIONS, given)),
            path: content.path.clone(),
        })
    }

    /// Checks each setting by itself, and returns all of them and where they came from.
    fn settings(&self, typed: Typed) -> Result<(Settings, Provenance), Error> {
        let mut settings = Settings { typed, ..self.check()? };
        let keys = definitions::all().map(|setting| setting.name);
        let origins = keys.map(|key| (key, self.origin(key, &self.value(key))));
        let mut origins: Provenance = origins.collect();
        settings.drop_endpoint_of_file(&mut origins);
        Ok((settings, origins))
    }

    fn value(&self, key: &'static str) -> Value {
        self.figment.find_value(key).unwrap_or_else(|_| Value::from(""))
    }

    /// Where the value of a setting came from. figment tags each value with its layer.
    fn origin(&self, key: &str, value: &Value) -> Origin {
        match self.figment.get_metadata(value.tag()).map(|metadata| metadata.name.as_ref()) {
            Some(FILE) => Origin::File(self.path.clone()),
            Some(ENVIRONMENT) => Origin::Environment(variable(key)),
            Some(RUN) => Origin::Run,
            Some(OPTIONS) if matches!(value, Value::Bool(_, false)) => {
                Origin::Option(option(&format!("no_{key}")))
            }
            Some(OPTIONS) => Origin::Option(option(key)),
            _ => Origin::Default,
        }
    }

    /// Checks the value of each setting and stores it.
    fn check(&self) -> Result<Settings, Error> {
        let mut settings = Settings::blank();
        for setting in definitions::all() {
            let value = self.value(setting.name);
            (setting.set)(&value, &mut settings).map_err(|reason| Error::Invalid {
                key: setting.name,
                value: shown(setting.name, &value),
                origin: self.origin(setting.name, &value),
                reason,
            })?;
        }
        Ok(settings)
    }

    /// Refuses settings that are right by themselves but contradict each other.
    fn conflicts(&self, settings: &Settings) -> Result<(), Error> {
        let from = |key| self.origin(key, &self.value(key));
        let filter = &settings.stored.filter;
        if filter.max_size.is_some_and(|most| most < filter.min_size) {
            let (min, max) = (from("min_size"), from("max_size"));
            let reason = format!(
                "min_size ({min}) is larger than max_size ({max}), so no object would be wanted: change one"
            );
            return Err(Error::Conflict { reason });
        }
        if settings.budget.max_cost.is_some() && settings.budget.price_per_1000_calls.is_none() {
            let reason = format!(
                "max_cost ({}) needs a price: set price_per_1000_calls to what 1,000 units of billing cost, or use \
                 max_calls",
                from("max_cost")
            );
            return Err(Error::Conflict { reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_no_option_that_leads_to_secrets_or_to_other_hosts() {
        for key in
            definitions::guarded().map(|setting| setting.name).chain(["db", "log", "log_format"])
        {
            let mut options = PartialOptions::default();
            options.text(key, Some("x"));
            let kept = options.kept();
            assert_eq!(kept == Typed::default(), key != "endpoint", "{key}");
            let tampered = Typed::from_iter([(key.to_owned(), Given::Text("x".to_owned()))]);
            assert_eq!(check_kept(&tampered).is_err(), key != "endpoint", "{key}");
        }
        let unknown = Typed::from_iter([("secret_key".to_owned(), Given::Flag(true))]);
        assert!(check_kept(&unknown).is_err());
    }
}
