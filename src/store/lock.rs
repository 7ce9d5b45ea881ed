//! One run at a time: `flock` on `<database>.lock`.
//!
//! Never on the database itself (SQLite's own locks are dropped when any descriptor of the file is
//! closed), and never unlinked (two processes could then hold locks on two files of the same name).

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::Error;

/// Held by the process that writes; released by the system when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Takes the lock of `database`, at once or not at all.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it, [`Error::Open`] if the file cannot be made.
    pub fn take(database: &Path) -> Result<Self, Error> {
        let mut name: OsString = database.into();
        name.push(".lock");
        let path = PathBuf::from(name);
        let open =
            |path: &Path| OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = open(&path).map_err(|source| Error::Open { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: database.into() }),
            Err(TryLockError::Error(source)) => Err(Error::Open { path, source }),
        }
    }
}
