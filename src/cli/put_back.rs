//! What `retry` and `retag` share: count the chosen images, ask, and put them back in the queue.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::exit::Exit;
use super::price::cost_in_words;
use super::terminal;
use crate::config::Settings;
use crate::store::model::SourceKind;
use crate::store::read::Choice;
use crate::store::{self, Reader, Store};
use crate::visible::visible;

/// How many images are chosen, and what calling them again asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sum {
    contents: u64,
    /// The number of calls for each set of scenes.
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

/// Puts back the chosen images whose keys fit, and reports on stderr how many there are. With `dry_run` it only reports.
///
/// # Errors
/// The database is unusable, or a run uses it.
pub(super) fn execute(
    settings: &Settings,
    choice: &Choice,
    keys: impl Fn(&str) -> bool + Copy,
    dry_run: bool,
    asks: bool,
) -> anyhow::Result<Exit> {
    // Fails if there is no database. Opening it for writing would create one.
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

/// Says which command calls the images that were put back.
fn next(reader: &Reader) -> Result<String, store::Error> {
    Ok(match reader.last_run()? {
        Some(run) if run.source == SourceKind::Bucket => {
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
