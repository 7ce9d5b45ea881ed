//! One object of the emulated bucket, and the `ETag` of its content.

use std::borrow::Cow;

use md5::{Digest, Md5};

/// The MD5 digest of no bytes, in hex.
pub(super) const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// One object of the bucket.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    /// The key in UTF-8.
    pub(super) key: Vec<u8>,
    /// The `ETag`: the MD5 of the content in hex, without quotes.
    pub(super) etag: String,
    /// The size in bytes.
    pub(super) size: u64,
    /// The time of the last change in Unix seconds.
    pub(super) last_modified: i64,
    /// The storage class, such as `STANDARD`.
    pub(super) storage_class: Cow<'static, str>,
    /// True if the object may be a picture. In a folder this is true for every file, since only its bytes can tell.
    pub(super) is_image: bool,
}

impl Object {
    /// Returns `true` if the object must be restored before it can be read.
    pub(super) fn is_archived(&self) -> bool {
        matches!(self.storage_class.as_ref(), "ARCHIVE" | "DEEP_ARCHIVE" | "MAZ_ARCHIVE")
    }

    /// Returns an object for `POST /.costag/objects`. It is a picture if its name is that of one and it is not empty.
    pub(super) fn put(
        key: String,
        content: &str,
        size: Option<u64>,
        last_modified: i64,
        storage_class: Option<String>,
    ) -> Self {
        let etag = md5_hex(content.as_bytes());
        let size = size.unwrap_or(content.len() as u64);
        let name = key.to_ascii_lowercase();
        let is_image = size > 0
            && [".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif"]
                .iter()
                .any(|suffix| name.ends_with(suffix));
        let storage_class = storage_class.map_or(Cow::Borrowed("STANDARD"), Cow::Owned);
        Self { key: key.into_bytes(), etag, size, last_modified, storage_class, is_image }
    }
}

/// Returns the MD5 digest of these bytes in hex.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    hex::encode(digest)
}
