//! Why a file cannot be imported.

use std::io;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The first line does not name the columns that are needed.
    #[error("{file} {what}")]
    Header {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// A row cannot be used.
    #[error("line {line} of {file} {what}")]
    Row {
        /// The file.
        file: String,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
}
