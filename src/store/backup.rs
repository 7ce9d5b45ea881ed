//! A consistent copy of the database, made while a run goes on.
//!
//! By SQLite's online backup, which copies pages as they are: it takes the time of reading the file once,
//! where `VACUUM INTO` would sort every row anew. The copy is of one moment: the read transaction in which it
//! begins is kept to its end, so that commits of the writer neither wait for it nor start it again. The
//! write-ahead log grows by what is committed meanwhile, and is recycled afterwards.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::read::Snapshot;
use super::{Error, Reader};

/// Pages copied at a time; between two of these it may be told to stop.
const PAGES: i32 = 4096;

/// The unfinished copy; removed unless it became the file.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        for ending in ["", "-journal", "-wal", "-shm"] {
            // Nobody is left to be told, and most of these were never there.
            let _ = fs::remove_file(with_ending(&self.0, ending));
        }
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Reader {
    /// Copies the database to `target`, which must not exist; it appears when it is whole.
    ///
    /// `go_on` is told pages copied and pages in all, and asked whether to go on. Returns whether the copy
    /// was made: not if `go_on` said no.
    ///
    /// # Errors
    /// [`Error::Copy`] if the target exists or cannot be written, a full disk included; as any read.
    pub fn backup(
        &self,
        target: &Path,
        mut go_on: impl FnMut(u64, u64) -> bool,
    ) -> Result<bool, Error> {
        let copy = |source: io::Error| Error::Copy { path: target.into(), source };
        if fs::symlink_metadata(target).is_ok() {
            return Err(copy(io::ErrorKind::AlreadyExists.into()));
        }
        let Some(name) = target.file_name() else {
            return Err(copy(io::ErrorKind::IsADirectory.into()));
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = Temporary(target.with_file_name(hidden));
        // Made here, not by SQLite: labels are nobody else's to read, and an old file is not overwritten.
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary.0)
            .map_err(copy)?;
        if !self.copy_pages(&temporary.0, &mut go_on).map_err(|error| self.sorted(target, error))? {
            return Ok(false);
        }
        let file = File::open(&temporary.0).map_err(copy)?;
        file.sync_all().map_err(copy)?;
        // A link, not a rename: it never takes the place of a file that came to be meanwhile.
        fs::hard_link(&temporary.0, target)
            .or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                // A file system without links.
                _ => fs::rename(&temporary.0, target),
            })
            .map_err(copy)?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(copy)?;
        Ok(true)
    }

    fn copy_pages(
        &self,
        to: &Path,
        go_on: &mut impl FnMut(u64, u64) -> bool,
    ) -> rusqlite::Result<bool> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(to, flags)?;
        // A copy that breaks off is thrown away: nothing of it needs a journal.
        copy.pragma_update(None, "journal_mode", "off")?;
        copy.pragma_update(None, "synchronous", "off")?;
        let _snapshot = Snapshot::begin(&self.connection)?;
        // The transaction begins with its first read.
        self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let backup = Backup::new(&self.connection, &mut copy)?;
        loop {
            let step = backup.step(PAGES)?;
            let progress = backup.progress();
            let number = |pages: i32| u64::try_from(pages).unwrap_or(0);
            let all = number(progress.pagecount);
            if !go_on(all - number(progress.remaining).min(all), all) {
                return Ok(false);
            }
            match step {
                StepResult::Done => return Ok(true),
                StepResult::More => {}
                // Only a lock of the copy, which is nobody else's, or a passing one of the source.
                _ => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
    }

    /// What the copy's disk says is the copy's; everything else is the database's.
    fn sorted(&self, target: &Path, error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::TooBig,
            ) => Error::Copy { path: target.into(), source: io::Error::other(error) },
            _ => self.error(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn filled(folder: &Path) -> Store {
        let store = Store::open(&folder.join("a.db")).unwrap();
        store
            .connection
            .execute_batch(
                "INSERT INTO bucket VALUES (1, 'b-1', 'keys');
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
    fn a_copy_is_of_one_moment_while_the_writer_goes_on() {
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
    fn a_copy_that_is_stopped_or_cannot_be_written_leaves_nothing() {
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
