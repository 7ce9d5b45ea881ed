//! The functions for Windows. Permissions are left to the folder, from which new files inherit them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::windows::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use winapi_util::file::information;

/// Lets a folder be opened like a file.
const BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// Opens a link, and not the file to which it leads.
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
/// Removes a file when it is closed.
const DELETE_ON_CLOSE: u32 = 0x0400_0000;
/// `ERROR_TOO_MANY_OPEN_FILES`.
const TOO_MANY_OPEN_FILES: i32 = 4;

/// How long nobody has written a part that counts as abandoned.
const ABANDONED: Duration = Duration::from_hours(24);

/// The serial number of a volume and the number of a file on it. They identify the file under all of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(u64, u64);

impl FileId {
    /// The two numbers by which the system tells files apart.
    pub fn numbers(self) -> (u64, u64) {
        (self.0, self.1)
    }

    /// The identity of an open file.
    ///
    /// # Errors
    /// An error of the system.
    pub fn of(file: &File) -> io::Result<Self> {
        let told = information(file)?;
        Ok(Self(told.volume_serial_number(), told.file_index()))
    }

    /// The file at this path now; `None` if there is none that can be looked at. A link counts as itself, not as its
    /// target.
    pub fn at(path: &Path) -> Option<Self> {
        look(path, BACKUP_SEMANTICS | OPEN_REPARSE_POINT).and_then(|file| Self::of(&file)).ok()
    }

    /// The file to which this path leads, also through links.
    ///
    /// # Errors
    /// An error of the system.
    pub fn behind(path: &Path) -> io::Result<Self> {
        look(path, BACKUP_SEMANTICS).and_then(|file| Self::of(&file))
    }
}

/// Opens a file or folder only to look at it. No other program is kept from it.
fn look(path: &Path, flags: u32) -> io::Result<File> {
    OpenOptions::new().access_mode(0).custom_flags(flags).open(path)
}

/// The number of names (hard links) of an open file.
///
/// # Errors
/// An error of the system.
pub fn names(file: &File) -> io::Result<u64> {
    information(file).map(|told| told.number_of_links())
}

/// Reads what lies at an offset, and moves the cursor behind it. Returns how many bytes were read, 0 at the end of the file.
///
/// # Errors
/// An error of the system.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(bytes, offset)
}

/// Writes all bytes at an offset.
///
/// # Errors
/// An error of the system.
pub fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset)? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Changes nothing: there are no such permissions.
pub fn with_mode(options: &mut OpenOptions, _: u32) -> &mut OpenOptions {
    options
}

/// Changes nothing: a pipe has no name in a folder.
pub fn never_wait(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Never follows a link at the end of the path.
pub fn never_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OPEN_REPARSE_POINT)
}

/// The path of a file that is always there and always empty.
pub fn no_file() -> &'static Path {
    Path::new("NUL")
}

/// `None`: there are no such permissions.
pub fn mode(_: &Metadata) -> Option<u32> {
    None
}

/// `None`: files have no numbers of users.
pub fn other_owner(_: &Metadata) -> Option<(u32, u32)> {
    None
}

/// Changes nothing: the owner of the folder keeps its rights.
pub fn belong_with(_: &File, _: &File) {}

/// Nothing: a file has the permissions of its folder.
#[derive(Debug, Clone, Copy)]
pub struct Rights;

impl Rights {
    /// Those of a file that is about to be replaced.
    pub fn of(_: &Metadata) -> Self {
        Self
    }

    /// Those of a new file.
    ///
    /// # Errors
    /// Never.
    pub fn of_new(_: &File) -> io::Result<Self> {
        Ok(Self)
    }

    /// Has no meaning here.
    pub fn meanwhile(self) -> u32 {
        0
    }

    /// Changes nothing.
    ///
    /// # Errors
    /// Never.
    pub fn give(self, _: &File) -> io::Result<()> {
        Ok(())
    }
}

/// Whether this process may read the file.
pub fn can_read(path: &Path) -> bool {
    File::open(path).is_ok()
}

/// Whether this process may create files in the folder. A file is created and removed, since nothing else tells.
pub fn can_write_in(folder: &Path) -> bool {
    let name = format!(".costag-{}.tmp", std::process::id());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).custom_flags(DELETE_ON_CLOSE);
    options.open(folder.join(name)).is_ok()
}

/// The beginning of a name, at most so many bytes in UTF-8.
pub fn cut_name(name: &OsStr, bytes: usize) -> OsString {
    let name = name.to_string_lossy();
    name[..name.floor_char_boundary(bytes)].into()
}

/// Returns true. A lock would keep SQLite from the part, so no part is locked.
pub fn protect_part(_: &File) -> bool {
    true
}

/// Whether nobody has written the part for a day.
pub fn is_abandoned(file: &File) -> bool {
    let written = file.metadata().and_then(|metadata| metadata.modified());
    let since = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
    since.is_some_and(|since| since > ABANDONED)
}

/// Gives a file another name, and never replaces a file.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if there is a file of that name, or an error of the system.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        // The file system has no second names.
        Err(_) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(_) => Err(ErrorKind::AlreadyExists.into()),
    }
}

/// Does nothing: Windows writes names to its journal by itself.
///
/// # Errors
/// Never.
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens the file with these names, one folder in the other, below `root`. Returns `None` if there is none, or if one of the
/// names is a link or contains what Windows gives a meaning: a backslash or a colon.
pub fn open_below(root: &Path, names: &[&str]) -> Option<File> {
    let mut path = root.to_owned();
    for name in names {
        if name.contains(['\\', ':']) {
            return None;
        }
        path.push(name);
        if fs::symlink_metadata(&path).ok()?.is_symlink() {
            return None;
        }
    }
    never_follow(OpenOptions::new().read(true)).open(&path).ok()
}

/// `None`: only memory limits the number of open files.
pub fn open_files() -> Option<u64> {
    None
}

/// Returns false: there is no such limit.
pub fn file_size_is_limited() -> bool {
    false
}

/// Whether this is the number of an error for too many open files.
pub fn is_limit_of_files(number: i32) -> bool {
    number == TOO_MANY_OPEN_FILES
}

/// Columns and rows of the console at stderr; `None` if there is none.
pub fn terminal_size() -> Option<(u16, u16)> {
    let (rows, columns) = console::Term::stderr().size_checked()?;
    Some((columns, rows))
}
