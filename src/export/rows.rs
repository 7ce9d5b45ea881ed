//! What an export looks like: its form, what a row of it is, and what turns objects into rows.

use crate::store::read::Exported;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// RFC 4180, UTF-8, with a header; lines end in LF
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// What a row of an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// One row a label
    Long,
    /// One row a tagged object, its labels joined, a column a scene
    Wide,
}

/// Turns objects into rows of bytes.
pub(super) trait Rows {
    /// What comes before the first row.
    fn header(&self, out: &mut Vec<u8>);

    /// Appends the rows of an object and answers how many there were.
    fn object(&mut self, object: &Exported<'_>, out: &mut Vec<u8>) -> u64;
}
