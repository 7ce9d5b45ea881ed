//! What is read from the database: rows for exports, counts for status, failures.
//!
//! Each answer is one short read. Long ones (exports, failures) come in batches, each a read of its own that
//! goes on after the last key: nothing here holds a snapshot while somebody else is being waited for, so a
//! slow reader of an export never keeps the write-ahead log from being recycled.

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

/// One consistent view of the database for as long as it lives.
///
/// Dropping it ends the read; a read has nothing to commit.
pub(super) struct ReadTransaction<'c>(&'c Connection);

impl<'c> ReadTransaction<'c> {
    pub(super) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for ReadTransaction<'_> {
    fn drop(&mut self) {
        // A read that failed may have ended the transaction already; there is nothing to undo.
        let _ = self.0.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
    }
}
