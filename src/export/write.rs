//! Writes an export to an output, batch by batch.

use std::io::Write as _;

use super::rows::Rows;
use super::shape::Shape;
use super::{Error, Output};
use crate::store::Export;

/// Writes all of `export` to `output`, and returns the number of rows without the header.
///
/// The output is not committed: the caller decides whether it is complete. `continues` is called once per batch.
///
/// # Errors
/// [`Error::Store`] if a read fails, [`Error::Closed`] if the reader of the output has closed it, [`Error::Write`] if it
/// cannot be written, and [`Error::Interrupted`] once `continues` returns `false`.
pub fn write(
    export: &mut Export<'_>,
    shape: Shape,
    output: &mut Output,
    continues: impl Fn() -> bool,
) -> Result<u64, Error> {
    let mut rows = Rows::new(shape);
    let mut buffer = Vec::new();
    let mut count = 0;
    rows.header(&mut buffer);
    while let Some(batch) = export.next_batch()? {
        if !continues() {
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
