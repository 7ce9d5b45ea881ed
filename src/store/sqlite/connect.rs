//! Connections to a database file, and what every statement relies on.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::sorted;
use super::schema;
use crate::store::Error;

/// The part of SQLite that uses the files of the system without locks.
pub(super) const WITHOUT_LOCKS: &str = if cfg!(windows) { "win32-none" } else { "unix-none" };

/// How long a statement waits for the transaction of another program, such as one left open in a SQL shell.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of prepared statements that each connection keeps. There are fewer in the program (a test counts them), so
/// no statement is prepared twice. A connection keeps only those that it has used.
pub(super) const STATEMENTS: usize = 512;

/// Opens a connection to the file with this name, which must not contain links. Nothing in the schema of the database
/// is trusted, since another person may have written it.
pub(super) fn connect(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    guarded(Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
}

/// Sets a connection up so that nothing in the schema of the database is trusted.
pub(super) fn guarded(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", "on")?;
    Ok(connection)
}

/// Checks that the schema of the file is the one that this program creates at that version.
pub(super) fn check_schema(
    connection: &Connection,
    version: i64,
    path: &Path,
) -> Result<(), Error> {
    let differences =
        schema::compare(connection, version).map_err(|source| sorted(path, source))?;
    if differences.refused.is_empty() {
        return Ok(());
    }
    Err(Error::Altered { location: path.into(), what: differences.refused.join("; ") })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::STATEMENTS;

    /// Counts the statements that the files of a folder can prepare, each file's own tests left out.
    fn statements(folder: &Path) -> usize {
        let mut count = 0;
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                count += statements(&path);
            } else if !name.ends_with("tests.rs") && path.extension().is_some_and(|end| end == "rs")
            {
                let source = std::fs::read_to_string(path).unwrap();
                let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
                let is_declared = |line: &&str| {
                    line.split_once(" = \"").is_some_and(|(name, _)| {
                        let name = name.rsplit(' ').next().unwrap_or_default();
                        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                    })
                };
                count += code.lines().filter(is_declared).count();
                // A call with a statement that is declared begins with `&` and the name.
                count += code.matches("prepare_cached(").count();
                count -= code.matches("prepare_cached(&").count();
            }
        }
        count
    }

    #[test]
    fn a_connection_keeps_every_statement_that_it_can_have() {
        let all = statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite"));
        assert!((100..STATEMENTS).contains(&all), "{all} statements");
    }
}
