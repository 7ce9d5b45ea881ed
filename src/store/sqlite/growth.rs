//! Files that only grow while costag writes them: a file or a log that is shorter than before was cut by somebody else,
//! unless costag itself has shortened the log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::anchor::beside;
use crate::system::read_exact_at;

/// The greatest length of a file so far, in bytes. While costag writes a database, nothing vacuums the file, and the log
/// is kept until the last connection closes. Only [`Length::shorten`] makes a length smaller.
///
/// The lock is held for writing while costag shortens the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Length(Arc<RwLock<AtomicU64>>);

impl Length {
    /// Measures the file. Returns true if it is shorter than it was before this call, and false if it cannot be
    /// measured or is being shortened at this moment. Otherwise its length is remembered.
    ///
    /// Several threads measure a file that grows. Therefore a result is compared only with what was known before the
    /// measurement: another thread may meanwhile have seen a longer file.
    pub(super) fn is_cut(&self, measure: impl FnOnce() -> Option<u64>) -> bool {
        let Ok(length) = self.0.try_read() else { return false };
        let before = length.load(Ordering::Acquire);
        let Some(now) = measure() else { return false };
        length.fetch_max(now, Ordering::AcqRel);
        now < before
    }

    /// The greatest length that was measured.
    fn known(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).load(Ordering::Acquire)
    }

    /// Lets `shorten` make the file shorter, and measures it after that. From then on, a file that is shorter than this
    /// measurement was cut.
    fn shorten<T>(&self, shorten: impl FnOnce() -> T, measure: impl FnOnce() -> Option<u64>) -> T {
        let length = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let shortened = shorten();
        if let Some(now) = measure() {
            length.store(now, Ordering::Release);
        }
        shortened
    }
}

/// The write-ahead log of a database.
#[derive(Debug, Clone)]
pub(super) struct Log {
    path: PathBuf,
    length: Length,
    /// `None` if the log cannot be opened. SQLite has no locks on it that closing a descriptor could drop.
    file: Option<Arc<File>>,
    /// True once the log was seen with its beginning. After a power failure there may be a log without one, which SQLite
    /// ignores and overwrites.
    has_begun: Arc<AtomicBool>,
}

impl Log {
    /// The first bytes of a log, of either byte order of its checksums. See "The Write-Ahead Log" in SQLite's "Database
    /// File Format".
    const MAGIC: [[u8; 4]; 2] = [[0x37, 0x7f, 0x06, 0x82], [0x37, 0x7f, 0x06, 0x83]];

    /// Watches the log of the database at `path` from now on.
    pub(super) fn watch(path: &Path) -> Self {
        let path = beside(path, "-wal");
        let file = File::open(&path).ok().map(Arc::new);
        Self { path, length: Length::default(), file, has_begun: Arc::default() }
    }

    /// Returns true if the log is shorter than it was, or has lost its beginning: SQLite writes behind what it wrote
    /// before, so a log that was cut to nothing is soon as long as before, with a hole in front.
    pub(super) fn is_cut(&self) -> bool {
        self.length.is_cut(|| self.measure()) || self.has_lost_its_beginning()
    }

    /// The length in bytes at the last check.
    pub(super) fn length(&self) -> u64 {
        self.length.known()
    }

    /// Lets `shorten` make the log shorter. Afterwards its new length is watched.
    pub(super) fn shorten<T>(&self, shorten: impl FnOnce() -> T) -> T {
        self.length.shorten(shorten, || self.measure())
    }

    fn measure(&self) -> Option<u64> {
        fs::symlink_metadata(&self.path).ok().map(|log| log.len())
    }

    fn has_lost_its_beginning(&self) -> bool {
        let mut begin = [0; 4];
        let Some(file) = &self.file else { return false };
        if read_exact_at(file, &mut begin, 0).is_err() {
            // The log is empty, which its length tells, or cannot be read, which tells nothing.
            return false;
        }
        if Self::MAGIC.contains(&begin) {
            self.has_begun.store(true, Ordering::Release);
            return false;
        }
        self.has_begun.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_between_the_measurements_of_two_threads_is_not_cut() {
        let length = Length::default();
        let is_cut = length.is_cut(|| {
            assert!(
                !length.is_cut(|| Some(20)),
                "the other thread measures later and ends earlier"
            );
            Some(10)
        });
        assert!(!is_cut);
        assert!(!length.is_cut(|| Some(20)));
        assert!(!length.is_cut(|| None), "a file that cannot be measured is not cut");
        assert!(length.is_cut(|| Some(19)));
    }

    #[test]
    fn a_log_is_cut_if_anybody_but_costag_has_made_it_shorter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let file = File::create(folder.path().join("a.db-wal")).unwrap();
        let log = Log::watch(&path);
        for bytes in [100, 200] {
            file.set_len(bytes).unwrap();
            assert!(!log.is_cut());
            assert_eq!(log.length(), bytes);
        }
        log.shorten(|| {
            file.set_len(0).unwrap();
            assert!(!log.is_cut(), "costag is about to shorten it");
        });
        assert!(!log.is_cut());
        file.set_len(150).unwrap();
        assert!(!log.is_cut());
        file.set_len(149).unwrap();
        assert!(log.is_cut());
    }
}
