//! An answer with a status of success, and the properties of an object that its headers report.

use bytes::Bytes;
use reqwest::header::{ETAG, HeaderMap, LAST_MODIFIED};

use crate::cos::error::{self, Error};
use crate::cos::list::{self, ObjectEntry, Restore};
use crate::object::StorageClass;
use crate::time::UnixSeconds;

/// An answer with a status from 200 to 299, read to its end.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the properties of an object from the headers. The caller knows its size.
    pub(super) fn entry(&self, key: &str, size: Option<u64>) -> ObjectEntry {
        let text = |name: &str| self.header(name).unwrap_or_default();
        let class = text("x-cos-storage-class");
        ObjectEntry {
            key: key.to_owned(),
            etag: list::unquote(text(ETAG.as_str())),
            size,
            last_modified: self
                .header(LAST_MODIFIED.as_str())
                .and_then(error::parse_date)
                .map(UnixSeconds::to_millis),
            // The answer to HEAD has no such header for the standard class.
            storage_class: StorageClass::new(class).or(Some(StorageClass::Standard)),
            storage_tier: self.header("x-cos-storage-tier").map(str::to_owned),
            restored: self.header("x-cos-restore").map(|restore| {
                let ongoing = restore.contains("ongoing-request=\"true\"");
                if ongoing { Restore::Ongoing } else { Restore::Done }
            }),
        }
    }

    pub(super) fn unusable(&self, reason: &str) -> Error {
        let request_id = error::request_id(&self.headers);
        Error::Unusable { reason: reason.to_owned(), status: self.status, request_id }
    }
}
