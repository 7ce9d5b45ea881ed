//! The write handle of one run.

use super::{Place, Reader, Store, dispatch};
use crate::store::model::{Counts, RunState};
use crate::store::read::Needed;
use crate::store::run::RunContext;
use crate::store::turn::{Replies, Turn};
use crate::store::{Error, sqlite};
use crate::time::UnixSeconds;

/// The write handle of one run: it applies turns. Only the writer thread uses it while the run is under way.
#[derive(Debug)]
pub enum Session {
    /// A database in one file.
    Sqlite(Box<sqlite::turn::Session>),
}

impl Session {
    /// Takes the store for a run. `counts` are those of the run so far.
    pub fn new(store: Store, run: RunContext, counts: Counts) -> Self {
        match store {
            Store::Sqlite(store) => {
                Self::Sqlite(Box::new(sqlite::turn::Session::new(store, run, counts)))
            }
        }
    }

    /// The settings of the run.
    pub fn run(&self) -> &RunContext {
        dispatch!(self, session => session.run())
    }

    /// Opens a further handle that only reads the same database.
    ///
    /// # Errors
    /// The same as those of [`Reader::open`].
    pub fn reader(&self) -> Result<Reader, Error> {
        dispatch!(self, session => session.reader().map(Reader::Sqlite))
    }

    /// Where the database lies.
    pub fn place(&self) -> Place {
        dispatch!(self, session => Place::Sqlite(session.place()))
    }

    /// What the run has counted as of the last turn.
    pub fn counts(&self) -> &Counts {
        dispatch!(self, session => session.counts())
    }

    /// Returns an empty turn with the next number.
    pub fn new_turn(&mut self) -> Turn {
        dispatch!(self, session => session.new_turn())
    }

    /// Applies a turn in one transaction: when this returns, rows, cursors, ledger and counts are on disk.
    ///
    /// A turn of a plan is applied and not committed, since [`Session::finish`] undoes the plan.
    ///
    /// # Errors
    /// Any error of a write, such as [`Error::Disk`] if the disk is full. Nothing of the turn is kept then, and the
    /// session accepts the next turn. A plan is undone as a whole and accepts none: [`Error::Undone`].
    pub fn turn(&mut self, turn: &Turn) -> Result<Replies, Error> {
        dispatch!(self, session => session.turn(turn))
    }

    /// Stops marking objects as gone before the listing is complete, because a trial may cut the listing short.
    pub fn hold_gone(&mut self) {
        dispatch!(self, session => session.hold_gone());
    }

    /// Makes this the session of a plan that simulates resuming another run. `row` is the plan's own row of `run`.
    #[must_use]
    pub fn planned_in(self, row: i64) -> Self {
        match self {
            Self::Sqlite(session) => Self::Sqlite(Box::new(session.planned_in(row))),
        }
    }

    /// The row of `run` that belongs to this session: that of the plan, or else that of the run.
    pub fn own_row(&self) -> i64 {
        dispatch!(self, session => session.own_row())
    }

    /// Reads what the run would call for now. That is its queue, once everything is listed.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn needed(&self) -> Result<Needed, Error> {
        dispatch!(self, session => session.needed())
    }

    /// Returns true if this run leaves a content behind that it should have called. That is a pending content of this
    /// run, or a pending content of any run that lacks a scene which this run wants, or that was asked for again, if a
    /// present object in the scope wants it.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn leaves_behind(&self) -> Result<bool, Error> {
        dispatch!(self, session => session.leaves_behind())
    }

    /// Returns the ids of the runs among `run_ids` that are unfinished.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn unfinished_of(&self, run_ids: &[i64]) -> Result<Vec<i64>, Error> {
        dispatch!(self, session => session.unfinished_of(run_ids))
    }

    /// Counts the lines of the list whose image is given up, in this run or in an earlier one.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn count_given_up_lines(&mut self) -> Result<(), Error> {
        dispatch!(self, session => session.count_given_up_lines())
    }

    /// Sets the exit code that [`Session::finish`] stores with the end of the run, and whether it counts as a success.
    pub fn set_exit_code(&mut self, code: u8, is_success: bool) {
        dispatch!(self, session => session.set_exit_code(code, is_success));
    }

    /// Opens the transaction in which [`Session::finish`] stores the end of the run. What is read in between still
    /// holds when the run has ended, because no other program can write. A plan has its transaction already.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn begin_end(&mut self) -> Result<(), Error> {
        dispatch!(self, session => session.begin_end())
    }

    /// Ends the run and gives the store back. A plan is undone first.
    ///
    /// This completes the transaction of [`Session::begin_end`], or has its own if none is open.
    ///
    /// `reason` says why the run stopped, and `ended_at` when it ended.
    ///
    /// # Errors
    /// Any error of a write.
    pub fn finish(
        self,
        state: RunState,
        reason: Option<&str>,
        ended_at: UnixSeconds,
    ) -> Result<Store, Error> {
        dispatch!(self, session => session.finish(state, reason, ended_at).map(Store::Sqlite))
    }
}
