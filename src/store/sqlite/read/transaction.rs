//! Read transactions.

use rusqlite::Connection;

/// A read transaction: as long as it lives, every query sees the same state of the database.
///
/// Dropping it ends the transaction, which has nothing to commit.
pub(crate) struct ReadTransaction<'c>(&'c Connection);

impl<'c> ReadTransaction<'c> {
    pub(crate) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
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
