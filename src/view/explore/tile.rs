//! An image of the grid.

use super::super::{Picture, Terms, name};
use super::words::state_name;
use crate::store::read::Found;

/// How many labels a page shows of each image.
pub const SHOWN_LABELS: usize = 2;

/// An image.
#[derive(Debug, Clone)]
pub struct Tile {
    /// The page of the image.
    pub href: String,
    /// The picture.
    pub picture: Option<Picture>,
    /// The segments of the key.
    pub key: Vec<String>,
    /// The last segment.
    pub file: String,
    /// Its labels with their confidences.
    pub labels: Vec<(String, u8)>,
    /// What is told if it has none.
    pub state: &'static str,
    /// The code of its failure.
    pub code: String,
}

pub(super) fn tile(image: &Found, back: &str, terms: &Terms, picture: Option<Picture>) -> Tile {
    let key = name::segments(&image.sample.key);
    let query = if back.is_empty() { String::new() } else { format!("?{back}") };
    Tile {
        href: format!("/image/{}{query}", image.sample.content_id),
        picture,
        file: key.last().cloned().unwrap_or_default(),
        key,
        labels: image
            .labels
            .iter()
            .take(SHOWN_LABELS)
            .map(|(label, confidence)| (terms.short_label(label), *confidence))
            .collect(),
        state: state_name(image.state),
        code: image.code.as_deref().map_or_else(String::new, name::name),
    }
}
