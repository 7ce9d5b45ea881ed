//! The database file as this process holds it: one open descriptor, and the writer's lock on it.
//!
//! SQLite guards its files with POSIX locks. The system drops all of them as soon as the process closes *any*
//! descriptor of the file, even one that SQLite did not open. So this module opens each database at most once, before
//! SQLite does, and closes it after the last connection to it. Everything else looks at the file by `stat`.
//!
//! The writer's lock is taken on the same descriptor: see [`byte_lock`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::byte_lock;
use crate::store::Error;
pub(super) use crate::system::FileId;
use crate::system::{self, read_exact_at};

/// The permissions of a new database, which `-wal`, `-shm` and the lock file get too: only the owner may read keys and
/// labels.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// The endings of SQLite's write-ahead log and of its index, which lie beside the database.
pub(super) const LOG_FILES: [&str; 2] = ["-wal", "-shm"];

/// The ending of the lock file, which lies beside the database.
pub(super) const LOCK_FILE: &str = ".lock";

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

/// Reads bytes of the database file with this identity. Returns `None` if this process does not have it open.
pub(super) fn read_open(id: FileId, bytes: &mut [u8], offset: u64) -> Option<io::Result<()>> {
    open_files().get(&id).map(|held| read_exact_at(&held.file, bytes, offset))
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
                FileId::behind(path).map_err(refused)?
            }
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                let mut options = OpenOptions::new();
                // `truncate(false)`: another process may have created the file in the meantime.
                options.read(true).write(true).create(true).truncate(false);
                let file = system::with_mode(&mut options, OWNER_ONLY).open(path);
                keep(&mut open, file.map_err(refused)?, true).map_err(refused)?
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
            keep(&mut open, file, can_write).map_err(refused)?
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

    /// The identity of the file.
    pub(super) fn id(&self) -> FileId {
        self.id
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

    /// The system's metadata of the opened file.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.with(|held| held.file.metadata())
    }

    /// The number of names (hard links) of the opened file.
    pub(super) fn names(&self) -> io::Result<u64> {
        self.with(|held| system::names(&held.file))
    }

    /// Gives a file beside the database the owner of the database, if this process is root.
    pub(super) fn share_owner(&self, file: &File) {
        self.with(|held| system::belong_with(file, &held.file));
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
        let read = self.with(|held| system::read_at(&held.file, &mut byte, READ_VERSION))?;
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
fn keep(open: &mut BTreeMap<FileId, Held>, file: File, can_write: bool) -> io::Result<FileId> {
    check_kind(&file.metadata()?)?;
    let id = FileId::of(&file)?;
    match open.entry(id) {
        Entry::Vacant(entry) => {
            entry.insert(Held { file, users: 0, can_write, locked: false });
        }
        // The name was given to an open file between the two looks at it. This descriptor is never closed.
        Entry::Occupied(_) => std::mem::forget(file),
    }
    Ok(id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_file_has_one_descriptor_under_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        assert!(matches!(Anchor::open(&path, false), Err(Error::Missing { .. })));
        std::os::unix::fs::symlink("a.db", &link).unwrap();
        let through_link = Anchor::open(&link, true).unwrap();
        assert_eq!(system::mode(&fs::metadata(&path).unwrap()), Some(OWNER_ONLY));
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
