//! An export that is divided over several files, each of which is valid by itself.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::output::Complete;
use super::rows::Rows;
use super::shape::Shape;
use super::{Error, Output};
use crate::store::Export;

/// The most files. Each of them is open until all of them are complete.
const FILES: usize = 500;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The number of rows, without headers.
    pub rows: u64,
    /// The number of files.
    pub files: usize,
}

/// Files that get their names together, once all of them are complete. If they are dropped before, none of them is left.
#[derive(Debug)]
struct Files {
    target: PathBuf,
    complete: Vec<(PathBuf, Complete)>,
    current: Output,
}

impl Files {
    fn begin(target: &Path) -> Result<Self, Error> {
        if let Some(there) = existing(target)? {
            return Err(Error::There { file: there.display().to_string() });
        }
        let current = Output::open(&numbered(target, 1))?;
        Ok(Self { target: target.to_owned(), complete: Vec::new(), current })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.current.write_all(bytes).map_err(|source| self.current.error(source))
    }

    /// Completes the present file and begins the next one.
    fn next(&mut self) -> Result<(), Error> {
        let number = self.complete.len() + 1;
        if number == FILES {
            return Err(Error::TooMany { most: FILES });
        }
        let next = Output::open(&numbered(&self.target, number + 1))?;
        let complete = std::mem::replace(&mut self.current, next).complete()?;
        self.complete.push((numbered(&self.target, number), complete));
        Ok(())
    }

    /// Gives all files their names, and returns their number. If that fails, none of them keeps its name.
    fn commit(self) -> Result<usize, Error> {
        let Self { target, mut complete, current } = self;
        complete.push((numbered(&target, complete.len() + 1), current.complete()?));
        let mut placed: Vec<PathBuf> = Vec::new();
        for (path, file) in complete {
            if let Err(error) = file.take_place() {
                for path in placed {
                    // A failure cannot be reported beside the first one.
                    let _ = fs::remove_file(path);
                }
                return Err(error);
            }
            placed.push(path);
        }
        Ok(placed.len())
    }
}

/// Writes all of `export` to files of at most `limit` bytes before compression: `tags-001.csv`, `tags-002.csv` and so on
/// for the target `tags.csv`. The rows of an object are never divided, so a file is larger if those of one object are.
///
/// Each file begins with what a file of this shape begins with. The files appear together at the end, or none does.
/// `continues` is called once per batch.
///
/// # Errors
/// Those of [`super::write()`], [`Error::Open`], [`Error::There`] if a file with such a name exists, [`Error::Folder`] if that
/// cannot be found out, and [`Error::TooMany`].
pub fn write_split(
    export: &mut Export<'_>,
    shape: Shape,
    target: &Path,
    limit: u64,
    continues: impl Fn() -> bool,
) -> Result<Written, Error> {
    let mut files = Files::begin(target)?;
    let mut rows = Rows::new(shape);
    let (mut header, mut buffer, mut next) = (Vec::new(), Vec::new(), Vec::new());
    rows.header(&mut header);
    buffer.extend_from_slice(&header);
    // The bytes of the present file, and its rows.
    let (mut bytes, mut of_file) = (header.len(), 0);
    let mut count = 0;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    while let Some(batch) = export.next_batch()? {
        if !continues() {
            return Err(Error::Interrupted);
        }
        for object in batch.objects() {
            next.clear();
            let added = rows.object(&object, &mut next);
            if of_file > 0 && bytes.saturating_add(next.len()) > limit {
                files.write(&buffer)?;
                files.next()?;
                buffer.clone_from(&header);
                (bytes, of_file) = (header.len(), 0);
            }
            buffer.extend_from_slice(&next);
            bytes += next.len();
            of_file += added;
            count += added;
        }
        files.write(&buffer)?;
        buffer.clear();
    }
    files.write(&buffer)?;
    Ok(Written { rows: count, files: files.commit()? })
}

/// The beginning and the end of the names of the files: `tags-` and `.csv.gz` for `tags.csv.gz`.
fn parts_of_name(target: &Path) -> (OsString, OsString) {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let packed = [".gz", ".zst"].iter().find(|end| name.to_ascii_lowercase().ends_with(**end));
    let bare = &name[..name.len() - packed.map_or(0, |end| end.len())];
    // A dot at the beginning belongs to the name.
    let dot = bare.rfind('.').filter(|at| *at > 0).unwrap_or(bare.len());
    (format!("{}-", &name[..dot]).into(), name[dot..].into())
}

/// The name of the file with this number, from 1.
fn numbered(target: &Path, number: usize) -> PathBuf {
    let (mut name, end) = parts_of_name(target);
    name.push(format!("{number:03}"));
    name.push(end);
    target.with_file_name(name)
}

/// A file that has the name of a numbered file of this target. Its rows could be taken for rows of this export.
fn existing(target: &Path) -> Result<Option<PathBuf>, Error> {
    let (begin, end) = parts_of_name(target);
    let (begin, end) = (begin.to_string_lossy(), end.to_string_lossy());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let unread = |source| Error::Folder { folder: folder.display().to_string(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Opening the first file says that the folder is not there.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(error)),
    };
    let is_numbered = |name: &str| {
        let number = name.strip_prefix(&*begin).and_then(|rest| rest.strip_suffix(&*end));
        number.is_some_and(|n| n.len() >= 3 && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    for entry in entries {
        let name = entry.map_err(unread)?.file_name();
        if name.to_str().is_some_and(is_numbered) {
            return Ok(Some(target.with_file_name(name)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("tags.csv");
        assert_eq!(existing(&target).unwrap(), None);
        assert_eq!(existing(&target.join("tags.csv")).unwrap(), None);
        fs::write(folder.path().join("tags-007.csv"), "").unwrap();
        assert_eq!(existing(&target).unwrap(), Some(folder.path().join("tags-007.csv")));
        // Even root cannot read a file as a folder.
        let below = folder.path().join("tags-007.csv").join("tags.csv");
        assert!(matches!(existing(&below), Err(Error::Folder { .. })));
    }

    #[test]
    fn a_number_stands_before_the_ending_of_a_name() {
        for (target, first) in [
            ("tags.csv", "tags-001.csv"),
            ("a.b/tags.2026.csv.gz", "a.b/tags.2026-001.csv.gz"),
            ("/x/tags.jsonl.ZST", "/x/tags-001.jsonl.ZST"),
            ("tags", "tags-001"),
            ("tags.gz", "tags-001.gz"),
            (".hidden", ".hidden-001"),
            ("猫.csv", "猫-001.csv"),
        ] {
            assert_eq!(numbered(Path::new(target), 1), Path::new(first), "{target}");
        }
        assert_eq!(numbered(Path::new("tags.csv"), 1234), Path::new("tags-1234.csv"));
    }
}
