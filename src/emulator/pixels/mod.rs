//! Labels of a real picture, computed from its pixels: colours, light and composition. They do not guess what the picture
//! shows.

mod colours;
mod composition;
mod labels;
mod light;
mod sample;

use super::scenes::{Answer, Label, SceneSet};
use labels::Labels;
use sample::Sample;

/// The largest side of a picture in pixels. A larger picture is not decoded.
const MAX_SIDE: u32 = 12_000;

/// The labels of a picture, each with the scenes that have it, the most certain first.
#[derive(Debug, PartialEq)]
pub(super) struct Traits(Vec<(u8, Label)>);

impl Traits {
    /// Returns the answer for the requested scenes.
    pub(super) fn answer(&self, scenes: SceneSet) -> Answer {
        let of = |scene: usize| {
            self.0
                .iter()
                .filter(|(shown, _)| shown & (1 << scene) != 0)
                .map(|(_, label)| *label)
                .collect()
        };
        scenes.indexes().map(|scene| (scene, of(scene))).collect()
    }
}

/// Decodes a PNG, JPEG or WebP file. Returns `None` if that fails, or if the picture is too large.
pub(super) fn decode(bytes: &[u8]) -> Option<image::DynamicImage> {
    let mut reader =
        image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    reader.decode().ok()
}

/// Returns the labels of a PNG, JPEG or WebP file. Returns `None` if it cannot be decoded.
pub(super) fn read(bytes: &[u8]) -> Option<Traits> {
    let sample = Sample::of(&decode(bytes)?);
    let mut labels = Labels::default();
    composition::describe(&mut labels, &sample);
    colours::describe(&mut labels, &sample);
    light::describe(&mut labels, &sample);
    let mut labels = labels.0;
    labels.sort_by(|a, b| (b.1.confidence, a.1.name).cmp(&(a.1.confidence, b.1.name)));
    Some(Traits(labels))
}

#[cfg(test)]
mod tests;
