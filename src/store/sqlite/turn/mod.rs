//! The one writer's side: a [`Session`] applies what has come, in one transaction a turn.
//!
//! A turn is `begin`, any number of pages, settlements, ledger rows and claims, `commit`. What it returned
//! (claimed contents) may be used only after the commit. If anything fails the transaction is rolled back
//! when the session is dropped, and the store stays as the last commit left it.

mod claim;
mod content;
mod list;
mod page;
mod plan;
mod posting;
mod requeue;
mod reserve;
mod run;
mod settle;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{CachedStatement, Params};

use super::{Place, Store};
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::model::{Counts, RunState};

pub use claim::{Claimed, Key};
pub use list::{EndedLines, LineFailure, ListProgress, ReadLine};
pub use page::{Candidate, Difference, Page, Reach};
pub use run::{NewRun, RangeRow, Span, UnfinishedRun};
pub use settle::{CallRow, ErrorRow, Settled, Settlement};

/// What of a run the writer's statements need.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "settings that do not depend on one another")]
pub struct RunContext {
    /// `run.id`.
    pub id: i64,
    /// `run.bucket_id`.
    pub bucket_id: i64,
    /// The bucket's name, part of identities without an `ETag`.
    pub bucket: String,
    /// The scope: keys that start with it; all of them if empty.
    pub prefix: String,
    /// What each wanted content needs.
    pub scenes: Scenes,
    /// Whether equal `ETag` and size are one content.
    pub dedupe: bool,
    /// Whether the source is a list, of keys or of URLs.
    pub list: bool,
    /// Whether the objects are URLs.
    pub urls: bool,
    /// Whether differences go into the journal.
    pub journals: bool,
    /// Whether nothing is to be called, and nothing kept of what the run does: see [`Store::simulate`].
    pub plan: bool,
}

impl RunContext {
    /// Whether only keys that this run has looked up are called.
    fn calls_looked_up_keys(&self) -> bool {
        self.list && !self.urls
    }
}

/// One run's write handle: [`Store`], what the run is, and what it has counted so far.
#[derive(Debug)]
pub struct Session {
    store: Store,
    run: Arc<RunContext>,
    counts: Counts,
    written: Counts,
    /// `tag` rows by (name, first, second category); bounded, since a service could invent names.
    tags: HashMap<Vec<u8>, i64>,
    /// Built anew for each look-up in `tags`: nothing is allocated for a name that is known.
    tag_key: Vec<u8>,
    /// The next number of an object or a content, once it was asked for.
    next_number: Option<i64>,
    /// Objects that got other bytes while the content they had was in flight: few.
    overwritten: HashSet<i64>,
    /// Unfinished runs that are to list again, as far as is known to be on disk or in this turn.
    taken_from: HashSet<i64>,
    /// Contents that are claimed, if not all of the queue is to be: the last one first.
    sample: Option<Vec<i64>>,
    /// Contents that are claimed last.
    reserve: reserve::Reserve,
    /// What pages no longer have, while nothing is to be concluded to be gone.
    held: Option<page::Held>,
    /// The ledger's last row.
    last_call: i64,
    /// The first row of the ledger that this session has written.
    first_call: Option<i64>,
    /// The last call whose labels are posted, once it was looked up.
    posted_call: Option<i64>,
    /// Whether this is a plan whose one transaction is open: it goes on from turn to turn, and is undone at the end.
    simulates: bool,
    /// Whether everything is listed: every object of the scope was judged by the run's filter.
    listed: bool,
    /// The row of the plan that this session belongs to; `None`: it is a run.
    plan_row: Option<i64>,
}

/// Tags remembered at most; the service has some thousands of names.
const TAGS: usize = 50_000;

/// How far the ledger's time of a call and a listing's time of an object may be apart, in milliseconds: the
/// offset between the clocks is known in whole seconds, and so is the object's time. Within it a call is
/// taken for one that met the new bytes: that costs a call too many, never a wrong label.
const SLACK: i64 = 2_000;

impl Session {
    /// Takes the store for a run; `counts` go on from what the run had.
    pub fn new(store: Store, run: RunContext, counts: Counts) -> Self {
        let written = counts.clone();
        Self {
            simulates: run.plan && !store.connection.is_autocommit(),
            listed: false,
            plan_row: run.plan.then_some(run.id),
            store,
            run: Arc::new(run),
            counts,
            written,
            tags: HashMap::new(),
            tag_key: Vec::new(),
            next_number: None,
            overwritten: HashSet::new(),
            taken_from: HashSet::new(),
            sample: None,
            reserve: reserve::Reserve::default(),
            held: None,
            last_call: 0,
            first_call: None,
            posted_call: None,
        }
    }

    /// The run's settings as the statements use them.
    pub fn run(&self) -> &RunContext {
        &self.run
    }

    /// The database's file.
    pub fn path(&self) -> &std::path::Path {
        self.store.path()
    }

    /// Where the database lies.
    pub fn place(&self) -> Place {
        self.store.place()
    }

    /// What the run has counted, commits under way included.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Starts a turn.
    ///
    /// # Errors
    /// [`Error::Busy`] if somebody else keeps a write transaction open.
    pub fn begin(&mut self) -> Result<(), Error> {
        if self.simulates {
            return Ok(());
        }
        self.execute("BEGIN IMMEDIATE", []).map(drop)
    }

    /// Ends a turn: rows, cursor, ledger and counts are on disk when it returns.
    ///
    /// # Errors
    /// [`Error::Disk`] if the disk is full; nothing of the turn is kept then. [`Error::TakenAway`] if the file is no
    /// longer where it was opened; the turn is in it, wherever it is.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.counts.reused = self.counts.without_call();
        if self.simulates {
            return Ok(());
        }
        self.post_labels()?;
        if self.counts != self.written {
            let json = counts_json(&self.counts);
            self.execute("UPDATE run SET counts = ?2 WHERE id = ?1", (self.run.id, json))?;
            self.written = self.counts.clone();
        }
        self.execute("COMMIT", [])?;
        // After the commit: what was paid for is kept, wherever the file is now, and nothing more is paid for.
        self.store.check_in_place()
    }

    /// Ends the run, in a transaction of its own, and gives the store back. A plan is undone first.
    ///
    /// # Errors
    /// Those of any write.
    pub fn finish(
        mut self,
        state: RunState,
        reason: Option<&str>,
        ended_at: i64,
    ) -> Result<Store, Error> {
        if self.run.plan {
            return self.finish_plan(state, reason, ended_at);
        }
        self.begin()?;
        if matches!(state, RunState::Complete | RunState::Superseded) {
            self.forget_list()?;
        }
        self.execute(
            "UPDATE run SET state = ?2, stop_reason = ?3, ended_at = ?4 WHERE id = ?1",
            (self.run.id, state.name(), reason, ended_at),
        )?;
        self.commit()?;
        Ok(self.store)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        self.store.connection.prepare_cached(sql).map_err(|source| self.error(source))
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<usize, Error> {
        self.prepare(sql)?.execute(params).map_err(|source| self.error(source))
    }

    /// Executes an INSERT and returns the row's id.
    fn insert(&self, sql: &str, params: impl Params) -> Result<i64, Error> {
        self.prepare(sql)?.insert(params).map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        Error::sqlite(&self.store.path, source)
    }
}

/// `run.counts` as stored.
fn counts_json(counts: &Counts) -> String {
    serde_json::to_string(counts).expect("numbers and short names")
}

#[cfg(test)]
mod plans;
#[cfg(test)]
mod tests;
