//! The readings of the whole database, kept for a while: they take long to make if the database is large.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::store::model::RunState;
use crate::store::read::SurveyQuery;
use crate::store::{Error, Reader};
use crate::view::{Readings, Terms};

/// How many times longer readings are used than it took to make them, so that making them takes a tenth of the time at
/// most.
const REUSE: u32 = 10;

/// The last readings.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Option<Entry>>);

#[derive(Debug)]
struct Entry {
    of: Source,
    /// The time at which the readings began.
    at: Timestamp,
    readings: Arc<Readings>,
    made: Instant,
    took: Duration,
}

/// The state of the database from which readings were made. If the present state is another one, they are made anew at
/// once.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    file: (u64, u64),
    /// The id and the state of the newest run.
    run: Option<(i64, RunState)>,
    /// Whether a process works on it.
    is_running: bool,
}

impl Entry {
    /// True if the readings are of this source and young.
    fn is_usable(&self, of: &Source) -> bool {
        self.of == *of && self.made.elapsed() < self.took.saturating_mul(REUSE)
    }
}

impl Source {
    fn read(reader: &Reader) -> Result<Self, Error> {
        let is_running = reader.is_running();
        let run = reader.runs(1)?.into_iter().next().map(|run| (run.id, run.state));
        Ok(Self { file: reader.file(), run, is_running })
    }
}

impl Kept {
    /// Returns the last readings if they can still be used, else new ones, and the time at which they were made. Only
    /// one caller makes them at a time; others wait. Returns `None` once `continues` returns false.
    pub(super) fn get(
        &self,
        reader: &Reader,
        query: SurveyQuery,
        terms: &Terms,
        continues: impl Fn() -> bool,
    ) -> Result<Option<(Arc<Readings>, Timestamp)>, Error> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = Source::read(reader)?;
        if let Some(entry) = kept.as_ref()
            && entry.is_usable(&of)
        {
            return Ok(Some((Arc::clone(&entry.readings), entry.at)));
        }
        let begun = Instant::now();
        let Some(readings) = Readings::read(reader, query, &terms.zone, continues)? else {
            return Ok(None);
        };
        let readings = Arc::new(readings);
        let entry = Entry {
            of,
            at: terms.now,
            readings: Arc::clone(&readings),
            made: Instant::now(),
            took: begun.elapsed(),
        };
        *kept = Some(entry);
        Ok(Some((readings, terms.now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_made_anew_when_they_are_old_or_a_run_began_or_ended() {
        let source = |file, run, is_running| Source { file: (1, file), run, is_running };
        let ended = || source(2, Some((7, RunState::Complete)), false);
        let mut entry = Entry {
            of: ended(),
            at: Timestamp::UNIX_EPOCH,
            readings: Arc::default(),
            made: Instant::now(),
            took: Duration::from_hours(1),
        };
        assert!(entry.is_usable(&ended()));
        for other in [
            source(3, Some((7, RunState::Complete)), false),
            source(2, Some((8, RunState::Running)), true),
            source(2, Some((7, RunState::Running)), false),
            source(2, Some((7, RunState::Complete)), true),
            source(2, None, false),
        ] {
            assert!(!entry.is_usable(&other), "{other:?}");
        }
        entry.took = Duration::ZERO;
        assert!(!entry.is_usable(&ended()));
    }
}
