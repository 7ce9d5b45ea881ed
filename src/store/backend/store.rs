//! The write handle.

use std::path::Path;

use super::{Reader, dispatch};
use crate::store::model::{Counts, Recogniser};
use crate::store::prune::{Pruned, Prunes};
use crate::store::read::Chosen;
use crate::store::run::{BegunRun, ListProgress, NewImport, NewRun, RangeRow, UnfinishedRun};
use crate::store::{Error, Location, sqlite};
use crate::time::UnixMillis;

/// The write handle of a database. One process has at most one, and one process at a time has it.
#[derive(Debug)]
pub enum Store {
    /// A database in one file.
    Sqlite(sqlite::Store),
}

/// The place of an open database. It tells whether the database is still there.
#[derive(Debug, Clone)]
pub enum Place {
    /// A database in one file.
    Sqlite(sqlite::Place),
}

impl Place {
    /// Returns true if the database is no longer where it was opened. Asking is cheap.
    pub fn is_lost(&self) -> bool {
        dispatch!(self, place => place.is_lost())
    }
}

impl Store {
    /// Opens the database at `path` for writing. Creates it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process has it, even under another name; [`Error::Linked`] if the file has
    /// several names; [`Error::Foreign`], [`Error::Newer`], [`Error::Altered`] and [`Error::Corrupt`] leave it as it
    /// was.
    pub fn open(path: &Path) -> Result<Self, Error> {
        sqlite::Store::open(path).map(Self::Sqlite)
    }

    /// Does what [`Store::open`] does. An earlier version did not count images and labels: if that has to be done first,
    /// `progress` gets the number of rows that were counted, and of all rows.
    ///
    /// # Errors
    /// The same as those of [`Store::open`].
    pub fn open_with(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        sqlite::Store::open_with(path, progress).map(Self::Sqlite)
    }

    /// Where the database is, as it can be shown.
    pub fn location(&self) -> Location {
        dispatch!(self, store => store.path().into())
    }

    /// Writes a text into the database that no other database has, so that [`Place::is_lost`] notices when another
    /// database is copied over this one.
    ///
    /// # Errors
    /// Any error of a write.
    pub(crate) fn mark(&mut self) -> Result<(), Error> {
        dispatch!(self, store => store.mark())
    }

    /// Opens a further handle that only reads the same database.
    ///
    /// # Errors
    /// The same as those of [`Reader::open`].
    pub fn reader(&self) -> Result<Reader, Error> {
        dispatch!(self, store => store.reader().map(Reader::Sqlite))
    }

    /// Begins a run: its row and its ranges.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn begin_run(&mut self, new: &NewRun) -> Result<BegunRun, Error> {
        dispatch!(self, store => store.begin_run(new))
    }

    /// Reads the runs that were interrupted, stopped or killed, the last one first. Plans are not among them.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn unfinished(&self) -> Result<Vec<UnfinishedRun>, Error> {
        dispatch!(self, store => store.unfinished())
    }

    /// Reads what a run has counted, brought into line with what is in its queue now.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn counts(&self, run_id: i64) -> Result<Counts, Error> {
        dispatch!(self, store => store.counts(run_id))
    }

    /// Marks a run as under way again. Contents that were put back for a later pass wait for the first one now.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn reopen_run(&mut self, run_id: i64) -> Result<(), Error> {
        dispatch!(self, store => store.reopen_run(run_id))
    }

    /// Replaces the stored settings of a run.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn keep_settings(&mut self, run_id: i64, settings: &str) -> Result<(), Error> {
        dispatch!(self, store => store.keep_settings(run_id, settings))
    }

    /// Closes an unfinished run in favour of a new one, which adopts what it left pending.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn supersede(&mut self, run_id: i64) -> Result<(), Error> {
        dispatch!(self, store => store.supersede(run_id))
    }

    /// Puts back what was in flight when a process was killed. Each call gets a ledger row with the outcome
    /// `unknown`, since it may have been sent. Runs that were under way are interrupted now. Returns the number of
    /// calls.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn recover(&mut self, now: UnixMillis) -> Result<u64, Error> {
        dispatch!(self, store => store.recover(now))
    }

    /// Reads the ranges of a run, in their order.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn ranges(&self, run_id: i64) -> Result<Vec<RangeRow>, Error> {
        dispatch!(self, store => store.ranges(run_id))
    }

    /// Reads how far the list of a run was read. Returns `None` if the run lists a bucket.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn list_progress(&self, run_id: i64) -> Result<Option<ListProgress>, Error> {
        dispatch!(self, store => store.list_progress(run_id))
    }

    /// Reads who has answered the calls of this database so far. Returns `None` if nobody has.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn recogniser(&self) -> Result<Option<Recogniser>, Error> {
        dispatch!(self, store => store.recogniser())
    }

    /// Reads the confirmed correction of this machine's clock: the seconds to add to it, 0 if there is none.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn clock_offset(&self) -> Result<i64, Error> {
        dispatch!(self, store => store.clock_offset())
    }

    /// Reads the settings of the last run that listed this bucket and was no plan, as JSON.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn last_settings(&self, bucket: &str) -> Result<Option<String>, Error> {
        dispatch!(self, store => store.last_settings(bucket))
    }

    /// Reads the rate limit, in calls a second, that the last run on this bucket found. Returns `None` if none did.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn found_limit(&self, bucket: &str) -> Result<Option<f64>, Error> {
        dispatch!(self, store => store.found_limit(bucket))
    }

    /// Begins to simulate: from here on nothing is kept, until the session of the plan ends and undoes everything.
    ///
    /// # Errors
    /// [`Error::Busy`] if another program keeps the database locked.
    pub fn simulate(&mut self) -> Result<(), Error> {
        dispatch!(self, store => store.simulate())
    }

    /// Puts contents back in one transaction: they wait, with no attempt used, for the next run that wants them. What
    /// is in the queue of an unfinished run stays there. Labels stay until a new answer settles.
    ///
    /// Unfinished runs list again once they are resumed, and so find what was put back. Doing it twice changes
    /// nothing more.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn put_back(&mut self, contents: &[Chosen]) -> Result<(), Error> {
        dispatch!(self, store => store.put_back(contents))
    }

    /// Removes the details of old runs: their ranges, their journals, and their rows of the ledger, whose sums stay. It
    /// works in many short transactions, so it can be killed at any moment and done again.
    ///
    /// `continues` gets what was removed so far before each transaction, and at the end. If it returns false before a
    /// transaction, this stops and returns false.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn prune(
        &mut self,
        prunes: &Prunes,
        continues: impl FnMut(&Pruned) -> bool,
    ) -> Result<bool, Error> {
        dispatch!(self, store => store.prune(prunes, continues))
    }

    /// Finds the bucket of this name whose keys were listed, or were planned to be. Returns `None` if there is none.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn bucket_of_keys(&self, name: &str) -> Result<Option<i64>, Error> {
        dispatch!(self, store => store.bucket_of_keys(name))
    }

    /// Writes the row of an import.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn begin_import(&mut self, new: &NewImport) -> Result<BegunRun, Error> {
        dispatch!(self, store => store.begin_import(new))
    }

    /// Gives space that nothing uses back to the disk. While it works it needs free space for two more copies of the
    /// database. Returns false if the file could not be shortened because another process reads it: the space is given
    /// back when the next run ends.
    ///
    /// # Errors
    /// Any error of a write. The database is as it was.
    pub fn compact(&mut self) -> Result<bool, Error> {
        dispatch!(self, store => store.compact())
    }
}

/// What tests outside the store use to set a database up and to look into it.
#[cfg(test)]
impl Store {
    /// Runs SQL statements.
    pub(crate) fn sql(&self, statements: &str) {
        dispatch!(self, store => store.connection.execute_batch(statements).unwrap());
    }

    /// Reads the rows of a query as texts; NULL is empty.
    pub(crate) fn rows(&self, query: &str) -> Vec<Vec<String>> {
        dispatch!(self, store => store.rows(query))
    }
}
