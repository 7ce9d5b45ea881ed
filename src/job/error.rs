//! The errors that end a run and do not come from the service.

use super::ListError;
use crate::glob::GlobError;
use crate::store;

/// An error that ends a run. What the service answers is never one: it is an outcome of an image, or a
/// [`StopReason`](super::StopReason).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The list of keys or URLs cannot be used.
    #[error(transparent)]
    List(#[from] ListError),
    /// A glob of the filter cannot be compiled.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The stored settings of a run cannot be used by this version.
    #[error("cannot read the settings of run {run}: begin a new run")]
    Settings {
        /// `run.id`.
        run: i64,
        /// What is wrong with them.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The settings of a run cannot be written as JSON, for example because a path in them is not UTF-8.
    #[error("the settings of this run cannot be stored: every path in them must be UTF-8")]
    UnstorableSettings(#[source] serde_json::Error),
    /// The writer thread has ended. The thread's own error says why; it takes precedence over this one.
    #[error("the thread that writes to the database ended early")]
    WriterGone,
    /// A stage of the pipeline panicked.
    #[error(
        "a part of the program failed unexpectedly, which is a mistake in costag; everything committed is intact"
    )]
    Panicked,
    /// The system cannot start another thread.
    #[error(
        "the system cannot start another thread: a limit of processes (`ulimit -u`) or of memory (`ulimit -v`) is reached: raise it, or lower --workers; everything committed is intact"
    )]
    Thread(#[source] std::io::Error),
}
