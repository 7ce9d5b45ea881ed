//! What can go wrong with an output.

use std::io;

use crate::store;

/// An export did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The output cannot be made.
    #[error("cannot write {target}: check the folder, its permissions and the space left")]
    Open {
        /// The file.
        target: String,
        /// Why the system refused.
        #[source]
        source: io::Error,
    },
    /// The output cannot be written; nothing is left of it where it would have been a file.
    #[error("writing {target} failed: make room or name another output, and export again")]
    Write {
        /// The file, or stdout.
        target: String,
        /// Why the system refused.
        #[source]
        source: io::Error,
    },
    /// Whoever read the output has seen enough; not a fault.
    #[error("the reader of {target} went away")]
    Closed {
        /// The pipe, or stdout.
        target: String,
    },
    /// Stopped by a signal; nothing is left of a file.
    #[error("interrupted: no file was written")]
    Interrupted,
}
