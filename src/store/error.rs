//! What can go wrong with the job database, named for what the caller can do about it.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// An error of the job database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A read command was given a database that does not exist; read commands never create one.
    #[error("no database at {path}: name it with --db, or make it with `costag run`")]
    Missing {
        /// The file looked for.
        path: PathBuf,
    },
    /// Another process writes to this database.
    #[error("another costag run holds {path}: wait for it to end, or use another --db")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file has several names; a write-ahead log belongs to one of them.
    #[error(
        "{path} is a file with {names} names (hard links), and its write-ahead log belongs to one of them: use that name and remove the others, or use a copy that `costag backup` made"
    )]
    Linked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        names: u64,
    },
    /// A file of the database was removed, replaced, written over, cut short or unmounted while this process wrote to it.
    #[error(
        "{path} is no longer the file that was opened: it was removed, replaced, written over, cut short or unmounted; nothing more is written or called; put the file back, then `costag resume`"
    )]
    TakenAway {
        /// The file.
        path: PathBuf,
    },
    /// A file that was read without locks changed meanwhile.
    #[error(
        "{path} was written to while it was read from a place where costag cannot write: the answer would not have been of one moment; try again when no run is at work, or read a copy made by `costag backup`"
    )]
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
    /// There is a write-ahead log with content, and it cannot be read.
    #[error("{path} holds a part of the database that cannot be read here: {hint}")]
    Unread {
        /// The log's file.
        path: PathBuf,
        /// What to do about it.
        hint: &'static str,
        /// Why, if SQLite or the system said so.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The lock file or the database cannot be made, opened or read.
    #[error("cannot open {path}: {}", hint(.source))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        #[source]
        source: io::Error,
    },
    /// The file belongs to another program; it was not touched.
    #[error(
        "{path} is not a costag database (application id {found:#010x}): it was left untouched; name another with --db"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id in its header.
        found: u32,
    },
    /// The file was written by a later version; it was not touched.
    #[error(
        "{path} has schema version {found}, this costag knows up to {known}: it was left untouched; use the newer costag"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A read command met a database that an earlier version wrote.
    #[error(
        "{path} has schema version {found}, this costag needs {known}: the next `costag run` or `costag resume` brings it up to date"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The version this program needs.
        known: i64,
    },
    /// The file is no database, or its pages are damaged.
    #[error(
        "{path} is damaged or no database: nothing more was written to it; keep the file, restore a backup (`costag backup` makes them), or recover what is left with sqlite3's `.recover`"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The disk is full or fails; what was committed before is intact.
    #[error(
        "cannot write to {path}: everything committed so far is intact; make room or repair the disk, then `costag resume`"
    )]
    Disk {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Somebody else holds the database for longer than the busy timeout.
    #[error(
        "{path} is busy: another program, perhaps a SQL shell with an open transaction, holds it; close it, then `costag resume`"
    )]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// No further file can be opened: the database is as it was.
    #[error(
        "cannot open {path}: too many files are open: raise the limit of open files (`ulimit -n`)"
    )]
    Files {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The folder or file can be read only.
    #[error(
        "{path} cannot be written: check its permissions and its folder's, or use another --db"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A copy of the database cannot be made; the database itself is as it was.
    #[error(
        "cannot make the copy {path}: name a file that does not exist, and check its folder and the space left"
    )]
    Copy {
        /// The copy.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The schema is not the one that this program makes; nothing was written.
    #[error(
        "{path} is not as costag made it: {what}; nothing was written to it: do not use a database of somebody you do not trust; undo what was changed, or restore a backup"
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// Each difference, in words.
        what: String,
    },
    /// A row that this program cannot have written.
    #[error("the database holds {what}: run `costag verify`")]
    Unsound {
        /// What was found where.
        what: String,
    },
    /// A turn of a plan failed, which undid the plan: its session accepts no further turn.
    #[error("the plan was undone because a part of it failed: make it again")]
    Undone,
    /// A statement failed for a reason that should not occur.
    #[error("a statement on {path} failed")]
    Statement {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring {path} up to date")]
    Migration {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite_migration::Error,
    },
}

/// What to do about a file that the system does not open.
fn hint(error: &io::Error) -> &'static str {
    if is_limit_of_files(error) {
        "too many files are open: raise the limit of open files (`ulimit -n`)"
    } else {
        "check the folder, its permissions and the space left"
    }
}

/// Whether the process, or the system, has reached its limit of open files.
fn is_limit_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let limits = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|number| limits.contains(&number))
}

/// Whether no file can be opened any more. SQLite does not say why it could not open one.
fn no_further_file() -> bool {
    std::fs::File::open("/dev/null").is_err_and(|error| is_limit_of_files(&error))
}

/// Whether a column held a value of a type that this program never writes there.
fn holds_a_foreign_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(
        error,
        Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
    )
}

impl Error {
    /// Sorts an error of SQLite on `path` by what the caller can do about it.
    pub fn sqlite(path: impl Into<PathBuf>, source: rusqlite::Error) -> Self {
        let path = path.into();
        if let rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) = source
        {
            return Self::Unsound { what: format!("a value that no run writes ({source})") };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, source }
            }
            // An index or a row of somebody else's making stands in the way.
            Some(ErrorCode::ConstraintViolation) => {
                Self::Unsound { what: format!("rows that contradict each other ({source})") }
            }
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Self::Disk { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { path, source }
            }
            Some(ErrorCode::CannotOpen) if no_further_file() => Self::Files { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { path, source }
            }
            _ if holds_a_foreign_value(&source) => Self::Corrupt { path, source },
            _ => Self::Statement { path, source },
        }
    }
}
