//! The functions for Unix.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{
    FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::Path;

use rustix::fs::{Access, CWD, Mode, OFlags, RenameFlags, access, open, openat, renameat_with};
use rustix::io::Errno;
use rustix::process::{Resource, geteuid, getrlimit};

/// The device and inode of a file. They identify the file on this machine under all of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(u64, u64);

impl FileId {
    /// The two numbers by which the system tells files apart.
    pub fn numbers(self) -> (u64, u64) {
        (self.0, self.1)
    }

    fn of_metadata(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }

    /// The identity of an open file.
    ///
    /// # Errors
    /// An error of the system.
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::of_metadata(&metadata))
    }

    /// The file at this path now; `None` if there is none that can be looked at. A link counts as itself, not as its
    /// target.
    pub fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|metadata| Self::of_metadata(&metadata))
    }

    /// The file to which this path leads, also through links.
    ///
    /// # Errors
    /// An error of the system.
    pub fn behind(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::of_metadata(&metadata))
    }
}

/// The number of names (hard links) of an open file.
///
/// # Errors
/// An error of the system.
pub fn names(file: &File) -> io::Result<u64> {
    file.metadata().map(|metadata| metadata.nlink())
}

/// Reads what lies at an offset. Returns how many bytes were read, 0 at the end of the file.
///
/// # Errors
/// An error of the system.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

/// Writes all bytes at an offset.
///
/// # Errors
/// An error of the system.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Gives files that are created these permissions, before the umask is applied.
pub fn with_mode(options: &mut OpenOptions, mode: u32) -> &mut OpenOptions {
    options.mode(mode)
}

/// Never waits for the other end of a pipe.
pub fn never_wait(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed())
}

/// Never follows a link at the end of the path, and never waits for the other end of a pipe.
pub fn never_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
}

/// The path of a file that is always there and always empty.
pub fn no_file() -> &'static Path {
    Path::new("/dev/null")
}

/// The permissions of a file, for its owner, its group and all others; `None` if the system has none.
pub fn mode(metadata: &Metadata) -> Option<u32> {
    Some(metadata.mode() & 0o7777)
}

/// The owner of a file and the user of this process, if they differ and the owner is not root.
pub fn other_owner(metadata: &Metadata) -> Option<(u32, u32)> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    (owner != user && owner != 0).then_some((owner, user))
}

/// If this process is root, gives a file the owner of another file, who can then still write it. A failure is ignored: not
/// every file system lets a program choose the owner.
pub fn belong_with(file: &File, other: &File) {
    if geteuid().is_root()
        && let Ok(other) = other.metadata()
    {
        let _ = fchown(file, Some(other.uid()), Some(other.gid()));
    }
}

/// The permissions and the owner that a file gets when it is complete.
#[derive(Debug, Clone, Copy)]
pub struct Rights {
    mode: u32,
    owner: Option<(u32, u32)>,
}

impl Rights {
    /// Those of a file that is about to be replaced.
    pub fn of(existing: &Metadata) -> Self {
        let mode = existing.mode() & 0o7777;
        Self { mode, owner: Some((existing.uid(), existing.gid())) }
    }

    /// Those of a new file, as the umask has left them. Until [`Rights::give`], only its owner can read it.
    ///
    /// # Errors
    /// An error of the system.
    pub fn of_new(file: &File) -> io::Result<Self> {
        let mode = file.metadata()?.mode() & 0o7777;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(Self { mode, owner: None })
    }

    /// The permissions of the file while it is not complete: nobody may be able to read it who cannot read the file that
    /// it replaces.
    pub fn meanwhile(self) -> u32 {
        self.mode & 0o600
    }

    /// Gives them to the file.
    ///
    /// # Errors
    /// An error of the system.
    pub fn give(self, file: &File) -> io::Result<()> {
        let mut mode = self.mode;
        if let Some((uid, gid)) = self.owner {
            let part = file.metadata()?;
            // Root can give the file to its former owner. If the group cannot be kept, another group must not get the
            // permissions of the former group.
            if (part.uid(), part.gid()) != (uid, gid)
                && fchown(file, Some(uid), Some(gid)).is_err()
                && part.gid() != gid
                && fchown(file, None, Some(gid)).is_err()
            {
                mode &= !0o070;
            }
        }
        file.set_permissions(Permissions::from_mode(mode))
    }
}

/// Whether this process may read the file.
pub fn can_read(path: &Path) -> bool {
    access(path, Access::READ_OK).is_ok()
}

/// Whether this process may create files in the folder.
pub fn can_write_in(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// The beginning of a name, at most so many bytes.
pub fn cut_name(name: &OsStr, bytes: usize) -> OsString {
    let name = name.as_bytes();
    OsString::from_vec(name[..name.len().min(bytes)].to_vec())
}

/// Marks a part as one whose process lives. Returns false if another process has taken it for an abandoned one.
pub fn protect_part(file: &File) -> bool {
    // A file system without locks has no clean-up either.
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Whether the process that wrote a part has ended.
pub fn is_abandoned(file: &File) -> bool {
    file.try_lock().is_ok()
}

/// Gives a file another name, and never replaces a file.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if there is a file of that name, or an error of the system.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(ErrorKind::AlreadyExists.into()),
        // The file system cannot do this in one step.
        Err(_) => match fs::symlink_metadata(to) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        },
    }
}

/// Makes the names in a folder safe from power loss.
///
/// # Errors
/// An error of the system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens the file with these names, one folder in the other, below `root`. Returns `None` if there is none, or if one of the
/// names is a symbolic link. Pipes are not waited for.
pub fn open_below(root: &Path, names: &[&str]) -> Option<File> {
    // Each part is opened in the one before and no link is followed, so that nobody can put one in between.
    let part = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
    let mut at = open(root, folder, Mode::empty()).ok()?;
    let mut names = names.iter().peekable();
    while let Some(name) = names.next() {
        // Without this flag, opening a pipe would wait for a writer.
        let kind = if names.peek().is_some() { OFlags::DIRECTORY } else { OFlags::NONBLOCK };
        at = openat(&at, *name, part | kind, Mode::empty()).ok()?;
    }
    Some(File::from(at))
}

/// How many files the system lets this process open; `None` if there is no limit.
pub fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Whether the size of files is limited for this process.
pub fn file_size_is_limited() -> bool {
    getrlimit(Resource::Fsize).current.is_some()
}

/// Whether this is the number of an error for too many open files, in the process or in the system.
pub fn is_limit_of_files(number: i32) -> bool {
    [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error).contains(&number)
}

/// Columns and rows of the terminal at stderr; `None` if there is none, or if it does not know its size.
pub fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}
