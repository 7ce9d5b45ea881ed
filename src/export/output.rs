//! Where an export goes: a file that appears when it is whole, or a stream.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Error;

/// Bytes gathered before a write.
const BUFFER: usize = 64 * 1024;

/// Links followed from a name to a file, as the system itself does.
const LINKS: usize = 40;

/// An output under way. Dropped without [`Output::commit`], it leaves no file behind.
#[derive(Debug)]
pub struct Output {
    target: String,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stdout(BufWriter<StdoutLock<'static>>),
    /// A pipe or a device: what is written is there at once.
    Direct(BufWriter<File>),
    Replace(BufWriter<File>, Temporary),
}

/// A hidden file beside the target; removed unless it was moved there.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    target: PathBuf,
    mode: u32,
    moved: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // Nobody is left to be told; the name says what it is.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Output {
    /// Opens `target`; `-` is stdout.
    ///
    /// Where the target is absent or a regular file, rows go to a hidden file in its folder that takes its
    /// place on [`Output::commit`]. A link is followed, and stays. Anything else is written directly.
    ///
    /// # Errors
    /// [`Error::Open`] if the file, or the one beside it, cannot be made or written.
    pub fn open(target: &Path) -> Result<Self, Error> {
        if target.as_os_str() == "-" {
            let sink = Sink::Stdout(BufWriter::with_capacity(BUFFER, io::stdout().lock()));
            return Ok(Self { target: "stdout".to_owned(), sink });
        }
        let name = target.display().to_string();
        match sink(target) {
            Ok(sink) => Ok(Self { target: name, sink }),
            Err(source) => Err(Error::Open { target: name, source }),
        }
    }

    /// What is written to, for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Sorts an error of writing: a reader that went away is none.
    pub fn error(&self, source: io::Error) -> Error {
        let target = self.target.clone();
        match (source.kind(), &self.sink) {
            (ErrorKind::BrokenPipe, Sink::Stdout(_) | Sink::Direct(_)) => Error::Closed { target },
            _ => Error::Write { target, source },
        }
    }

    /// Makes what was written the target, safe from power loss if it is a file.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Closed`]; the target is then as it was, if it is a file.
    pub fn commit(mut self) -> Result<(), Error> {
        let done = match &mut self.sink {
            Sink::Stdout(stream) => stream.flush(),
            Sink::Direct(stream) => stream.flush(),
            Sink::Replace(file, temporary) => replace(file, temporary),
        };
        done.map_err(|source| self.error(source))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Stdout(stream) => stream.write(bytes),
            Sink::Direct(file) | Sink::Replace(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stdout(stream) => stream.flush(),
            Sink::Direct(file) | Sink::Replace(file, _) => file.flush(),
        }
    }
}

fn sink(target: &Path) -> io::Result<Sink> {
    let target = follow(target)?;
    let existing = match fs::metadata(&target) {
        Ok(metadata) if metadata.is_file() => {
            // Replacing asks for the folder's permission only; the file's own counts as well.
            OpenOptions::new().write(true).open(&target)?;
            Some(metadata.permissions().mode() & 0o7777)
        }
        Ok(_) => {
            let file = OpenOptions::new().write(true).open(&target)?;
            return Ok(Sink::Direct(BufWriter::with_capacity(BUFFER, file)));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let (path, file) = create_beside(&target)?;
    let mut temporary = Temporary { path, target, mode: 0, moved: false };
    // The mode that the process's umask leaves; half a file is nobody else's to read.
    temporary.mode = existing.unwrap_or(file.metadata()?.permissions().mode() & 0o7777);
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(Sink::Replace(BufWriter::with_capacity(BUFFER, file), temporary))
}

/// The name at the end of a chain of links, whether anything is there or not.
fn follow(target: &Path) -> io::Result<PathBuf> {
    let mut path = target.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            // Absolute, or relative to the folder of the link.
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links"))
}

fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    let Some(name) = target.file_name() else {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
    };
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for attempt in 0..100_u32 {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{attempt}.part", std::process::id()));
        let path = target.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn replace(file: &mut BufWriter<File>, temporary: &mut Temporary) -> io::Result<()> {
    file.flush()?;
    let file = file.get_ref();
    file.set_permissions(Permissions::from_mode(temporary.mode))?;
    file.sync_all()?;
    fs::rename(&temporary.path, &temporary.target)?;
    temporary.moved = true;
    // The new name is a change of the folder.
    let folder = temporary.target.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn write(target: &Path, text: &str) -> Output {
        let mut output = Output::open(target).unwrap();
        output.write_all(text.as_bytes()).unwrap();
        output
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("tags.csv");
        let output = write(&target, "half");
        assert!(!target.exists());
        drop(output);
        assert!(names(folder.path()).is_empty(), "nothing is left of half a file");

        let plain = folder.path().join("plain");
        File::create(&plain).unwrap();
        let umask = fs::metadata(&plain).unwrap().permissions().mode();
        fs::remove_file(plain).unwrap();
        write(&target, "whole").commit().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode(), umask);
        assert_eq!(names(folder.path()), ["tags.csv"]);
    }

    #[test]
    fn an_existing_file_stays_until_it_is_replaced_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("tags.csv");
        fs::write(&target, "before").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
        let output = write(&target, "after");
        let hidden = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .find(|entry| entry.path() != target)
            .unwrap();
        assert_eq!(hidden.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&target).unwrap(), "before");
        output.commit().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "after");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn links_are_followed_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let real = other.path().join("real.csv");
        let link = folder.path().join("link.csv");
        symlink(&real, folder.path().join("second")).unwrap();
        symlink("second", &link).unwrap();
        for text in ["where nothing was", "in place of a file"] {
            write(&link, text).commit().unwrap();
            assert_eq!(fs::read_to_string(&real).unwrap(), text);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
        symlink("loop", folder.path().join("loop")).unwrap();
        assert!(matches!(Output::open(&folder.path().join("loop")), Err(Error::Open { .. })));
    }

    #[test]
    fn a_device_is_written_directly_and_a_full_one_is_an_error() {
        write(Path::new("/dev/null"), "gone").commit().unwrap();
        let error = write(Path::new("/dev/full"), "too much").commit().unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
    }

    #[test]
    fn a_pipe_is_written_directly_and_its_end_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let (opened, wait) = std::sync::mpsc::channel();
        let path = fifo.clone();
        let reader = std::thread::spawn(move || {
            drop(File::open(path).unwrap());
            opened.send(()).unwrap();
        });
        let output = write(&fifo, "nobody reads this");
        wait.recv().unwrap();
        reader.join().unwrap();
        assert!(matches!(output.commit(), Err(Error::Closed { .. })));
        assert_eq!(names(folder.path()), ["fifo"]);
    }

    #[test]
    fn a_folder_and_a_missing_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for target in [folder.path().to_owned(), folder.path().join("no/tags.csv")] {
            assert!(matches!(Output::open(&target), Err(Error::Open { .. })));
        }
    }
}
