//! Why an emulator does not start.

use std::io;
use std::path::PathBuf;

use super::faults::SettingsError;

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, most likely.
    #[error("port {port} of 127.0.0.1 cannot be listened on")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The folder of pictures is not there or cannot be read.
    #[error("the folder {} cannot be read", folder.display())]
    Folder {
        /// The folder asked for.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The bucket's name does not end in `-` and digits.
    #[error("{0:?} is no bucket name: it is NAME-APPID, such as demo-1250000000")]
    Bucket(String),
    /// More objects, labels or threads than an emulator can have.
    #[error("{given} {what} are too many: an emulator has at most {most}")]
    TooMany {
        /// What was asked for, in the plural.
        what: &'static str,
        /// How many.
        given: u64,
        /// The limit.
        most: u64,
    },
    /// A setting makes no sense.
    #[error("a setting of the emulator is wrong")]
    Settings(#[from] SettingsError),
    /// No thread could be started.
    #[error("the emulator's threads cannot be started")]
    Threads(#[source] io::Error),
}
