//! The output of a command: a file that appears when it is complete, or a stream. A name that ends in `.gz` or `.zst` is
//! compressed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, StdoutLock, Write};
use std::path::{Path, PathBuf};

use super::Error;
use super::compress::{Compressed, Compression};
use crate::part::Part;
use crate::system::{self, FileId, Rights};
use crate::visible::{Notation, visible_lines};

/// How many bytes are buffered before a write.
const BUFFER: usize = 64 * 1024;

/// How many links are followed from a name to a file, as many as Linux does.
const LINKS: usize = 40;

/// The permissions of a new file before the umask is applied.
const NEW: u32 = 0o666;

/// An open output. If it is dropped without [`Output::commit`], no file is left.
#[derive(Debug)]
pub struct Output {
    target: String,
    kind: Kind,
    stream: Compressed<Destination>,
}

/// What an output is, for its errors and its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Terminal,
    Stream,
    File,
}

/// Where the bytes of an output go.
#[derive(Debug)]
struct Destination {
    sink: Sink,
    /// How control characters are spelled out on a terminal.
    notation: Notation,
}

#[derive(Debug)]
enum Sink {
    Stdout(BufWriter<StdoutLock<'static>>),
    /// A terminal. Control and invisible characters are spelled out.
    Terminal(StdoutLock<'static>),
    /// A pipe or a device, which is written directly.
    Direct(BufWriter<File>),
    /// A regular file, new or existing. The bytes go to another file beside it until they are complete.
    Replace(BufWriter<File>, Replacement),
}

/// The file that replaces the target at the end.
#[derive(Debug)]
struct Replacement {
    part: Part,
    /// What the file gets when it is complete.
    rights: Rights,
}

/// An output that has all of its bytes. If it is a file that is dropped before it has its name, nothing of it is left.
#[derive(Debug)]
#[must_use = "a file does not have its name yet"]
pub struct Complete {
    target: String,
    kind: Kind,
    /// `None` if the output is no file.
    replacement: Option<Replacement>,
}

impl Complete {
    /// Gives a file its name.
    ///
    /// # Errors
    /// [`Error::Write`]. A target that exists is then unchanged.
    pub fn take_place(self) -> Result<(), Error> {
        let Self { target, kind, replacement } = self;
        match replacement.map_or(Ok(()), Replacement::take_place) {
            Ok(()) => Ok(()),
            Err(source) => Err(error(kind, target, source)),
        }
    }
}

impl Output {
    /// Opens `target`; `-` is stdout.
    ///
    /// If the target does not exist or is a regular file, the bytes go to a hidden file in its folder, which replaces the
    /// target on [`Output::commit`]. A link is followed and kept. Anything else is written directly.
    ///
    /// # Errors
    /// [`Error::Open`] if the target, or the file beside it, cannot be created or written.
    pub fn open(target: &Path) -> Result<Self, Error> {
        Self::open_in(target, Notation::Text)
    }

    /// Does the same as [`Output::open`]. On a terminal, control characters are spelled out in this notation, so that CSV
    /// and JSON stay valid.
    ///
    /// # Errors
    /// Those of [`Output::open`].
    pub fn open_in(target: &Path, notation: Notation) -> Result<Self, Error> {
        if target.as_os_str() == "-" {
            let stdout = io::stdout().lock();
            let sink = if stdout.is_terminal() {
                Sink::Terminal(stdout)
            } else {
                Sink::Stdout(BufWriter::with_capacity(BUFFER, stdout))
            };
            return Self::begin("stdout".to_owned(), sink, notation, Compression::None);
        }
        let name = target.display().to_string();
        match sink(target) {
            Ok(sink) => Self::begin(name, sink, notation, Compression::of(target)),
            Err(source) => Err(Error::Open { target: name, source }),
        }
    }

    fn begin(
        target: String,
        sink: Sink,
        notation: Notation,
        compression: Compression,
    ) -> Result<Self, Error> {
        let kind = match sink {
            Sink::Terminal(_) => Kind::Terminal,
            Sink::Stdout(_) | Sink::Direct(_) => Kind::Stream,
            Sink::Replace(..) => Kind::File,
        };
        match Compressed::begin(Destination { sink, notation }, compression) {
            Ok(stream) => Ok(Self { target, kind, stream }),
            Err(source) => Err(Error::Open { target, source }),
        }
    }

    /// The name of the output, for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Turns an error of writing into [`Error::Closed`] if the reader has closed the stream, and into [`Error::Write`]
    /// otherwise.
    pub fn error(&self, source: io::Error) -> Error {
        let target = self.target.clone();
        error(self.kind, target, source)
    }

    /// Completes the output. A file gets its name, and is safe from power loss when this returns.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Closed`]. A target that is a file is then unchanged.
    pub fn commit(self) -> Result<(), Error> {
        self.complete()?.take_place()
    }

    /// Writes everything that is still buffered. A file has all of its bytes when this returns, and not its name.
    ///
    /// # Errors
    /// Those of [`Output::commit`].
    pub fn complete(mut self) -> Result<Complete, Error> {
        if let Err(source) = self.stream.flush() {
            return Err(self.error(source));
        }
        let Self { target, kind, stream } = self;
        let ended = stream.finish().and_then(|mut destination| {
            destination.flush()?;
            Ok(match destination.sink {
                Sink::Replace(_, replacement) => Some(replacement),
                Sink::Stdout(_) | Sink::Terminal(_) | Sink::Direct(_) => None,
            })
        });
        match ended {
            Ok(replacement) => Ok(Complete { target, kind, replacement }),
            Err(source) => Err(error(kind, target, source)),
        }
    }
}

fn error(kind: Kind, target: String, source: io::Error) -> Error {
    match (source.kind(), kind) {
        (ErrorKind::BrokenPipe, Kind::Stream | Kind::Terminal) => Error::Closed { target },
        _ => Error::Write { target, source },
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Stdout(stream) => stream.write(bytes),
            Sink::Terminal(stream) => {
                // Every write has whole lines, so no character is split.
                let lines = String::from_utf8_lossy(bytes);
                stream.write_all(visible_lines(&lines, self.notation).as_bytes())?;
                Ok(bytes.len())
            }
            Sink::Direct(file) | Sink::Replace(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stdout(stream) => stream.flush(),
            Sink::Terminal(stream) => stream.flush(),
            Sink::Direct(file) | Sink::Replace(file, _) => file.flush(),
        }
    }
}

fn sink(target: &Path) -> io::Result<Sink> {
    // The name is first opened as it was given, so that the system applies its rules for links and files of others in
    // shared folders such as /tmp. This does not change the file.
    let existing = match fs::metadata(target) {
        Ok(_) => {
            let mut options = OpenOptions::new();
            // `create` is set although the file exists, because some of these rules apply only then.
            options.write(true).create(true).truncate(false);
            let file = system::with_mode(&mut options, NEW).open(target)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Ok(Sink::Direct(BufWriter::with_capacity(BUFFER, file)));
            }
            Some((FileId::of(&file)?, Rights::of(&metadata)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let target = follow(target)?;
    let Some((id, rights)) = existing else {
        let part = Part::create(&target, NEW, &[])?;
        // The file gets the permissions that the umask leaves once it is complete. Until then, only its owner can read it.
        let rights = Rights::of_new(part.file())?;
        return replacing(part, rights);
    };
    if FileId::at(&target) != Some(id) {
        return Err(io::Error::other("another program replaced it while it was opened"));
    }
    let part = Part::create(&target, rights.meanwhile(), &[])?;
    replacing(part, rights)
}

fn replacing(part: Part, rights: Rights) -> io::Result<Sink> {
    let file = BufWriter::with_capacity(BUFFER, part.file().try_clone()?);
    Ok(Sink::Replace(file, Replacement { part, rights }))
}

impl Replacement {
    fn take_place(self) -> io::Result<()> {
        self.rights.give(self.part.file())?;
        self.part.replace()
    }
}

/// The path at the end of a chain of links. It need not exist.
fn follow(target: &Path) -> io::Result<PathBuf> {
    let mut path = target.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            // A link is absolute, or relative to its own folder.
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links lead to it, or they form a loop"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
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
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
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
    fn a_compressed_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["gz", "zst"] {
            let target = folder.path().join(format!("tags.csv.{ending}"));
            drop(write(&target, "half"));
            assert!(names(folder.path()).is_empty(), "nothing is left of half a file");
            write(&target, "whole").commit().unwrap();
            let file = fs::read(&target).unwrap();
            let text = match ending {
                "gz" => io::read_to_string(flate2::read::GzDecoder::new(&file[..])).unwrap(),
                _ => io::read_to_string(zstd::Decoder::new(&file[..]).unwrap()).unwrap(),
            };
            assert_eq!(text, "whole");
            fs::remove_file(&target).unwrap();
            // Nothing is written before the end, so the error is that of the last write.
            symlink("/dev/full", &target).unwrap();
            let error = write(&target, "too much").commit().unwrap_err();
            assert!(matches!(error, Error::Write { .. }), "{error:?}");
            fs::remove_file(&target).unwrap();
        }
    }

    #[test]
    fn a_device_is_written_directly_and_a_full_device_is_an_error() {
        write(Path::new("/dev/null"), "gone").commit().unwrap();
        let error = write(Path::new("/dev/full"), "too much").commit().unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
    }

    #[test]
    fn a_pipe_is_written_directly_and_closing_it_is_an_error_of_its_own() {
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
