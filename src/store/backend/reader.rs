//! The read handle. What the job, commands and the page read is in a file each.

mod commands;
mod job;
mod page;

use std::path::Path;

use super::dispatch;
use crate::store::read::{Batch, Checked, DatabaseSize, Progress};
use crate::store::{Error, Location, sqlite};

/// A handle that only reads. It never creates a database and never blocks the writer.
///
/// Long answers come in batches, each of which is a separate read. No read is open while a callback is at work, so a
/// slow receiver does not keep the database from reclaiming space.
#[derive(Debug)]
pub enum Reader {
    /// A database in one file.
    Sqlite(sqlite::Reader),
}

/// An export under way. Its memory is that of one batch.
#[derive(Debug)]
pub enum Export<'r> {
    /// A database in one file.
    Sqlite(sqlite::read::Export<'r>),
}

impl Export<'_> {
    /// Reads the next batch, which may be empty. Returns `None` once everything was read.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a label that no run can have written.
    pub fn next_batch(&mut self) -> Result<Option<&Batch>, Error> {
        dispatch!(self, export => export.next_batch())
    }
}

/// The handle itself.
impl Reader {
    /// Opens an existing database for reading, also where nothing can be written.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, [`Error::Older`] if a run has to bring it up to date first,
    /// [`Error::Unread`] if a part of it cannot be read, and what `Store::open` refuses.
    pub fn open(path: &Path) -> Result<Self, Error> {
        sqlite::Reader::open(path).map(Self::Sqlite)
    }

    /// Where the database is, as it can be shown.
    pub fn location(&self) -> Location {
        dispatch!(self, reader => reader.path().into())
    }

    /// Checks that everything read so far belongs to one state of the database. Ask this before an answer is used,
    /// since a file that is read without locks may change meanwhile.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if a writer appeared.
    pub fn unchanged(&self) -> Result<(), Error> {
        dispatch!(self, reader => reader.unchanged())
    }

    /// Checks what `Store::open` would refuse about this database, except another writer and missing permissions.
    ///
    /// # Errors
    /// [`Error::Linked`] if the file has several names, [`Error::Altered`] if its schema is not the program's.
    pub fn check_writable(&self) -> Result<(), Error> {
        dispatch!(self, reader => reader.check_writable())
    }

    /// Returns true if a process writes to this database now. If none does, a run in the state `running` was killed.
    pub fn is_running(&self) -> bool {
        dispatch!(self, reader => reader.is_running())
    }

    /// Returns true if `file` is the database or one of the files that belong to it, under any name.
    pub fn owns(&self, file: &Path) -> bool {
        dispatch!(self, reader => reader.owns(file))
    }

    /// The space that the database takes on disk; `None` if the backend cannot tell.
    pub fn size(&self) -> Option<DatabaseSize> {
        dispatch!(self, reader => Some(reader.size()))
    }

    /// Copies the database to the file `target`, which must not exist and appears once it is complete.
    ///
    /// `continues` gets the number of units that are copied and the number of all units. If it returns false, the copy
    /// is given up, and this returns false too.
    ///
    /// # Errors
    /// [`Error::Copy`] if the target exists or cannot be written, [`Error::NoBackup`] if the backend cannot be copied
    /// this way, and any error of a read.
    pub fn backup(
        &self,
        target: &Path,
        continues: impl FnMut(u64, u64) -> bool,
    ) -> Result<bool, Error> {
        dispatch!(self, reader => reader.backup(target, continues))
    }

    /// Runs every check over every row. `tell` gets each check before it runs, and now and then how
    /// far it is. Nothing is written.
    ///
    /// # Errors
    /// Any error of a read: [`Error::Corrupt`] if the database is too damaged to be checked.
    pub fn verify(&self, tell: impl FnMut(Progress)) -> Result<Vec<Checked>, Error> {
        dispatch!(self, reader => reader.verify(tell))
    }

    /// A number that stays the same as long as the database is the same file.
    pub fn file(&self) -> (u64, u64) {
        dispatch!(self, reader => reader.file())
    }
}
