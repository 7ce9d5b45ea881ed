//! What the database keeps besides runs: who answers, the offset of the clock, the limit that was found.

use rusqlite::OptionalExtension;

use super::Session;
use crate::store::Error;
use crate::store::model::Recogniser;
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;

/// The name of the row of `meta` that holds the confirmed offset of this machine's clock, in seconds.
const CLOCK_OFFSET: &str = "clock_offset";

/// The row of `meta` that holds the limit which was found for a bucket.
fn limit_name(bucket: &str) -> String {
    format!("found_limit {bucket}")
}
impl Store {
    /// Who answered this database's calls so far: `detect-label`, `emulator`, or nobody yet.
    ///
    /// # Errors
    /// Those of any read.
    pub fn recogniser(&self) -> Result<Option<Recogniser>, Error> {
        self.connection
            .query_row("SELECT value FROM meta WHERE name = 'recogniser'", [], |row| {
                row.get_ref(0)?.as_str().map(Recogniser::from_name).map_err(Into::into)
            })
            .optional()
            .map_err(|source| sorted(&self.path, source))
    }

    /// Seconds that the service has last confirmed to be added to this machine's clock; 0 if none are.
    ///
    /// # Errors
    /// Those of any read.
    pub fn clock_offset(&self) -> Result<i64, Error> {
        self.connection
            .query_row(
                "SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?1",
                [CLOCK_OFFSET],
                |row| row.get(0),
            )
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(|source| sorted(&self.path, source))
    }

    /// The settings of the last listing of this bucket that was no plan, as they were given.
    ///
    /// # Errors
    /// Those of any read.
    pub fn last_settings(&self, bucket: &str) -> Result<Option<String>, Error> {
        self.connection
            .query_row(
                "SELECT settings FROM run JOIN bucket ON bucket.id = run.bucket_id
                 WHERE bucket.name = ?1 AND source = 'bucket' AND NOT plan
                 ORDER BY run.id DESC LIMIT 1",
                [bucket],
                |row| row.get(0),
            )
            .optional()
            .map_err(|source| sorted(&self.path, source))
    }

    /// The limit in calls a second that the last run on this bucket has found, if any has.
    ///
    /// # Errors
    /// Those of any read.
    pub fn found_limit(&self, bucket: &str) -> Result<Option<f64>, Error> {
        let value: Option<String> = self
            .connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [limit_name(bucket)], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|source| sorted(&self.path, source))?;
        // A value that is no number is as good as none.
        Ok(value.and_then(|value| value.parse().ok()))
    }
}

impl Session {
    /// Records the limit in calls a second that was found for this run's bucket, in the turn under way.
    pub(super) fn keep_limit(&mut self, rate: f64) -> Result<(), Error> {
        let name = limit_name(&self.run.bucket);
        self.execute(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, rate.to_string()),
        )
        .map(drop)
    }

    /// Records who answers, in the turn under way.
    pub(super) fn set_recogniser(&mut self, recogniser: Recogniser) -> Result<(), Error> {
        self.execute(
            "INSERT INTO meta (name, value) VALUES ('recogniser', ?1) ON CONFLICT DO NOTHING",
            [recogniser.name()],
        )
        .map(drop)
    }

    /// The offset of the clock that is stored, in seconds.
    pub(super) fn kept_clock_offset(&mut self) -> Result<i64, Error> {
        let kept = match self.caches.ledger.clock_offset {
            Some(kept) => kept,
            None => self.store.clock_offset()?,
        };
        self.caches.ledger.clock_offset = Some(kept);
        Ok(kept)
    }

    /// Keeps the seconds that are added to this machine's clock, in the turn under way; 0 forgets them.
    ///
    /// The calls of this session were written with the offset of before. Their times move along, so that the next
    /// session counts them for the same day as this one does.
    pub(super) fn set_clock_offset(&mut self, seconds: i64) -> Result<(), Error> {
        let kept = self.kept_clock_offset()?;
        self.caches.ledger.clock_offset = Some(seconds);
        if let Some(first) = self.caches.ledger.first_call {
            let moved = seconds.saturating_sub(kept).saturating_mul(1000);
            self.execute(
                "UPDATE call SET ended_at = ended_at + ?2 WHERE id >= ?1",
                (first, moved),
            )?;
        }
        if seconds == 0 {
            return self.execute("DELETE FROM meta WHERE name = ?1", [CLOCK_OFFSET]).map(drop);
        }
        self.execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
            (CLOCK_OFFSET, seconds.to_string()),
        )
        .map(drop)
    }
}
