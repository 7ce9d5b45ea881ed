//! The words for states.

use super::super::query::state_word;
use crate::store::read::ImageState;

pub(in crate::view) fn state_name(state: ImageState) -> &'static str {
    match state {
        ImageState::Unlabelled => "no label",
        _ => state_word(state),
    }
}
