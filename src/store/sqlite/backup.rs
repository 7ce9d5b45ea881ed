//! Makes a consistent copy of the database, even during a run.
//!
//! It uses SQLite's online backup, which copies pages as they are and takes the time of reading the file once; `VACUUM
//! INTO` would sort every row again. The copy holds one state of the database: the read transaction in which it begins
//! stays open to its end, so commits of the writer neither wait for it nor restart it. The write-ahead log grows by
//! what is committed meanwhile, and is reused afterwards.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::anchor::{LOG_FILES, OWNER_ONLY, beside};
use super::connect::WITHOUT_LOCKS;
use super::error::sorted;
use super::read::ReadTransaction;
use super::reader::Reader;
use crate::part::Part;
use crate::store::Error;
use crate::system::write_all_at;

/// The number of pages that are copied before the caller may stop.
const PAGES: i32 = 4096;

/// The endings of the files that SQLite, also that of an earlier version, may leave beside a copy that is not complete.
const BESIDE_A_COPY: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The offset of the two format versions in the header of a database, and their values for a database without a
/// write-ahead log.
const FORMAT_VERSIONS: u64 = 18;
const NO_LOG: [u8; 2] = [1, 1];

impl Reader {
    /// Copies the database to the file `target`, which must not exist and appears once it is complete.
    ///
    /// `continues` gets the number of pages that are copied and the number of all pages. If it returns false, the copy
    /// is given up, and this returns false too.
    ///
    /// # Errors
    /// [`Error::Copy`] if the target exists or cannot be written, a full disk included.
    pub fn backup(
        &self,
        target: &Path,
        mut continues: impl FnMut(u64, u64) -> bool,
    ) -> Result<bool, Error> {
        let copy = |source: io::Error| Error::Copy { location: target.into(), source };
        if fs::symlink_metadata(target).is_ok() {
            return Err(copy(io::ErrorKind::AlreadyExists.into()));
        }
        // Only the owner may read the copy.
        let part = Part::create(target, OWNER_ONLY, &BESIDE_A_COPY).map_err(copy)?;
        if !copy_pages(&self.connection, part.path(), &mut continues)
            .map_err(|error| self.sorted(target, error))?
        {
            return Ok(false);
        }
        self.unchanged()?;
        // The copy gets no log, so it can be read where none can be created. A run creates one again.
        if part.file().metadata().map_err(copy)?.len() > 0 {
            write_all_at(part.file(), &NO_LOG, FORMAT_VERSIONS).map_err(copy)?;
        }
        part.appear().map_err(copy)?;
        Ok(true)
    }

    /// Sorts an error: one of the disk is about the copy, any other one about the database.
    fn sorted(&self, target: &Path, error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::TooBig,
            ) => Error::Copy { location: target.into(), source: io::Error::other(error) },
            _ => self.error(error),
        }
    }
}

/// Copies the pages of one moment to the empty file `to`. Returns `false` if `continues` returned false.
fn copy_pages(
    from: &Connection,
    to: &Path,
    continues: &mut impl FnMut(u64, u64) -> bool,
) -> rusqlite::Result<bool> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // The copy needs no locks, since no other process knows of it.
    let to = std::path::absolute(to).map_err(|_| rusqlite::Error::InvalidPath(to.into()))?;
    let mut copy = Connection::open_with_flags_and_vfs(&to, flags, WITHOUT_LOCKS)?;
    // A copy that is not completed is removed, so it needs no journal.
    copy.pragma_update(None, "journal_mode", "off")?;
    copy.pragma_update(None, "synchronous", "off")?;
    let _snapshot = ReadTransaction::begin(from)?;
    // The transaction begins with its first read.
    from.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let backup = Backup::new(from, &mut copy)?;
    loop {
        let step = backup.step(PAGES)?;
        let progress = backup.progress();
        let number = |pages: i32| u64::try_from(pages).unwrap_or(0);
        let all = number(progress.pagecount);
        if !continues(all - number(progress.remaining).min(all), all) {
            return Ok(false);
        }
        match step {
            StepResult::Done => return Ok(true),
            StepResult::More => {}
            // Either the copy is locked, which no other process does, or the database is for a moment.
            _ => std::thread::sleep(std::time::Duration::from_millis(50)),
        }
    }
}

/// Writes a database anew in place of its file, which was cut short under the connection.
///
/// The connection still has the pages that are in the rest of the file, in its log or in its memory. For a small
/// database these may be all of them. Returns `false`, and leaves the file as it is, if a page is missing.
///
/// # Errors
/// The errors of SQLite and of the file system. The file is then as it was.
pub(super) fn restore(from: &Connection, file: &Path) -> Result<bool, Error> {
    let copy = |source: io::Error| Error::Copy { location: file.into(), source };
    let sqlite = |source| sorted(file, source);
    let mode = fs::metadata(file).map_err(copy)?.permissions();
    let part = Part::create(file, OWNER_ONLY, &BESIDE_A_COPY).map_err(copy)?;
    copy_pages(from, part.path(), &mut |_, _| true).map_err(sqlite)?;
    write_all_at(part.file(), &NO_LOG, FORMAT_VERSIONS).map_err(copy)?;
    if !is_whole(part.path()).map_err(sqlite)? {
        return Ok(false);
    }
    part.file().set_permissions(mode).map_err(copy)?;
    // The log belongs to the file that is replaced. It must not be taken for one of the new file.
    for ending in LOG_FILES {
        let _ = fs::remove_file(beside(file, ending));
    }
    part.replace().map_err(copy)?;
    Ok(true)
}

/// Whether no page of the file is missing or damaged.
fn is_whole(file: &Path) -> rusqlite::Result<bool> {
    let file = std::path::absolute(file).map_err(|_| rusqlite::Error::InvalidPath(file.into()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(file, flags, WITHOUT_LOCKS)?;
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match found {
        Ok(found) => Ok(found == "ok"),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::Store;

    fn filled(folder: &Path) -> Store {
        let store = Store::open(&folder.join("a.db")).unwrap();
        store
            .connection
            .execute_batch(
                "DELETE FROM meta WHERE name = 'counted';
                 INSERT INTO bucket VALUES (1, 'b-1', 'keys');
                 INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals,
                                  tool_version, started_at)
                 VALUES (1, 1, 'bucket', 0, 'running', '{}', 0, '', 0);
                 INSERT INTO range VALUES (1, 0, '', NULL, '', 0);
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)
                 INSERT INTO object (bucket_id, key, fingerprint, skip_reason, first_run)
                 SELECT 1, printf('%0100d', n), n, 'suffix', 1 FROM n;",
            )
            .unwrap();
        store
    }

    #[test]
    fn a_backup_holds_one_state_of_the_database_while_the_writer_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path());
        let reader = store.reader().unwrap();
        let target = folder.path().join("copy.db");
        let (mut steps, mut last) = (0, (0, 0));
        let made = reader
            .backup(&target, |copied, all| {
                assert!(!target.exists(), "it appears when it is whole");
                assert!(copied > last.0 || steps == 0, "it never starts again");
                (steps, last) = (steps + 1, (copied, all));
                store.connection.execute("UPDATE object SET fingerprint = 0", []).unwrap();
                true
            })
            .unwrap();
        assert!(made && steps > 1 && last.0 == last.1, "{steps} {last:?}");
        let copy = Reader::open(&target).unwrap();
        let changed: i64 = copy
            .connection
            .query_row("SELECT count(*) FROM object WHERE fingerprint = 0", [], |row| row.get(0))
            .unwrap();
        assert_eq!(changed, 0, "nothing that came later is in it");
        let checks = copy.verify(|_| ()).unwrap();
        assert!(checks.iter().all(|checked| checked.problems.count == 0), "{checks:?}");
        assert!(matches!(reader.backup(&target, |_, _| true), Err(Error::Copy { .. })));
    }

    #[test]
    fn a_backup_that_is_stopped_or_cannot_be_written_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path());
        let reader = store.reader().unwrap();
        let other = tempfile::tempdir().unwrap();
        assert!(!reader.backup(&other.path().join("b.db"), |_, _| false).unwrap());
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
        let nowhere = other.path().join("no/b.db");
        assert!(matches!(reader.backup(&nowhere, |_, _| true), Err(Error::Copy { .. })));
    }
}
