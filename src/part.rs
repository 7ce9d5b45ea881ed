//! A file that gets its name when it is complete.
//!
//! Until then it has the name `.NAME.RANDOM.part` in the folder of its target, so that nobody sees an incomplete file. A
//! process that is killed leaves its part behind. Each part is locked (`flock`) while its process lives; the next part of
//! the same target removes parts that are no longer locked.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::system::{self, FileId};

/// How many names are tried until one is free. Names are random, so the first one almost always is.
const NAMES: u32 = 100;

/// How many bytes of the target's name are used in the part's name, so that the part's name is not too long.
const NAME_BYTES: usize = 100;

/// An incomplete file. It is removed if it is dropped before it gets its target's name.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    target: PathBuf,
    file: File,
    beside: &'static [&'static str],
    placed: bool,
}

impl Part {
    /// Creates an empty part of `target`. `mode` are its permissions before the umask is applied. `beside` are the endings
    /// of the files that a library which writes the part may leave beside it; they are removed together with the part.
    ///
    /// # Errors
    /// The folder cannot be written, or the target is a folder.
    pub fn create(target: &Path, mode: u32, beside: &'static [&'static str]) -> io::Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(
                ErrorKind::IsADirectory,
                "it is a folder: name a file in it",
            ));
        };
        let begin = begin_of(name);
        remove_abandoned(target, &begin, beside);
        let mut last = io::Error::from(ErrorKind::AlreadyExists);
        for _ in 0..NAMES {
            let mut name = begin.clone();
            name.push(format!("{:016x}.part", RandomState::new().build_hasher().finish()));
            let path = target.with_file_name(name);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            let file = match system::with_mode(&mut options, mode).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            // If another process has the lock, or the file is gone, that process took the file for an abandoned part.
            if system::protect_part(&file) && is_at(&file, &path) {
                return Ok(Self { path, target: target.to_owned(), file, beside, placed: false });
            }
        }
        Err(last)
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The path that the file has until it is complete.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its target's name and replaces an existing file. The change is safe from power loss when this
    /// returns.
    ///
    /// # Errors
    /// The file system fails; the target is then unchanged.
    pub fn replace(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        self.sync_folder()
    }

    /// Does the same as [`Part::replace`], but never replaces a file.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if the target exists, or an error of the file system.
    pub fn appear(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        system::rename_new(&self.path, &self.target)?;
        self.placed = true;
        self.sync_folder()
    }

    /// Makes the new name safe from power loss: it is a change of the folder.
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        system::sync_folder(folder.unwrap_or(Path::new(".")))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.placed {
            // A failure cannot be reported here. The next part of the same target removes what is left.
            remove(&self.path, self.beside);
        }
    }
}

fn remove(part: &Path, beside: &[&str]) {
    let _ = fs::remove_file(part);
    for ending in beside {
        let mut name = part.as_os_str().to_owned();
        name.push(ending);
        let _ = fs::remove_file(name);
    }
}

/// The beginning of the names of parts: `.NAME.`, where a very long name is cut.
fn begin_of(name: &OsStr) -> OsString {
    let mut begin = OsString::from(".");
    begin.push(system::cut_name(name, NAME_BYTES));
    begin.push(".");
    begin
}

fn is_at(file: &File, path: &Path) -> bool {
    FileId::of(file).is_ok_and(|id| FileId::at(path) == Some(id))
}

/// Removes the parts of processes that have ended. Errors are ignored: the file is then left.
fn remove_abandoned(target: &Path, begin: &OsStr, beside: &[&str]) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let between = name
            .as_encoded_bytes()
            .strip_prefix(begin.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(b".part"));
        // Earlier versions used the process id here.
        let is_part = between.is_some_and(|between| {
            !between.is_empty() && between.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')
        });
        if !is_part {
            continue;
        }
        let path = entry.path();
        // A link or a pipe is not a part: the link is not followed, and the pipe is not waited for.
        let opened = system::never_follow(OpenOptions::new().write(true)).open(&path);
        let Ok(file) = opened else { continue };
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file && system::is_abandoned(&file) && is_at(&file, &path) {
            remove(&path, beside);
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
    fn parts_of_processes_that_have_ended_are_removed_and_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("tags.csv");
        let alive = Part::create(&target, 0o600, &[]).unwrap();
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
        Part::create(&target, 0o600, &[]).unwrap().replace().unwrap();
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
    fn a_target_with_the_longest_name_can_have_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x".repeat(255));
        Part::create(&target, 0o600, &[]).unwrap().appear().unwrap();
        let again = Part::create(&target, 0o600, &[]).unwrap().appear();
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()).len(), 1);
    }
}
