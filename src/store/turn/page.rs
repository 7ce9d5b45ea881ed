//! A page of listed keys after it was compared with the store.

use crate::object::{ETag, StorageClass};
use crate::store::model::SkipReason;
use crate::store::run::RangeProgress;
use crate::time::UnixMillis;

/// One listed key, and whether the filter of the run wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The key, or the URL.
    pub key: String,
    /// The `ETag`; `None` if there is none.
    pub etag: Option<ETag>,
    /// The size in bytes; `None` if the service does not report it.
    pub size: Option<u64>,
    /// The time of the last change; `None` if the service does not report it.
    pub last_modified: Option<UnixMillis>,
    /// The storage class as listed; `STANDARD` is stored as NULL.
    pub storage_class: StorageClass,
    /// Why the key is skipped; `None` if it is wanted.
    pub skip: Option<SkipReason>,
    /// See [`crate::store::ident::fingerprint`].
    pub fingerprint: i64,
}

/// A difference between a page and the store. Keys that did not change have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The store has never seen the key.
    New(Candidate),
    /// The key is known and has another fingerprint, or it was gone and is back.
    Changed {
        /// `object.id`.
        object_id: i64,
        /// The content that the object had; `None` if it had none.
        content_id: Option<i64>,
        /// True if the key was gone.
        returned: bool,
        /// The key as it is listed now.
        candidate: Candidate,
    },
    /// The object did not change and is judged again, because settings differ or its content waits for a run.
    Reconsider {
        /// `object.id`.
        object_id: i64,
        /// The content that the object has; `None` if it has none.
        content_id: Option<i64>,
        /// The key as it is listed now, judged by the filter of now.
        candidate: Candidate,
    },
    /// A line of a list names an object that did not change. It is wanted now, even if a listing skipped it.
    Named {
        /// `object.id`.
        object_id: i64,
        /// The content that the object has.
        content_id: i64,
    },
    /// A line of a list names a key that the bucket does not have and the store has never seen.
    Missing {
        /// The key.
        key: String,
    },
    /// A known key is not on the page, although the page covers it.
    Gone {
        /// `object.id`.
        object_id: i64,
        /// The content that the object had; `None` if it had none.
        content_id: Option<i64>,
    },
}

/// How far a range has come once a page, or lines of a list, are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `range.seq`.
    pub seq: i64,
    /// The progress of the range.
    pub progress: RangeProgress,
    /// True if the range ends here.
    pub done: bool,
}

/// A page that was compared with the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The progress of the range, committed together with the rows.
    pub reach: Reach,
    /// What differs from the store.
    pub differences: Vec<Difference>,
    /// The number of keys on the page.
    pub listed: u64,
    /// The number of keys on the page that are wanted.
    pub wanted: u64,
    /// The number of keys on the page that are skipped, for each reason.
    pub skipped: Vec<(SkipReason, u64)>,
    /// The number of keys on the page that no request can carry.
    pub rejected: u64,
}
