//! What the database keeps besides runs: who answers, the correction of the clock, and the rate limits that were
//! found.

use rusqlite::OptionalExtension;

use super::Session;
use crate::store::Error;
use crate::store::live::Live;
use crate::store::model::Recogniser;
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::sql::{BUCKET, LIVE, statements};

/// The row of `meta` with the confirmed correction of this machine's clock, in seconds.
const CLOCK_OFFSET: &str = "clock_offset";

/// The row of `meta` with who answers the calls.
const RECOGNISER: &str = "recogniser";

/// The row of `meta` with the rate limit that was found for a bucket.
fn limit_name(bucket: &str) -> String {
    format!("found_limit {bucket}")
}

statements! {
    READ_VALUE = "SELECT value FROM meta WHERE name = ?1";

    READ_NUMBER = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?1";

    READ_LAST_SETTINGS = "
        SELECT settings FROM run JOIN bucket ON bucket.id = run.bucket_id
        WHERE bucket.name = ?1 AND source = '{BUCKET}' AND NOT plan
        ORDER BY run.id DESC LIMIT 1";

    SET_VALUE = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";

    SET_FIRST_VALUE = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

    DELETE_VALUE = "DELETE FROM meta WHERE name = ?1";

    MOVE_CALLS = "UPDATE call SET ended_at = ended_at + ?2 WHERE id >= ?1";
}

impl Store {
    /// Reads who has answered the calls of this database so far. Returns `None` if nobody has.
    pub fn recogniser(&self) -> Result<Option<Recogniser>, Error> {
        self.connection
            .query_row(&READ_VALUE, [RECOGNISER], |row| {
                row.get_ref(0)?.as_str().map(Recogniser::from_name).map_err(Into::into)
            })
            .optional()
            .map_err(|source| sorted(&self.path, source))
    }

    /// Reads the confirmed correction of this machine's clock: the seconds to add to it, 0 if there is none.
    pub fn clock_offset(&self) -> Result<i64, Error> {
        self.connection
            .query_row(&READ_NUMBER, [CLOCK_OFFSET], |row| row.get(0))
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(|source| sorted(&self.path, source))
    }

    /// Reads the settings of the last run that listed this bucket and was no plan, as they were stored.
    pub fn last_settings(&self, bucket: &str) -> Result<Option<String>, Error> {
        self.connection
            .query_row(&READ_LAST_SETTINGS, [bucket], |row| row.get(0))
            .optional()
            .map_err(|source| sorted(&self.path, source))
    }

    /// Reads the rate limit, in calls a second, that the last run on this bucket found. Returns `None` if none did.
    pub fn found_limit(&self, bucket: &str) -> Result<Option<f64>, Error> {
        let value: Option<String> = self
            .connection
            .query_row(&READ_VALUE, [limit_name(bucket)], |row| row.get(0))
            .optional()
            .map_err(|source| sorted(&self.path, source))?;
        // A value that is no number counts as no value.
        Ok(value.and_then(|value| value.parse().ok()))
    }
}

impl Session {
    /// Records the rate limit, in calls a second, that was found for the bucket of this run.
    pub(super) fn keep_limit(&mut self, rate: f64) -> Result<(), Error> {
        let name = limit_name(&self.run.bucket);
        self.execute(&SET_VALUE, (name, rate.to_string())).map(drop)
    }

    /// Replaces what the process of this run leaves for other programs.
    pub(super) fn keep_live(&mut self, live: &Live) -> Result<(), Error> {
        let text = serde_json::to_string(live).expect("texts and numbers, into memory");
        self.execute(&SET_VALUE, (LIVE, text)).map(drop)
    }

    /// Removes what the process of this run has left for other programs, since it ends.
    pub(super) fn forget_live(&mut self) -> Result<(), Error> {
        self.execute(&DELETE_VALUE, [LIVE]).map(drop)
    }

    /// Records who answers the calls of this database, unless that is recorded already.
    pub(super) fn set_recogniser(&mut self, recogniser: Recogniser) -> Result<(), Error> {
        self.execute(&SET_FIRST_VALUE, (RECOGNISER, recogniser.name())).map(drop)
    }

    /// Reads the stored correction of the clock in seconds, once in a session.
    pub(super) fn kept_clock_offset(&mut self) -> Result<i64, Error> {
        let kept = match self.caches.ledger.clock_offset {
            Some(kept) => kept,
            None => self.store.clock_offset()?,
        };
        self.caches.ledger.clock_offset = Some(kept);
        Ok(kept)
    }

    /// Stores the correction of this machine's clock in seconds; 0 removes it.
    ///
    /// The ledger rows of this session were written with the previous correction. Their times move along, so that the
    /// next session counts them for the same day as this one does.
    pub(super) fn set_clock_offset(&mut self, seconds: i64) -> Result<(), Error> {
        let kept = self.kept_clock_offset()?;
        self.caches.ledger.clock_offset = Some(seconds);
        if let Some(first) = self.caches.ledger.first_call {
            let moved = seconds.saturating_sub(kept).saturating_mul(1000);
            self.execute(&MOVE_CALLS, (first, moved))?;
        }
        if seconds == 0 {
            return self.execute(&DELETE_VALUE, [CLOCK_OFFSET]).map(drop);
        }
        self.execute(&SET_VALUE, (CLOCK_OFFSET, seconds.to_string())).map(drop)
    }
}
