//! Labels of a real picture, computed from its pixels: colours, light and composition. They do not guess what the picture
//! shows.

mod colours;
mod composition;
mod light;
mod sample;

use super::scenes::{Answer, Label, SceneSet};
use sample::Sample;

/// The largest side of a picture in pixels. A larger picture is not decoded.
const MAX_SIDE: u32 = 12_000;

/// The scenes that have a group of labels, as bits in the order album, camera, news, web.
mod shown {
    pub(super) const COLOUR: u8 = 0b1001;
    pub(super) const TONE: u8 = 0b0101;
    pub(super) const VARIETY: u8 = 0b1001;
    pub(super) const LIGHT: u8 = 0b0111;
    pub(super) const CONTRAST: u8 = 0b1010;
    pub(super) const FALL: u8 = 0b0010;
    pub(super) const SHAPE: u8 = 0b1110;
    pub(super) const BALANCE: u8 = 0b1011;
    pub(super) const VIVID: u8 = 0b1100;
    pub(super) const TEXTURE: u8 = 0b0010;
}

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

/// Reads a PNG, JPEG or WebP file. Returns `None` if it cannot be decoded.
pub(super) fn read(bytes: &[u8]) -> Option<Traits> {
    let mut reader =
        image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let sample = Sample::of(&picture);
    let mut labels = Labels::default();
    composition::describe(&mut labels, &sample);
    colours::describe(&mut labels, &sample);
    light::describe(&mut labels, &sample);
    let mut labels = labels.0;
    labels.sort_by(|a, b| (b.1.confidence, a.1.name).cmp(&(a.1.confidence, b.1.name)));
    Some(Traits(labels))
}

/// The name, the first and the second category of a label.
type Names = (&'static str, &'static str, &'static str);

/// The labels that were found so far, each with the scenes that have it.
#[derive(Default)]
struct Labels(Vec<(u8, Label)>);

impl Labels {
    /// Adds a label. The certainty is rounded and limited to 1 to 100.
    fn push(&mut self, shown: u8, names: Names, certainty: f64) {
        let (name, first_category, second_category) = names;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 1..=100 first"
        )]
        let confidence = certainty.round().clamp(1.0, 100.0) as u8;
        let label = Label { name, first_category, second_category, confidence };
        self.0.push((shown, label));
    }
}

#[cfg(test)]
mod tests;
