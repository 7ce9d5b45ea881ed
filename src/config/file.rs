//! Reads the configuration files, and checks whether they can be trusted and what they may set.
//!
//! A file that the person names may set everything. A file that was merely found in the current folder may have been left
//! there by somebody else: its owner and permissions are checked, and it must not set a guarded setting or have profiles.
//! The user's own file is in a folder that belongs to the user, so it may set everything if its owner and permissions are
//! right.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::definitions;
use super::error::Error;
use super::keys;
use super::profiles::{self, Profile};
use crate::system;

/// The file that is read if it exists and no other file is named.
pub const DEFAULT_FILE: &str = "costag.toml";

/// The user's own file, below the folder of the user's configuration.
pub const OWN_FILE: &str = "costag/costag.toml";

/// The most bytes that are read, because a pipe or a device may have no end.
const SIZE_MAX: u64 = 1024 * 1024;

/// How many links are followed from `./costag.toml`.
const LINKS_MAX: usize = 40;

/// The permission bit that lets everybody write.
const WRITABLE_BY_ALL: u32 = 0o002;

/// Which configuration file is read besides the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFile {
    /// Read no file, not even the user's own.
    Without,
    /// `costag.toml` in the current folder, if there is one.
    Default,
    /// This file, which must exist. It may be a pipe, so it is opened and read only once.
    Named(PathBuf),
}

/// How a file was chosen. A later one wins over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is the user's own file.
    Own,
    /// It was found in the current folder, and the person did not name it.
    Found,
    /// The person named it.
    Named,
}

/// The text of a configuration file, and how it was chosen.
#[derive(Debug, Clone)]
pub struct Content {
    /// The path of the file.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// How it was chosen.
    pub role: Role,
}

impl ConfigFile {
    /// Reads the files that exist, in ascending order of precedence. `own` is the path of the user's own file.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Untrusted`] for a file that was not named and that others can change.
    pub fn read(&self, own: Option<&Path>) -> Result<Vec<Content>, Error> {
        let is_own = |path: &Path| {
            let real = |path: &Path| path.canonicalize().ok();
            own.is_some_and(|own| real(path).is_some_and(|path| Some(path) == real(own)))
        };
        let (path, role) = match self {
            Self::Without => return Ok(Vec::new()),
            Self::Default => (Path::new(DEFAULT_FILE), Role::Found),
            Self::Named(path) => (path.as_path(), Role::Named),
        };
        let mut files = Vec::new();
        let read = |file: File, path: &Path, role| {
            let text = text(file).map_err(|source| Error::Read { path: path.into(), source })?;
            Ok(Content { path: path.into(), text, role })
        };
        if let Some(own) = own
            && !is_own(path)
            && let Some(file) = open_unnamed(own, Role::Own)?
        {
            files.push(read(file, own, Role::Own)?);
        }
        // In the folder of the user's own file, that file is the one that is found.
        let role = if role == Role::Found && is_own(path) { Role::Own } else { role };
        let file = match role {
            Role::Named => Some(open(path, false)?),
            Role::Own | Role::Found => open_unnamed(path, role)?,
        };
        if let Some(file) = file {
            files.push(read(file, path, role)?);
        }
        Ok(files)
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
        system::never_wait(&mut options);
    }
    options.open(path).map_err(|source| Error::Read { path: path.into(), source })
}

/// Opens a file that was not named. Returns `None` if there is none, and an error if others can change it.
fn open_unnamed(path: &Path, role: Role) -> Result<Option<File>, Error> {
    let cannot = |source| Error::Read { path: path.into(), source };
    let refuse = |reason| Error::Untrusted { path: path.into(), reason };
    // A service may not look into homes. A name such as `.config` may also belong to a file.
    let is_absent = |error: &io::Error| match error.kind() {
        ErrorKind::NotFound => true,
        ErrorKind::PermissionDenied | ErrorKind::NotADirectory => role == Role::Own,
        _ => false,
    };
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        let metadata = match fs::symlink_metadata(&target) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) && target == path => return Ok(None),
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
    if let Some((owner, user)) = system::other_owner(metadata) {
        return Some(format!("{what} belongs to another user (uid {owner}; you are uid {user})"));
    }
    // The system does not use the permissions of a link.
    if metadata.is_symlink() {
        return None;
    }
    if !metadata.is_file() {
        return Some("it is not a regular file".to_owned());
    }
    let mode = system::mode(metadata)? & 0o777;
    (mode & WRITABLE_BY_ALL != 0).then(|| format!("everybody can write it (mode {mode:04o})"))
}

/// Parses the text of a file, and returns the values of its settings and its profiles.
///
/// # Errors
/// The text is not TOML, a key is not a setting, or a file that was merely found sets a guarded setting or has profiles.
pub(super) fn parse(Content { path, text, role }: &Content) -> Result<(Dict, Vec<Profile>), Error> {
    let mut values: Dict = Toml::from_str(text).map_err(|error| {
        let before = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.bytes().take(before).filter(|byte| *byte == b'\n').count();
        Error::Syntax { path: path.clone(), line, reason: error.message().replace('\n', ", ") }
    })?;
    if *role == Role::Found && values.contains_key(profiles::TABLE) {
        return Err(Error::FoundProfiles { path: path.clone() });
    }
    let profiles = profiles::take(&mut values, path, text)?;
    if let Some(key) = values.keys().find(|key| definitions::find(key).is_none()) {
        return Err(keys::refuse(key.clone(), key, path));
    }
    if *role == Role::Found
        && let Some((setting, decides)) = values
            .iter()
            .filter(|(_, value)| !is_unset(value))
            .filter_map(|(key, _)| definitions::find(key))
            .find_map(|setting| Some((setting, setting.guarded?)))
    {
        return Err(Error::Guarded { key: setting.name, path: path.clone(), decides });
    }
    if *role == Role::Found
        && let Some(Value::String(_, db)) = values.get("db")
        && leads_elsewhere(Path::new(db))
    {
        let decides = "which file is written outside the current folder";
        return Err(Error::Guarded { key: "db", path: path.clone(), decides });
    }
    Ok((values, profiles))
}

/// Whether a path may lead out of the current folder.
pub fn leads_elsewhere(path: &Path) -> bool {
    !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
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
