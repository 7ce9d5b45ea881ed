//! Images that a person looks for, and what is known of one of them: what the page explores.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Sample;
use crate::scene::{Scene, Scenes};
use crate::store::model::CallOutcome;
use crate::time::{UnixMillis, UnixSeconds};

/// Which images are looked for. Every condition that is given must hold.
///
/// Images are those of [`super::Survey`]. A label *counts* if it is of one of the scenes and reaches the confidence. If
/// scenes or a confidence are given, an image needs a label that counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pick {
    /// The names of labels, each of which the image has.
    pub all: Vec<String>,
    /// The names of labels, at least one of which the image has; no condition if empty.
    pub any: Vec<String>,
    /// The names of labels, none of which the image has.
    pub none: Vec<String>,
    /// The first category of a label that the image has.
    pub category: Option<String>,
    /// The scenes whose labels count; all if empty.
    pub scenes: Scenes,
    /// The confidence (0 to 100) that labels need to count.
    pub min_confidence: u8,
    /// A key of the image starts with this.
    pub prefix: String,
    /// The time of that key.
    pub days: Option<Range<UnixMillis>>,
    /// What is known of the image.
    pub state: Option<ImageState>,
}

/// What is known of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageState {
    /// It has a label.
    Labelled,
    /// It was answered without any label, and did not fail.
    Unlabelled,
    /// It has no label, and was given up.
    Failed,
    /// It has no answer so far.
    Waiting,
}

impl ImageState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Labelled, Self::Unlabelled, Self::Failed, Self::Waiting];
}

/// Some of the images that were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The images, by descending number of the content: those that were found last come first.
    pub images: Vec<Found>,
    /// Where the next page begins; `None` if everything was looked at.
    pub next: Option<i64>,
    /// False if the search was stopped before the page was full.
    pub complete: bool,
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The image, by a key that fulfils the conditions.
    pub sample: Sample,
    /// What is known of it.
    pub state: ImageState,
    /// Its labels that count, with their highest confidence, those that were looked for first, then the most
    /// confident.
    pub labels: Vec<(String, u8)>,
    /// The code with which it failed; `None` if it has not, or if there is none.
    pub code: Option<String>,
}

/// How many images there are behind each choice. A choice that replaces another one (scene, category, confidence, date,
/// state) is counted without that other one; a choice that is added (label, prefix) is counted with all others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facets {
    /// The images that were looked for.
    pub images: u64,
    /// Images with a label of each scene.
    pub scenes: BTreeMap<Scene, u64>,
    /// Images with a label of each first category, the most frequent first.
    pub categories: Vec<(String, u64)>,
    /// Images with each label, the most frequent first, with its first category.
    pub labels: Vec<LabelFacet>,
    /// Images that have a label of at least 0, 10, 20, … 90.
    pub confidence: [u64; 10],
    /// Images below each prefix that is one level longer, the most frequent first.
    pub prefixes: Vec<(String, u64)>,
    /// Images by the month (in UTC, as months since the year 0) of a key, ascending.
    pub months: BTreeMap<i32, u64>,
    /// Images in each state.
    pub states: BTreeMap<ImageState, u64>,
    /// True if `prefixes` and `months` count keys instead of images.
    pub counts_keys: bool,
    /// False if counting was stopped early, so that every number is a lower bound.
    pub complete: bool,
    /// True if the number of images is exact, even if counting was stopped.
    pub is_total: bool,
}

/// How many of the images have a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFacet {
    /// The name.
    pub name: String,
    /// Its first category.
    pub first_category: String,
    /// The number of images.
    pub images: u64,
}

/// Everything that is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// The number of the content.
    pub content_id: i64,
    /// What is known of it; `None` if the bucket does not have it, or if it is not wanted.
    pub state: Option<ImageState>,
    /// The `ETag` as it can be shown; `None` if the service reported none.
    pub etag: Option<String>,
    /// The size in bytes, if it is known.
    pub size: Option<u64>,
    /// The scenes that are labelled.
    pub scenes: Scenes,
    /// Scenes that the next call asks for.
    pub asks: Scenes,
    /// When the labels were answered.
    pub tagged_at: Option<UnixSeconds>,
    /// The run that settled it.
    pub run_id: Option<i64>,
    /// Its labels, by scene and rank.
    pub labels: Vec<ImageLabel>,
    /// Its keys, those that are in the bucket first; at most [`ImageRecord::MOST`].
    pub keys: Vec<ImageKey>,
    /// The number of all its keys.
    pub all_keys: u64,
    /// Its last failure.
    pub failure: Option<ImageFailure>,
    /// The calls that were made for it, the newest first; at most [`ImageRecord::MOST`].
    pub calls: Vec<ImageCall>,
}

impl ImageRecord {
    /// The most keys and the most calls that are read.
    pub const MOST: u32 = 100;
}

/// A label of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLabel {
    /// The scene.
    pub scene: Scene,
    /// The name.
    pub name: String,
    /// The wider category.
    pub first_category: String,
    /// The narrower category.
    pub second_category: String,
    /// The confidence, 0 to 100.
    pub confidence: u8,
}

/// A key of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageKey {
    /// The name of the bucket.
    pub bucket: String,
    /// The key, or the URL.
    pub key: String,
    /// True if it is a URL that was called through the bucket.
    pub is_url: bool,
    /// The time of the last change, if it is known.
    pub last_modified: Option<UnixMillis>,
    /// The storage class; `None` for the standard one.
    pub storage_class: Option<String>,
    /// Why it is skipped; `None` if it is wanted.
    pub skipped: Option<String>,
    /// True if it is no longer in the bucket.
    pub gone: bool,
    /// True if the labels or the failure came from a call for this key.
    pub called: bool,
}

/// Why an image failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFailure {
    /// The code.
    pub code: String,
    /// The status of HTTP; `None` if no answer came.
    pub http_status: Option<u16>,
    /// The message of the service.
    pub message: String,
    /// The request id, if there is one.
    pub request_id: Option<String>,
    /// True if the next run tries again by itself.
    pub temporary: bool,
    /// True if the image is given up; false if it was answered since.
    pub stands: bool,
}

/// A call for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageCall {
    /// When it ended.
    pub ended_at: UnixMillis,
    /// The run.
    pub run_id: i64,
    /// The scenes that it asked for.
    pub scenes: Scenes,
    /// How it ended.
    pub outcome: CallOutcome,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The status of HTTP of an error.
    pub http_status: Option<u16>,
    /// The code of an error.
    pub code: Option<String>,
    /// The request id of an error.
    pub request_id: Option<String>,
}
