//! Reads an inventory of COS as a list of keys: a manifest, and the CSV files that it names.
//!
//! Documented is (Inventory Overview): the names in the manifest, the columns in `fileSchema`, the MD5 of each file, and
//! that keys are URL-encoded. Not documented is whether a file may have a header and whether sizes are texts or numbers, so
//! both are accepted. Each line of a file is one record, so memory is that of a line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use md5::{Digest as _, Md5};
use serde::Deserialize;

use super::lines::{Item, LINE_MAX};
use crate::cos;
use crate::store::turn::LineFacts;
use crate::time::UnixMillis;

/// The largest manifest that is read. An inventory of a billion objects has a few thousand files.
const MANIFEST_MAX: u64 = 64 << 20;

/// The longest line of a file: a key in percent-encoding, and the other fields.
const RECORD_MAX: u64 = 64 << 10;

/// Why an inventory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {file}, which belongs to the inventory; check its name and permissions")]
    Read {
        /// The file.
        file: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The manifest is not one.
    #[error("{file} is not the manifest of an inventory: name its manifest.json")]
    Manifest {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The manifest asks for something that costag cannot read.
    #[error("{file}: {what}")]
    Unusable {
        /// The manifest.
        file: String,
        /// What it asks for.
        what: String,
    },
    /// A file of the inventory is not there.
    #[error(
        "the inventory names {key}, and this file is not beside the manifest: download all files of the inventory, in their folders or into that of the manifest"
    )]
    Missing {
        /// The key of the file.
        key: String,
    },
    /// A file has other bytes than the inventory says.
    #[error(
        "{file} is damaged or incomplete: its {what} differs from that of the inventory; download it again"
    )]
    Damaged {
        /// The file.
        file: String,
        /// What differs.
        what: &'static str,
    },
    /// A line of a file has other fields than the manifest says.
    #[error("line {line} of {file} {what}: download the file and its manifest again")]
    Line {
        /// The file.
        file: String,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// The fields of a manifest that matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    source_appid: Option<String>,
    #[serde(default)]
    source_bucket: Option<String>,
    file_format: String,
    file_schema: String,
    /// Unix milliseconds.
    #[serde(default)]
    creation_timestamp: Option<Number>,
    files: Vec<Entry>,
}

/// A file that a manifest names.
#[derive(Debug, Deserialize)]
struct Entry {
    key: String,
    #[serde(default)]
    size: Option<Number>,
    #[serde(default, rename = "md5Checksum", alias = "MD5checksum", alias = "md5checksum")]
    md5: Option<String>,
}

/// A number, which may be written as a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(u64),
}

impl Number {
    fn value(&self) -> Option<u64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
        }
    }
}

/// Where the columns are that matter here.
#[derive(Debug, Clone, Copy)]
struct Schema {
    columns: usize,
    key: usize,
    is_latest: Option<usize>,
    is_delete_marker: Option<usize>,
    etag: Option<usize>,
    size: Option<usize>,
    last_modified: Option<usize>,
    storage_class: Option<usize>,
    /// Whether keys are read with what the inventory says of them.
    trusted: bool,
}

/// An inventory whose manifest was read.
#[derive(Debug)]
pub(super) struct Inventory {
    path: PathBuf,
    manifest: Manifest,
    schema: Schema,
    /// The files, in the order of the manifest.
    files: Vec<PathBuf>,
}

impl Inventory {
    /// Reads a manifest, and finds the files that it names.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Manifest`], [`Error::Unusable`], [`Error::Missing`], and [`Error::Damaged`] if a file
    /// `manifest.checksum` is beside it and does not fit.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let read = |source| Error::Read { file: file.clone(), source };
        let mut bytes = Vec::new();
        let manifest = File::open(path).map_err(read)?;
        manifest.take(MANIFEST_MAX + 1).read_to_end(&mut bytes).map_err(read)?;
        let unusable = |what: String| Error::Unusable { file: file.clone(), what };
        if bytes.len() as u64 > MANIFEST_MAX {
            let what = "it is larger than 64 MiB, which no manifest is: name the manifest.json of an inventory";
            return Err(unusable(what.to_owned()));
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|source| Error::Manifest { file: file.clone(), source })?;
        let told = checksum(&path.with_extension("checksum"))?;
        if told.is_some_and(|told| !told.starts_with(&hex::encode(Md5::digest(&bytes)))) {
            return Err(Error::Damaged { file, what: "MD5" });
        }
        if !manifest.file_format.eq_ignore_ascii_case("csv") {
            let format = &manifest.file_format;
            return Err(unusable(format!(
                "its files are {format:?}, and only CSV can be read: choose CSV as the format of the inventory"
            )));
        }
        let columns: Vec<&str> = manifest.file_schema.split(',').map(str::trim).collect();
        let find = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        let Some(key) = find("Key") else {
            return Err(unusable("its fileSchema has no column Key, which every inventory has: download the manifest again".to_owned()));
        };
        let schema = Schema {
            columns: columns.len(),
            key,
            is_latest: find("IsLatest"),
            is_delete_marker: find("IsDeleteMarker"),
            etag: find("ETag"),
            size: find("Size"),
            last_modified: find("LastModifiedDate"),
            storage_class: find("StorageClass"),
            trusted: false,
        };
        let files = manifest
            .files
            .iter()
            .map(|entry| find_file(path, &entry.key))
            .collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), manifest, schema, files })
    }

    /// Reads keys with their `ETag`s and sizes from here on.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the inventory does not have them.
    pub(super) fn trust(mut self) -> Result<Self, Error> {
        if self.schema.etag.is_none() || self.schema.size.is_none() {
            return Err(Error::Unusable {
                file: self.path.display().to_string(),
                what: "its fileSchema lacks ETag or Size, so it cannot be trusted: leave --trust-inventory out".to_owned(),
            });
        }
        self.schema.trusted = true;
        Ok(self)
    }

    /// When the inventory was made: by its manifest, or by the folder of the manifest, which has the
    /// day as its name (`20261120`). `None` if neither says so.
    pub(super) fn made_at(&self) -> Option<UnixMillis> {
        let told = self.manifest.creation_timestamp.as_ref().and_then(Number::value);
        if let Some(made) = told.and_then(|made| i64::try_from(made).ok()).filter(|made| *made > 0)
        {
            return Some(UnixMillis(made));
        }
        let folder = self.path.parent()?.file_name()?.to_str()?;
        let day = Date::strptime("%Y%m%d", folder).ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().into())
    }

    /// Checks that the inventory is one of this bucket, and that its files have the sizes and checksums of the manifest.
    ///
    /// # Errors
    /// [`Error::Unusable`], [`Error::Damaged`] and [`Error::Read`].
    pub(super) fn check(&self, bucket: &str) -> Result<(), Error> {
        if let Some(name) = self.manifest.source_bucket.as_deref().filter(|name| !name.is_empty()) {
            let appid = self.manifest.source_appid.as_deref().unwrap_or_default();
            if name != bucket && format!("{name}-{appid}") != bucket {
                return Err(Error::Unusable {
                    file: self.path.display().to_string(),
                    what: format!(
                        "it is the inventory of the bucket {name:?}, and not of {bucket:?}: name that bucket, or another inventory"
                    ),
                });
            }
        }
        for (entry, path) in self.manifest.files.iter().zip(&self.files) {
            let file = path.display().to_string();
            let read = |source| Error::Read { file: file.clone(), source };
            let mut bytes = File::open(path).map_err(read)?;
            let mut digest = Md5::new();
            let mut buffer = vec![0; 1 << 16];
            let mut size = 0;
            loop {
                match bytes.read(&mut buffer).map_err(read)? {
                    0 => break,
                    count => {
                        digest.update(&buffer[..count]);
                        size += count as u64;
                    }
                }
            }
            if entry.size.as_ref().and_then(Number::value).is_some_and(|told| told != size) {
                return Err(Error::Damaged { file, what: "size" });
            }
            let md5 = hex::encode(digest.finalize());
            if entry
                .md5
                .as_ref()
                .is_some_and(|told| !told.trim_matches('"').eq_ignore_ascii_case(&md5))
            {
                return Err(Error::Damaged { file, what: "MD5" });
            }
        }
        Ok(())
    }

    /// The keys of the inventory. Older versions of objects and delete markers are left out.
    pub(super) fn keys(self) -> impl Iterator<Item = Result<Item, Error>> + Send {
        let schema = self.schema;
        self.files.into_iter().flat_map(move |path| match Records::open(path, schema) {
            Ok(records) => Box::new(records) as Box<dyn Iterator<Item = _> + Send>,
            Err(error) => Box::new(std::iter::once(Err(error))),
        })
    }
}

/// The checksum beside a manifest, in lower case. `None` if there is no such file.
fn checksum(path: &Path) -> Result<Option<String>, Error> {
    let mut told = Vec::new();
    let read = File::open(path).and_then(|file| file.take(RECORD_MAX).read_to_end(&mut told));
    match read {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&told).trim().to_ascii_lowercase())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { file: path.display().to_string(), source }),
    }
}

/// Finds a file of an inventory: in its folders below one of those above the manifest, or beside the manifest.
fn find_file(manifest: &Path, key: &str) -> Result<PathBuf, Error> {
    let relative = Path::new(key);
    let is_plain = relative
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    let beside = relative.file_name().map(|name| manifest.with_file_name(name));
    let above = manifest.ancestors().skip(1).map(|folder| folder.join(relative));
    above
        .filter(|_| is_plain)
        .chain(beside)
        .find(|path| path.is_file())
        .ok_or_else(|| Error::Missing { key: key.to_owned() })
}

/// The records of one file.
struct Records {
    path: PathBuf,
    lines: BufReader<Box<dyn Read + Send>>,
    line: u64,
    schema: Schema,
    ended: bool,
}

impl Records {
    fn open(path: PathBuf, schema: Schema) -> Result<Self, Error> {
        let file = File::open(&path)
            .map_err(|source| Error::Read { file: path.display().to_string(), source })?;
        let is_packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        let bytes: Box<dyn Read + Send> =
            if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { path, lines: BufReader::new(bytes), line: 0, schema, ended: false })
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Line { file: self.path.display().to_string(), line: self.line, what: what.into() }
    }

    /// What the inventory says of a key. `None` if it is not trusted, or lacks the `ETag` or the size of this key.
    fn facts(&self, record: &csv::StringRecord) -> Option<LineFacts> {
        if !self.schema.trusted {
            return None;
        }
        let cell = |column: Option<usize>| {
            let text = record[column?].trim().trim_matches('"');
            (!text.is_empty()).then_some(text)
        };
        let modified =
            cell(self.schema.last_modified).and_then(|time| time.parse::<Timestamp>().ok());
        Some(LineFacts {
            etag: cell(self.schema.etag)?.to_owned(),
            size: cell(self.schema.size)?
                .parse()
                .ok()
                .filter(|size| i64::try_from(*size).is_ok())?,
            last_modified: modified.map(UnixMillis::from),
            storage_class: cell(self.schema.storage_class).map(str::to_owned),
        })
    }

    /// Reads the next key. Returns `None` at the end of the file.
    fn read(&mut self) -> Result<Option<Item>, Error> {
        loop {
            let mut line = Vec::new();
            (&mut self.lines)
                .take(RECORD_MAX)
                .read_until(b'\n', &mut line)
                .map_err(|source| Error::Read { file: self.path.display().to_string(), source })?;
            if line.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            if line.len() as u64 == RECORD_MAX && line.last() != Some(&b'\n') {
                return Err(self.wrong("is longer than 64 KiB"));
            }
            while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                line.pop();
            }
            if line.is_empty() {
                continue;
            }
            let mut record = csv::StringRecord::new();
            csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(&line[..])
                .read_record(&mut record)
                .map_err(|_| self.wrong("is not UTF-8"))?;
            let Schema { columns, key, is_latest, is_delete_marker, .. } = self.schema;
            if record.len() != columns {
                let fields = record.len();
                return Err(self.wrong(format!(
                    "has {fields} fields, and the manifest names {columns} columns"
                )));
            }
            if self.line == 1 && record[key].trim() == "Key" {
                continue; // A header.
            }
            let has = |column: Option<usize>, value: &str| {
                column.is_some_and(|at| record[at].trim().eq_ignore_ascii_case(value))
            };
            if has(is_latest, "false") || has(is_delete_marker, "true") {
                continue;
            }
            let shown = |fault| Item::Faulty {
                shown: format!("line {} of {}", self.line, self.path.display()),
                fault,
            };
            return Ok(Some(match cos::decode(&record[key]) {
                Ok(key) if key.len() > LINE_MAX => shown("the key is longer than 8 KiB"),
                Ok(key) => match self.facts(&record) {
                    Some(facts) => Item::Listed { key: key.into_owned(), facts },
                    None => Item::Text(key.into_owned()),
                },
                Err(_) => shown("the key is not percent-encoded UTF-8"),
            }));
        }
    }
}

impl Iterator for Records {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}
