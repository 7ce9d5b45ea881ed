//! Rows of the database as files: CSV and JSON lines, one row a label or one row an object.
//!
//! Takes an export of the store and an [`Output`]; streams, so that memory does not grow with the rows. What
//! the output is (a file that appears when it is whole, a pipe, stdout) is [`output`]'s business.

mod csv;
mod error;
mod jsonl;
pub mod output;
#[cfg(test)]
mod tests;
mod time;

use std::io::Write as _;

pub use self::csv::{LONG_COLUMNS, WIDE_COLUMNS, field};
pub use error::Error;
pub use output::Output;
pub use time::iso_seconds;

use crate::store::read::{Export, Exported};

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
trait Rows {
    /// What comes before the first row.
    fn header(&self, out: &mut Vec<u8>);

    /// Appends the rows of an object and answers how many there were.
    fn object(&mut self, object: &Exported<'_>, out: &mut Vec<u8>) -> u64;
}

/// Writes all of `export` to `output` and answers how many rows there were, without the header.
///
/// Commits nothing: the caller decides whether the output is whole. `go_on` is asked once a batch.
///
/// # Errors
/// [`Error::Store`] for a failed read, [`Error::Closed`] if whoever reads the output went away,
/// [`Error::Write`] if it cannot be written, [`Error::Interrupted`] once `go_on` says no.
pub fn write(
    export: &mut Export<'_>,
    format: Format,
    layout: Layout,
    output: &mut Output,
    go_on: impl Fn() -> bool,
) -> Result<u64, Error> {
    let mut rows: Box<dyn Rows> = match (format, layout) {
        (Format::Csv, Layout::Long) => Box::new(csv::Long::default()),
        (Format::Csv, Layout::Wide) => Box::new(csv::Wide::default()),
        (Format::Jsonl, layout) => Box::new(jsonl::Lines::new(layout)),
    };
    let mut buffer = Vec::new();
    let mut count = 0;
    rows.header(&mut buffer);
    while let Some(batch) = export.next_batch()? {
        if !go_on() {
            return Err(Error::Interrupted);
        }
        for object in batch.objects() {
            count += rows.object(&object, &mut buffer);
        }
        output.write_all(&buffer).map_err(|source| output.error(source))?;
        buffer.clear();
    }
    output.write_all(&buffer).map_err(|source| output.error(source))?;
    output.flush().map_err(|source| output.error(source))?;
    Ok(count)
}
