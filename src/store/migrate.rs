//! The schema: the folders of `migrations/sqlite/`, embedded, applied in one transaction.

use std::path::Path;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use rusqlite::Connection;
use rusqlite_migration::Migrations;

use super::Error;

/// `application_id` of a job database: "cost" in ASCII.
pub const APPLICATION_ID: u32 = 0x636f_7374;

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/migrations/sqlite");

static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::from_directory(&FOLDER)
        .expect("the embedded folders are numbered, a test opens them")
});

/// The newest schema version this program knows.
pub fn known_version() -> i64 {
    FOLDER.dirs().map(|_| 1).sum()
}

/// What the header of a database says of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// Nothing is in the file yet.
    Fresh,
    /// Ours, at the version this program needs.
    Current,
    /// Ours, written by an earlier version.
    Older(i64),
}

/// Reads header and version without writing.
///
/// # Errors
/// [`Error::Foreign`], [`Error::Newer`], [`Error::Corrupt`].
pub(super) fn inspect(connection: &Connection, path: &Path) -> Result<Schema, Error> {
    let pragma = |name: &str| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map_err(|source| Error::sqlite(path, source))
    };
    // The id is an unsigned 32-bit number that SQLite prints signed.
    let id = u32::try_from(pragma("application_id")? & 0xffff_ffff).unwrap_or_default();
    let found = pragma("user_version")?;
    if id == 0 && found == 0 {
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(|source| Error::sqlite(path, source))?;
        if tables == 0 {
            return Ok(Schema::Fresh);
        }
    }
    if id != APPLICATION_ID {
        return Err(Error::Foreign { path: path.into(), found: id });
    }
    let known = known_version();
    match found {
        _ if found > known => Err(Error::Newer { path: path.into(), found, known }),
        _ if found < known => Ok(Schema::Older(found)),
        _ => Ok(Schema::Current),
    }
}

/// Brings the schema up to date, in one transaction; the caller holds the lock.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    MIGRATIONS.to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => Error::sqlite(path, err),
        source => Error::Migration { path: path.into(), source },
    })
}
