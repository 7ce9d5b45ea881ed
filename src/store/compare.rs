//! What the job reads to compare a page of a listing, or the lines of a list, with the store.

use crate::scene::Scenes;
use crate::store::model::ContentState;
use crate::store::turn::LineFacts;

/// An object as the store knows it. `T` is the type of its texts: borrowed from the row while a span is walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<T = String> {
    /// `object.id`.
    pub object_id: i64,
    /// The key, or the URL.
    pub key: T,
    /// See [`crate::store::ident::fingerprint`].
    pub fingerprint: i64,
    /// True if the object is no longer in the bucket.
    pub gone: bool,
    /// The content of the object; `None` if the object was never wanted.
    pub content_id: Option<i64>,
    /// The name of the reason why the object is skipped; `None` if it is wanted.
    pub skip_reason: Option<T>,
    /// The standing of its content; `None` if it was not asked for or the object has no content.
    pub standing: Option<Standing>,
}

/// The standing of a content, as far as a run that meets it must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Scenes that are labelled.
    pub done: Scenes,
    /// Scenes that are labelled and were asked for again on purpose.
    pub redo: Scenes,
    /// Whether the content is pending, in flight, done or failed.
    pub state: ContentState,
    /// The run that wants the content or settled it; `None` if it waits for no run.
    pub run_id: Option<i64>,
    /// True if its last error was temporary.
    pub temporary: bool,
}

/// A line of a list, as far as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLine {
    /// `list_item.seq`.
    pub seq: i64,
    /// The key or URL; of a faulty line, its beginning.
    pub item: String,
    /// Why no request can carry the line; `None` if one can.
    pub fault: Option<String>,
    /// Its object; `None` if the store has none.
    pub known: Option<Known>,
    /// True if the run has looked the key up and found the content that the object has.
    pub looked_up: bool,
    /// What a trusted inventory says of the key; `None` if only a look-up tells what it is.
    pub facts: Option<LineFacts>,
    /// True if the object has a content with the `ETag` and the size of `facts`.
    pub has_these_bytes: bool,
}

impl From<Known<&str>> for Known {
    fn from(known: Known<&str>) -> Self {
        let Known { object_id, key, fingerprint, gone, content_id, skip_reason, standing } = known;
        let (key, skip_reason) = (key.to_owned(), skip_reason.map(str::to_owned));
        Self { object_id, key, fingerprint, gone, content_id, skip_reason, standing }
    }
}
