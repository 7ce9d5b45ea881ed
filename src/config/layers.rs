//! The layers: options win over environment variables, these over the profile, the profile over the files, and the files
//! over the defaults. figment merges them and keeps where each value came from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Provider};

use super::definitions::{self, Resume};
use super::error::{Error, Origin};
use super::file::{self, Content, Role};
use super::names::{option, variable};
use super::profiles::Profile;
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
const OWN_FILE: &str = "own file";
const FILE: &str = "file";
const PROFILE: &str = "profile";
const ENVIRONMENT: &str = "environment";
const RUN: &str = "run";
const OPTIONS: &str = "option";

/// The layers, in ascending order of precedence.
const LAYERS: [&str; 7] = [DEFAULTS, OWN_FILE, FILE, PROFILE, ENVIRONMENT, RUN, OPTIONS];

struct Layer(&'static str, Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        Ok(figment::Profile::Default.collect(self.1.clone()))
    }
}

/// What the configuration files say: the settings of each of them, and the profiles.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The settings of each file, in ascending order of precedence.
    values: Vec<(PathBuf, Role, Dict)>,
    profiles: Vec<Profile>,
    chosen: Option<Profile>,
}

impl Files {
    /// Parses the texts of the files, which are in ascending order of precedence.
    ///
    /// # Errors
    /// A text is not TOML, a key is unknown, or a file that was merely found sets what it may not set.
    pub fn parse(contents: &[Content]) -> Result<Self, Error> {
        let mut files = Self::default();
        for content in contents {
            let (values, profiles) = file::parse(content)?;
            files.values.push((content.path.clone(), content.role, values));
            // A person who names a file with profiles means these, and not those of the user's own file too.
            if !profiles.is_empty() {
                files.profiles = profiles;
            }
        }
        Ok(files)
    }

    /// The paths of the files that were read.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.values.iter().map(|(path, ..)| path)
    }

    /// The profiles, in the order of their file. All of them are in one file: the file that was named, if it has any, or
    /// else the user's own.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The profile that was chosen.
    pub fn chosen(&self) -> Option<&Profile> {
        self.chosen.as_ref()
    }

    /// Chooses the profile of this name.
    ///
    /// # Errors
    /// [`Error::NoProfile`].
    pub fn choose(&mut self, name: &str) -> Result<(), Error> {
        let found = self.profiles.iter().find(|profile| profile.name == name);
        self.chosen = Some(found.cloned().ok_or_else(|| Error::NoProfile {
            name: name.to_owned(),
            known: self.known_profiles(),
        })?);
        Ok(())
    }

    /// Which profiles there are, as the end of a sentence.
    pub fn known_profiles(&self) -> String {
        match &self.profiles[..] {
            [] => "no configuration file that was read has profiles (config init writes one)"
                .to_owned(),
            all => {
                let names: Vec<_> = all.iter().map(|profile| profile.name.as_str()).collect();
                format!("profiles in {}: {}", all[0].path.display(), names.join(", "))
            }
        }
    }

    fn path(&self, is_own: bool) -> PathBuf {
        let of_role = |(_, role, _): &&(PathBuf, Role, Dict)| (*role == Role::Own) == is_own;
        self.values.iter().find(of_role).map(|(path, ..)| path.clone()).unwrap_or_default()
    }
}

impl Settings {
    /// Merges the layers and checks every value. Returns the settings, and where each of them came from.
    ///
    /// `env` returns the text of an environment variable; an empty text counts as not set. It is called only for the
    /// variables of settings.
    ///
    /// # Errors
    /// A value is of the wrong type or out of bounds. The message names the key and where its value came from.
    pub fn resolve(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        files: &Files,
    ) -> Result<(Self, Provenance), Error> {
        let layers = Layers::new(options, env, files, &Typed::default());
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
        files: &Files,
    ) -> Result<(Self, Provenance), Error> {
        Layers::new(options, env, files, &Typed::default()).settings(options.kept())
    }

    /// The settings whose values are right; each other one has its default. This is for telling somebody that
    /// [`Settings::resolve`] has failed.
    pub fn resolve_readable(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        files: &Files,
    ) -> Self {
        let layers = Layers::new(options, env, files, &Typed::default());
        let profile = files.chosen.as_ref().map(|profile| profile.name.clone());
        let mut settings = Self { profile, ..Self::default() };
        for setting in definitions::all() {
            let before = settings.clone();
            if (setting.set)(&layers.value(setting.name), &mut settings).is_err() {
                settings = before;
            }
        }
        settings
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
        files: &Files,
        typed: &Typed,
    ) -> Result<(Self, Provenance), Error> {
        check_kept(typed)?;
        let (now, now_from) = Self::resolve_alone(options, &env, files)?;
        let layers = Layers::new(options, &env, files, typed);
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
}

/// The merged layers, whose values are not checked yet.
struct Layers {
    figment: Figment,
    files: Files,
}

impl Layers {
    /// Merges the layers.
    fn new(
        options: &PartialOptions,
        env: impl Fn(&str) -> Option<String>,
        files: &Files,
        typed: &Typed,
    ) -> Self {
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
        let mut figment = Figment::from(Layer(DEFAULTS, defaults));
        for (_, role, values) in &files.values {
            let name = if *role == Role::Own { OWN_FILE } else { FILE };
            figment = figment.merge(Layer(name, values.clone()));
        }
        let of_profile = files.chosen.iter().flat_map(|profile| profile.values.clone()).collect();
        Self {
            figment: figment
                .merge(Layer(PROFILE, of_profile))
                .merge(Layer(ENVIRONMENT, from_env))
                .merge(Layer(RUN, typed.values()))
                .merge(Layer(OPTIONS, given)),
            files: files.clone(),
        }
    }

    /// Checks each setting by itself, and returns all of them and where they came from.
    fn settings(&self, typed: Typed) -> Result<(Settings, Provenance), Error> {
        let profile = self.files.chosen.as_ref().map(|profile| profile.name.clone());
        let mut settings = Settings { typed, profile, ..self.check()? };
        let keys = definitions::all().map(|setting| setting.name);
        let origins = keys.map(|key| (key, self.origin(key, &self.value(key))));
        let mut origins: Provenance = origins.collect();
        self.drop_endpoint_of_file(&mut settings, &mut origins);
        Ok((settings, origins))
    }

    fn value(&self, key: &'static str) -> Value {
        self.figment.find_value(key).unwrap_or_else(|_| Value::from(""))
    }

    /// Drops the endpoint that a file or a profile sets if the region comes from a layer with a higher precedence. The
    /// region says where the bucket is, and the endpoint may be meant for other buckets.
    fn drop_endpoint_of_file(&self, settings: &mut Settings, origins: &mut Provenance) {
        let layer = |key| self.layer(&self.value(key));
        let (region, endpoint) = (layer("region"), layer("endpoint"));
        let is_of_file = [OWN_FILE, FILE, PROFILE].contains(&endpoint);
        // A file that was merely found must not decide where requests go.
        let found = self.files.values.iter().any(|(_, role, _)| *role == Role::Found);
        if found && region == FILE && endpoint == OWN_FILE {
            return;
        }
        let place = |layer| LAYERS.iter().position(|one| *one == layer);
        if is_of_file
            && place(region) > place(endpoint)
            && settings.stored.region.is_some()
            && settings.stored.endpoint.take().is_some()
        {
            let overruled = Origin::Overruled(Box::new(origins["region"].clone()));
            origins.insert("endpoint", overruled);
        }
    }

    /// The layer of a value. figment tags each value with it.
    fn layer(&self, value: &Value) -> &'static str {
        let metadata = self.figment.get_metadata(value.tag());
        let named = |layer: &&str| metadata.is_some_and(|metadata| metadata.name == *layer);
        LAYERS.into_iter().find(named).unwrap_or(DEFAULTS)
    }

    /// Where the value of a setting came from.
    fn origin(&self, key: &str, value: &Value) -> Origin {
        match (self.layer(value), &self.files.chosen) {
            (OWN_FILE, _) => Origin::File(self.files.path(true)),
            (FILE, _) => Origin::File(self.files.path(false)),
            (PROFILE, Some(Profile { name, path, .. })) => {
                Origin::Profile { name: name.clone(), path: path.clone() }
            }
            (ENVIRONMENT, _) => Origin::Environment(variable(key)),
            (RUN, _) => Origin::Run,
            (OPTIONS, _) if matches!(value, Value::Bool(_, false)) => {
                Origin::Option(option(&format!("no_{key}")))
            }
            (OPTIONS, _) => Origin::Option(option(key)),
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
