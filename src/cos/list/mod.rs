//! GET Bucket (List Objects): what is asked, the page that comes back, and what makes it believable.
//!
//! Pages come in UTF-8 byte order of the keys. [`parse`] reads one, [`ListPage::next`] is the rule of
//! paging, and [`ListPage::prove`] must hold before anything is concluded from a key's absence.

mod parse;
mod time;

pub use parse::parse;

use crate::object::{ETag, StorageClass};

/// A longer body is no page of a thousand keys; it is cut there and cannot be used.
pub const BODY_MAX: usize = 16 * 1024 * 1024;

/// An `ETag` of more bytes identifies nothing: it counts as none.
pub const ETAG_MAX: usize = 4096;

/// The most entries that a page may be asked for.
pub const KEYS_MAX: u16 = 1000;

/// What a page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Only keys that start with it; empty for all.
    pub prefix: String,
    /// Only keys strictly after it, in byte order; empty for the first page.
    pub marker: String,
    /// At most so many entries, 0 to 1000.
    pub max_keys: u16,
    /// Folds keys up to this character into common prefixes; `None` lists the whole tree flat.
    pub delimiter: Option<String>,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self { prefix: String::new(), marker: String::new(), max_keys: KEYS_MAX, delimiter: None }
    }
}

/// One object, as listed or as HEAD tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectEntry {
    /// The key, decoded, byte-exact.
    pub key: String,
    /// The `ETag` without its quotes; not always an MD5, possibly empty.
    pub etag: Option<ETag>,
    /// The size in bytes, at most `i64::MAX`. Always present in a listing; `None` if the answer to a look-up does not
    /// report it.
    pub size: Option<u64>,
    /// Milliseconds since 1970 UTC; `None` if absent or unreadable.
    pub last_modified: Option<i64>,
    /// `STANDARD`, `ARCHIVE`, …, or one that is not known yet; empty if none was told.
    pub storage_class: Option<StorageClass>,
    /// The tier of an `INTELLIGENT_TIERING` object, as it was told.
    pub storage_tier: Option<String>,
    /// How far the restoring of an archived object is; `None` if nothing was told.
    pub restored: Option<Restore>,
}

/// How far the restoring of an archived object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// Asked for, not there yet.
    Ongoing,
    /// A temporary copy can be read.
    Done,
}

/// An entry that cannot be used; it still counts as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The key, if that could be read: it is present, whatever else is wrong.
    pub key: Option<String>,
    /// The key as the page has it, shortened, to show.
    pub shown: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// The usable entries, in the order of the page.
    pub entries: Vec<ObjectEntry>,
    /// Prefixes that a delimiter has folded, decoded.
    pub common_prefixes: Vec<String>,
    /// Whether another page follows; only this says so.
    pub is_truncated: bool,
    /// Where the next page starts, decoded; only in a truncated page.
    pub next_marker: Option<String>,
    /// The bucket's name with APPID, echoed.
    pub name: Option<String>,
    /// The request's prefix, echoed, decoded.
    pub prefix: Option<String>,
    /// The request's marker, echoed, decoded.
    pub marker: Option<String>,
    /// Entries that cannot be used, in the order of the page.
    pub rejected: Vec<Rejected>,
    /// The request's id.
    pub request_id: Option<String>,
    /// Whether the emulator answered, and not the service.
    pub emulated: bool,
}

/// The next page would not start after this one: going on would not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the listing does not advance: after the marker {marker:?} the next is {next:?}")]
pub struct StuckListing {
    /// The marker of the page that was read.
    pub marker: String,
    /// The marker of the next page; `None` if the page gives none and has no entry.
    pub next: Option<String>,
}

/// The page is not the answer to what was asked; nothing may be concluded from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The echo of the prefix differs or is missing.
    #[error("the page is for the prefix {echo:?}, and {asked:?} was asked")]
    Prefix {
        /// What was asked.
        asked: String,
        /// What the page says.
        echo: Option<String>,
    },
    /// The echo of the marker differs or is missing.
    #[error("the page is for the marker {echo:?}, and {asked:?} was asked")]
    Marker {
        /// What was asked.
        asked: String,
        /// What the page says.
        echo: Option<String>,
    },
    /// The endpoint serves another bucket.
    #[error("the endpoint serves the bucket {echo:?}, and {asked:?} was asked: check --endpoint")]
    Bucket {
        /// What was asked.
        asked: String,
        /// What the page says.
        echo: String,
    },
    /// There are more entries than were asked for.
    #[error("the page has {entries} entries, and {asked} were asked for at most")]
    TooMany {
        /// What was asked.
        asked: u16,
        /// What the page has.
        entries: usize,
    },
    /// A key does not ascend.
    #[error("the key {key:?} comes after {before:?}, which is not the order of a listing")]
    Order {
        /// The key before, or the marker.
        before: String,
        /// The key that does not ascend.
        key: String,
    },
    /// Keys are folded into a common prefix, and no delimiter was asked for.
    #[error("the page folds its keys at {prefix:?}, which was not asked")]
    Folded {
        /// The common prefix.
        prefix: String,
    },
    /// A key is outside the prefix.
    #[error("the key {key:?} does not start with the prefix {prefix:?}")]
    Outside {
        /// The prefix that was asked.
        prefix: String,
        /// The key.
        key: String,
    },
}

impl ListPage {
    /// The marker of the next page, or `None` after the last; `marker` is the one of this page.
    ///
    /// A truncated page without a usable `NextMarker` goes on after its last key or common prefix.
    ///
    /// # Errors
    /// [`StuckListing`] if the next page would not start after `marker`, in byte order.
    pub fn next(&self, marker: &str) -> Result<Option<String>, StuckListing> {
        if !self.is_truncated {
            return Ok(None);
        }
        let last = || self.last_key().max(self.common_prefixes.last().map(String::as_str));
        let told = self.next_marker.as_deref().filter(|next| !next.is_empty());
        match told.or_else(last) {
            Some(next) if next > marker => Ok(Some(next.to_owned())),
            next => Err(StuckListing { marker: marker.to_owned(), next: next.map(str::to_owned) }),
        }
    }

    /// The last key that could be read, of a usable entry or not: up to it the page has told every key.
    pub fn last_key(&self) -> Option<&str> {
        let entry = self.entries.last().map(|entry| entry.key.as_str());
        entry.max(self.rejected.iter().filter_map(|entry| entry.key.as_deref()).max())
    }

    /// Where to go on without passing over a key: after the last one, whatever `NextMarker` says. Only where
    /// that is not known, since keys could not be read, it is believed.
    ///
    /// # Errors
    /// As [`ListPage::next`].
    pub fn next_unbroken(&self, marker: &str) -> Result<Option<String>, StuckListing> {
        let told = self.next(marker)?;
        let readable = self.rejected.iter().all(|entry| entry.key.is_some());
        Ok(match (told, self.last_key()) {
            (Some(_), Some(last)) if readable => Some(last.to_owned()),
            (Some(told), Some(last)) => Some(told.max(last.to_owned())),
            (told, _) => told,
        })
    }

    /// Checks that this page answers `request`: only then does a key's absence mean anything.
    ///
    /// # Errors
    /// The first thing that does not fit: an echo, the order of the keys, or a key outside the prefix.
    pub fn prove(&self, request: &ListRequest) -> Result<(), Unproven> {
        if self.prefix.as_deref() != Some(request.prefix.as_str()) {
            let (asked, echo) = (request.prefix.clone(), self.prefix.clone());
            return Err(Unproven::Prefix { asked, echo });
        }
        if self.marker.as_deref() != Some(request.marker.as_str()) {
            let (asked, echo) = (request.marker.clone(), self.marker.clone());
            return Err(Unproven::Marker { asked, echo });
        }
        let entries = self.entries.len() + self.rejected.len() + self.common_prefixes.len();
        let asked = request.max_keys.min(KEYS_MAX);
        if entries > usize::from(asked) {
            return Err(Unproven::TooMany { asked, entries });
        }
        let mut before = request.marker.as_str();
        for ObjectEntry { key, .. } in &self.entries {
            if key.as_str() <= before {
                return Err(Unproven::Order { before: before.to_owned(), key: key.clone() });
            }
            if !key.starts_with(&request.prefix) {
                return Err(Unproven::Outside { prefix: request.prefix.clone(), key: key.clone() });
            }
            before = key;
        }
        for key in self.rejected.iter().filter_map(|entry| entry.key.as_deref()) {
            if key <= request.marker.as_str() {
                let (before, key) = (request.marker.clone(), key.to_owned());
                return Err(Unproven::Order { before, key });
            }
            if !key.starts_with(&request.prefix) {
                let (prefix, key) = (request.prefix.clone(), key.to_owned());
                return Err(Unproven::Outside { prefix, key });
            }
        }
        match self.common_prefixes.first() {
            Some(prefix) if request.delimiter.is_none() => {
                Err(Unproven::Folded { prefix: prefix.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Reads a size in bytes. Returns `None` for anything that no object can have: then the size is unknown.
pub(super) fn read_size(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|size| i64::try_from(*size).is_ok())
}

/// An `ETag` without the quotes around it; empty if it is longer than any that identifies something.
pub(super) fn unquote(etag: &str) -> Option<ETag> {
    let etag = etag.trim();
    let etag = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag);
    if etag.len() > ETAG_MAX { None } else { ETag::new(etag) }
}

#[cfg(test)]
mod tests;
