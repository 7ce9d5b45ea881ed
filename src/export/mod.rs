//! Rows of the database as files: CSV and JSON lines, one row a label or one row an object.
//!
//! Takes an export of the store and an [`Output`]; streams, so that memory does not grow with the rows. What
//! the output is (a file that appears when it is whole, a pipe, stdout) is [`output`]'s business.

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
