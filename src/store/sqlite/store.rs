//! The write handle of a database file.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::anchor::{Anchor, FileId, LOG_FILES};
use super::backup;
use super::connect::{BUSY_TIMEOUT, check_schema, connect};
use super::count;
use super::error::sorted;
use super::growth::Log;
use super::lock::Lock;
use super::migrate::{self, Schema, known_version};
use super::place::{Mark, Place};
use super::reader::Reader;
use crate::store::Error;
use crate::store::turn::Warning;

/// How long the last checkpoint waits for readers after the database file was taken away.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a file that was cut short is looked at before it is believed to stay so, and the pause between two looks.
const CUT_LOOKS: u32 = 20;
const CUT_PAUSE: Duration = Duration::from_millis(50);

/// The write handle. One process has at most one, and one process at a time has it.
#[derive(Debug)]
pub struct Store {
    // Fields are dropped in this order: the connection closes before the locks are given back.
    pub(crate) connection: Connection,
    /// Removes SQLite's files after the connection is closed, if the database was written over.
    orphans: Orphans,
    pub(crate) path: PathBuf,
    /// SQLite's files beside the database, as they were when it was opened.
    beside: Vec<(PathBuf, FileId)>,
    place: Place,
    /// The file that took the place of one that was cut short.
    restored: Cell<Option<FileId>>,
    /// Whether [`Store::shorten_log`] has told of a reader, and of a log that cannot be moved.
    has_told_of_log: [Cell<bool>; 2],
    /// False if the counts are not kept, because rows that have to be counted are unsound.
    pub(super) keeps_counts: Cell<bool>,
    /// Why the counts are not kept; `None` once it was told.
    pub(super) uncounted: RefCell<Option<String>>,
    _lock: Lock,
}

/// The length in bytes from which on the log is shortened as soon as no reader needs it. Unit tests reach it with less to
/// write.
pub(super) const LOG_KEPT: u64 = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// The bytes of a page that a row of `meta` takes besides its texts, at most.
const ROW_BYTES: u32 = 10;

impl Store {
    /// Opens the database at `path` for writing. Creates it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process has it, even under another name; [`Error::Linked`] if the file has
    /// several names; [`Error::Foreign`], [`Error::Newer`] and [`Error::Corrupt`] leave the file as it was.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, &mut |_, _| ())
    }

    /// Does what [`Store::open`] does. If everything has to be counted, `progress` gets the number of rows that were
    /// counted, and of all rows.
    pub fn open_with(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        let lock = Lock::take(Anchor::open(path, true)?, path)?;
        let sqlite = |source| sorted(path, source);
        let file = lock.anchor().path();
        let mut connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
        let schema = migrate::inspect(&connection, path)?;
        match schema {
            Schema::Fresh => {}
            Schema::Older(found) => check_schema(&connection, found, path)?,
            Schema::Current => check_schema(&connection, known_version(), path)?,
        }
        // A write-ahead log lets readers continue while the writer commits. FULL syncs the log at each commit, so an
        // answer that was paid for survives a power loss.
        connection.pragma_update(None, "journal_mode", "wal").map_err(sqlite)?;
        connection.pragma_update(None, "synchronous", "full").map_err(sqlite)?;
        connection.pragma_update(None, "cache_size", -10_240).map_err(sqlite)?;
        connection.pragma_update(None, "foreign_keys", "off").map_err(sqlite)?;
        // Otherwise SQLite would prepare a statement anew at each execution if another value of a parameter could change
        // its plan. No plan of the writer depends on one: what decides whether a partial index is used is written out.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sqlite)?;
        if schema != Schema::Current {
            migrate::migrate(&mut connection, path)?;
        }
        let uncounted = count::keep(&mut connection, progress).map_err(sqlite)?;
        // A read makes SQLite open its log, which it then keeps open until the connection closes.
        migrate::inspect(&connection, path)?;
        let beside = LOG_FILES
            .map(|ending| lock.anchor().beside(ending))
            .into_iter()
            .filter_map(|path| FileId::at(&path).map(|id| (path, id)))
            .collect();
        let mut place = lock.anchor().place(path);
        place.watch_log();
        let orphans = Orphans::default();
        let store = Self {
            connection,
            orphans,
            path: path.into(),
            beside,
            place,
            restored: Cell::default(),
            has_told_of_log: Default::default(),
            keeps_counts: Cell::new(uncounted.is_none()),
            uncounted: RefCell::new(uncounted),
            _lock: lock,
        };
        store.check_in_place()?;
        Ok(store)
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database lies.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Writes a text into the database that no other file has, so that it is noticed when another database is copied
    /// over this one.
    pub(crate) fn mark(&mut self) -> Result<(), Error> {
        let mark = || {
            let text: String = self.connection.query_row(
                "INSERT INTO meta (name, value) VALUES ('opened', hex(randomblob(16)))
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING value",
                [],
                |row| row.get(0),
            )?;
            // The text has to be in the file itself. If a reader prevents that, this process works without a mark.
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            let (number, length) = self.connection.query_row(
                "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'meta'",
                [],
                |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)),
            )?;
            let offset = u64::from(number.saturating_sub(1)) * u64::from(length);
            let used: u32 = self.connection.query_row(
                "SELECT coalesce(sum(length(name) + length(CAST(value AS BLOB)) + ?1), 0) FROM meta",
                [ROW_BYTES],
                |row| row.get(0),
            )?;
            // A table that outgrows its first page moves its rows to other pages, and the mark with them. No more than a
            // quarter of a page is taken by one row, whatever its length, and a run adds one long row (`live`) and a few
            // short ones.
            let has_room = used <= length / 8 * 5;
            Ok(has_room.then_some(Mark { text, offset, length: length as usize }))
        };
        if let Some(mark) = mark().map_err(|source| sorted(&self.path, source))? {
            self.place.watch(mark);
        }
        Ok(())
    }

    /// Shortens the write-ahead log if it has grown beyond [`LOG_KEPT`]. Returns a warning if that cannot be done because
    /// a reader holds a transaction open, or because the database cannot be written; the first time that it is so.
    pub(super) fn shorten_log(&self) -> Option<Warning> {
        let log = self.place.log()?;
        let bytes = log.length();
        if bytes <= LOG_KEPT {
            return None;
        }
        let warning = match self.shorten(log) {
            Ok(true) => return None,
            Ok(false) => Warning::HeldLog { bytes },
            Err(source) => Warning::LongLog { bytes, source: sorted(&self.path, source) },
        };
        let kind = usize::from(matches!(warning, Warning::LongLog { .. }));
        (!self.has_told_of_log[kind].replace(true)).then_some(warning)
    }

    /// Moves the content of the log into the file, and empties the log. Returns false if a reader holds a transaction open.
    fn shorten(&self, log: &Log) -> rusqlite::Result<bool> {
        let checkpoint = |mode| {
            self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            })
        };
        // This copies everything into the file, except what came after the snapshot of the oldest reader.
        let (is_busy, in_log, in_file) = checkpoint("PASSIVE")?;
        if is_busy || in_file < in_log {
            return Ok(is_busy);
        }
        // SQLite's own `journal_size_limit` would shorten the log in the middle of a commit, and a log that somebody else
        // has cut could not be told from that. A reader that has the newest snapshot prevents it until a later turn.
        log.shorten(|| {
            self.connection.busy_timeout(Duration::ZERO)?;
            let shortened = checkpoint("TRUNCATE");
            self.connection.busy_timeout(BUSY_TIMEOUT)?;
            shortened
        })?;
        Ok(true)
    }

    /// Returns true if the file or its log was cut short and stays so, or was restored after that.
    fn is_cut_short(&self) -> bool {
        if let Some(restored) = self.restored.get() {
            return FileId::at(self.place.path()) == Some(restored);
        }
        // A program that writes something else into a file empties it first. The file must not be replaced meanwhile.
        (0..CUT_LOOKS).all(|look| {
            if look > 0 {
                std::thread::sleep(CUT_PAUSE);
            }
            self.place.is_a_part()
        })
    }

    /// Writes a database that was cut short anew, if all of its pages are known.
    ///
    /// Each later turn, of calls that were on the wire, does it again. Nobody else has opened the new file for writing
    /// by then, since this process holds the lock file.
    fn restore(&self) -> Error {
        let location = self.path.as_path().into();
        let restored = backup::restore(&self.connection, self.place.path());
        self.let_go();
        if let Ok(true) = restored {
            self.restored.set(FileId::at(self.place.path()));
            return Error::Restored { location };
        }
        Error::TakenAway { location }
    }

    /// Keeps SQLite from writing what belonged to the old content into the new one, now and when it is closed.
    fn let_go(&self) {
        // If this fails, the files are as they would be without it.
        let _ = self.connection.pragma_update(None, "wal_autocheckpoint", 0);
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        self.orphans.adopt(&self.beside);
    }

    /// Opens a further handle that only reads the same database.
    ///
    /// # Errors
    /// The same as those of [`Reader::open`].
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.path)
    }

    /// Checks that the database and its log are still the files that were opened. This is asked after each turn, so
    /// that nothing is paid for whose result would be lost.
    ///
    /// # Errors
    /// [`Error::TakenAway`] if one of them was removed, replaced, written over or unmounted; [`Error::Restored`] if the
    /// database was cut short and is restored.
    pub(crate) fn check_in_place(&self) -> Result<(), Error> {
        if self.is_cut_short() {
            return Err(self.restore());
        }
        if self.place.is_written_over() {
            self.let_go();
            return Err(Error::TakenAway { location: self.path.as_path().into() });
        }
        if self.place.is_lost() {
            // The checkpoint puts everything that was committed into the moved file. A log with rows in it must not
            // lie beside another database that takes its place. If it fails there is nothing better to do.
            let _ = self.connection.busy_timeout(FAREWELL_TIMEOUT);
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            return Err(Error::TakenAway { location: self.path.as_path().into() });
        }
        match self.beside.iter().find(|(path, id)| FileId::at(path) != Some(*id)) {
            None => Ok(()),
            Some((path, _)) => Err(Error::TakenAway { location: path.as_path().into() }),
        }
    }
}

/// The files of SQLite that belong to a database which was written over. Its log must not be taken for the log of the
/// database that is there now.
#[derive(Debug, Default)]
struct Orphans(Mutex<Vec<(PathBuf, FileId)>>);

impl Orphans {
    fn adopt(&self, files: &[(PathBuf, FileId)]) {
        files.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        for (path, id) in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            if FileId::at(path) == Some(*id) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

#[cfg(test)]
impl Store {
    /// Reads the rows of a query as texts; NULL is empty.
    pub(in crate::store) fn rows(&self, query: &str) -> Vec<Vec<String>> {
        use rusqlite::types::Value;
        let mut statement = self.connection.prepare(query).unwrap();
        let columns = statement.column_count();
        let text = |value| match value {
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Blob(bytes) => hex::encode(bytes),
        };
        let rows =
            statement.query_map([], |row| (0..columns).map(|n| row.get(n).map(text)).collect());
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_writer_creates_a_database_and_a_reader_does_not() {
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
    fn a_commit_is_synced_to_disk() {
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
    #[test]
    fn a_run_writes_what_it_wants_into_meta_and_the_mark_stays_in_its_page() {
        let folder = folder();
        let path = folder.path().join("a.db");
        for buckets in 0..60 {
            let mut store = Store::open(&path).unwrap();
            store.mark().unwrap();
            let write = |name: &str, value: &str| {
                let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
                store.connection.execute(sql, (name, value)).unwrap();
            };
            for name in ["clock_offset", "ident_upto", "posted", "recogniser"] {
                write(name, "1234567890123");
            }
            write(&format!("found_limit a-bucket-with-a-long-name-{buckets:030}"), "123.456789");
            for length in [1, 400, 900, 1_000, 4_000, 10] {
                write("live", &"x".repeat(length));
                store.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
                store.check_in_place().unwrap();
            }
        }
    }
}
