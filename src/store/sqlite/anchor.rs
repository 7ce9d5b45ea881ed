//! The database file as this process holds it: one open descriptor, and the writer's lock on it.
//!
//! SQLite guards its files with POSIX locks. The system drops all of them as soon as the process closes *any*
//! descriptor of the file, even one that SQLite did not open. So this module opens each database at most once, before
//! SQLite does, and closes it after the last connection to it. Everything else looks at the file by `stat`.
//!
//! The writer's lock is an open-file-description lock (`F_OFD_SETLK`) on one byte that SQLite neither reads, writes nor
//! locks. It belongs to the file itself: a second process finds it under any name of the file, even if the lock file
//! beside it is gone. It does not conflict with SQLite's own locks, unlike `flock`, which network file systems and
//! macOS turn into a lock on the whole file. Systems without such locks rely on the lock file alone (see
//! [`super::lock`]).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::Error;

/// The permissions of a new database, which `-wal`, `-shm` and the lock file get too: only the owner may read keys and
/// labels.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// The place of an open database. It tells whether the database is still there, which takes a few `stat` calls and one
/// read of a page.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file's name without links.
    path: PathBuf,
    /// The name that was given, if a link is in it.
    given: Option<PathBuf>,
    id: FileId,
    length: Length,
    /// The write-ahead log, once it is open.
    log: Option<Log>,
    /// The mark that tells the content of the file from that of any other database; `None` if there is none.
    mark: Option<Mark>,
}

/// The greatest length of a file so far, in bytes. While costag writes a database, the file and its log never shrink:
/// nothing vacuums the file, and the log is kept until the last connection closes.
#[derive(Debug, Clone, Default)]
struct Length(Arc<AtomicU64>);

impl Length {
    /// Measures the file. Returns true if it is shorter than it was before this call, and false if it cannot be
    /// measured. Otherwise its length is remembered.
    ///
    /// Several threads measure a file that grows. Therefore a result is compared only with what was known before the
    /// measurement: another thread may meanwhile have seen a longer file.
    fn is_cut(&self, measure: impl FnOnce() -> Option<u64>) -> bool {
        let before = self.0.load(Ordering::Acquire);
        let Some(now) = measure() else { return false };
        self.0.fetch_max(now, Ordering::AcqRel);
        now < before
    }
}

/// The write-ahead log of a database.
#[derive(Debug, Clone)]
struct Log {
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

    /// Returns true if the log is shorter than it was, or has lost its beginning: SQLite writes behind what it wrote
    /// before, so a log that was cut to nothing is soon as long as before, with a hole in front.
    fn is_cut(&self) -> bool {
        self.length.is_cut(|| fs::symlink_metadata(&self.path).ok().map(|log| log.len()))
            || self.has_lost_its_beginning()
    }

    fn has_lost_its_beginning(&self) -> bool {
        let mut begin = [0; 4];
        let Some(file) = &self.file else { return false };
        if file.read_exact_at(&mut begin, 0).is_err() {
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

/// A text that no other file holds, and the page of the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) text: String,
    /// The offset of the page in bytes.
    pub(super) offset: u64,
    /// The length of the page in bytes.
    pub(super) length: usize,
}

impl Place {
    /// Returns true if the name no longer leads to the file that was opened, the file or its log was cut short, or
    /// something else was written over the file.
    pub fn is_lost(&self) -> bool {
        self.is_elsewhere() || self.is_cut_short() || self.is_written_over()
    }

    /// Returns true if the file has another content than the one that was opened, and false if that cannot be told.
    pub(super) fn is_written_over(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| !self.holds(mark))
    }

    /// Returns true if the name no longer leads to the file that was opened.
    fn is_elsewhere(&self) -> bool {
        FileId::at(&self.path) != Some(self.id)
            || self.given.as_ref().is_some_and(|given| {
                !fs::metadata(given).is_ok_and(|metadata| FileId::of(&metadata) == self.id)
            })
    }

    /// Returns true if the file or its log is shorter than it was.
    fn is_cut_short(&self) -> bool {
        self.length.is_cut(|| fs::symlink_metadata(&self.path).ok().map(|file| file.len()))
            || self.log.as_ref().is_some_and(Log::is_cut)
    }

    /// Returns true if the file or its log was cut short, and the rest still belongs to this database.
    pub(super) fn is_a_part(&self) -> bool {
        let is_empty = || fs::symlink_metadata(&self.path).is_ok_and(|file| file.len() == 0);
        !self.is_elsewhere() && self.is_cut_short() && (is_empty() || !self.is_written_over())
    }

    /// The file's name without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Watches the length of the log too from now on.
    pub(super) fn watch_log(&mut self) {
        let path = beside(&self.path, "-wal");
        let file = File::open(&path).ok().map(Arc::new);
        self.log = Some(Log { path, length: Length::default(), file, has_begun: Arc::default() });
    }

    /// Watches the content of the file too from now on, if the mark is in it.
    pub(super) fn watch(&mut self, mark: Mark) {
        self.mark = self.holds(&mark).then_some(mark);
    }

    fn holds(&self, mark: &Mark) -> bool {
        let open = open_files();
        // If the connection is closed, there is nothing to watch any more.
        let Some(held) = open.get(&self.id) else { return true };
        let mut page = vec![0; mark.length];
        // A page that is being written may be read half old and half new.
        (0..TRIES).any(|_| {
            let read = held.file.read_exact_at(&mut page, mark.offset);
            read.is_ok() && page.windows(mark.text.len()).any(|part| part == mark.text.as_bytes())
        })
    }
}

/// The number of times that a page is read before it is believed to have another content.
const TRIES: usize = 3;

/// The device and inode of a file. They identify the file on this machine under all of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }

    /// The file at this path now; `None` if there is none that can be looked at. A link counts as itself, not as its
    /// target.
    pub(super) fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

/// The one descriptor of a database file in this process.
#[derive(Debug)]
struct Held {
    file: File,
    /// The number of anchors. When it reaches 0 the descriptor is closed.
    users: usize,
    can_write: bool,
    /// True if a store of this process holds the writer's lock.
    locked: bool,
}

/// Every database that this process has open.
static OPEN: Mutex<BTreeMap<FileId, Held>> = Mutex::new(BTreeMap::new());

fn open_files() -> MutexGuard<'static, BTreeMap<FileId, Held>> {
    // A panic elsewhere leaves the map consistent, since each change of it is one statement.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the database file open. It belongs to a connection and is dropped after it.
#[derive(Debug)]
pub(super) struct Anchor {
    id: FileId,
    /// The true name of the file, without links. SQLite's other files are beside it.
    path: PathBuf,
}

impl Anchor {
    /// Opens the file at `path`, which may be a symbolic link. Creates an empty one if `create` is true.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none and `create` is false; [`Error::Open`] if it is not a regular file or the
    /// system refuses.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, Error> {
        let refused = |source| Error::Open { location: path.into(), source };
        let mut open = open_files();
        // A file that is open already must not be opened again: closing that descriptor would drop SQLite's locks.
        let id = match fs::metadata(path) {
            Ok(metadata) => {
                check_kind(&metadata).map_err(refused)?;
                FileId::of(&metadata)
            }
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                let mut options = OpenOptions::new();
                // `truncate(false)`: another process may have created the file in the meantime.
                options.read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY);
                let file = options.open(path).map_err(refused)?;
                FileId::of(&keep(&mut open, file, true).map_err(refused)?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::Missing { location: path.into() });
            }
            Err(source) => return Err(refused(source)),
        };
        let id = if open.contains_key(&id) {
            id
        } else {
            let (file, can_write) = open_existing(path).map_err(refused)?;
            FileId::of(&keep(&mut open, file, can_write).map_err(refused)?)
        };
        let held = open.get_mut(&id).expect("it was inserted or found just now");
        held.users += 1;
        // From here on, dropping the anchor lowers the number of users again.
        let mut anchor = Self { id, path: PathBuf::new() };
        drop(open);
        anchor.path = fs::canonicalize(path).map_err(refused)?;
        if !anchor.is_in_place() {
            return Err(refused(io::Error::other("it was replaced while it was being opened")));
        }
        Ok(anchor)
    }

    /// The name of the file without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of one of SQLite's files beside the database.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        beside(&self.path, ending)
    }

    /// Returns true if the name still leads to the file that was opened.
    pub(super) fn is_in_place(&self) -> bool {
        FileId::at(&self.path) == Some(self.id)
    }

    /// Where the file lies. `given` is the name that it was opened by.
    pub(super) fn place(&self, given: &Path) -> Place {
        let is_link = !std::path::absolute(given).is_ok_and(|given| given == self.path);
        let place = Place {
            path: self.path.clone(),
            given: is_link.then(|| given.to_owned()),
            id: self.id,
            length: Length::default(),
            log: None,
            mark: None,
        };
        place.is_cut_short();
        place
    }

    /// The system's metadata of the opened file.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.with(|held| held.file.metadata())
    }

    /// Returns true if the permissions of the file let this process write to it.
    pub(super) fn can_write(&self) -> bool {
        self.with(|held| held.can_write)
    }

    /// Returns true if the header says that the database is written through a write-ahead log. A file that is too
    /// short for a header is not.
    pub(super) fn uses_log(&self) -> io::Result<bool> {
        // "File format read version" of the header: 1 for a rollback journal, 2 for a write-ahead log.
        const READ_VERSION: u64 = 19;
        let mut byte = [0];
        let read = self.with(|held| held.file.read_at(&mut byte, READ_VERSION))?;
        Ok(read == 1 && byte == [2])
    }

    /// Takes the writer's lock. Returns `false` if another process, or another store of this one, has it.
    pub(super) fn try_lock(&self) -> io::Result<bool> {
        self.with(|held| {
            if held.locked || !byte_lock::take(&held.file)? {
                return Ok(false);
            }
            held.locked = true;
            Ok(true)
        })
    }

    /// Releases the writer's lock.
    pub(super) fn unlock(&self) {
        self.with(|held| {
            held.locked = false;
            byte_lock::release(&held.file);
        });
    }

    /// Returns true if a store of this process or of another one holds the writer's lock now.
    pub(super) fn has_writer(&self) -> bool {
        self.with(|held| held.locked || byte_lock::is_taken(&held.file))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        act(open_files().get_mut(&self.id).expect("an anchor keeps its file open"))
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        let mut open = open_files();
        if let Some(held) = open.get_mut(&self.id) {
            held.users -= 1;
            if held.users == 0 {
                // The file is closed while the map is locked: no connection to it can begin at this moment.
                open.remove(&self.id);
            }
        }
    }
}

/// Adds an open file to the map, unless its file is in there already.
fn keep(open: &mut BTreeMap<FileId, Held>, file: File, can_write: bool) -> io::Result<Metadata> {
    let metadata = file.metadata()?;
    check_kind(&metadata)?;
    match open.entry(FileId::of(&metadata)) {
        Entry::Vacant(entry) => {
            entry.insert(Held { file, users: 0, can_write, locked: false });
        }
        // The name was given to an open file between the two looks at it. This descriptor is never closed.
        Entry::Occupied(_) => std::mem::forget(file),
    }
    Ok(metadata)
}

fn open_existing(path: &Path) -> io::Result<(File, bool)> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Ok((File::open(path)?, false))
        }
        Err(error) => Err(error),
    }
}

/// Refuses a folder, which SQLite would answer with a bare "unable to open database file", and pipes, which would
/// block.
fn check_kind(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(())
}

/// The file with the name of the database and this ending.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The writer's lock: one byte of the file, locked for an open descriptor instead of for a process.
#[cfg(target_os = "linux")]
mod byte_lock {
    use std::fs::File;
    use std::io;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    /// SQLite never stores anything in the page at 1 GiB, since it locks the first 512 bytes there. This is the byte
    /// after those.
    const BYTE: i64 = 0x4000_0000 + 512;

    fn lock(kind: i32) -> libc::flock {
        libc::flock {
            l_type: i16::try_from(kind).unwrap_or_default(),
            l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
            l_start: BYTE,
            l_len: 1,
            l_pid: 0,
        }
    }

    /// Takes the lock. Returns `false` if another descriptor has it. Where such locks do not exist, the lock file
    /// decides alone.
    pub(super) fn take(file: &File) -> io::Result<bool> {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK))) {
            Ok(_) | Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::ENOLCK) => {
                Ok(true)
            }
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn release(file: &File) {
        // Closing the descriptor releases it too.
        let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK)));
    }

    pub(super) fn is_taken(file: &File) -> bool {
        let mut found = lock(libc::F_WRLCK);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).is_ok()
            && i32::from(found.l_type) != libc::F_UNLCK
    }
}

/// This system has no such lock: the lock file beside the database is the only one.
#[cfg(not(target_os = "linux"))]
mod byte_lock {
    use std::fs::File;
    use std::io;

    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn take(_: &File) -> io::Result<bool> {
        Ok(true)
    }

    pub(super) fn release(_: &File) {}

    pub(super) fn is_taken(_: &File) -> bool {
        false
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
    fn a_database_file_has_one_descriptor_under_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        assert!(matches!(Anchor::open(&path, false), Err(Error::Missing { .. })));
        std::os::unix::fs::symlink("a.db", &link).unwrap();
        let through_link = Anchor::open(&link, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, OWNER_ONLY);
        let direct = Anchor::open(&path, false).unwrap();
        assert_eq!(through_link.path(), direct.path());
        let users = || open_files().get(&direct.id).unwrap().users;
        assert_eq!(users(), 2);
        assert!(through_link.try_lock().unwrap() && !direct.try_lock().unwrap());
        assert!(direct.has_writer());
        through_link.unlock();
        drop(through_link);
        assert_eq!(users(), 1);
        assert!(!direct.has_writer() && direct.try_lock().unwrap());
        direct.unlock();
        fs::remove_file(&path).unwrap();
        assert!(!direct.is_in_place());
        fs::write(&path, "").unwrap();
        assert!(!direct.is_in_place(), "another file of the same name");
    }

    #[test]
    fn a_folder_or_a_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe] {
            for create in [false, true] {
                assert!(matches!(Anchor::open(path, create), Err(Error::Open { .. })));
            }
        }
    }
}
