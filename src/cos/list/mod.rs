//! The listing of a bucket: its request, its pages, and the checks of a page ("GET Bucket (List Objects)").
//!
//! A listing has the keys in the order of their UTF-8 bytes. [`parse`] reads a page, and [`ListPage::next`] returns the
//! marker of the next one. [`ListPage::prove`] must succeed before the absence of a key is believed.

mod parse;
mod time;

pub use parse::parse;

use crate::object::{ETag, StorageClass};
use crate::time::UnixMillis;

/// The longest body that is read, in bytes. No page of a thousand keys is longer.
pub const BODY_MAX: usize = 16 * 1024 * 1024;

/// The longest `ETag` that is accepted, in bytes. A longer one counts as absent.
pub const ETAG_MAX: usize = 4096;

/// The most entries that a page can have.
pub const KEYS_MAX: u16 = 1000;

/// The request of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// The prefix of the listed keys; empty for all keys.
    pub prefix: String,
    /// The page begins with the first key after this one, in byte order; empty for the first page.
    pub marker: String,
    /// The most entries of the page, from 0 to 1000.
    pub max_keys: u16,
    /// Keys that have this text after the prefix are folded into common prefixes; `None` lists every key.
    pub delimiter: Option<String>,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self { prefix: String::new(), marker: String::new(), max_keys: KEYS_MAX, delimiter: None }
    }
}

/// One object, from a listing or from an answer to HEAD.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectEntry {
    /// The key, decoded.
    pub key: String,
    /// The `ETag`; `None` if there is none.
    pub etag: Option<ETag>,
    /// The size in bytes, at most `i64::MAX`. Always present in a listing; `None` if the answer to a look-up does not
    /// report it.
    pub size: Option<u64>,
    /// The time of the last change; `None` if it is absent or cannot be read.
    pub last_modified: Option<UnixMillis>,
    /// The storage class; `None` if the page has none for this object.
    pub storage_class: Option<StorageClass>,
    /// The tier of an object in the class `INTELLIGENT_TIERING`, as the service writes it; `None` for other classes.
    pub storage_tier: Option<String>,
    /// The state of the restoration of an archived object; `None` if none was requested.
    pub restored: Option<Restore>,
}

/// The state of the restoration of an archived object ("POST Object restore").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// The restoration was requested and has not finished.
    Ongoing,
    /// A temporary copy can be read.
    Done,
}

/// An entry of a page that cannot be used. Its key still counts as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The key; `None` if it cannot be read.
    pub key: Option<String>,
    /// The key as the page writes it, shortened for display.
    pub shown: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// The usable entries, in the order of the page.
    pub entries: Vec<ObjectEntry>,
    /// The common prefixes that a delimiter has folded, decoded.
    pub common_prefixes: Vec<String>,
    /// True if another page follows. No other field says so.
    pub is_truncated: bool,
    /// The marker of the next page, decoded; `None` if the page has none. Only truncated pages have one.
    pub next_marker: Option<String>,
    /// The name of the bucket that the page is from, with the APPID; `None` if the page has none.
    pub name: Option<String>,
    /// The prefix that the page is for, decoded; `None` if the page has none.
    pub prefix: Option<String>,
    /// The marker that the page is for, decoded; `None` if the page has none.
    pub marker: Option<String>,
    /// The entries that cannot be used, in the order of the page.
    pub rejected: Vec<Rejected>,
    /// The id of the request; `None` if the answer had none.
    pub request_id: Option<String>,
    /// True if the emulator has answered instead of the service.
    pub emulated: bool,
}

/// The next page would not start after this one, so the listing would never end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the listing does not advance: after the marker {marker:?} the next is {next:?}")]
pub struct StuckListing {
    /// The marker of the page that was read.
    pub marker: String,
    /// The marker of the next page; `None` if the page has neither a marker nor an entry.
    pub next: Option<String>,
}

/// The page does not answer the request. Nothing may be concluded from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The page is for another prefix, or names none.
    #[error("the page is for the prefix {echo:?}, but {asked:?} was requested")]
    Prefix {
        /// The value in the request.
        asked: String,
        /// The value in the page.
        echo: Option<String>,
    },
    /// The page is for another marker, or names none.
    #[error("the page is for the marker {echo:?}, but {asked:?} was requested")]
    Marker {
        /// The value in the request.
        asked: String,
        /// The value in the page.
        echo: Option<String>,
    },
    /// The page is from another bucket: the endpoint serves that one.
    #[error(
        "the endpoint serves the bucket {echo:?}, but {asked:?} was requested: check --endpoint"
    )]
    Bucket {
        /// The value in the request.
        asked: String,
        /// The value in the page.
        echo: String,
    },
    /// There are more entries than were asked for.
    #[error("the page has {entries} entries, but at most {asked} were requested")]
    TooMany {
        /// The value in the request.
        asked: u16,
        /// The number of entries in the page.
        entries: usize,
    },
    /// The keys are not in ascending order.
    #[error("the key {key:?} comes after {before:?}, which is not the order of a listing")]
    Order {
        /// The key before it, or the marker.
        before: String,
        /// The key that should have come earlier.
        key: String,
    },
    /// Keys are folded into a common prefix, although the request had no delimiter.
    #[error("the page folds its keys at {prefix:?}, although the request had no delimiter")]
    Folded {
        /// The common prefix.
        prefix: String,
    },
    /// A key does not start with the prefix.
    #[error("the key {key:?} does not start with the prefix {prefix:?}")]
    Outside {
        /// The prefix in the request.
        prefix: String,
        /// The key.
        key: String,
    },
}

impl ListPage {
    /// Returns the marker of the next page, or `None` after the last page. `marker` is the marker of this page.
    ///
    /// If a truncated page has no usable `NextMarker`, the next page starts after its last key or common prefix.
    ///
    /// # Errors
    /// Returns [`StuckListing`] if the next page would not start after `marker`, in byte order.
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

    /// Returns the last key that can be read, of a usable entry or not. The page has every key up to this one.
    pub fn last_key(&self) -> Option<&str> {
        let entry = self.entries.last().map(|entry| entry.key.as_str());
        entry.max(self.rejected.iter().filter_map(|entry| entry.key.as_deref()).max())
    }

    /// Returns the marker from which the listing continues without leaving out a key: the last key of the page, even if
    /// `NextMarker` says something else. `NextMarker` is used only if the last key cannot be read.
    ///
    /// # Errors
    /// Returns the same error as [`ListPage::next`].
    pub fn next_unbroken(&self, marker: &str) -> Result<Option<String>, StuckListing> {
        let told = self.next(marker)?;
        let readable = self.rejected.iter().all(|entry| entry.key.is_some());
        Ok(match (told, self.last_key()) {
            (Some(_), Some(last)) if readable => Some(last.to_owned()),
            (Some(told), Some(last)) => Some(told.max(last.to_owned())),
            (told, _) => told,
        })
    }

    /// Checks that this page answers `request`. Only then does the absence of a key mean anything.
    ///
    /// # Errors
    /// Returns the first difference: another prefix, marker or bucket, a wrong order, or a key outside the prefix.
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

/// Reads a size in bytes. Returns `None` if no object can have it: the size is unknown then.
pub(super) fn read_size(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|size| i64::try_from(*size).is_ok())
}

/// Reads an `ETag` with or without quotes around it. Returns `None` if it is longer than [`ETAG_MAX`].
pub(super) fn unquote(etag: &str) -> Option<ETag> {
    let etag = etag.trim();
    let etag = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(etag);
    if etag.len() > ETAG_MAX { None } else { ETag::new(etag) }
}

#[cfg(test)]
mod tests;
