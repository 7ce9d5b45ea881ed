//! What one image counts for.

use super::counter::{Counter, Kind, SAME_NAME, SAME_TAG};
use super::dictionary::Dictionary;
use crate::scene::Scenes;
use crate::store::read::ImageState;

/// The facts about a content on which counts depend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Present objects that have the content.
    pub(crate) present: i64,
    /// Those of them that are skipped.
    pub(crate) skipped: i64,
    /// Whether the content is given up.
    pub(crate) failed: bool,
    /// The scenes that are labelled.
    pub(crate) done: Scenes,
}

impl Facts {
    /// Returns true if a present object wants the content.
    pub(crate) fn is_wanted(self) -> bool {
        self.present > self.skipped
    }

    /// Returns true if the content is an image that the bucket has.
    pub(crate) fn is_image(self) -> bool {
        self.is_wanted() || (self.present > 0 && !self.done.is_empty())
    }

    /// The state of an image, which may have labels of the scenes that are done.
    pub(crate) fn state(self, has_labels: bool) -> ImageState {
        if has_labels {
            ImageState::Labelled
        } else if self.failed && self.is_wanted() {
            ImageState::Failed
        } else if self.done.is_empty() {
            ImageState::Waiting
        } else {
            ImageState::Unlabelled
        }
    }
}

/// A label of a scene that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) tag_id: i64,
    pub(crate) scene: u8,
    pub(crate) confidence: u8,
}

/// Hands every counter of an image to `each`. `labels` are those of the scenes that are done; their order changes.
pub(crate) fn count_image(
    facts: Facts,
    labels: &mut [Found],
    dictionary: &Dictionary,
    mut each: impl FnMut(Counter),
) {
    if !facts.is_image() {
        return;
    }
    if facts.is_wanted() {
        each(Counter::of(Kind::Wanted));
        if facts.failed {
            each(Counter::of(Kind::Failed));
        }
    }
    each(Counter::of(Kind::of_state(facts.state(!labels.is_empty()))));
    let Some(best) = labels.iter().map(|label| label.confidence).max() else { return };
    each(Counter::new(Kind::Best, best.into()));
    labels.sort_unstable_by_key(|label| (label.tag_id, std::cmp::Reverse(label.confidence)));
    let mut scenes = 0_u8;
    let mut before = None;
    let (mut names, mut firsts, mut pairs) = (
        Vec::with_capacity(labels.len()),
        Vec::with_capacity(labels.len()),
        Vec::with_capacity(labels.len()),
    );
    for Found { tag_id, scene, confidence } in labels.iter().copied() {
        each(Counter::label(scene, tag_id, confidence));
        if before == Some(tag_id) {
            each(Counter::label(SAME_TAG, tag_id, confidence));
        }
        before = Some(tag_id);
        scenes |= 1 << (scene & 3);
        if let Some(entry) = dictionary.get(tag_id) {
            names.push((entry.name, std::cmp::Reverse(confidence)));
            firsts.push(entry.first);
            pairs.push(entry.pair);
        }
    }
    for scene in (0..4).filter(|scene| scenes >> scene & 1 == 1) {
        each(Counter::new(Kind::Scene, scene));
    }
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [(before, _), (name, std::cmp::Reverse(confidence))] = pair
            && before == name
        {
            each(Counter::label(SAME_NAME, *name, *confidence));
        }
    }
    for (kind, tags) in [(Kind::First, &mut firsts), (Kind::Pair, &mut pairs)] {
        tags.sort_unstable();
        tags.dedup();
        for tag in tags.iter() {
            each(Counter::new(kind, *tag));
        }
    }
}
