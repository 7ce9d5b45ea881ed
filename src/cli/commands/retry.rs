//! `costag retry` and `costag retag`: contents put back on purpose.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, Zoned};

use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::PriceOptions;
use crate::cli::price::cost_in_words;
use crate::cli::table::visible;
use crate::cli::terminal;
use crate::cli::zone;
use crate::config::Settings;
use crate::glob::{Globs, Meaning};
use crate::scene::Scene;
use crate::store::read::Choice;
use crate::store::{self, Reader, Store};

/// Put failed images back, for the next run to try again
///
/// A run tries again by itself, once, what failed for a passing reason; this is for the others, or for another time.
/// Without options, all that failed is put back.
#[derive(Debug, clap::Args)]
pub struct Retry {
    /// Only what failed with this code; may be repeated
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// Only keys that match this glob, as --include reads it: '*.jpg' is a name at any depth, 'a/*.jpg' a whole key;
    /// may be repeated
    #[arg(long, value_name = "GLOB")]
    key: Vec<String>,
    /// Count only; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    price: PriceOptions,
}

/// Put labelled images back on purpose, to be called, and paid, again
///
/// Chooses images by where they are, what they were labelled and when; every option that is given must fit. All other
/// images are left alone. Labels stay until the new answer is there. The request belongs to the image's bytes and stands
/// until it is answered: the next run that wants the image calls for it, also under another key.
#[derive(Debug, clap::Args)]
pub struct Retag {
    /// Keys that begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Keys of this bucket, NAME-APPID
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Images with a label of exactly this name
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Look at, and ask again for, these scenes only, with commas between; may be repeated [default: all that are done]
    #[arg(short, long, value_name = "SCENE,…", value_delimiter = ',')]
    scene: Vec<Scene>,
    /// Images whose --label, or else whose surest label, is below this confidence, 1 to 100
    #[arg(long, value_name = "CONFIDENCE", value_parser = clap::value_parser!(u8).range(1..=100))]
    below: Option<u8>,
    /// Images labelled before this: 2026-11-01, 2026-11-01T06:30 (both local) or 2026-11-01T06:30:00Z
    #[arg(long, value_name = "DATE", value_parser = moment)]
    older_than: Option<Timestamp>,
    /// Instead of labelled images, those that failed with this code; may be repeated
    #[arg(long, value_name = "CODE", conflicts_with_all = ["label", "scene", "below", "older_than", "all"])]
    code: Vec<String>,
    /// Every labelled image
    #[arg(long)]
    all: bool,
    /// Count images, calls and cost only; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    price: PriceOptions,
}

/// A day or moment; without a zone, of the local one.
fn moment(text: &str) -> Result<Timestamp, String> {
    let local = |time: DateTime| time.to_zoned(zone::local()).map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Zoned>().map(|zoned| zoned.timestamp()))
        .or_else(|_| text.parse::<Date>().and_then(|date| local(date.at(0, 0, 0, 0))))
        .or_else(|_| text.parse::<DateTime>().and_then(local))
        .map_err(|_| "expected a date such as 2026-11-01, or a date and time".to_owned())
}

impl Retry {
    /// Puts back what failed, and tells how much.
    ///
    /// # Errors
    /// A glob that cannot be read, an unusable database; exit code 11 while a run is at work.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.price.give(options))?;
        let globs = Globs::new(&self.key, Meaning::Name)?;
        let choice = Choice { failed: true, codes: self.code, ..Choice::default() };
        let keys = |key: &str| globs.is_empty() || globs.matches(key);
        // It does not ask: what failed was wanted once, and the next run's budgets still hold.
        put_back(&settings, &choice, keys, self.dry_run, false)
    }
}

impl Retag {
    /// Puts back what was chosen, and tells how much.
    ///
    /// # Errors
    /// Nothing chosen, an unusable database; exit code 11 while a run is at work.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.price.give(options))?;
        let choice = Choice {
            failed: !self.code.is_empty(),
            codes: self.code,
            bucket: self.bucket,
            prefix: self.prefix.unwrap_or_default(),
            label: self.label,
            scenes: self.scene.into_iter().collect(),
            below: self.below,
            tagged_before: self.older_than.map(Timestamp::as_second),
        };
        if choice == Choice::default() && !self.all {
            anyhow::bail!(Usage(
                "which images? give --prefix, --bucket, --label, --scene, --below, --older-than or \
                 --code, or --all"
                    .to_owned()
            ));
        }
        put_back(&settings, &choice, |_| true, self.dry_run, !self.yes && terminal::can_ask())
    }
}

/// How much was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sum {
    contents: u64,
    /// By what a call will ask for.
    by_scenes: BTreeMap<String, u64>,
    scenes: u64,
}

impl Sum {
    fn read(
        reader: &Reader,
        choice: &Choice,
        keys: impl Fn(&str) -> bool,
    ) -> Result<Self, store::Error> {
        let mut sum = Self::default();
        reader.chosen(choice, keys, |batch| {
            for chosen in batch {
                sum.contents += 1;
                sum.scenes += u64::from(chosen.asks.len());
                *sum.by_scenes.entry(chosen.asks.to_string()).or_default() += 1;
            }
            Ok::<_, store::Error>(())
        })?;
        Ok(sum)
    }

    fn text(&self, settings: &Settings) -> String {
        let calls: Vec<String> =
            self.by_scenes.iter().map(|(scenes, calls)| format!("{calls} for {scenes}")).collect();
        let calls = if calls.is_empty() { "none".to_owned() } else { calls.join(", ") };
        format!(
            "{} images (distinct contents); calls: {calls}; cost: {}",
            self.contents,
            cost_in_words(settings, self.contents, self.scenes)
        )
    }
}

fn put_back(
    settings: &Settings,
    choice: &Choice,
    keys: impl Fn(&str) -> bool + Copy,
    dry_run: bool,
    asks: bool,
) -> anyhow::Result<Exit> {
    // A missing database is none to change; opening it for writing would make one.
    let reader = Reader::open(&settings.db)?;
    if dry_run {
        let sum = Sum::read(&reader, choice, keys)?;
        say!("would put back {}", sum.text(settings));
        return Ok(Exit::Complete);
    }
    drop(reader);
    let mut store = Store::open(&settings.db)?;
    store.recover(Timestamp::now().as_millisecond())?;
    let reader = store.reader()?;
    let sum = Sum::read(&reader, choice, keys)?;
    if sum.contents == 0 {
        say!("nothing to put back");
        return Ok(Exit::Complete);
    }
    if asks && !terminal::confirm(&format!("put back {}?", sum.text(settings)))? {
        say!("nothing was changed");
        return Ok(Exit::Complete);
    }
    reader.chosen(choice, keys, |batch| store.put_back(batch))?;
    say!("put back {}", sum.text(settings));
    say!("next: {}", next(&reader)?);
    Ok(Exit::Complete)
}

/// The command that calls for what was put back.
fn next(reader: &Reader) -> Result<String, store::Error> {
    Ok(match reader.last_run()? {
        Some(run) if run.source == "bucket" => {
            let address = format!("cos://{}/{}", run.bucket, run.prefix);
            format!(
                "`costag run {}` with the options of your last run calls for them; so does `costag resume` if that \
                 run is unfinished",
                visible(&address)
            )
        }
        _ => "`costag run …` over the same source calls for them".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let utc = moment("2026-11-01T06:30:00+08:00").unwrap();
        assert_eq!(utc.to_string(), "2026-10-31T22:30:00Z");
        let day = Date::constant(2026, 11, 1).at(0, 0, 0, 0).to_zoned(zone::local()).unwrap();
        assert_eq!(moment("2026-11-01").unwrap(), day.timestamp());
        assert!(moment("2026-11-01T06:30").is_ok());
        for wrong in ["", "yesterday", "2026-11", "2026-13-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
