//! The read side: rows for exports, counts for status, failures, and what the job compares with.
//!
//! A long answer comes in batches, each of which is a read of its own that begins after the last key. No read is open
//! while the caller is at work, so a slow reader never keeps the write-ahead log from being reused.
//!
//! Every function here that reads fails with what [`crate::store::Error`] says of the file. That is not repeated at
//! each of them.

mod change;
mod choose;
mod compare;
mod export;
mod failure;
mod frequency;
mod ledger;
mod posting;
mod queue;
mod rules;
mod status;
#[cfg(test)]
mod tests;
mod verify;
#[cfg(test)]
mod verify_tests;

pub(in crate::store) use export::Export;

use rusqlite::Connection;

/// A read transaction: as long as it lives, every query sees the same state of the database.
///
/// Dropping it ends the transaction, which has nothing to commit.
pub(super) struct ReadTransaction<'c>(&'c Connection);

impl<'c> ReadTransaction<'c> {
    pub(super) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for ReadTransaction<'_> {
    fn drop(&mut self) {
        // A read that failed may have ended the transaction already, and then there is nothing to end.
        let _ = self.0.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
    }
}
