//! Labels that come from a file and not from a call.

use crate::label::Labels;
use crate::object::ETag;
use crate::scene::Scenes;
use crate::time::UnixSeconds;

/// The labels of one image, as a file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedImage {
    /// The key in the bucket of the import.
    pub key: String,
    /// The `ETag` that the key had when it was labelled.
    pub etag: ETag,
    /// The size in bytes; `None` if the file does not have it.
    pub size: Option<u64>,
    /// The scenes that are labelled. A scene without labels here was answered without any.
    pub scenes: Scenes,
    /// The labels, with consecutive ranks in each scene.
    pub labels: Labels,
    /// When the image was labelled.
    pub tagged_at: UnixSeconds,
}

/// What became of an image of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// Each scene of the image was compared.
    Compared {
        /// The scenes whose labels were stored.
        stored: Scenes,
        /// The scenes that the database had already, with the same labels.
        same: Scenes,
        /// The scenes that the database has with other labels, which stay.
        different: Scenes,
        /// True if no key with this content was listed so far. The labels wait for it.
        waits: bool,
    },
    /// The key has another `ETag` or size in the database, so the labels belong to other bytes.
    OtherBytes,
    /// The key is not in the database, and without a size its content cannot be told.
    Unknown,
}
