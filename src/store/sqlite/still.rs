//! Reading where nothing can be written: a read-only folder or medium, or a user who may only read.
//!
//! SQLite reads a database with a write-ahead log by means of a shared-memory file, which it has to create and remove.
//! Where it cannot, there are three cases:
//!
//! - There is no log, or an empty one: the file is complete and is read as an immutable one.
//! - There is a log and the shared-memory file: SQLite reads both, and coordinates with a writer if there is one.
//! - There is a log and no shared-memory file: a private index of the log is built in memory. No process writes, since
//!   a writer would have created the file.
//!
//! In the first and the third case SQLite takes no locks. A writer that appears would go unnoticed, and pages of
//! several states would be mixed. [`Still`] notices it by the writer's lock and by the sizes and times of the files.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::anchor::{Anchor, FileId, LOG_FILES, beside};
use super::connect::{WITHOUT_LOCKS, connect, guarded};
use crate::store::Error;
use crate::store::sqlite::error::sorted;
use crate::system::{can_read, can_write_in};

const MOVE_IT: &str = "read it as a user who may write to its folder, or copy the database with all its files (-wal, \
                       -shm) to a folder of your own";
const PERMIT_IT: &str = "ask the database's owner for the right to read this file too";
const WRITER: &str = "a run is at work; try again when it has ended, or read a backup";

/// How often a connection is tried while files come and go, and the pause between two tries. A run that ends on a busy
/// machine may need a second between removing its first file and its last.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

/// The identity, size and time of a file when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    id: FileId,
    size: u64,
    /// `None` if the file system does not tell.
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(id: FileId, metadata: &Metadata) -> Self {
        Self { id, size: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// The database and its log as they were when a read without locks began.
#[derive(Debug)]
pub(super) struct Still {
    database: Stamp,
    /// The log; `None` if there was none, or an empty one.
    log: Option<Stamp>,
}

impl Still {
    fn of(anchor: &Anchor) -> io::Result<Self> {
        Ok(Self { database: Stamp::of(anchor.id(), &anchor.metadata()?), log: log(anchor)? })
    }

    /// Checks that the database and its log are as they were, and that no writer is at work.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if they are not.
    pub(super) fn check(&self, anchor: &Anchor, path: &Path) -> Result<(), Error> {
        let same = !anchor.has_writer()
            && anchor.is_in_place()
            && anchor.metadata().is_ok_and(|now| Stamp::of(anchor.id(), &now) == self.database)
            && log(anchor).is_ok_and(|now| now == self.log);
        if same { Ok(()) } else { Err(Error::ChangedMeanwhile { location: path.into() }) }
    }
}

/// Reads the state of the log. Returns `None` if there is nothing in it.
fn log(anchor: &Anchor) -> io::Result<Option<Stamp>> {
    let log = anchor.beside("-wal");
    match fs::metadata(&log) {
        Ok(metadata) if metadata.len() > 0 => match FileId::behind(&log) {
            Ok(id) => Ok(Some(Stamp::of(id, &metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        },
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns true if a log with content lies beside another name of the file in the same folder.
fn another_name_has_a_log(anchor: &Anchor) -> bool {
    let of_database = FileId::at(anchor.path());
    let folder = anchor.path().parent().unwrap_or(Path::new("/"));
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.path();
        name != anchor.path()
            && FileId::at(&name) == of_database
            && fs::metadata(beside(&name, "-wal")).is_ok_and(|metadata| metadata.len() > 0)
    })
}

/// Opens a connection that reads the database, in the way that this place permits.
///
/// # Errors
/// [`Error::Unread`] if a part of the database cannot be read, [`Error::Open`] if the system refuses.
pub(super) fn connect_for_reading(
    anchor: &Anchor,
    path: &Path,
) -> Result<(Connection, Option<Still>), Error> {
    let mut attempts = 1;
    loop {
        match connect_as_it_is(anchor, path) {
            // A run that begins or ends creates or removes its files one after the other, so a look at them may find a
            // state that lasts only for an instant.
            Err(ref error) if attempts < ATTEMPTS && may_pass(error) => {
                attempts += 1;
                std::thread::sleep(PAUSE);
            }
            connected => return connected,
        }
    }
}

/// Returns `true` if a writer that begins or ends can be the cause of this error.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::ChangedMeanwhile { .. } => true,
        Error::Unread { hint, .. } => *hint != PERMIT_IT,
        _ => false,
    }
}

fn connect_as_it_is(anchor: &Anchor, path: &Path) -> Result<(Connection, Option<Still>), Error> {
    let refused = |source| Error::Open { location: path.into(), source };
    let sqlite = |source| sorted(path, source);
    let file = anchor.path();
    let log = log(anchor).map_err(refused)?;
    let names = anchor.names().map_err(refused)?;
    // The log lies beside the name that the writer used.
    if log.is_none() && names > 1 {
        if anchor.has_writer() && !anchor.beside("-wal").exists() {
            return Err(Error::Locked { location: path.into() });
        }
        if another_name_has_a_log(anchor) {
            return Err(Error::Linked { location: path.into(), names });
        }
    }
    if log.is_some() || anchor.has_writer() {
        for ending in LOG_FILES {
            let beside = anchor.beside(ending);
            if beside.exists() && !can_read(&beside) {
                return Err(Error::Unread {
                    location: beside.into(),
                    hint: PERMIT_IT,
                    source: None,
                });
            }
        }
    }
    if anchor.can_write() && folder_is_writable(file) {
        // `query_only`, which the caller sets, keeps this connection from writing rows. The connection may write the
        // index of the log, and removes the files of the log if no other one uses them.
        let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
        return Ok((connection, None));
    }
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY;
    if log.is_none() && !anchor.uses_log().map_err(refused)? {
        return Ok((connect(file, read_only).map_err(sqlite)?, None));
    }
    let unread =
        |hint, source| Error::Unread { location: anchor.beside("-wal").into(), hint, source };
    let has_index = anchor.beside("-shm").exists();
    if log.is_some() || anchor.has_writer() {
        if has_index {
            let connection = connect(file, read_only).map_err(sqlite)?;
            return read_once(&connection)
                .map(|()| (connection, None))
                .map_err(|source| unread(MOVE_IT, Some(source.into())));
        }
        if anchor.has_writer() {
            return Err(unread(WRITER, None));
        }
    }
    let still = Still::of(anchor).map_err(refused)?;
    let connection = if log.is_some() {
        // Without locks SQLite assumes to be alone, and an exclusive connection needs no shared memory.
        let flags = read_only | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags_and_vfs(file, flags, WITHOUT_LOCKS)
            .and_then(guarded)
            .and_then(|connection| {
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
                connection.pragma_update(None, "locking_mode", "exclusive")?;
                read_once(&connection)?;
                Ok(connection)
            })
            .map_err(|source| unread(MOVE_IT, Some(source.into())))?
    } else {
        connect(Path::new(&immutable(file)), read_only | OpenFlags::SQLITE_OPEN_URI)
            .map_err(sqlite)?
    };
    still.check(anchor, path)?;
    Ok((connection, Some(still)))
}

/// Makes SQLite open the log, if it can.
fn read_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Returns true if files can be created beside this one.
fn folder_is_writable(file: &Path) -> bool {
    let folder = file.parent().unwrap_or(Path::new("/"));
    can_write_in(folder)
}

/// The name of the file as a URI that tells SQLite that no process changes the file.
fn immutable(file: &Path) -> String {
    use std::fmt::Write as _;

    let mut uri = "file:".to_owned();
    for &byte in file.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_with_special_characters_is_the_same_in_its_uri() {
        let uri = immutable(Path::new("/a b/50%?x=1#y/猫.db"));
        assert_eq!(uri, "file:/a%20b/50%25%3Fx%3D1%23y/%E7%8C%AB.db?immutable=1");
    }
}
