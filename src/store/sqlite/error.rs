//! Sorts the errors of SQLite by what the caller can do about them.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::Error;
use crate::store::error::is_limit_of_files;
use crate::system::no_file;

/// What to do with a damaged file.
const REPAIR: &str = "keep the file, restore a backup, or recover what is left with \
                      sqlite3's `.recover`";

/// The error of the store for an error of SQLite on the database at `path`.
pub(super) fn sorted(path: &Path, source: rusqlite::Error) -> Error {
    let location = path.into();
    if holds_a_foreign_value(&source) {
        return Error::Unsound { what: format!("a value that no run writes ({source})") };
    }
    let code = source.sqlite_error_code();
    let cause = |source: rusqlite::Error| source.into();
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Corrupt { location, advice: REPAIR, source: cause(source) }
        }
        // An index or a row that another program has made stands in the way.
        Some(ErrorCode::ConstraintViolation) => {
            Error::Unsound { what: format!("rows that contradict each other ({source})") }
        }
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
            Error::Disk { location, source: cause(source) }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Busy { location, source: cause(source) }
        }
        Some(ErrorCode::CannotOpen) if no_further_file() => {
            Error::Files { location, source: cause(source) }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::ReadOnly { location, source: cause(source) }
        }
        _ => Error::Statement { location, source: cause(source) },
    }
}

/// Returns true if no file can be opened any more. SQLite does not say why it could not open one.
fn no_further_file() -> bool {
    std::fs::File::open(no_file()).is_err_and(|error| is_limit_of_files(&error))
}

/// Returns true if rows hold what no run writes there. The file itself may be sound.
pub(super) fn is_unsound(error: &rusqlite::Error) -> bool {
    holds_a_foreign_value(error)
        || error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

/// Returns true if a column held a value that this program never writes there.
fn holds_a_foreign_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(
        error,
        Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
    )
}
