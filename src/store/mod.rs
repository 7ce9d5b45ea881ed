//! The job database: queue, checkpoint and result in one SQLite file.
//!
//! [`Store`] is the one write handle, held under the lock and used by one thread; [`Reader`]s are as many
//! as are wanted and block nobody. Nothing outside this module writes SQL, and what the job asks of a
//! store (compare, claim, settle) is phrased so that a server database could answer it as well.

mod backup;
mod error;
pub mod ident;
pub mod keyspace;
mod lock;
mod migrate;
pub mod model;
mod posting;
pub mod read;
pub mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use error::Error;
pub use lock::Lock;
pub use migrate::{APPLICATION_ID, known_version};

use migrate::Schema;

/// How long a statement waits for somebody else's transaction, such as one left open in a SQL shell.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Statements kept prepared by each connection; the writer has about forty.
const STATEMENTS: usize = 64;

/// The write handle: one in the process, one process at a time.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Opens the database at `path` for writing, makes it if there is none, brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process has it; [`Error::Foreign`], [`Error::Newer`] and
    /// [`Error::Corrupt`] leave the file as it was.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let lock = Lock::take(path)?;
        check_file(path, true)?;
        let sqlite = |source| Error::sqlite(path, source);
        let mut connection =
            connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let schema = migrate::inspect(&connection, path)?;
        // WAL lets readers go on while the one writer commits. FULL syncs the log at each commit: an
        // answer that was paid for survives power loss.
        connection.pragma_update(None, "journal_mode", "wal").map_err(sqlite)?;
        connection.pragma_update(None, "synchronous", "full").map_err(sqlite)?;
        connection.pragma_update(None, "cache_size", -10_240).map_err(sqlite)?;
        connection.pragma_update(None, "foreign_keys", "off").map_err(sqlite)?;
        if schema != Schema::Current {
            migrate::migrate(&mut connection, path)?;
        }
        Ok(Self { connection, path: path.into(), _lock: lock })
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A further handle that only reads the same database.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.path)
    }
}

/// A handle that only reads; it never creates a file and never blocks the writer.
#[derive(Debug)]
pub struct Reader {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
}

impl Reader {
    /// Opens an existing database for reading.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, [`Error::Older`] if a run must bring it up to date first,
    /// and what [`Store::open`] refuses.
    pub fn open(path: &Path) -> Result<Self, Error> {
        check_file(path, false)?;
        // Reading a WAL database needs its shared-memory file, which a read-only connection cannot make;
        // `query_only` is what keeps this handle from writing. On a medium that cannot be written at all,
        // read-only is the way that is left.
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .or_else(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        let sqlite = |source| Error::sqlite(path, source);
        connection.pragma_update(None, "query_only", "on").map_err(sqlite)?;
        connection.pragma_update(None, "cache_size", -2_048).map_err(sqlite)?;
        match migrate::inspect(&connection, path)? {
            Schema::Current => Ok(Self { connection, path: path.into() }),
            Schema::Fresh => {
                Err(Error::Older { path: path.into(), found: 0, known: known_version() })
            }
            Schema::Older(found) => {
                Err(Error::Older { path: path.into(), found, known: known_version() })
            }
        }
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sorts an error of SQLite by what can be done about it.
    pub(crate) fn error(&self, source: rusqlite::Error) -> Error {
        Error::sqlite(&self.path, source)
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let sqlite = |source| Error::sqlite(path, source);
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Refuses what SQLite would answer with a bare "unable to open database file".
fn check_file(path: &Path, may_create: bool) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Error::Open {
            path: path.into(),
            source: std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder"),
        }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if may_create {
                Ok(())
            } else {
                Err(Error::Missing { path: path.into() })
            }
        }
        Err(source) => Err(Error::Open { path: path.into(), source }),
    }
}

/// The condition that an object has the content `content`, an expression of SQL: the one that brought it has its
/// number, and only others are in the index.
///
/// Further conditions on the bucket or the key are to be kept from the planner with a `+`: it would walk the
/// bucket for them.
fn has_content(content: &str) -> String {
    format!(
        "(object.id = {content} AND object.content_id = {content}
          OR object.content_id = {content} AND object.content_id <> object.id)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn opens_makes_and_opens_again() {
        let folder = folder();
        let path = folder.path().join("a.db");
        assert!(matches!(Reader::open(&path), Err(Error::Missing { .. })));
        assert!(!path.exists(), "a read command never creates a database");
        drop(Store::open(&path).unwrap());
        let store = Store::open(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(Error::Locked { .. })));
        store.reader().unwrap();
    }

    #[test]
    fn a_commit_is_on_disk_before_it_is_reported() {
        let folder = folder();
        let store = Store::open(&folder.path().join("a.db")).unwrap();
        let pragma = |name: &str| -> String {
            let read = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
            let value = store.connection.pragma_query_value(None, name, read).unwrap();
            match value {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((pragma("synchronous").as_str(), pragma("journal_mode").as_str()), ("2", "wal"));
    }

    #[test]
    fn foreign_newer_and_damaged_files_are_left_untouched() {
        let folder = folder();
        let path = folder.path().join("a.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t(x)").unwrap();
        drop(other);
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(Error::Foreign { .. })));
        assert!(matches!(Reader::open(&path), Err(Error::Foreign { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);

        let path = folder.path().join("b.db");
        let store = Store::open(&path).unwrap();
        store.connection.pragma_update(None, "user_version", 99).unwrap();
        drop(store);
        assert!(matches!(Store::open(&path), Err(Error::Newer { found: 99, .. })));

        let path = folder.path().join("c.db");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        assert!(matches!(Store::open(&path), Err(Error::Corrupt { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), vec![7; 8192]);
    }

    #[test]
    fn a_reader_cannot_write() {
        let folder = folder();
        let store = Store::open(&folder.path().join("a.db")).unwrap();
        let reader = store.reader().unwrap();
        let write = reader.connection.execute("INSERT INTO meta VALUES ('a', 'b')", []);
        assert_eq!(write.unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly));
    }
}
