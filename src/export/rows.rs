//! The forms and layouts of an export, and the interface that turns objects into rows.

use crate::store::read::Exported;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// RFC 4180, UTF-8, with a header; lines end in LF
    Csv,
    /// One JSON object per line
    Jsonl,
}

/// What one row of an export stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// One row per label
    Long,
    /// One row per tagged object and one column per scene, with the labels joined
    Wide,
}

/// Turns objects into rows of bytes.
pub(super) trait Rows {
    /// Appends what comes before the first row.
    fn header(&self, out: &mut Vec<u8>);

    /// Appends the rows of an object, and returns their number.
    fn object(&mut self, object: &Exported<'_>, out: &mut Vec<u8>) -> u64;
}
