//! Connections to a database file, and what every statement relies on.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::sorted;
use super::schema;
use crate::store::Error;

/// How long a statement waits for the transaction of another program, such as one left open in a SQL shell.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of prepared statements that each connection keeps. The writer has about forty.
const STATEMENTS: usize = 64;

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
