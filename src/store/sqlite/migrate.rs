//! The schema: the folders of `migrations/sqlite/`, embedded in the program and applied in one transaction.

use std::path::Path;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use rusqlite::Connection;
use rusqlite_migration::Migrations;

use crate::store::Error;
use crate::store::sqlite::error::sorted;

/// The `application_id` of a job database: "cost" in ASCII.
const APPLICATION_ID: u32 = 0x636f_7374;

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/migrations/sqlite");

static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::from_directory(&FOLDER)
        .expect("the embedded folders are numbered, a test opens them")
});

/// The oldest schema version that can be read without an update: later versions only add tables and columns.
const OLDEST_READABLE: i64 = 2;

/// The newest schema version that this program knows.
pub(super) fn known_version() -> i64 {
    FOLDER.dirs().map(|_| 1).sum()
}

/// What the header of a database says of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// The file is empty.
    Fresh,
    /// The schema is the program's, at the version that it needs.
    Current,
    /// The schema is the program's, and an earlier version wrote it.
    Older(i64),
}

/// Reads the header and the version without writing.
///
/// # Errors
/// [`Error::Foreign`], [`Error::Newer`], [`Error::Corrupt`].
pub(super) fn inspect(connection: &Connection, path: &Path) -> Result<Schema, Error> {
    let pragma = |name: &str| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map_err(|source| sorted(path, source))
    };
    // The id is an unsigned 32-bit number, which SQLite prints as a signed one.
    let id = u32::try_from(pragma("application_id")? & 0xffff_ffff).unwrap_or_default();
    let found = pragma("user_version")?;
    if id == 0 && found == 0 {
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(|source| sorted(path, source))?;
        if tables == 0 {
            return Ok(Schema::Fresh);
        }
    }
    if id != APPLICATION_ID {
        return Err(Error::Foreign { location: path.into(), found: id });
    }
    let known = known_version();
    match found {
        _ if found > known => Err(Error::Newer { location: path.into(), found, known }),
        _ if found < known => Ok(Schema::Older(found)),
        _ => Ok(Schema::Current),
    }
}

/// Creates a database in memory that has the program's own schema of this version, and no rows.
pub(super) fn model(version: i64) -> rusqlite::Result<Connection> {
    let mut model = Connection::open_in_memory()?;
    match MIGRATIONS.to_version(&mut model, usize::try_from(version).unwrap_or_default()) {
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => Err(err),
        // The versions are those of the embedded folders, which a test applies.
        Ok(()) | Err(_) => Ok(model),
    }
}

/// Lets a database of an earlier version be read as if it were up to date, by temporary views and tables that add what
/// it lacks. Returns `false` if its version is too old for that.
pub(super) fn bridge(connection: &Connection, version: i64) -> rusqlite::Result<bool> {
    if version < OLDEST_READABLE {
        return Ok(false);
    }
    let (old, new) = (model(version)?, model(known_version())?);
    for (table, columns) in tables(&new)? {
        let known = columns_of(&old, &table)?;
        let missing: Vec<String> = columns
            .iter()
            .filter(|(name, _)| !known.iter().any(|(known, _)| known == name))
            .map(|(name, default)| format!("{default} AS \"{name}\""))
            .collect();
        let sql = if known.is_empty() {
            let names: Vec<_> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("CREATE TEMP TABLE \"{table}\" ({})", names.join(", "))
        } else if missing.is_empty() {
            continue;
        } else {
            let missing = missing.join(", ");
            format!("CREATE TEMP VIEW \"{table}\" AS SELECT *, {missing} FROM main.\"{table}\"")
        };
        connection.execute_batch(&sql)?;
    }
    Ok(true)
}

/// The columns of a table, with their defaults as SQL.
type Columns = Vec<(String, String)>;

fn tables(model: &Connection) -> rusqlite::Result<Vec<(String, Columns)>> {
    let mut names = model.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    names.map(|name| name.and_then(|name| Ok((name.clone(), columns_of(model, &name)?)))).collect()
}

/// Reads the columns of a table; there are none if there is no such table.
fn columns_of(model: &Connection, table: &str) -> rusqlite::Result<Columns> {
    model
        .prepare("SELECT name, ifnull(dflt_value, 'NULL') FROM pragma_table_xinfo(?1)")?
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Brings the schema up to date, in one transaction. The caller holds the lock.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    MIGRATIONS.to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => sorted(path, err),
        source => Error::Migration { location: path.into(), source: source.into() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{Reader, Store};

    /// Two contents of version 1: one is labelled in two scenes and was called twice, the other failed.
    const ROWS: &str = "
        INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys');
        INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals, tool_version,
                         started_at, listed_at, ended_at, counts)
        VALUES (1, 1, 'bucket', 0, 'complete', '{}', 0, '0.1.0', 100, 150, 200,
                '{\"calls\": 3, \"answered\": 1}');
        INSERT INTO range VALUES (1, 0, '', NULL, 'b.jpg', 1);
        INSERT INTO content (id, ident, etag, size, scenes_wanted, scenes_done, state, run_id, tagged_at)
        VALUES (1, 2389172691336656211, x'b80e044d57282dd1cb7ea35079182b8e', 2483921, 10, 10, 2, 1, 180);
        INSERT INTO content (id, ident, identity, scenes_wanted, state, attempts, run_id, error_verdict,
                             error_code, error_status, error_message, error_request_id)
        VALUES (2, 5, 'u', 10, 3, 1, 1, 'image', 'InvalidImageFormat', 400, 'no image', 'r-1');
        INSERT INTO object (id, bucket_id, key, content_id, fingerprint, last_modified, first_run)
        VALUES (1, 1, 'a.jpg', 1, 1, 90000, 1), (2, 1, 'b.jpg', 2, 2, 90000, 1),
               (3, 1, 'c.jpg', 1, 3, 90000, 1);
        INSERT INTO tag VALUES (1, 'cat', 'animal', 'pet'), (2, 'dog', 'animal', 'pet');
        INSERT INTO label VALUES (1, 1, 1, 1, 100), (1, 1, 2, 2, 0), (1, 3, 1, 2, 55);
        INSERT INTO call (run_id, content_id, object_id, scenes, ended_at, duration_ms, outcome,
                          http_status, code, request_id)
        VALUES (1, 1, 3, 10, 170000, 5, 3, 500, 'InternalError', 'r-0'),
               (1, 1, 3, 10, 180000, 5, 0, NULL, NULL, NULL),
               (1, 2, 2, 10, 180000, 5, 1, 400, 'InvalidImageFormat', 'r-1');";

    fn view(connection: &Connection, name: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = statement.column_count();
        let shown = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
            (0..columns).map(|n| row.get_ref(n).map(|value| format!("{value:?} "))).collect()
        };
        let mut rows: Vec<String> =
            statement.query_map([], shown).unwrap().collect::<Result<_, _>>().unwrap();
        rows.sort();
        rows
    }

    #[test]
    fn a_database_of_version_1_keeps_its_rows_in_the_newest_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut old = Connection::open(&path).unwrap();
        MIGRATIONS.to_version(&mut old, 1).unwrap();
        old.execute_batch(ROWS).unwrap();
        let views =
            |connection: &Connection| ["labels", "failure"].map(|name| view(connection, name));
        let before = views(&old);
        assert_eq!(before.each_ref().map(Vec::len), [6, 1]);
        drop(old);
        assert!(matches!(Reader::open(&path), Err(Error::Older { found: 1, .. })));

        let store = Store::open(&path).unwrap();
        assert_eq!(views(&store.connection), before);
        let one =
            |sql: &str| -> i64 { store.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(one("SELECT object_id FROM content WHERE id = 1"), 3, "the key that was called");
        assert_eq!(one("SELECT object_id FROM content WHERE id = 2"), 2);
        assert_eq!(one("SELECT group_concat(repeated, '') = '010' FROM call"), 1);
        assert_eq!(one("SELECT count(*) FROM call_error"), 2);
        let problems: Vec<_> = store
            .reader()
            .unwrap()
            .verify(|_| ())
            .unwrap()
            .into_iter()
            // The identity of the second content is made up.
            .filter(|checked| checked.problems.count > 0 && checked.check.name() != "identities")
            .collect();
        assert!(problems.is_empty(), "{problems:?}");
    }
}
