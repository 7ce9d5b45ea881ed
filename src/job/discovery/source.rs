//! The source of a run: a bucket or prefix, a list of keys, or a list of URLs.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inventory::{self, Inventory};
use super::lines::{self, Item};
use crate::store::model::SourceKind;
use crate::text;
use crate::time::UnixMillis;

/// The source of a run. It is stored with the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// The objects of a bucket whose key starts with a prefix.
    Bucket {
        /// The prefix, taken literally. Empty for the whole bucket.
        prefix: String,
    },
    /// The keys of a list.
    Keys(List),
    /// The URLs of a list, called through the bucket.
    Urls(List),
}

/// A list of keys or URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The file of the list. Absent if it is read from standard input.
    pub file: Option<PathBuf>,
    /// Whether items end with a NUL byte instead of a newline.
    #[serde(default)]
    pub nul: bool,
    /// Whether the file is the manifest of an inventory, whose keys are the list.
    #[serde(default)]
    pub inventory: bool,
    /// Whether keys are called with the `ETag`s and sizes of the inventory, without look-ups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trusted: bool,
}

impl Source {
    /// The name of the kind, as in `run.source`.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The kind of the source.
    pub const fn kind(&self) -> SourceKind {
        match self {
            Self::Bucket { .. } => SourceKind::Bucket,
            Self::Keys(_) => SourceKind::Keys,
            Self::Urls(_) => SourceKind::Urls,
        }
    }

    /// Returns whether the objects of a bucket are listed. Otherwise a list names the keys or URLs.
    pub const fn is_bucket(&self) -> bool {
        matches!(self, Self::Bucket { .. })
    }

    /// The option that names a list, without its dashes. Empty for a listing.
    pub const fn option(&self) -> &'static str {
        match self {
            Self::Bucket { .. } => "",
            Self::Keys(List { inventory: true, .. }) => "inventory",
            Self::Keys(_) => "keys",
            Self::Urls(_) => "urls",
        }
    }

    /// The prefix of a listing. Empty for lists.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Bucket { prefix } => prefix,
            Self::Keys(_) | Self::Urls(_) => "",
        }
    }
}

impl Source {
    /// The name for messages.
    pub fn describe(&self, bucket: &str) -> String {
        match self {
            Self::Bucket { prefix } => format!("cos://{bucket}/{}", prefix.escape_debug()),
            Self::Keys(list) if list.inventory => {
                format!("the inventory {} of cos://{bucket}", list.name())
            }
            Self::Keys(list) => format!("the keys of {} in cos://{bucket}", list.name()),
            Self::Urls(list) => format!("the URLs of {} through cos://{bucket}", list.name()),
        }
    }

    /// Checks that the file of a list can be read and is a list, before any request is made. An inventory must be one of
    /// this bucket.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Encoding`], [`Error::NotUrls`] or [`Error::Inventory`]. A file that is not regular, such
    /// as a pipe, can be read only once, so its lines are checked when the run reads it.
    pub fn check(&self, bucket: &str) -> Result<(), Error> {
        match self {
            Self::Keys(list @ List { inventory: true, .. }) => {
                Ok(list.open_inventory()?.check(bucket)?)
            }
            Self::Keys(list) | Self::Urls(list) => match &list.file {
                Some(file) if file.is_dir() => {
                    let source = io::Error::from(io::ErrorKind::IsADirectory);
                    Err(Error::Read { name: list.name(), source })
                }
                Some(file) if is_regular(file) => self.refuse_lines(),
                Some(file) => open(file, list.name()).map(drop),
                None => Ok(()),
            },
            Self::Bucket { .. } => Ok(()),
        }
    }
}

impl Source {
    /// Reads a list of URLs to find lines that are not URLs. For a list of keys, checks only the encoding.
    fn refuse_lines(&self) -> Result<(), Error> {
        match self {
            Self::Bucket { .. } => Ok(()),
            Self::Keys(list) => list.keys().map(drop),
            Self::Urls(list) => {
                let mut refused = Refused::default();
                for item in list.urls()? {
                    refused.look_at(&item?);
                }
                refused.end(list)
            }
        }
    }
}

/// The lines of a list of URLs that are not URLs.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    lines: Vec<u64>,
    more: u64,
    shown: String,
}

impl Refused {
    /// The most lines whose numbers are given.
    const LINES_SHOWN: usize = 5;

    /// Notes an item, if it is not a URL.
    pub(crate) fn look_at(&mut self, item: &Item) {
        let Item::NotUrl { line, shown } = item else { return };
        if self.lines.is_empty() {
            self.shown.clone_from(shown);
        }
        if self.lines.len() < Self::LINES_SHOWN {
            self.lines.push(*line);
        } else {
            self.more += 1;
        }
    }

    /// Returns whether there was such a line.
    pub(crate) fn any(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Ends the list.
    ///
    /// # Errors
    /// [`Error::NotUrls`] if there was such a line.
    pub(crate) fn end(self, list: &List) -> Result<(), Error> {
        let Self { lines, more, shown } = self;
        if lines.is_empty() {
            return Ok(());
        }
        Err(Error::NotUrls { name: list.name(), lines, more, shown })
    }
}

/// Returns whether a file can be read twice. A pipe cannot.
fn is_regular(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file())
}

/// A list that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read the list {name}; check its name and permissions")]
    Read {
        /// The name of the file, or "standard input".
        name: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The encoding of the file is not supported.
    #[error("cannot read the list {name}")]
    Encoding {
        /// The name of the file, or "standard input".
        name: String,
        /// The encoding of the file.
        #[source]
        source: text::Utf16,
    },
    /// The lines of the list have changed since a run began to read it.
    #[error("the list {name} was edited since the run began to read it: begin a new run with it")]
    Edited {
        /// The name of the file, or "standard input".
        name: String,
    },
    /// An inventory cannot be read.
    #[error(transparent)]
    Inventory(#[from] inventory::Error),
    /// Lines of a list of URLs are not URLs.
    #[error(
        "{} of the list {name} {}: {shown:?} does not begin with http:// or https:// (a CSV needs a column named url)",
        numbers(.lines, *.more),
        if .lines.len() > 1 { "are not URLs" } else { "is not a URL" }
    )]
    NotUrls {
        /// The name of the file, or "standard input".
        name: String,
        /// The numbers of the first of these lines, from 1.
        lines: Vec<u64>,
        /// How many further lines there are.
        more: u64,
        /// The beginning of the first line.
        shown: String,
    },
}

impl Error {
    /// Returns whether the list has to be corrected before it can be used.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Encoding { .. } | Self::NotUrls { .. } => true,
            Self::Inventory(error) => !matches!(error, inventory::Error::Read { .. }),
            Self::Read { .. } | Self::Edited { .. } => false,
        }
    }
}

/// Lists line numbers: "line 3", "lines 3, 5 and 9", "lines 3, 5, 9 and 4 more".
fn numbers(lines: &[u64], more: u64) -> String {
    let mut texts: Vec<String> = lines.iter().map(u64::to_string).collect();
    texts.extend((more > 0).then(|| format!("{more} more")));
    match texts.as_slice() {
        [] => "no line".to_owned(),
        [one] => format!("line {one}"),
        [first @ .., last] => format!("lines {} and {last}", first.join(", ")),
    }
}

impl List {
    /// The name for messages.
    pub fn name(&self) -> String {
        self.file
            .as_ref()
            .map_or_else(|| "standard input".into(), |file| file.display().to_string())
    }

    /// The keys of the list, one a line or separated by NUL. A line that no request can carry yields an item with the
    /// reason.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Encoding`] and [`Error::Inventory`], from this function or in an item.
    pub fn keys(&self) -> Result<Box<dyn Iterator<Item = Result<Item, Error>>>, Error> {
        if self.inventory {
            return Ok(Box::new(self.open_inventory()?.keys().map(|item| Ok(item?))));
        }
        Ok(Box::new(Self::keys_in(self.open()?, self.nul, self.name())?))
    }

    fn open_inventory(&self) -> Result<Inventory, Error> {
        let inventory = Inventory::open(self.file.as_deref().unwrap_or(Path::new("-")))?;
        Ok(if self.trusted { inventory.trust()? } else { inventory })
    }

    /// When the inventory was made. `None` if the list is none, or if it does not say so.
    ///
    /// # Errors
    /// [`Error::Inventory`].
    pub fn made_at(&self) -> Result<Option<UnixMillis>, Error> {
        if self.inventory { Ok(self.open_inventory()?.made_at()) } else { Ok(None) }
    }

    /// Like [`List::keys`], for a list that is open already.
    pub(crate) fn keys_in<R: BufRead>(
        reader: R,
        nul: bool,
        name: String,
    ) -> Result<impl Iterator<Item = Result<Item, Error>> + use<R>, Error> {
        let items = lines::keys(unmarked(reader, nul, &name)?, nul);
        Ok(items.map(move |item| item.map_err(|source| Error::Read { name: name.clone(), source })))
    }

    /// The URLs of the list, one a line or separated by NUL, or the column `url` of a CSV. The list is a CSV if its
    /// first line that is not a comment has a field of that name.
    ///
    /// # Errors
    /// The same as those of [`List::keys`].
    pub fn urls(&self) -> Result<Box<dyn Iterator<Item = Result<Item, Error>> + Send>, Error> {
        Self::urls_in(self.open()?, self.nul, self.name())
    }

    /// Like [`List::urls`], for a list that is open already.
    pub(crate) fn urls_in(
        reader: impl BufRead + Send + 'static,
        nul: bool,
        name: String,
    ) -> Result<Box<dyn Iterator<Item = Result<Item, Error>> + Send>, Error> {
        let items = lines::urls(unmarked(reader, nul, &name)?, nul)
            .map_err(|source| Error::Read { name: name.clone(), source })?;
        Ok(Box::new(
            items
                .map(move |item| item.map_err(|source| Error::Read { name: name.clone(), source })),
        ))
    }

    fn open(&self) -> Result<Box<dyn BufRead + Send>, Error> {
        Ok(match &self.file {
            None => Box::new(BufReader::new(io::stdin())),
            Some(file) => Box::new(BufReader::new(open(file, self.name())?)),
        })
    }
}

fn open(file: &Path, name: String) -> Result<File, Error> {
    File::open(file).map_err(|source| Error::Read { name, source })
}

/// Skips the byte order mark of a text.
fn unmarked<R: BufRead>(reader: R, nul: bool, name: &str) -> Result<impl BufRead + use<R>, Error> {
    text::without_mark(reader, nul)
        .map_err(|source| Error::Read { name: name.to_owned(), source })?
        .map_err(|source| Error::Encoding { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_not_urls_are_named_by_their_numbers() {
        assert_eq!(numbers(&[3], 0), "line 3");
        assert_eq!(numbers(&[3, 5], 0), "lines 3 and 5");
        assert_eq!(numbers(&[3, 5, 9], 4), "lines 3, 5, 9 and 4 more");
    }

    #[test]
    fn a_missing_list_is_named_in_the_error() {
        let list =
            List { file: Some("no/such".into()), nul: false, inventory: false, trusted: false };
        assert!(list.keys().err().unwrap().to_string().contains("no/such"));
    }
}
