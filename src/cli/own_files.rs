//! Files that a command must not overwrite, because they belong to the database.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::export;

/// Checks that `target` is not the database or one of the files that belong to it, under any name.
///
/// # Errors
/// [`export::Error::Open`] if it is.
pub(super) fn spare(target: &Path, database: &Path) -> Result<(), export::Error> {
    if !is_database(target, database) {
        return Ok(());
    }
    Err(export::Error::Open {
        target: target.display().to_string(),
        source: std::io::Error::other("it is the job database"),
    })
}

fn is_database(target: &Path, database: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    let (Ok(target), Ok(database)) = (id(target), fs::canonicalize(database)) else {
        return false;
    };
    ["", "-wal", "-shm", ".lock"].into_iter().any(|ending| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        id(Path::new(&name)).is_ok_and(|id| id == target)
    })
}
