//! Where the work comes from: a bucket or prefix, a list of keys, a list of URLs.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The source of a run, kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// Every object of a bucket whose key starts with the prefix; empty for all.
    Bucket {
        /// Taken literally.
        prefix: String,
    },
    /// The keys of a list.
    Keys(List),
    /// The URLs of a list, called through the bucket.
    Urls(List),
}

/// A list and its form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// `None`: standard input.
    pub file: Option<PathBuf>,
    /// Whether items end with NUL instead of a newline.
    #[serde(default)]
    pub nul: bool,
}

impl Source {
    /// The text in `run.source`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bucket { .. } => "bucket",
            Self::Keys(_) => "keys",
            Self::Urls(_) => "urls",
        }
    }

    /// The scope of a listing; empty for lists.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Bucket { prefix } => prefix,
            Self::Keys(_) | Self::Urls(_) => "",
        }
    }
}

impl Source {
    /// What to call it in messages.
    pub fn describe(&self, bucket: &str) -> String {
        match self {
            Self::Bucket { prefix } => format!("cos://{bucket}/{}", prefix.escape_debug()),
            Self::Keys(list) => format!("the keys of {} in cos://{bucket}", list.name()),
            Self::Urls(list) => format!("the URLs of {} through cos://{bucket}", list.name()),
        }
    }

    /// Finds out before any traffic whether a list's file can be read.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Keys(list) | Self::Urls(list) => match &list.file {
                Some(file) => open(file, list.name()).map(drop),
                None => Ok(()),
            },
            Self::Bucket { .. } => Ok(()),
        }
    }
}

/// A list that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read the list {name}")]
    Read {
        /// The file, or standard input.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The first line says it is a CSV, and a later one is none.
    #[error("cannot read the CSV {name}")]
    Csv {
        /// The file, or standard input.
        name: String,
        /// Where and why.
        #[source]
        source: csv::Error,
    },
}

/// One item of a list, or the number of a line that holds none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A key or URL.
    Item(String),
    /// A line that is not UTF-8; nothing in COS can have that name.
    NotUtf8 {
        /// From 1.
        line: u64,
    },
}

impl List {
    /// What to call it in messages.
    pub fn name(&self) -> String {
        self.file
            .as_ref()
            .map_or_else(|| "standard input".into(), |file| file.display().to_string())
    }

    /// The keys of the list, one a line, one trailing CR dropped; or NUL-separated. Empty lines are none.
    ///
    /// # Errors
    /// [`Error::Read`], at once or in an item.
    pub fn keys(&self) -> Result<impl Iterator<Item = Result<Item, Error>> + use<>, Error> {
        Ok(Self::keys_in(self.open()?, self.nul, self.name()))
    }

    /// As [`List::keys`], of a list that is open already.
    pub(crate) fn keys_in<R: BufRead>(
        reader: R,
        nul: bool,
        name: String,
    ) -> impl Iterator<Item = Result<Item, Error>> + use<R> {
        lines(reader, nul)
            .map(move |item| item.map_err(|source| Error::Read { name: name.clone(), source }))
    }

    /// The URLs of the list, one a line; or the column `url` of a CSV, which it is exactly if its first
    /// line has a field of that name.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Csv`], at once or in an item.
    pub fn urls(&self) -> Result<Box<dyn Iterator<Item = Result<Item, Error>> + Send>, Error> {
        Self::urls_in(self.open()?, self.nul, self.name())
    }

    /// As [`List::urls`], of a list that is open already.
    pub(crate) fn urls_in(
        mut reader: impl BufRead + Send + 'static,
        nul: bool,
        name: String,
    ) -> Result<Box<dyn Iterator<Item = Result<Item, Error>> + Send>, Error> {
        let mut first = Vec::new();
        let read = |source| Error::Read { name: name.clone(), source };
        reader.read_until(b'\n', &mut first).map_err(read)?;
        let mut header = csv::ReaderBuilder::new().has_headers(false).from_reader(first.as_slice());
        let column = header
            .byte_records()
            .next()
            .and_then(Result::ok)
            .and_then(|fields| fields.iter().position(|field| trim_bom(field) == b"url"));
        let whole = io::Cursor::new(first).chain(reader);
        let Some(column) = column else {
            return Ok(Box::new(lines(BufReader::new(whole), nul).map(move |item| {
                item.map_err(|source| Error::Read { name: name.clone(), source })
            })));
        };
        let records =
            csv::ReaderBuilder::new().flexible(true).from_reader(whole).into_byte_records();
        Ok(Box::new(records.map(move |record| {
            let record = record.map_err(|source| Error::Csv { name: name.clone(), source })?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = record.get(column).unwrap_or_default().to_vec();
            Ok(String::from_utf8(field).map_or(Item::NotUtf8 { line }, Item::Item))
        })))
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

fn trim_bom(field: &[u8]) -> &[u8] {
    field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field)
}

/// Items between separators; a last one without separator counts.
fn lines(reader: impl BufRead, nul: bool) -> impl Iterator<Item = io::Result<Item>> {
    let separator = if nul { 0 } else { b'\n' };
    (1..).zip(reader.split(separator)).filter_map(move |(line, bytes)| {
        let mut bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Some(Err(error)),
        };
        if !nul && bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if bytes.is_empty() {
            return None;
        }
        Some(Ok(String::from_utf8(bytes).map_or(Item::NotUtf8 { line }, Item::Item)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(content: &[u8], nul: bool) -> (tempfile::NamedTempFile, List) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let list = List { file: Some(file.path().into()), nul };
        (file, list)
    }

    fn items(items: impl Iterator<Item = Result<Item, Error>>) -> Vec<Item> {
        items.map(Result::unwrap).collect()
    }

    fn item(text: &str) -> Item {
        Item::Item(text.to_owned())
    }

    #[test]
    fn keys_are_taken_byte_for_byte() {
        let (_file, list) = list(b" a b \r\n\nc\r\r\n\xff\nlast", false);
        assert_eq!(
            items(list.keys().unwrap()),
            [item(" a b "), item("c\r"), Item::NotUtf8 { line: 4 }, item("last")]
        );
    }

    #[test]
    fn nul_separated_keys_may_hold_newlines() {
        let (_file, list) = list(b"a\nb\0c\r\0", true);
        assert_eq!(items(list.keys().unwrap()), [item("a\nb"), item("c\r")]);
    }

    #[test]
    fn a_csv_of_urls_is_one_with_a_field_url() {
        let (_file, csv) = list(b"id,url\n1,\"http://e.com/a,b\"\n2,http://e.com/c\n", false);
        assert_eq!(items(csv.urls().unwrap()), [item("http://e.com/a,b"), item("http://e.com/c")]);
        let (_file, lines) = list(b"http://e.com/url,1\nhttp://e.com/b\r\n", false);
        assert_eq!(
            items(lines.urls().unwrap()),
            [item("http://e.com/url,1"), item("http://e.com/b")]
        );
    }

    #[test]
    fn a_missing_list_is_named() {
        let list = List { file: Some("no/such".into()), nul: false };
        assert!(list.keys().err().unwrap().to_string().contains("no/such"));
    }
}
