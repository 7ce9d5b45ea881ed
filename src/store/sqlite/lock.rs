//! Locks a database for one writer at a time, under all of its names.
//!
//! Two locks are taken, and both are needed. The lock on the database file itself (see [`super::anchor`]) cannot be
//! evaded by another name or by removing a file. The `flock` on `<database>.lock` is what earlier versions know, and
//! what systems without the first kind of lock rely on. It also keeps a second writer out if the database file itself
//! was replaced. The lock file is named after the true path of the database, and is never removed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::anchor::{Anchor, FileId, LOCK_FILE, OWNER_ONLY};
use crate::store::Error;
use crate::system;

/// The locks of the process that writes. The system releases them when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    anchor: Anchor,
    _file: File,
}

impl Lock {
    /// Takes both locks of the database that `anchor` has open, or none of them. `path` is the name of the database in
    /// messages.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has one of them, [`Error::Linked`] if the file has several names,
    /// [`Error::Open`] if the lock file cannot be created.
    pub(super) fn take(anchor: Anchor, path: &Path) -> Result<Self, Error> {
        let refused = |path: &Path, source| Error::Open { location: path.into(), source };
        if !anchor.can_write() {
            return Err(refused(path, io::ErrorKind::PermissionDenied.into()));
        }
        if anchor.has_writer() {
            return Err(Error::Locked { location: path.into() });
        }
        check_names(&anchor, path)?;
        let name = anchor.beside(LOCK_FILE);
        let file = loop {
            let file = open_lock_file(&name, &anchor).map_err(|source| refused(&name, source))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { location: path.into() });
                }
                Err(TryLockError::Error(source)) => return Err(refused(&name, source)),
            }
            let opened = FileId::of(&file).map_err(|source| refused(&name, source))?;
            // Another process may have removed the file after it was opened. Then this lock is on a file that no other
            // process will find.
            if FileId::at(&name) == Some(opened) {
                break file;
            }
        };
        if !anchor.try_lock().map_err(|source| refused(path, source))? {
            return Err(Error::Locked { location: path.into() });
        }
        let lock = Self { anchor, _file: file };
        // Check again, now that no other writer can be at work.
        check_names(&lock.anchor, path)?;
        Ok(lock)
    }

    /// The database file.
    pub(super) fn anchor(&self) -> &Anchor {
        &self.anchor
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.anchor.unlock();
    }
}

/// Refuses a file with several names. The write-ahead log belongs to one of them, and would be missing under another.
pub(super) fn check_names(anchor: &Anchor, path: &Path) -> Result<(), Error> {
    match anchor.names().map_err(|source| Error::Open { location: path.into(), source })? {
        names @ 2.. => Err(Error::Linked { location: path.into(), names }),
        _ => Ok(()),
    }
}

fn open_lock_file(name: &Path, anchor: &Anchor) -> io::Result<File> {
    let existed = fs::symlink_metadata(name).is_ok();
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    // A lock file is never a link: in a shared folder, a link could lead anywhere.
    let file = system::never_follow(system::with_mode(&mut options, OWNER_ONLY)).open(name)?;
    if !existed {
        // SQLite does the same with its own files: the owner of the database can still write after root has.
        anchor.share_owner(&file);
    }
    Ok(file)
}
