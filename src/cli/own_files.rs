//! Files that a command must not overwrite, because they belong to the database.

use std::path::Path;

use crate::export;
use crate::store::Reader;

/// Checks that `target` is not the database or one of the files that belong to it, under any name.
///
/// # Errors
/// [`export::Error::Open`] if it is.
pub(super) fn spare(target: &Path, database: &Reader) -> Result<(), export::Error> {
    if !database.owns(target) {
        return Ok(());
    }
    Err(export::Error::Open {
        target: target.display().to_string(),
        source: std::io::Error::other("it is the job database: name another file"),
    })
}
