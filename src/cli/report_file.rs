//! Makes the file of a report from a database.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::suggest;
use super::zone;
use crate::aliases::Aliases;
use crate::config::{Billing, Budget};
use crate::pictures::Folder;
use crate::report::{Album, Report};
use crate::store::Reader;
use crate::store::read::{Sample, SurveyQuery};
use crate::view::labels::{self, Labels};
use crate::view::overview::{self, Overview};
use crate::view::runs::Runs;
use crate::view::{Links, Money, Picture, Readings, Terms};
use crate::visible::visible;

/// The most pictures that are read from a folder.
const PICTURES: usize = 180;

/// Fetches the pictures of these images.
pub(super) type Fetch<'a> = dyn Fn(Vec<Sample>) -> anyhow::Result<HashMap<i64, Bytes>> + 'a;

/// Where the pictures of a report come from.
#[derive(Clone, Copy)]
pub(super) enum Pictures<'a> {
    /// The report has no pictures.
    None,
    /// The keys are paths below this folder.
    Folder(&'a Folder),
    /// They are fetched: at most this many, all at once, by the number of their content.
    Fetched(usize, &'a Fetch<'a>),
}

/// Makes the file of a report. Returns `None` once `continues` returns false.
///
/// # Errors
/// The database cannot be read.
pub(super) fn make(
    reader: &Reader,
    database: &Path,
    budget: &Budget,
    aliases: Arc<Aliases>,
    pictures: Pictures<'_>,
    continues: impl Fn() -> bool,
) -> anyhow::Result<Option<String>> {
    let zone = zone::local();
    let samples = match pictures {
        Pictures::None => 0,
        Pictures::Folder(_) | Pictures::Fetched(..) => overview::FRAMES,
    };
    let query = SurveyQuery { sampled: overview::SHEET, samples, beside: labels::SHOWN };
    let Some(readings) = Readings::read(reader, query, &zone, &continues)? else {
        return Ok(None);
    };
    let terms = Terms {
        zone,
        now: Timestamp::now(),
        money: money(budget),
        common: suggest::common(database),
        links: Links::File,
        aliases,
    };
    let mut fetched = match pictures {
        Pictures::Fetched(most, fetch) => fetch(wanted(&readings, &terms, most))?,
        Pictures::None | Pictures::Folder(_) => HashMap::new(),
    };
    let mut album = Album::default();
    let mut left = PICTURES;
    let overview = Overview::of(&readings, &terms, |sample| {
        let load = || {
            let Pictures::Folder(folder) = pictures else {
                return fetched.remove(&sample.content_id).map(Vec::from);
            };
            left = left.checked_sub(1).filter(|_| continues())?;
            folder.read(&sample.key)
        };
        album.picture(sample.content_id, load).map(Picture::Embedded)
    });
    let report = Report {
        overview: &overview,
        labels: &Labels::of(&readings, &terms),
        runs: &Runs::of(&readings, &terms),
        album: &album,
        source: source(&readings),
        database: visible(&database.to_string_lossy()).into_owned(),
        made: terms.now(),
    };
    let html = report.html()?;
    Ok(continues().then_some(html))
}

/// The images whose pictures the report shows first, each once.
fn wanted(readings: &Readings, terms: &Terms, most: usize) -> Vec<Sample> {
    let (mut wanted, mut seen) = (Vec::new(), HashSet::new());
    Overview::of(readings, terms, |sample| {
        if wanted.len() < most && seen.insert(sample.content_id) {
            wanted.push(sample.clone());
        }
        None
    });
    wanted
}

/// What calls cost.
pub(super) fn money(budget: &Budget) -> Money {
    Money {
        per_1000: budget.price_per_1000_calls,
        by_scene: budget.billing == Billing::Scene,
        currency: budget.currency.clone(),
    }
}

/// What the images belong to: the bucket of the runs, or their number.
fn source(readings: &Readings) -> String {
    let mut buckets: Vec<&str> = readings.runs.iter().map(|run| run.bucket.as_str()).collect();
    buckets.sort_unstable();
    buckets.dedup();
    match buckets[..] {
        [] => String::new(),
        [bucket] => visible(bucket).into_owned(),
        _ => format!("{} buckets", buckets.len()),
    }
}
