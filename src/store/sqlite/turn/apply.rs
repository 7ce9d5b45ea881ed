//! Applies a turn: begins its transaction, applies its requests, and commits. If that fails, rolls the session back.

use super::Session;
use super::session::Keeping;
use crate::store::Error;
use crate::store::sqlite::rows::CountsJson;
use crate::store::sqlite::sql::statements;
use crate::store::turn::{ClaimRequest, Claims, Replies, Reply, Request, Turn, Warning};

statements! {
    BEGIN = "BEGIN IMMEDIATE";

    pub(super) COMMIT = "COMMIT";

    pub(super) SET_COUNTS = "UPDATE run SET counts = ?2 WHERE id = ?1";
}

impl Session {
    /// Returns an empty turn with the next number.
    pub fn new_turn(&mut self) -> Turn {
        self.turns += 1;
        Turn { number: self.turns, requests: Vec::new() }
    }

    /// Applies a turn in one transaction: when this returns, rows, cursors, ledger and counts are on disk.
    ///
    /// A turn of a plan is applied and not committed, since [`Session::finish`] undoes the plan.
    ///
    /// # Errors
    /// Any error of a write, such as [`Error::Disk`] if the disk is full. Nothing of the turn is kept then, and the
    /// session accepts the next turn. A plan is undone as a whole, and accepts none: [`Error::Undone`].
    pub fn turn(&mut self, turn: &Turn) -> Result<Replies, Error> {
        let applied = self.apply(turn);
        let replies = match applied {
            Ok(replies) => replies,
            Err(error) => {
                self.roll_back();
                // A file that was cut short or written over looks like a damaged one.
                return Err(self.store.check_in_place().err().unwrap_or(error));
            }
        };
        self.caches.commit();
        self.committed_listed = self.listed;
        // This is checked after the commit. Answers that were paid for are kept even if the file was moved, and the run
        // then stops before it makes further calls.
        let lost = match self.keeping {
            Keeping::Commits => self.store.check_in_place().err(),
            Keeping::Simulates | Keeping::Undone => None,
        };
        let mut warnings = Vec::new();
        if lost.is_none() && self.keeping == Keeping::Commits {
            warnings.extend(self.uncounted().map(|what| Warning::Uncounted { what }));
            warnings.extend(self.store.shorten_log());
        }
        Ok(Replies { replies, lost, warnings })
    }

    fn apply(&mut self, turn: &Turn) -> Result<Vec<Reply>, Error> {
        self.begin()?;
        let mut replies = Vec::with_capacity(turn.requests.len());
        for request in &turn.requests {
            replies.push(self.request(request)?);
        }
        self.commit()?;
        Ok(replies)
    }

    fn request(&mut self, request: &Request) -> Result<Reply, Error> {
        match request {
            Request::Page(page) => return self.page(page).map(Reply::Queued),
            Request::KeepLines { lines, hash, reach } => self.keep_list(lines, *hash, reach)?,
            Request::TakeOver { run_ids } => self.take_over(run_ids)?,
            Request::EndLines { lines, now } => {
                return self.ended_lines(lines, *now).map(Reply::Queued);
            }
            Request::SplitRange { seq, new_seq, span } => self.split_range(*seq, *new_seq, span)?,
            Request::CompleteListing { now } => {
                return self.complete_listing(*now).map(Reply::Queued);
            }
            Request::AdoptWaiting => return self.adopt_waiting().map(Reply::Queued),
            Request::Call(row) => self.call(row)?,
            Request::Settle(settlement) => self.settle(settlement)?,
            Request::Claim(request) => return self.claims(request).map(Reply::Claims),
            Request::Probe { first_pass } => {
                return self.claim_probe(*first_pass).map(Reply::Probe);
            }
            Request::Sample { size } => self.sample(*size)?,
            Request::AnotherKey { content_id, tried } => {
                return self.key_of(*content_id, tried).map(Reply::Key);
            }
            Request::HasPending => return self.has_pending().map(Reply::HasPending),
            Request::DroppedLines => return self.dropped_lines().map(Reply::DroppedLines),
            Request::Recogniser { recogniser } => self.set_recogniser(*recogniser)?,
            Request::ClockOffset { seconds } => self.set_clock_offset(*seconds)?,
            Request::Live(live) => self.keep_live(live)?,
            Request::Import { image, now } => {
                return self.import(image, *now).map(Reply::Imported);
            }
            Request::Limit { rate } => self.keep_limit(*rate)?,
        }
        Ok(Reply::Done)
    }

    fn claims(&mut self, request: &ClaimRequest) -> Result<Claims, Error> {
        let ClaimRequest { limit, passes, keeps_back } = request;
        let (claimed, kept_back) = if *keeps_back {
            self.claim_with_reserve(*limit, passes)?
        } else {
            (self.claim_of(*limit, passes)?, false)
        };
        let later = claimed.is_empty() && self.waits_after(*passes.end())?;
        Ok(Claims { claimed, later, kept_back })
    }

    /// Begins the transaction of a turn.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        match self.keeping {
            Keeping::Commits => self.execute(&BEGIN, []).map(drop),
            Keeping::Simulates => Ok(()),
            Keeping::Undone => Err(Error::Undone),
        }
    }

    /// Ends the transaction of a turn: what it wrote is on disk when this returns.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        self.counts.reused = self.counts.without_call();
        let is_listed = self.listed;
        self.identities(|identities, connection| identities.end_turn(connection, is_listed))?;
        if self.keeping == Keeping::Simulates {
            return Ok(());
        }
        self.post_labels()?;
        self.store_counts()?;
        let changed = self.counts != self.written;
        if changed {
            self.execute(&SET_COUNTS, (self.run.id, CountsJson(&self.counts)))?;
        }
        self.execute(&COMMIT, [])?;
        if changed {
            self.written.clone_from(&self.counts);
        }
        Ok(())
    }

    /// Undoes a turn that failed: neither the database nor a cache keeps anything of it.
    pub(super) fn roll_back(&mut self) {
        if !self.store.connection.is_autocommit() {
            // If this fails too, the connection has ended the transaction itself, or the next BEGIN says why not.
            let _ = self.store.connection.execute_batch("ROLLBACK");
        }
        self.caches.roll_back();
        self.counts.clone_from(&self.written);
        self.listed = self.committed_listed;
        // The one transaction of a plan held all that came before this turn too.
        if self.keeping == Keeping::Simulates {
            self.keeping = Keeping::Undone;
        }
    }
}
