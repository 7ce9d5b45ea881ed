//! The contact sheet: the most frequent labels with some of their pictures.

use super::super::share::{LENGTH, length, number_of};
use super::super::{Picture, Terms, name};
use crate::numbers::grouped;
use crate::store::read::{LabelCount, Sample};

/// How many labels the contact sheet shows, and how many of them are large.
pub const SHEET: usize = 30;
const LARGE: usize = 6;

/// How many pictures of each label the contact sheet shows.
pub const FRAMES: usize = 6;

/// A label of the contact sheet.
#[derive(Debug, Clone)]
pub struct Strip {
    /// The place among all labels.
    pub rank: usize,
    /// Where the label leads.
    pub href: String,
    /// True if it is one of the large ones.
    pub large: bool,
    /// The name.
    pub name: String,
    /// The categories.
    pub categories: String,
    /// The number of images.
    pub count: String,
    /// The length of the bar.
    pub width: u32,
    /// Some pictures.
    pub frames: Vec<Frame>,
    /// True if its pictures are loaded before the person scrolls.
    pub at_once: bool,
}

/// A picture of the contact sheet.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The picture, if there is one.
    pub picture: Option<Picture>,
    /// The segments of its key.
    pub key: Vec<String>,
}

pub(super) fn sheet(
    labels: &[LabelCount],
    terms: &Terms,
    picture: &mut impl FnMut(&Sample) -> Option<Picture>,
) -> Vec<Strip> {
    let most = labels.first().map_or(0, |label| label.images);
    let shown = labels.iter().filter(|label| label.images > 0).take(SHEET);
    shown
        .enumerate()
        .map(|(place, label)| Strip {
            rank: place + 1,
            href: terms.links.label(place + 1, &label.name),
            large: place < LARGE,
            at_once: (place + 1) * FRAMES <= AT_ONCE,
            name: terms.label(&label.name),
            categories: terms.categories(&label.first_category, &label.second_category),
            count: grouped(label.images),
            width: length(label.images, most, LENGTH),
            frames: label
                .samples
                .iter()
                .take(FRAMES)
                .map(|sample| Frame { picture: picture(sample), key: name::segments(&sample.key) })
                .collect(),
        })
        .collect()
}

/// The number of pictures that a browser asks for before the person scrolls, if they cost something.
const AT_ONCE: usize = 60;

/// How many pictures the sheet asks for, in words; empty if that costs nothing.
pub(super) fn asked(sheet: &[Strip]) -> String {
    let frames = sheet.iter().flat_map(|strip| &strip.frames);
    match frames.filter(|frame| frame.picture.as_ref().is_some_and(Picture::costs)).count() {
        0 => String::new(),
        all if all > AT_ONCE => {
            format!("This page asks for {AT_ONCE} pictures, and for more as you scroll.")
        }
        all => format!("This page asks for {}.", number_of(all as u64, "picture")),
    }
}
