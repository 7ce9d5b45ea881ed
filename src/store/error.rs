//! The errors of a store, named for what the caller can do about them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::system::{self, file_size_is_limited};

/// Where a database is, in a form that can be shown: the path of a file, or the address of a server without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(String);

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self(path.display().to_string())
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::from(path.as_path())
    }
}

impl From<&str> for Location {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The error of a backend that caused an error of the store.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A read command was given a database that does not exist. Read commands never create one.
    #[error("there is no database at {location}: name another with --db; a run creates it")]
    Missing {
        /// Where the database was looked for.
        location: Location,
    },
    /// Another process writes to this database.
    #[error("another costag run uses {location}: wait for it to end, or use another --db")]
    Locked {
        /// The database, or its lock file.
        location: Location,
    },
    /// The database file has several names. Its write-ahead log belongs to one of them.
    #[error(
        "{location} is a file with {names} names (hard links), and its write-ahead log belongs to one of them: use that name and remove the others, or use a backup"
    )]
    Linked {
        /// The file.
        location: Location,
        /// The number of its names.
        names: u64,
    },
    /// A file of the database was removed, replaced, written over, cut short or unmounted while this process wrote to it.
    #[error(
        "{location} is no longer the file that was opened: it was removed, replaced, written over, cut short or unmounted; nothing more is written or called; put the file back"
    )]
    TakenAway {
        /// The file.
        location: Location,
    },
    /// The database or its log was cut short while this process wrote to it, and was restored from what this process had in memory.
    #[error(
        "{location} or its log was cut short by another program while this one wrote to it: everything that was in it has been restored, and nothing more is called; find out which program does that"
    )]
    Restored {
        /// The database.
        location: Location,
    },
    /// A file that was read without locks changed meanwhile.
    #[error(
        "{location} was written to while it was read from a place where costag cannot write, so the answer would have mixed two states of the database: try again when no run is under way, or read a backup"
    )]
    ChangedMeanwhile {
        /// The file.
        location: Location,
    },
    /// A write-ahead log with content exists and cannot be read.
    #[error("{location} holds a part of the database that cannot be read here: {hint}")]
    Unread {
        /// The file of the log.
        location: Location,
        /// What to do about it.
        hint: &'static str,
        /// The reason, if the backend or the system gave one.
        #[source]
        source: Option<Cause>,
    },
    /// The lock file or the database cannot be created, opened or read.
    #[error("cannot open {location}: {}", hint(.source))]
    Open {
        /// The file.
        location: Location,
        /// Why the system refused.
        #[source]
        source: io::Error,
    },
    /// The database belongs to another program. It was not touched.
    #[error(
        "{location} is not a costag database (application id {found:#010x}): it was left untouched; name another with --db"
    )]
    Foreign {
        /// The database.
        location: Location,
        /// The application id that it names.
        found: u32,
    },
    /// A later version of the program wrote the database. It was not touched.
    #[error(
        "{location} has schema version {found}, this costag knows up to {known}: it was left untouched; use the newer costag"
    )]
    Newer {
        /// The database.
        location: Location,
        /// The version of its schema.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A read command was given a database that an earlier version of the program wrote.
    #[error(
        "{location} has schema version {found}, this costag needs {known}: the next run brings it up to date"
    )]
    Older {
        /// The database.
        location: Location,
        /// The version of its schema.
        found: i64,
        /// The version that this program needs.
        known: i64,
    },
    /// The database is damaged, or is none.
    #[error("{location} is damaged or no database: nothing more was written to it; {advice}")]
    Corrupt {
        /// The database.
        location: Location,
        /// What to do about it.
        advice: &'static str,
        /// The error of the backend.
        #[source]
        source: Cause,
    },
    /// The disk is full or fails. What was committed before is intact.
    #[error("cannot write to {location}: everything committed so far is intact; {}", make_room())]
    Disk {
        /// The database.
        location: Location,
        /// The error of the backend.
        #[source]
        source: Cause,
    },
    /// Another program keeps the database locked for longer than the store waits.
    #[error(
        "{location} is busy: another program, perhaps a SQL shell with an open transaction, holds it; close it"
    )]
    Busy {
        /// The database.
        location: Location,
        /// The error of the backend.
        #[source]
        source: Cause,
    },
    /// The process cannot open a further file. The database is as it was.
    #[error(
        "cannot open {location}: too many files are open: raise the limit of open files (`ulimit -n`)"
    )]
    Files {
        /// The database.
        location: Location,
        /// The error of the backend.
        #[source]
        source: Cause,
    },
    /// The database cannot be written here.
    #[error(
        "{location} cannot be written: check its permissions and its folder's, or use another --db"
    )]
    ReadOnly {
        /// The database.
        location: Location,
        /// The error of the backend.
        #[source]
        source: Cause,
    },
    /// A copy of the database cannot be made. The database itself is as it was.
    #[error(
        "cannot make the copy {location}: name a file that does not exist yet, and check the permissions of its folder and the free space"
    )]
    Copy {
        /// The copy.
        location: Location,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The backend cannot be copied into a file.
    #[error("{location} cannot be copied by costag: {instead}")]
    NoBackup {
        /// The database.
        location: Location,
        /// What to use instead.
        instead: &'static str,
    },
    /// The schema is not the one that this program creates. Nothing was written.
    #[error(
        "{location} is not as costag made it: {what}; nothing was written to it: do not use a database of somebody you do not trust; undo what was changed, or restore a backup"
    )]
    Altered {
        /// The database.
        location: Location,
        /// Each difference, described.
        what: String,
    },
    /// The database holds a row that this program cannot have written.
    #[error("the database holds {what}")]
    Unsound {
        /// What was found, and where.
        what: String,
    },
    /// A turn of a plan failed, and the plan was undone. Its session accepts no further turn.
    #[error("the plan was undone because a part of it failed: make it again")]
    Undone,
    /// A statement failed for a reason that should not occur.
    #[error("a statement on {location} failed")]
    Statement {
        /// The database.
        location: Location,
        /// The error of the backend.
        #[source]
        source: Cause,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring {location} up to date")]
    Migration {
        /// The database.
        location: Location,
        /// The reason.
        #[source]
        source: Cause,
    },
}

/// Tells what to do about a file that the system does not open.
fn hint(error: &io::Error) -> &'static str {
    if is_limit_of_files(error) {
        "too many files are open: raise the limit of open files (`ulimit -n`)"
    } else {
        "check the folder, its permissions and the free space"
    }
}

/// What to do about a file that cannot be written. SQLite does not tell a file that may not grow from a full disk.
fn make_room() -> &'static str {
    if file_size_is_limited() {
        "raise the limit of the size of files (`ulimit -f`), make room or repair the disk"
    } else {
        "make room or repair the disk"
    }
}

/// Returns true if the process, or the system, has reached its limit of open files.
pub(super) fn is_limit_of_files(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(system::is_limit_of_files)
}
