//! Why there are no credentials.

use std::path::PathBuf;
use std::time::Duration;

use crate::cos::transport::Cause;

/// Why there are no credentials. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No place has any.
    #[error("no credentials found; looked at: {}", looked.join(", "))]
    NotFound {
        /// The places, in the order in which they were looked at.
        looked: Vec<String>,
    },
    /// Half a pair.
    #[error("{set} is set and {missing} is not; both are needed")]
    Half {
        /// The name that has a value.
        set: String,
        /// The name that has none.
        missing: String,
    },
    /// A value that must be there is empty.
    #[error("{name} is missing or empty")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A value with blanks around it: most often a newline that was copied along.
    #[error("{name} has blanks around it; remove them")]
    Blanks {
        /// Its name.
        name: String,
    },
    /// A value that cannot be sent in a header.
    #[error("{name} has characters that no id, key or token has")]
    Characters {
        /// Its name.
        name: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file, or what a command printed, is not in its form.
    #[error("{place}: {reason}")]
    Form {
        /// The file or command.
        place: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The command could not be run, or told that it failed.
    #[error("credential_process {reason}")]
    Process {
        /// What happened.
        reason: String,
    },
    /// The command took too long.
    #[error("credential_process did not end within {} s", limit.as_secs())]
    ProcessTimeout {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The metadata service of the machine gave no credentials.
    #[error("the machine's metadata service: {reason}")]
    Role {
        /// What happened.
        reason: String,
        /// What the transport says.
        #[source]
        cause: Option<Cause>,
    },
    /// They have ended, and the place gives no new ones.
    #[error("the credentials from {place} have expired")]
    Expired {
        /// Where they came from.
        place: String,
        /// Why there are no new ones.
        #[source]
        cause: Option<Box<Error>>,
    },
    /// The service has refused these, and the place gives the same ones again.
    #[error("the service refuses the credentials from {place}, and there are no others")]
    Rejected {
        /// Where they came from.
        place: String,
    },
}
