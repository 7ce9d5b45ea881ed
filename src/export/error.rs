//! The errors of an export.

use std::io;

use crate::store;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The output cannot be opened or created.
    #[error(
        "cannot write {target}; check that the folder exists, its permissions and the free space"
    )]
    Open {
        /// The file.
        target: String,
        /// The reason that the system gives.
        #[source]
        source: io::Error,
    },
    /// The output cannot be written. If it is a file, no part of it is left.
    #[error("writing {target} failed; free some space, or name another output")]
    Write {
        /// The file, or stdout.
        target: String,
        /// The reason that the system gives.
        #[source]
        source: io::Error,
    },
    /// The reader has closed the output, as `head` does. This is not a failure.
    #[error("the reader of {target} has closed it")]
    Closed {
        /// The pipe, or stdout.
        target: String,
    },
    /// Files of an earlier export have the names of the files of a divided export.
    #[error(
        "{file} exists and could be taken for a part of this export: remove the files of the earlier export, or name another output"
    )]
    There {
        /// One of the files.
        file: String,
    },
    /// The folder of a divided export cannot be searched for the files of an earlier one.
    #[error(
        "cannot read the folder {folder} to look for files of an earlier export: check its permissions, or name an output in another folder"
    )]
    Folder {
        /// The folder.
        folder: String,
        /// The reason that the system gives.
        #[source]
        source: io::Error,
    },
    /// A divided export needs too many files. None of them is left.
    #[error("the export needs more than {most} files: give --split a larger size")]
    TooMany {
        /// The most files that are allowed.
        most: usize,
    },
    /// A signal stopped the export. No part of a file is left.
    #[error("interrupted: no file was written")]
    Interrupted,
}
