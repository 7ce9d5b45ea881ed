//! The readings of the whole database, kept for a while: they take long to make if the database is large.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use crate::store::read::SurveyQuery;
use crate::store::{Error, Reader};
use crate::view::Readings;

/// How many times longer readings are used than it took to make them, so that making them takes a tenth of the time at
/// most.
const REUSE: u32 = 10;

/// The last readings.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Option<Entry>>);

#[derive(Debug)]
struct Entry {
    file: (u64, u64),
    readings: Arc<Readings>,
    made: Instant,
    took: Duration,
}

impl Kept {
    /// The last readings of this file if they are young, else new ones. Only one caller makes them at a time; others
    /// wait. Returns `None` once `continues` returns false.
    pub(super) fn get(
        &self,
        reader: &Reader,
        query: SurveyQuery,
        zone: &TimeZone,
        continues: impl Fn() -> bool,
    ) -> Result<Option<Arc<Readings>>, Error> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let file = reader.file();
        if let Some(entry) = kept.as_ref().filter(|entry| entry.file == file)
            && entry.made.elapsed() < entry.took * REUSE
        {
            return Ok(Some(Arc::clone(&entry.readings)));
        }
        let begun = Instant::now();
        let Some(readings) = Readings::read(reader, query, zone, continues)? else {
            return Ok(None);
        };
        let readings = Arc::new(readings);
        let entry = Entry {
            file,
            readings: Arc::clone(&readings),
            made: Instant::now(),
            took: begun.elapsed(),
        };
        *kept = Some(entry);
        Ok(Some(readings))
    }
}
