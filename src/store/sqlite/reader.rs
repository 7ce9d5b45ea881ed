//! The read handle of a database file.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::anchor::Anchor;
use super::connect::check_schema;
use super::error::sorted;
use super::lock;
use super::migrate::{self, Schema, known_version};
use super::still::{self, Still};
use crate::store::Error;

/// A handle that only reads. It never creates a database and never blocks the writer.
#[derive(Debug)]
pub struct Reader {
    // Fields are dropped in this order: the connection closes before the file.
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The version of the schema in the file.
    pub(super) version: i64,
    /// The state of the file when it was opened, if it is read without SQLite's locks.
    still: Option<Still>,
    pub(super) anchor: Anchor,
}

impl Reader {
    /// Opens an existing database for reading, also where nothing can be written.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, [`Error::Older`] if a run must bring it up to date first,
    /// [`Error::Unread`] if its log cannot be read, and what [`Store::open`] refuses.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let anchor = Anchor::open(path, false)?;
        let (connection, still) = still::connect_for_reading(&anchor, path)?;
        let sqlite = |source| sorted(path, source);
        let version = known_version();
        let mut reader = Self { connection, path: path.into(), version, still, anchor };
        reader.connection.pragma_update(None, "cache_size", -2_048).map_err(sqlite)?;
        // Where nothing can be written, temporary files cannot be written either.
        reader.connection.pragma_update(None, "temp_store", "memory").map_err(sqlite)?;
        let older = |found| Error::Older { location: path.into(), found, known: known_version() };
        match migrate::inspect(&reader.connection, path) {
            Ok(Schema::Current) => {}
            Ok(Schema::Fresh) => return Err(older(0)),
            Ok(Schema::Older(found)) => {
                reader.version = found;
                let readable = migrate::bridge(&reader.connection, found);
                if !readable.map_err(|source| reader.error(source))? {
                    return Err(older(found));
                }
            }
            // A writer at work may look like damage.
            Err(error) => return reader.unchanged().and(Err(error)),
        }
        reader.connection.pragma_update(None, "query_only", "on").map_err(sqlite)?;
        Ok(reader)
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, whatever name it has.
    pub fn file(&self) -> (u64, u64) {
        self.anchor.id().numbers()
    }

    /// Checks that everything read so far belongs to one state of the database. Every answer is checked before it is
    /// used, since a file that is read without locks may change meanwhile.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if a writer appeared.
    pub fn unchanged(&self) -> Result<(), Error> {
        match &self.still {
            Some(still) => still.check(&self.anchor, &self.path),
            None => Ok(()),
        }
    }

    /// Checks what [`Store::open`] would refuse about this file, except another writer and missing permissions.
    ///
    /// # Errors
    /// [`Error::Linked`] if the file has several names, [`Error::Altered`] if its schema is not the program's.
    pub fn check_writable(&self) -> Result<(), Error> {
        lock::check_names(&self.anchor, &self.path)?;
        check_schema(&self.connection, self.version, &self.path)?;
        self.unchanged()
    }

    /// Sorts an error of SQLite by what the caller can do about it.
    pub(crate) fn error(&self, source: rusqlite::Error) -> Error {
        // A writer at work may look like damage.
        self.unchanged().err().unwrap_or_else(|| sorted(&self.path, source))
    }
}
