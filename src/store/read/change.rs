//! The journal of a run: what its listing found different from the listing before it.

use crate::object::ETag;
use crate::store::model::ChangeKind;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The run whose listing found the change.
    pub run_id: i64,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The name of the bucket.
    pub bucket: String,
    /// The key; of a moved object, the new key.
    pub key: String,
    /// The old key of a moved object; `None` for any other change.
    pub from_key: Option<String>,
    /// The `ETag` of the content; of a changed object, that of the content it had before. `None` if the object was
    /// never wanted, or the service reported no `ETag`.
    pub etag: Option<ETag>,
    /// The size of the same content in bytes; `None` if it is not known.
    pub size: Option<u64>,
}
