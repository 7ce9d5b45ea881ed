//! A survey: what images the bucket has, and which labels they have.

use super::FailureCode;
use crate::scene::Scenes;

/// A label with a confidence below this counts as uncertain.
pub const UNCERTAIN_BELOW: u8 = 60;

/// The images that the bucket has, counted in one state of the database.
///
/// An image is a content that at least one present object has, and that is wanted or was labelled before. Identical
/// files are one image. Objects that are no longer in the bucket count only where that is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// The number of images, by what is known of them.
    pub images: ImageCounts,
    /// The number of objects.
    pub objects: ObjectCounts,
    /// Every label that an image has, the most frequent first.
    pub labels: Vec<LabelCount>,
    /// Every first category that an image has, the most frequent first.
    pub categories: Vec<CategoryCount>,
    /// The number of images by the confidence, 0 to 100, of their most confident label.
    pub confidence: Vec<u64>,
    /// The prefixes of each bucket, the bucket with the most objects first.
    pub prefixes: Vec<BucketPrefixes>,
    /// The codes with which images failed, the most frequent first.
    pub failures: Vec<FailureCode>,
    /// The codes with which lines of lists failed without a call, the most frequent first.
    pub lines: Vec<FailureCode>,
    /// What the last listing found different; `None` if no listing could be compared with an earlier one.
    pub changes: Option<Changes>,
}

/// The number of images by what is known of them. The first four add up to all images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageCounts {
    /// Images with at least one label.
    pub labelled: u64,
    /// Images that were answered without any label, and did not fail.
    pub unlabelled: u64,
    /// Images without a label that were given up.
    pub given_up: u64,
    /// Images without an answer so far.
    pub waiting: u64,
    /// All images that were given up, those with labels of an earlier answer included.
    pub failed: u64,
}

impl ImageCounts {
    /// The number of all images.
    pub fn all(&self) -> u64 {
        self.labelled + self.unlabelled + self.given_up + self.waiting
    }
}

/// The number of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectCounts {
    /// Objects that are in the bucket.
    pub present: u64,
    /// Present objects that are skipped.
    pub skipped: u64,
    /// Present objects that are not skipped.
    pub wanted: u64,
    /// Wanted objects whose image another wanted object has too, so that they need no call of their own.
    pub copies: u64,
    /// Known objects that are no longer in the bucket.
    pub gone: u64,
}

/// How many images have a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    /// The name.
    pub name: String,
    /// The wider category.
    pub first_category: String,
    /// The narrower category.
    pub second_category: String,
    /// Images that have the label, in one scene or in several.
    pub images: u64,
    /// Those of them whose confidence is below [`UNCERTAIN_BELOW`].
    pub uncertain: u64,
    /// The sum of the confidences, the highest of each image.
    pub confidence: u64,
    /// The scenes that gave the label.
    pub scenes: Scenes,
    /// Images with the label that the last listing brought.
    pub came: u64,
    /// Images with the label that the bucket lost in the last listing.
    pub went: u64,
    /// A few images with the label, if they were asked for.
    pub samples: Vec<Sample>,
    /// The labels that most often stand beside it, by their place in [`Survey::labels`], if they were asked for.
    pub beside: Vec<usize>,
}

/// An image, by one of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sample {
    /// The number of the content.
    pub content_id: i64,
    /// The name of the bucket.
    pub bucket: String,
    /// The key, or the URL.
    pub key: String,
}

/// How many images have a label of a first category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryCount {
    /// The name of the category; it may be empty.
    pub name: String,
    /// Images with a label of the category.
    pub images: u64,
    /// The second categories, with the number of images that have a label of each, the most frequent first.
    pub second: Vec<(String, u64)>,
}

/// The prefixes of the objects of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPrefixes {
    /// The name of the bucket.
    pub bucket: String,
    /// True if the objects are URLs that were called through the bucket.
    pub urls: bool,
    /// The whole bucket, whose name is empty.
    pub root: Prefix,
}

/// The wanted objects below a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix {
    /// The last segment of the prefix, with its `/`.
    pub segment: String,
    /// Wanted objects below the prefix.
    pub objects: u64,
    /// Those of them whose image has a label.
    pub labelled: u64,
    /// The prefixes one level below, the one with the most objects first.
    pub children: Vec<Prefix>,
    /// Prefixes one level below that are not in `children`, because they have fewer objects.
    pub others: Others,
}

/// Prefixes that are only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Others {
    /// The number of prefixes.
    pub prefixes: u64,
    /// The objects below them.
    pub objects: u64,
    /// Those of them whose image has a label.
    pub labelled: u64,
}

/// What the last listing found different from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// The run of the listing.
    pub run_id: i64,
    /// New keys.
    pub added: u64,
    /// Keys with other bytes, another storage class or another time.
    pub changed: u64,
    /// Keys that were moved.
    pub moved: u64,
    /// Keys that are no longer in the bucket.
    pub gone: u64,
}

/// What a survey looks for, besides the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SurveyQuery {
    /// The number of the most frequent labels that get samples.
    pub sampled: usize,
    /// The number of samples for each of them.
    pub samples: usize,
    /// The number of the most frequent labels for which the labels beside them are counted.
    pub beside: usize,
}
