//! The settings that are stored with a run, so that resuming it does the same work.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Error, Source, Trial};
use crate::config::{Stored, Typed};
use crate::cos::Bucket;
use crate::glob::Meaning;
use crate::store::ident;
use crate::store::run::UnfinishedRun;

/// The settings of a run as they are stored in `run.settings`, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSettings {
    /// `BUCKET-APPID`.
    pub bucket: String,
    /// Where the work comes from.
    pub source: Source,
    /// Region, endpoint, scenes, filter and dedupe.
    #[serde(flatten)]
    pub stored: Stored,
    /// The options that were typed. Absent in runs of early versions, which did not store them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed: Option<Typed>,
    /// The number of images that the run is limited to. Absent if it takes every image that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

impl RunSettings {
    /// Reads the settings that an unfinished run was begun with.
    ///
    /// # Errors
    /// [`Error::Settings`] if this version cannot read them, or if they contradict the run's row.
    pub fn of(run: &UnfinishedRun) -> Result<Self, Error> {
        let mut settings: Self = serde_json::from_str(&run.settings).map_err(|source| {
            Error::Settings { run: run.id, source: at_fault(&run.settings, source) }
        })?;
        // What globs mean is no difference between filters without globs.
        if !settings.stored.filter.has_globs() {
            settings.stored.filter.globs = Meaning::default();
        }
        // The database stores some facts twice. If they disagree, another program has changed it.
        let refuse = |reason| Err(Error::Settings { run: run.id, source: reason });
        if settings.bucket != run.bucket {
            let Self { bucket, .. } = &settings;
            return refuse(
                format!("they are for {bucket:?}, the run is for {:?}", run.bucket).into(),
            );
        }
        if settings.source.kind() != run.source || settings.source.prefix() != run.prefix {
            return refuse("they are for another source than the run".into());
        }
        if let Err(error) = Bucket::parse(&settings.bucket) {
            return refuse(error.into());
        }
        Ok(settings)
    }

    /// Reads settings that a run has stored, to show them. Nothing is concluded from them.
    ///
    /// # Errors
    /// This version cannot read them.
    pub fn stored(settings: &str) -> serde_json::Result<Self> {
        serde_json::from_str(settings)
    }

    /// Returns whether these settings and `stored` want the same objects of a source, for the same scenes.
    pub fn wants_as(&self, stored: &Stored) -> bool {
        let Stored { scenes, filter, dedupe, .. } = &self.stored;
        (scenes, filter, dedupe) == (&stored.scenes, &stored.filter, &stored.dedupe)
    }

    /// Returns these settings as the JSON that a run stores.
    ///
    /// # Errors
    /// [`Error::UnstorableSettings`].
    pub(super) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(Error::UnstorableSettings)
    }

    /// A hash of everything that decides which objects are wanted, and for which scenes.
    ///
    /// # Errors
    /// [`Error::UnstorableSettings`].
    pub(super) fn eligibility(&self) -> Result<i64, Error> {
        let Stored { scenes, filter, dedupe, .. } = &self.stored;
        let mut filter = filter.clone();
        // What globs mean counts only if there are globs. Without them the hash is the one of the first versions, so
        // that unchanged objects in their databases are not reconsidered.
        if !filter.has_globs() {
            filter.globs = Meaning::of_first_versions();
        }
        let filter = serde_json::to_string(&filter).map_err(Error::UnstorableSettings)?;
        Ok(ident::hash_text(&format!("{} {scenes} {dedupe} {filter}", self.source.is_bucket())))
    }

    /// Returns whether both runs take every image that is wanted, or both are trials of the same images.
    pub(super) fn is_same_trial(&self, other: &Self) -> bool {
        match (&self.trial, &other.trial) {
            (Some(mine), Some(theirs)) => mine.is_same(theirs),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        }
    }

    /// Returns whether a complete run with these settings does all the work of one with the settings `other`. The
    /// answer is `false` for lists: their content is known only once they are read.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.bucket == other.bucket
            && (self.trial.is_none() || self.is_same_trial(other))
            && match (&self.source, &other.source) {
                (Source::Bucket { prefix }, Source::Bucket { prefix: narrower }) => {
                    narrower.starts_with(prefix.as_str())
                }
                _ => false,
            }
    }
}

/// Why stored settings cannot be read: the first setting whose value no run stores, or else the parser's own error.
fn at_fault(settings: &str, error: serde_json::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let sound = RunSettings {
        bucket: String::new(),
        source: Source::Bucket { prefix: String::new() },
        stored: Stored::default(),
        typed: None,
        trial: None,
    };
    let found = match (serde_json::from_str(settings), serde_json::to_value(&sound)) {
        (Ok(Value::Object(stored)), Ok(Value::Object(sound))) => {
            let reads = |part: Map<String, Value>| {
                serde_json::from_value::<RunSettings>(Value::Object(part)).map(drop)
            };
            unfit(&stored, &sound, &reads)
        }
        _ => None,
    };
    match found {
        Some((name, why)) => format!(
            "the setting {name:?} is stored with a value that no run stores ({why}), so the database was changed by another program: begin a new run"
        )
        .into(),
        None => error.into(),
    }
}

/// The first member of `stored` that cannot be read in place of the one in `sound`, and why.
fn unfit(
    stored: &Map<String, Value>,
    sound: &Map<String, Value>,
    reads: &dyn Fn(Map<String, Value>) -> serde_json::Result<()>,
) -> Option<(String, String)> {
    stored.iter().find_map(|(name, value)| {
        let with = |value: Value| {
            let mut all = sound.clone();
            all.insert(name.clone(), value);
            all
        };
        let why = reads(with(value.clone())).err()?;
        if let (Value::Object(value), Some(Value::Object(inner))) = (value, sound.get(name)) {
            let reads = |part| reads(with(Value::Object(part)));
            if let Some((part, why)) = unfit(value, inner, &reads) {
                return Some((format!("{name}.{part}"), why));
            }
        }
        Some((name.clone(), why.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_value_that_no_run_stores_is_named_with_its_setting() {
        let why = |settings: &str| {
            at_fault(settings, serde_json::from_str::<RunSettings>(settings).unwrap_err())
                .to_string()
        };
        let source = r#""bucket":"a-1","source":{"kind":"bucket","prefix":""}"#;
        for (settings, named) in [
            (r#""scenes":5"#, "\"scenes\""),
            (r#""scenes":"cats""#, "\"scenes\""),
            (r#""dedupe":"yes""#, "\"dedupe\""),
            (r#""region":["x"]"#, "\"region\""),
            (r#""filter":{"min_size":-1}"#, "\"filter.min_size\""),
            (r#""filter":7"#, "\"filter\""),
            (r#""trial":"many""#, "\"trial\""),
        ] {
            let told = why(&format!("{{{source},{settings}}}"));
            assert!(told.contains(named) && told.contains("another program"), "{settings}: {told}");
        }
        assert!(why(r#"{"bucket":"a-1"}"#).contains("source"));
        assert!(why("nothing").contains("line 1"));
    }
}
