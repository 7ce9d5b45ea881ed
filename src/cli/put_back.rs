//! What `retry` and `retag` share: count the chosen images, ask, and put them back in the queue.

use std::collections::BTreeMap;

use super::exit::Exit;
use super::price::cost_in_words;
use super::suggest::{Again, Suggestion};
use super::terminal;
use crate::cli::opened;
use crate::config::Settings;
use crate::job::RunSettings;
use crate::numbers::{counted, grouped};
use crate::store::read::Choice;
use crate::store::{self, Reader};
use crate::time::UnixMillis;

/// The number of chosen images, and the scenes that calling them again asks for.
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
        if self.contents == 0 {
            return "no image".to_owned();
        }
        let calls: Vec<String> = self
            .by_scenes
            .iter()
            .map(|(scenes, calls)| format!("{} for {scenes}", grouped(*calls)))
            .collect();
        format!(
            "{} (distinct bytes); calls: {}; cost: {}",
            counted(self.contents, "image"),
            calls.join(", "),
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
    let mut store = opened::open(&settings.db)?;
    store.recover(UnixMillis::now())?;
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
    say!("{}", next(&reader)?);
    Ok(Exit::Complete)
}

/// Says which command calls the images that were put back.
fn next(reader: &Reader) -> Result<String, store::Error> {
    if reader.unfinished_run()?.is_some() {
        return Ok(format!("the unfinished run calls them:\n{}", Suggestion::here(["resume"])));
    }
    let run = match reader.last_run()? {
        Some(run) => reader.settings_of(run.id)?,
        None => None,
    };
    Ok(match run.and_then(|settings| RunSettings::stored(&settings).ok()) {
        Some(run) => format!("a run like the last one calls them:\n{}", Again::like(&run)),
        None => "a run over the same source calls them".to_owned(),
    })
}
