//! The labels of a picture while they are collected.

use crate::emulator::scenes::Label;

/// The scenes that have a group of labels, as bits in the order album, camera, news, web.
pub(super) mod shown {
    pub(in crate::emulator::pixels) const COLOUR: u8 = 0b1001;
    pub(in crate::emulator::pixels) const TONE: u8 = 0b0101;
    pub(in crate::emulator::pixels) const VARIETY: u8 = 0b1001;
    pub(in crate::emulator::pixels) const LIGHT: u8 = 0b0111;
    pub(in crate::emulator::pixels) const CONTRAST: u8 = 0b1010;
    pub(in crate::emulator::pixels) const FALL: u8 = 0b0010;
    pub(in crate::emulator::pixels) const SHAPE: u8 = 0b1110;
    pub(in crate::emulator::pixels) const BALANCE: u8 = 0b1011;
    pub(in crate::emulator::pixels) const VIVID: u8 = 0b1100;
    pub(in crate::emulator::pixels) const TEXTURE: u8 = 0b0010;
}

/// The name, the first and the second category of a label.
pub(super) type Names = (&'static str, &'static str, &'static str);

/// The labels that were found so far, each with the scenes that have it.
#[derive(Default)]
pub(super) struct Labels(pub(super) Vec<(u8, Label)>);

impl Labels {
    /// Adds a label. The certainty is rounded and limited to 1 to 100.
    pub(super) fn push(&mut self, shown: u8, names: Names, certainty: f64) {
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
