//! Labelled objects, in batches: what exports and searches read.

use std::ops::Range;
use std::sync::Arc;

use crate::aliases::Aliases;
use crate::label::Label;
use crate::object::ETag;
use crate::scene::{Scene, Scenes};
use crate::time::{UnixMillis, UnixSeconds};

/// What is known of the objects that an export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// One of the wanted scenes was answered, with labels or without.
    #[default]
    Answered,
    /// One of the wanted scenes was answered, and none of them has a label.
    NoLabels,
    /// The object is wanted, and its image is given up. It may have labels of an earlier answer.
    Failed,
}

/// Which objects and labels an export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFilter {
    /// The names of the buckets; every bucket if empty.
    pub buckets: Vec<String>,
    /// Keys start with this.
    pub prefix: String,
    /// The scenes whose labels are wanted.
    pub scenes: Scenes,
    /// Labels below this confidence (0 to 100) are left out.
    pub min_confidence: i64,
    /// Labels with one of exactly these names are wanted; every label if empty.
    pub names: Vec<String>,
    /// Only objects that have a label of each of these names are of interest. Other objects may be left out.
    pub having: Vec<String>,
    /// Only objects that have a label of one of these names are of interest, if there are any names here.
    pub any: Vec<String>,
    /// Only objects that have a label of each of these first or second categories are of interest.
    pub categories: Vec<String>,
    /// Objects with an earlier time than this or without one are left out; none if `None`.
    pub since: Option<UnixMillis>,
    /// Which objects are wanted.
    pub standing: Standing,
    /// True if objects that are no longer in the bucket are wanted too.
    pub include_gone: bool,
    /// Only objects that changed after this run (`run.id`) are wanted, also those that an export does not show any longer.
    /// `None`: every object.
    pub since_run: Option<i64>,
    /// The names that are shown instead of stored ones. The names of this filter are stored ones.
    pub aliases: Arc<Aliases>,
}

impl Default for ExportFilter {
    fn default() -> Self {
        Self {
            buckets: Vec::new(),
            prefix: String::new(),
            scenes: Scene::ALL.into_iter().collect(),
            min_confidence: 0,
            names: Vec::new(),
            having: Vec::new(),
            any: Vec::new(),
            categories: Vec::new(),
            since: None,
            standing: Standing::Answered,
            include_gone: false,
            since_run: None,
            aliases: Arc::default(),
        }
    }
}

/// A labelled object, with the labels that the filter lets through.
#[derive(Debug, Clone, Copy)]
pub struct Exported<'a> {
    /// The name of the bucket.
    pub bucket: &'a str,
    /// The key, or the URL.
    pub key: &'a str,
    /// True if the key is a public URL, and no key of the bucket.
    pub is_url: bool,
    /// The `ETag`; `None` for a URL, or if the service reported none.
    pub etag: Option<&'a ETag>,
    /// The size in bytes; `None` if it is not known, as for a URL.
    pub size: Option<u64>,
    /// The time of the last change; `None` if it is not known, as for a URL.
    pub last_modified: Option<UnixMillis>,
    /// When the labels were answered; `None` if it is not stored.
    pub tagged_at: Option<UnixSeconds>,
    /// All scenes that are labelled, including those that the filter leaves out. The answer for a scene may have had no
    /// label.
    pub scenes: Scenes,
    /// True if an export without `since_run` does not have the object. Then only bucket and key are known.
    pub is_deleted: bool,
    labels: &'a [BatchLabel],
    tags: &'a [BatchTag],
}

impl<'a> Exported<'a> {
    /// The same object as one that an export no longer has.
    #[must_use]
    pub fn deleted(self) -> Self {
        Self {
            etag: None,
            size: None,
            last_modified: None,
            tagged_at: None,
            scenes: Scenes::NONE,
            is_deleted: true,
            labels: &[],
            ..self
        }
    }

    /// The labels, by scene and rank.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = Label<'a>> + use<'a> {
        let (labels, tags) = (self.labels, self.tags);
        labels.iter().map(move |label| {
            let tag = &tags[label.tag];
            Label {
                scene: label.scene,
                rank: label.rank,
                name: &tag.name,
                first_category: &tag.first_category,
                second_category: &tag.second_category,
                confidence: label.confidence,
            }
        })
    }
}

/// A label of a batch. A tag holds its texts.
#[derive(Debug)]
pub(in crate::store) struct BatchLabel {
    pub(in crate::store) scene: Scene,
    pub(in crate::store) rank: u32,
    /// The index of the tag in [`Batch::tags`].
    pub(in crate::store) tag: usize,
    pub(in crate::store) confidence: u8,
}

/// A name and its categories.
#[derive(Debug)]
pub(in crate::store) struct BatchTag {
    pub(in crate::store) name: String,
    pub(in crate::store) first_category: String,
    pub(in crate::store) second_category: String,
    /// True if the filter lets labels of this name through.
    pub(in crate::store) wanted: bool,
}

/// An object of a batch.
#[derive(Debug)]
pub(in crate::store) struct BatchObject {
    /// A part of [`Batch::text`].
    pub(in crate::store) key: Range<usize>,
    pub(in crate::store) etag: Option<ETag>,
    pub(in crate::store) size: Option<u64>,
    pub(in crate::store) last_modified: Option<UnixMillis>,
    pub(in crate::store) tagged_at: Option<UnixSeconds>,
    pub(in crate::store) scenes: Scenes,
    pub(in crate::store) is_deleted: bool,
    /// A part of [`Batch::labels`].
    pub(in crate::store) labels: Range<usize>,
}

impl BatchObject {
    /// An object of which only the key is known.
    pub(in crate::store) fn deleted(key: Range<usize>) -> Self {
        Self {
            key,
            etag: None,
            size: None,
            last_modified: None,
            tagged_at: None,
            scenes: Scenes::NONE,
            is_deleted: true,
            labels: 0..0,
        }
    }
}

/// A batch of objects of one bucket, in the byte order of their keys. Its buffers are used again for the next batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The name of the bucket.
    pub(in crate::store) bucket: String,
    /// True if the keys are public URLs.
    pub(in crate::store) urls: bool,
    /// The texts of the objects, one after the other.
    pub(in crate::store) text: String,
    pub(in crate::store) objects: Vec<BatchObject>,
    pub(in crate::store) labels: Vec<BatchLabel>,
    /// The tags met so far; they stay from batch to batch.
    pub(in crate::store) tags: Vec<BatchTag>,
}

impl Batch {
    /// The objects.
    pub fn objects(&self) -> impl Iterator<Item = Exported<'_>> {
        self.objects.iter().map(|object| Exported {
            bucket: &self.bucket,
            key: &self.text[object.key.clone()],
            is_url: self.urls,
            etag: object.etag.as_ref(),
            size: object.size,
            last_modified: object.last_modified,
            tagged_at: object.tagged_at,
            scenes: object.scenes,
            is_deleted: object.is_deleted,
            labels: &self.labels[object.labels.clone()],
            tags: &self.tags,
        })
    }

    /// Adds a text, and returns its part of [`Batch::text`].
    pub(in crate::store) fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    /// Removes the objects and their labels. The tags stay.
    pub(in crate::store) fn clear(&mut self) {
        self.text.clear();
        self.objects.clear();
        self.labels.clear();
    }
}
