//! Contents that a person chooses in order to have them called again.

use crate::scene::Scenes;
use crate::time::UnixSeconds;

/// Which contents are chosen. Every condition that is given must hold.
///
/// Only a content that a present object has is ever chosen. The filters of earlier runs do not matter, since the next
/// run may have other ones: what is put back waits for a run that wants it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// True to choose failed contents, false to choose contents that have labels.
    pub failed: bool,
    /// Choose failed contents with one of these error codes; any code if empty.
    pub codes: Vec<String>,
    /// Choose contents of a key in the bucket with this name; any bucket if `None`.
    pub bucket: Option<String>,
    /// Choose contents of a key that starts with this.
    pub prefix: String,
    /// Choose contents that have a label of this name in one of `scenes`; any label if `None`.
    pub label: Option<String>,
    /// The scenes to look at and to put back; all labelled scenes if empty.
    pub scenes: Scenes,
    /// Choose contents of which the named label, or without a name the surest label of the scenes, is below this
    /// confidence (0 to 100); any confidence if `None`.
    pub below: Option<u8>,
    /// Choose contents labelled before this moment; any time if `None`.
    pub tagged_before: Option<UnixSeconds>,
}

/// A content that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// `content.id`.
    pub content_id: i64,
    /// The labelled scenes to ask for again; empty for a failed content.
    pub redo: Scenes,
    /// All scenes that the next call will ask for.
    pub asks: Scenes,
}
