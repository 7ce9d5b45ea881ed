//! The session of a run: what it holds, and how it begins and ends.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, Params};

use super::caches::Caches;
use super::identities::Identities;
use crate::store::Error;
use crate::store::decide::Asker;
use crate::store::model::{Counts, RunState};
use crate::store::run::RunContext;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::sql::{Statement, statements};
use crate::store::sqlite::{Place, Reader, Store};
use crate::time::UnixSeconds;

statements! {
    END_RUN = "
        UPDATE run SET state = ?2, stop_reason = ?3, ended_at = ?4, exit_code = ?5,
               succeeded_at = iif(?6, ?4, succeeded_at)
        WHERE id = ?1";
}

/// The write handle of one run: the store, what the run is, and what it has counted so far.
#[derive(Debug)]
pub struct Session {
    pub(super) store: Store,
    pub(super) run: Arc<RunContext>,
    /// The counts of the run, including those of the turn under way.
    pub(super) counts: Counts,
    /// The counts of the run as of the last commit.
    pub(super) written: Counts,
    pub(super) caches: Caches,
    /// The number of the last turn that was handed out.
    pub(super) turns: u64,
    pub(super) keeping: Keeping,
    /// True if the listing is complete, so the filter of the run has judged every object of the scope.
    pub(super) listed: bool,
    /// `listed` as of the last commit.
    pub(super) committed_listed: bool,
    /// The row of `run` that belongs to the plan of this session; `None` if the session is a run.
    pub(super) plan_row: Option<i64>,
    /// The exit code that is stored with the end of the run.
    pub(super) exit_code: Option<u8>,
    /// Whether that exit code counts as a success.
    pub(super) succeeds: bool,
}

/// Whether the writes of a session are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Each turn is committed.
    Commits,
    /// This is a plan. Its one transaction lasts from turn to turn and is undone at the end.
    Simulates,
    /// A turn of this plan failed, and what the plan did is undone.
    Undone,
}

impl Session {
    /// Takes the store for a run. `counts` are those of the run so far.
    pub fn new(store: Store, run: RunContext, counts: Counts) -> Self {
        let written = counts.clone();
        Self {
            keeping: if run.plan && !store.connection.is_autocommit() {
                Keeping::Simulates
            } else {
                Keeping::Commits
            },
            listed: false,
            committed_listed: false,
            plan_row: run.plan.then_some(run.id),
            exit_code: None,
            succeeds: false,
            store,
            run: Arc::new(run),
            counts,
            written,
            caches: Caches::default(),
            turns: 0,
        }
    }

    /// The settings of the run.
    pub fn run(&self) -> &RunContext {
        &self.run
    }

    /// Opens a further handle that only reads the same database.
    ///
    /// # Errors
    /// The same as those of [`Reader::open`].
    pub fn reader(&self) -> Result<Reader, Error> {
        self.store.reader()
    }

    /// Where the database lies.
    pub fn place(&self) -> Place {
        self.store.place()
    }

    /// What the run has counted as of the last turn.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Sets the exit code that is stored with the end of the run, and whether it counts as a success.
    pub fn set_exit_code(&mut self, code: u8, is_success: bool) {
        self.exit_code = Some(code);
        self.succeeds = is_success;
    }

    /// Opens the transaction in which [`Session::finish`] stores the end of the run. What is read in between still
    /// holds when the run has ended, because no other program can write. A plan has its transaction already.
    pub fn begin_end(&mut self) -> Result<(), Error> {
        if self.run.plan { Ok(()) } else { self.begin() }
    }

    /// Ends the run and gives the store back. A plan is undone first.
    ///
    /// This completes the transaction of [`Session::begin_end`], or has its own if none is open.
    pub fn finish(
        mut self,
        state: RunState,
        reason: Option<&str>,
        ended_at: UnixSeconds,
    ) -> Result<Store, Error> {
        if self.run.plan {
            return self.finish_plan(state, reason, ended_at);
        }
        if self.store.connection.is_autocommit() {
            self.begin()?;
        }
        self.forget_live()?;
        if matches!(state, RunState::Complete | RunState::Superseded) {
            self.forget_list_of(self.run.id)?;
            self.identities(Identities::merge_all)?;
        }
        self.execute(
            &END_RUN,
            (self.run.id, state.name(), reason, ended_at, self.exit_code, self.succeeds),
        )?;
        self.commit()?;
        self.store.check_in_place()?;
        Ok(self.store)
    }

    /// The run as the decisions about contents see it.
    pub(super) fn asker(&self) -> Asker {
        Asker { run_id: self.run.id, scenes: self.run.scenes }
    }

    /// Does something with the identities of contents.
    pub(super) fn identities<T>(
        &mut self,
        work: impl FnOnce(&mut Identities, &Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let Self { caches, store, .. } = self;
        work(&mut caches.identities, &store.connection)
            .map_err(|source| sorted(&store.path, source))
    }

    pub(super) fn prepare(&self, sql: &Statement) -> Result<CachedStatement<'_>, Error> {
        self.store.connection.prepare_cached(sql).map_err(|source| self.error(source))
    }

    pub(super) fn execute(&self, sql: &Statement, params: impl Params) -> Result<usize, Error> {
        self.prepare(sql)?.execute(params).map_err(|source| self.error(source))
    }

    /// Executes an INSERT and returns the id of the row.
    pub(super) fn insert(&self, sql: &Statement, params: impl Params) -> Result<i64, Error> {
        self.prepare(sql)?.insert(params).map_err(|source| self.error(source))
    }

    pub(super) fn error(&self, source: rusqlite::Error) -> Error {
        sorted(&self.store.path, source)
    }
}
