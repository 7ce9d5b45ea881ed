//! Writes the labels of the database as CSV or JSON lines, with one row per label or one row per object.
//!
//! This module takes an export of the store and an [`Output`]. It streams the rows, so memory does not grow with their
//! number. [`output`] decides how files, pipes and stdout are written.

mod columns;
mod compress;
mod csv;
mod error;
mod form;
mod jsonl;
pub mod output;
mod rows;
mod shape;
mod split;
#[cfg(test)]
mod tests;
mod time;
mod write;

pub use self::csv::{header, line};
pub use columns::{Column, names};
pub use error::Error;
pub use form::{Dialect, Format, Layout};
pub use output::Output;
pub use shape::Shape;
pub use split::{Written, write_split};
pub use time::iso_seconds;
pub use write::write;
