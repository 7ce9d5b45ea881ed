//! Pictures: the files of a folder by their keys, and small copies of them.

mod folder;
mod scale;

pub use folder::Folder;
pub use scale::{Unusable, fit, square};
