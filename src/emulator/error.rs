//! Why an emulator does not start.

use std::io;
use std::path::PathBuf;

use super::faults::SettingsError;

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The emulator cannot listen on the port, most likely because another program does.
    #[error("cannot listen on port {port} of 127.0.0.1; --port 0 chooses a free one")]
    Listen {
        /// The port in the options.
        port: u16,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The folder of pictures does not exist or cannot be read.
    #[error("the folder {} cannot be read; check its name and permissions", folder.display())]
    Folder {
        /// The folder in the options.
        folder: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The name of the bucket does not end in `-` and digits.
    #[error(
        "{0:?} is not a bucket name: a bucket is written as NAME-APPID, such as demo-1250000000"
    )]
    Bucket(String),
    /// More objects, labels or threads than an emulator can have.
    #[error("{given} {what} are too many: an emulator has at most {most}")]
    TooMany {
        /// What there are too many of, in the plural.
        what: &'static str,
        /// The number in the options.
        given: u64,
        /// The largest number.
        most: u64,
    },
    /// A setting has a value that it cannot have.
    #[error("a setting of the emulator is wrong")]
    Settings(#[from] SettingsError),
    /// The system has no more threads.
    #[error(
        "the emulator's threads cannot be started: raise the limit of processes (`ulimit -u`), or give fewer --threads"
    )]
    Threads(#[source] io::Error),
}
