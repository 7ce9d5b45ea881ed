//! The words for states and categories.

use super::super::name;
use super::super::query::state_word;
use crate::store::read::ImageState;

pub(in crate::view) fn state_name(state: ImageState) -> &'static str {
    match state {
        ImageState::Unlabelled => "no label",
        _ => state_word(state),
    }
}

pub(super) fn category_name(category: &str) -> String {
    if category.is_empty() { "(no category)".to_owned() } else { name::name(category) }
}
