//! A file that has another name until it is whole.
//!
//! It is written beside its target as `.NAME.RANDOM.part` and renamed at the end, so that nobody ever sees half of
//! it. A process that is killed leaves its part behind. Each part is locked (`flock`) while its process lives; the
//! next part for the same target removes those that nobody has locked any more.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

/// Names tried until one is free; each is random, so the first one is.
const NAMES: u32 = 100;

/// Bytes of the target's name in the part's name: longer names might not leave room for the rest.
const NAME_BYTES: usize = 100;

/// Files that a program which writes into the part may leave beside it.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// An unfinished file. Dropped before it has its target's name, it is removed.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    target: PathBuf,
    file: File,
    placed: bool,
}

impl Part {
    /// Makes an empty part of `target` with these rights, less those that the umask takes away.
    ///
    /// # Errors
    /// If the folder cannot be written, or the target has no name of its own.
    pub fn create(target: &Path, mode: u32) -> io::Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
        };
        let begin = begin_of(name);
        remove_abandoned(target, &begin);
        let mut last = io::Error::from(ErrorKind::AlreadyExists);
        for _ in 0..NAMES {
            let mut name = begin.clone();
            name.push(format!("{:016x}.part", RandomState::new().build_hasher().finish()));
            let path = target.with_file_name(name);
            let mut options = OpenOptions::new();
            let file = match options.read(true).write(true).create_new(true).mode(mode).open(&path)
            {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            // A file system without such locks has no clean-up either. If somebody else has the lock, or the file
            // is gone, another process took it for an abandoned one.
            let mine = !matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock));
            if mine && is_at(&file, &path) {
                return Ok(Self { path, target: target.to_owned(), file, placed: false });
            }
        }
        Err(last)
    }

    /// The file that is written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The name that it has until it is whole.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its target's name, in place of a file that may be there; safe from power loss when it returns.
    ///
    /// # Errors
    /// Those of the file system; the target is then as it was.
    pub fn replace(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        self.sync_folder()
    }

    /// As [`Part::replace`], but never in place of another file.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is one, and those of the file system.
    pub fn appear(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(ErrorKind::AlreadyExists.into()),
            // A file system that cannot do it in one step.
            Err(_) => match fs::symlink_metadata(&self.target) {
                Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(&self.path, &self.target)?,
            },
        }
        self.placed = true;
        self.sync_folder()
    }

    /// The new name is a change of the folder.
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.placed {
            // Nobody is left to be told; the next part of the same target removes what stays behind.
            remove(&self.path);
        }
    }
}

fn remove(part: &Path) {
    let _ = fs::remove_file(part);
    for ending in BESIDE {
        let mut name = part.as_os_str().to_owned();
        name.push(ending);
        let _ = fs::remove_file(name);
    }
}

/// `.NAME.`, with a name that is cut if it is very long.
fn begin_of(name: &OsStr) -> OsString {
    let name = name.as_bytes();
    let cut = &name[..name.len().min(NAME_BYTES)];
    OsString::from_vec([b".", cut, b"."].concat())
}

fn is_at(file: &File, path: &Path) -> bool {
    let of = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(file), Ok(path)) => of(file) == of(path),
        _ => false,
    }
}

/// Removes parts of processes that have ended. Whatever goes wrong, the file stays, and nobody minds.
fn remove_abandoned(target: &Path, begin: &OsStr) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let between = name
            .as_bytes()
            .strip_prefix(begin.as_bytes())
            .and_then(|rest| rest.strip_suffix(b".part"));
        // Earlier versions put the number of the process there.
        let is_part = between.is_some_and(|between| {
            !between.is_empty() && between.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')
        });
        if !is_part {
            continue;
        }
        let path = entry.path();
        // Neither a link nor a pipe is ours, and neither is followed or waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let opened = OpenOptions::new().write(true).custom_flags(flags).open(&path);
        let Ok(file) = opened else { continue };
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file && file.try_lock().is_ok() && is_at(&file, &path) {
            remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn parts_of_the_dead_are_removed_and_those_of_the_living_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("tags.csv");
        let alive = Part::create(&target, 0o600).unwrap();
        let alive_name = alive.path().file_name().unwrap().to_str().unwrap().to_owned();
        let others = [".other.csv.1-0.part", ".tags.csv.mine.part", "tags.csv.1.part"];
        for name in [".tags.csv.1-0.part", ".tags.csv.77.part", ".tags.csv.0123456789abcdef.part"]
            .iter()
            .chain(&others)
        {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        std::os::unix::fs::symlink("x", folder.path().join(".tags.csv.8.part")).unwrap();
        fs::create_dir(folder.path().join(".tags.csv.9.part")).unwrap();
        Part::create(&target, 0o600).unwrap().replace().unwrap();
        let mut left: Vec<_> = others.iter().map(|name| (*name).to_owned()).collect();
        left.extend(
            [".tags.csv.8.part", ".tags.csv.9.part", "tags.csv", &alive_name].map(String::from),
        );
        left.sort();
        assert_eq!(names(folder.path()), left);
        drop(alive);
        assert!(!names(folder.path()).contains(&alive_name));
    }

    #[test]
    fn a_name_of_any_length_has_room_for_its_part() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x".repeat(255));
        Part::create(&target, 0o600).unwrap().appear().unwrap();
        let again = Part::create(&target, 0o600).unwrap().appear();
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()).len(), 1);
    }
}
