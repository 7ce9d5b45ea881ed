//! Gives space that nothing uses back to the disk.

use super::Store;
use super::error::sorted;
use crate::store::Error;

impl Store {
    /// Writes the database anew without the space that nothing uses: first to a temporary file, then to its write-ahead log,
    /// and then to its own file. The log is committed as a whole, so a kill leaves the old content or the new one.
    ///
    /// Returns false if the file still has its old length, because another process reads it.
    ///
    /// # Errors
    /// The disk is full, or the file is damaged. The database is as it was before.
    pub fn compact(&mut self) -> Result<bool, Error> {
        let path = self.path.clone();
        let connection = &self.connection;
        let is_busy = connection.execute_batch("VACUUM").and_then(|()| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        });
        is_busy.map(|is_busy| !is_busy).map_err(|source| sorted(&path, source))
    }
}
