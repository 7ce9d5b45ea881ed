//! The columns of a file, and the cells of a row.

use csv::StringRecord;
use jiff::Timestamp;

use super::error::Error;
use crate::scene::Scene;
use crate::time::UnixSeconds;

/// The longest text of a label, in bytes. The service's own texts are much shorter.
const TEXT_MAX: usize = 1024;

/// The longest key, in bytes. COS allows 850.
const KEY_MAX: usize = 8 * 1024;

/// The number of characters that are shown of a cell that cannot be used.
const SHOWN: usize = 80;

/// Where the columns are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    key: usize,
    etag: usize,
    scene: usize,
    name: usize,
    confidence: usize,
    pub(super) bucket: Option<usize>,
    rank: Option<usize>,
    first_category: Option<usize>,
    second_category: Option<usize>,
    size: Option<usize>,
    tagged_at: Option<usize>,
    pub(super) deleted: Option<usize>,
}

impl Columns {
    /// Finds the columns by the first line of the file of this name.
    ///
    /// # Errors
    /// [`Error::Header`] if a column that is needed is missing.
    pub(super) fn of(header: &StringRecord, file: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Header { file: file.to_owned(), what: what.to_owned() };
        let find = |name: &str| header.iter().position(|cell| cell.trim() == name);
        let needed = |name: &str| {
            find(name).ok_or_else(|| Error::Header {
                file: file.to_owned(),
                what: format!(
                    "has no column {name}: the first line has to name the columns key, etag, scene, name and confidence"
                ),
            })
        };
        if find("scene").is_none() && Scene::ALL.iter().any(|scene| find(scene.name()).is_some()) {
            return Err(wrong(
                "has a column for each scene; it has to have a row for each label, as costag export writes it without \
                 --layout",
            ));
        }
        Ok(Self {
            key: needed("key")?,
            etag: needed("etag")?,
            scene: needed("scene")?,
            name: needed("name")?,
            confidence: needed("confidence")?,
            bucket: find("bucket"),
            rank: find("rank"),
            first_category: find("first_category"),
            second_category: find("second_category"),
            size: find("size"),
            tagged_at: find("tagged_at"),
            deleted: find("deleted"),
        })
    }
}

/// A row of the file.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size: Option<u64>,
    pub(super) tagged_at: Option<UnixSeconds>,
    pub(super) scene: Scene,
    pub(super) rank: Option<u32>,
    pub(super) name: String,
    pub(super) first_category: String,
    pub(super) second_category: String,
    pub(super) confidence: u8,
}

impl Row {
    /// Reads a row, which has as many cells as the first line. An error is the end of a sentence that names the line.
    pub(super) fn read(
        columns: &Columns,
        record: &StringRecord,
        line: u64,
    ) -> Result<Self, String> {
        let optional = |at: Option<usize>| at.map_or("", |at| &record[at]);
        let text = |what: &str, text: &str, max: usize| {
            if text.len() > max {
                return Err(format!("has a {what} of more than {max} bytes"));
            }
            Ok(text.to_owned())
        };
        let number = |what: &str, text: &str| {
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            text.parse::<u64>()
                .map(Some)
                .map_err(|_| format!("has the {what} {:?}, which is no whole number", shown(text)))
        };
        let key = text("key", &record[columns.key], KEY_MAX)?;
        if key.is_empty() {
            return Err("has no key".to_owned());
        }
        let name = text("name", &record[columns.name], TEXT_MAX)?;
        let scene = record[columns.scene].trim();
        let scene =
            Scene::ALL.into_iter().find(|known| known.name() == scene).ok_or_else(|| {
                format!("has the scene {:?}; there are album, camera, news and web", shown(scene))
            })?;
        let confidence = number("confidence", &record[columns.confidence])?;
        let confidence = match confidence.map(u8::try_from) {
            Some(Ok(confidence @ 0..=100)) => confidence,
            None if name.is_empty() => 0,
            _ => return Err("has no confidence from 0 to 100".to_owned()),
        };
        let rank = match number("rank", optional(columns.rank))?.map(u32::try_from) {
            None => None,
            Some(Ok(rank @ 1..)) => Some(rank),
            Some(_) => return Err("has a rank that is not a number from 1".to_owned()),
        };
        let tagged_at = match optional(columns.tagged_at).trim() {
            "" => None,
            time => Some(UnixSeconds::from(time.parse::<Timestamp>().map_err(|_| {
                format!("has the time {:?}; write 2026-01-31T08:00:00Z", shown(time))
            })?)),
        };
        let etag = text("etag", record[columns.etag].trim().trim_matches('"'), TEXT_MAX)?;
        Ok(Self {
            line,
            bucket: text("bucket", optional(columns.bucket), TEXT_MAX)?,
            key,
            etag,
            size: number("size", optional(columns.size))?,
            tagged_at,
            scene,
            rank,
            name,
            first_category: text("first_category", optional(columns.first_category), TEXT_MAX)?,
            second_category: text("second_category", optional(columns.second_category), TEXT_MAX)?,
            confidence,
        })
    }
}

/// The beginning of a cell, for messages.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
