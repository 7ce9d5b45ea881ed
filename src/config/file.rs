//! Reads the configuration file, and checks whether it can be trusted and what it may set.
//!
//! A file that the person names may set everything. A file that was merely found in the current folder may have been left
//! there by somebody else: its owner and permissions are checked, and it must not set a guarded setting.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::definitions;
use super::error::Error;

/// The file that is read if it exists and no other file is named.
pub const DEFAULT_FILE: &str = "costag.toml";

/// The most bytes that are read, because a pipe or a device may have no end.
const SIZE_MAX: u64 = 1024 * 1024;

/// How many links are followed from `./costag.toml`.
const LINKS_MAX: usize = 40;

/// The permission bit that lets everybody write.
const WRITABLE_BY_ALL: u32 = 0o002;

/// Which configuration file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFile {
    /// Read no file.
    Without,
    /// `costag.toml` in the current folder, if there is one.
    Default,
    /// This file, which must exist. It may be a pipe, so it is opened and read only once.
    Named(PathBuf),
}

/// The text of a configuration file, and how it was chosen.
#[derive(Debug)]
pub struct Content {
    /// The path of the file; empty if no file was read.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// Whether the file was found in the current folder, and the person did not name it.
    pub found: bool,
}

impl ConfigFile {
    /// Reads the file. Without a file the text is empty.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Untrusted`] for a file that was found and that others can change.
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
        // If a pipe has replaced the file since it was checked, opening it must not wait forever.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path).map_err(|source| Error::Read { path: path.into(), source })
}

/// Opens the file in the current folder. Returns `None` if there is none, and an error if others can change it.
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
        // The file may have been replaced since, so the open file is checked.
        let metadata = file.metadata().map_err(cannot)?;
        return match distrust(&metadata, "it") {
            None => Ok(Some(file)),
            Some(reason) => Err(refuse(reason)),
        };
    }
    Err(refuse("too many links lead to it, or they form a loop".to_owned()))
}

/// Why a file or link that was found is not trusted; `None` if it is trusted.
fn distrust(metadata: &Metadata, what: &str) -> Option<String> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        return Some(format!("{what} belongs to another user (uid {owner}; you are uid {user})"));
    }
    // The system does not use the permissions of a link.
    if metadata.is_symlink() {
        return None;
    }
    if !metadata.is_file() {
        return Some("it is not a regular file".to_owned());
    }
    let mode = metadata.mode() & 0o777;
    (mode & WRITABLE_BY_ALL != 0).then(|| format!("everybody can write it (mode {mode:04o})"))
}

/// Parses the text of a file.
///
/// # Errors
/// The text is not TOML, a key is not a setting, or a file that was merely found sets a guarded setting.
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

/// Returns `true` if a guarded setting has its default value. `costag config show` prints such settings, and a file that
/// was made from its output must be accepted.
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
