//! Writes the labels of the database as CSV or JSON lines, with one row per label or one row per object.
//!
//! This module takes an export of the store and an [`Output`]. It streams the rows, so memory does not grow with their
//! number. [`output`] decides how files, pipes and stdout are written.

mod csv;
mod error;
mod jsonl;
pub mod output;
mod rows;
#[cfg(test)]
mod tests;
mod time;
mod write;

pub use self::csv::{LONG_COLUMNS, WIDE_COLUMNS, field};
pub use error::Error;
pub use output::Output;
pub use rows::{Format, Layout};
pub use time::iso_seconds;
pub use write::write;
