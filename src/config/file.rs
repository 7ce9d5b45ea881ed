//! Reads the configuration file: which one, whether it can be trusted, and which settings it may set.
//!
//! A file that the person names may say everything. A file that is merely found in the current folder may
//! have been left there by somebody else, so its owner and its permissions are looked at, and it may not set
//! a guarded setting.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::definitions;
use super::error::Error;

/// The file that is read if it is there and no other is named.
pub const DEFAULT_FILE: &str = "costag.toml";

/// No configuration file is longer, in bytes; reading stops there, because a named pipe or device may have no
/// end.
const SIZE_MAX: u64 = 1024 * 1024;

/// Links that are followed from `./costag.toml`.
const LINKS_MAX: usize = 40;

/// Permission bit: everybody may write.
const WRITABLE_BY_ALL: u32 = 0o002;

/// Which configuration file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFile {
    /// None.
    Without,
    /// `costag.toml` in the working folder, if there is one.
    Default,
    /// This one, which must exist. It may be a pipe, so it is opened and read only once.
    Named(PathBuf),
}

/// The text of a configuration file, and how it was chosen.
#[derive(Debug)]
pub struct Content {
    /// Where it was read from; empty if no file was read.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// Whether the person did not name the file, but it was found in the current folder.
    pub found: bool,
}

impl ConfigFile {
    /// Reads the file; without one, the text is empty.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::Untrusted`] for a file that was found and that others can change.
    pub fn read(&self) -> Result<Content, Error> {
        let (path, found) = match self {
            Self::Without => {
                return Ok(Content { path: PathBuf::new(), text: String::new(), found: false });
            }
            Self::Default => (Path::new(DEFAULT_FILE), true),
            Self::Named(path) => (path.as_path(), false),
        };
        let opened = if found { open_found(path)? } else { Some(open(path, false)?) };
        let text = match opened {
            Some(file) => text(file).map_err(|source| Error::Read { path: path.into(), source })?,
            None => String::new(),
        };
        Ok(Content { path: path.into(), text, found })
    }
}

fn text(file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    crate::text::decode(bytes)
}

fn open(path: &Path, nonblocking: bool) -> Result<File, Error> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    if nonblocking {
        // A pipe that took the file's place after it was looked at must not make the open wait for ever.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path).map_err(|source| Error::Read { path: path.into(), source })
}

/// Opens the file that was found, if there is one and only the user or root can change it.
fn open_found(path: &Path) -> Result<Option<File>, Error> {
    let cannot = |source| Error::Read { path: path.into(), source };
    let refuse = |reason| Error::Untrusted { path: path.into(), reason };
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        let metadata = match fs::symlink_metadata(&target) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound && target == path => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        let is_link = metadata.is_symlink();
        distrust(&metadata, if is_link { "the link" } else { "it" })
            .map_or(Ok(()), |reason| Err(refuse(reason)))?;
        if is_link {
            let next = fs::read_link(&target).map_err(cannot)?;
            target = target.parent().unwrap_or(Path::new("")).join(next);
            continue;
        }
        let file = open(path, true)?;
        // The file may have been replaced since: what counts is the one that is open.
        let metadata = file.metadata().map_err(cannot)?;
        return match distrust(&metadata, "it") {
            None => Ok(Some(file)),
            Some(reason) => Err(refuse(reason)),
        };
    }
    Err(refuse("its links do not end".to_owned()))
}

/// Why a file or link that was found is not believed; `None` if it is.
fn distrust(metadata: &Metadata, what: &str) -> Option<String> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        return Some(format!("{what} belongs to another user (uid {owner}; you are uid {user})"));
    }
    // The permissions of a link are not used by the system.
    if metadata.is_symlink() {
        return None;
    }
    if !metadata.is_file() {
        return Some("it is no regular file".to_owned());
    }
    let mode = metadata.mode() & 0o777;
    (mode & WRITABLE_BY_ALL != 0).then(|| format!("everybody can write it (mode {mode:04o})"))
}

/// The values in the text of a file.
///
/// # Errors
/// Content that is not TOML, a key that no setting has, and [`Error::Guarded`] for a guarded key in a file that
/// was merely found.
pub(super) fn parse(Content { path, text, found }: &Content) -> Result<Dict, Error> {
    let values: Dict = Toml::from_str(text).map_err(|error| {
        let before = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.bytes().take(before).filter(|byte| *byte == b'\n').count();
        Error::Syntax { path: path.clone(), line, reason: error.message().replace('\n', ", ") }
    })?;
    match values.keys().find(|key| definitions::find(key).is_none()) {
        None => {}
        Some(key) if looks_secret(key) => {
            return Err(Error::Secret { key: key.clone(), path: path.clone() });
        }
        Some(key) => {
            return Err(Error::UnknownKey {
                key: key.clone(),
                path: path.clone(),
                near: definitions::nearest(key).map(str::to_owned),
            });
        }
    }
    if *found
        && let Some((setting, decides)) = values
            .iter()
            .filter(|(_, value)| !is_unset(value))
            .filter_map(|(key, _)| definitions::find(key))
            .find_map(|setting| Some((setting, setting.guarded?)))
    {
        return Err(Error::Guarded { key: setting.name, path: path.clone(), decides });
    }
    Ok(values)
}

/// Whether a guarded setting is written down with its default, as `config show` prints it.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::String(_, text) => text.is_empty(),
        Value::Bool(_, flag) => !flag,
        _ => false,
    }
}

fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "token", "password"].iter().any(|word| key.contains(word))
}
