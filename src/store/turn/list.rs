//! Lines of a list of keys or URLs: as they are read, and as they end without a call.

use serde::{Deserialize, Serialize};

use super::Page;
use crate::time::UnixMillis;

/// The code of a line that no request can carry. Another run would find the same, so this failure is not temporary.
pub const UNUSABLE_LINE: &str = "UnusableLine";

/// What a trusted inventory says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFacts {
    /// The `ETag`, without quotes; never empty.
    pub etag: String,
    /// The size in bytes.
    pub size: u64,
    /// The time of the last change; `None` if the inventory does not have it.
    pub last_modified: Option<UnixMillis>,
    /// The name of the storage class; `None` if the inventory does not have it.
    pub storage_class: Option<String>,
}

/// A line of a list, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLine {
    /// The number of the line among the lines read, from 1.
    pub seq: i64,
    /// The key or URL; of a faulty line, its beginning in a form that can be shown.
    pub item: String,
    /// Why no request can carry the line; `None` if one can.
    pub fault: Option<String>,
    /// What a trusted inventory says of the key; `None` if it must be looked up.
    pub facts: Option<LineFacts>,
}

/// A line that ended without a call, because its key does not exist or cannot be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFailure {
    /// `list_item.seq`.
    pub seq: i64,
    /// `list_item.item`.
    pub item: String,
    /// True if the service says that the bucket has no such key.
    pub is_missing: bool,
    /// The error code of the service, or the program's own.
    pub code: String,
    /// The HTTP status; `None` if no answer came.
    pub status: Option<u16>,
    /// The reason in words.
    pub message: String,
    /// The request id of the answer; `None` if there was none.
    pub request_id: Option<String>,
}

/// Lines of a list that have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedLines {
    /// The objects of the lines, and how far the look-up has come.
    pub page: Page,
    /// The lines that failed or whose key is missing.
    pub failures: Vec<LineFailure>,
    /// Keys that were looked up and found.
    pub found: Vec<String>,
    /// How many of the lines that `page` counts failed.
    pub failed: u64,
    /// How many of the lines that `page` counts have no key in the bucket.
    pub missing: u64,
    /// The number of lines among the failed, missing and skipped ones that were counted as wanted before.
    pub unwanted: u64,
}
