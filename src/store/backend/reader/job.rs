//! What the job reads.

use super::super::dispatch;
use super::Reader;
use crate::store::Error;
use crate::store::compare::{Known, KnownLine};
use crate::store::read::LedgerEnd;
use crate::time::UnixMillis;

impl Reader {
    /// Calls `each` for every known object of a bucket whose key is after `after`, starts with `prefix`, and is at
    /// most `up_to` (or at most the end of the prefix without it), in the byte order of the keys.
    ///
    /// With `standing`, each object gets the standing of its content, at the price of a look-up for each object.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn span(
        &self,
        bucket_id: i64,
        prefix: &str,
        after: &str,
        up_to: Option<&str>,
        standing: bool,
        each: impl FnMut(Known<&str>),
    ) -> Result<(), Error> {
        dispatch!(self, reader => reader.span(bucket_id, prefix, after, up_to, standing, each))
    }

    /// Finds keys that divide what is known of the prefix into about `parts` equal parts, ascending. Returns fewer
    /// keys, or none, if little is known.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn split_points(
        &self,
        bucket: &str,
        prefix: &str,
        parts: usize,
    ) -> Result<Vec<String>, Error> {
        dispatch!(self, reader => reader.split_points(bucket, prefix, parts))
    }

    /// Reads the object with this key, with the standing of its content. Returns `None` if there is none.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn known(&self, bucket_id: i64, key: &str) -> Result<Option<Known>, Error> {
        dispatch!(self, reader => reader.known(bucket_id, key))
    }

    /// Reads up to `limit` lines of the list of a run after line `seq`, in order, with what is known of each.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn known_lines(
        &self,
        run_id: i64,
        bucket_id: i64,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<KnownLine>, Error> {
        dispatch!(self, reader => reader.known_lines(run_id, bucket_id, seq, limit))
    }

    /// Reads the hash of the lines that a run has read of its list. Returns `None` if none was made.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn list_hash(&self, run_id: i64) -> Result<Option<i64>, Error> {
        dispatch!(self, reader => reader.list_hash(run_id))
    }

    /// Returns true if the run has to look at unchanged objects of its scope one by one.
    ///
    /// This is true if the settings that decide what is wanted differ from those of the last complete listing of the
    /// scope or of a run since then; if contents wait that no run under way wants; or if contents may have been taken
    /// from a run since then that did not list its scope to the end.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn must_reconsider(
        &self,
        run_id: i64,
        bucket_id: i64,
        prefix: &str,
        eligibility: i64,
    ) -> Result<bool, Error> {
        dispatch!(self, reader => reader.must_reconsider(run_id, bucket_id, prefix, eligibility))
    }

    /// Reads the end of the ledger.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn ledger_end(&self) -> Result<LedgerEnd, Error> {
        dispatch!(self, reader => reader.ledger_end())
    }

    /// Returns true if any call of the ledger was answered, with labels or without any.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn has_been_answered(&self) -> Result<bool, Error> {
        dispatch!(self, reader => reader.has_been_answered())
    }

    /// Counts the calls that ended at `moment` or later and were in the ledger at `end`. Calls
    /// with an unknown end are among them.
    ///
    /// Looks at every row: where the clock was set or corrected, rows are not in the order of their times.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn calls_since(&self, moment: UnixMillis, end: LedgerEnd) -> Result<u64, Error> {
        dispatch!(self, reader => reader.calls_since(moment, end))
    }

    /// Counts the contents that a run has in its queue or in flight, up to `limit` of them, and the scenes that their
    /// calls ask for.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn asked_of_queue(&self, run_id: i64, limit: u32) -> Result<(u64, u64), Error> {
        dispatch!(self, reader => reader.asked_of_queue(run_id, limit))
    }
}
