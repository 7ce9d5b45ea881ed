//! Why there are no credentials.

use std::path::PathBuf;
use std::time::Duration;

use crate::cos::transport::Cause;

/// Why there are no credentials. No variant contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No place has credentials.
    #[error("no credentials found: set COSTAG_SECRET_ID and COSTAG_SECRET_KEY, or use another of the places that were looked at: {}",
        looked.join(", "))]
    NotFound {
        /// The places, in the order in which they were looked at.
        looked: Vec<String>,
    },
    /// Only one of id and key is set.
    #[error("{set} is set and {missing} is not: set both")]
    Half {
        /// The name of the value that is set.
        set: String,
        /// The name of the value that is missing.
        missing: String,
    },
    /// A required value is empty.
    #[error("{name} is missing or empty: set it")]
    Missing {
        /// The name of the value.
        name: String,
    },
    /// A value begins or ends with blanks, most often a line end that was copied along.
    #[error("{name} has blanks around it; remove them")]
    Blanks {
        /// The name of the value.
        name: String,
    },
    /// A value cannot be sent in a header.
    #[error("{name} has characters that no id, key or token has: copy it again")]
    Characters {
        /// The name of the value.
        name: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}; check its name and permissions", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        cause: std::io::Error,
    },
    /// A file or the output of a command does not have the expected form.
    #[error("{place}: {reason}")]
    Form {
        /// The file, or a description of the output.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The command could not be run, or it failed.
    #[error("credential_process {reason}")]
    Process {
        /// What has happened.
        reason: String,
    },
    /// The command took too long.
    #[error("credential_process did not end within {} s: run it by hand to see what it waits for", limit.as_secs())]
    ProcessTimeout {
        /// The time limit.
        limit: Duration,
    },
    /// The metadata service of the machine returned no credentials.
    #[error("the machine's metadata service: {reason}")]
    Role {
        /// What has happened.
        reason: String,
        /// The error of the transport; `None` if there was an answer.
        #[source]
        cause: Option<Cause>,
    },
    /// The credentials have expired, and their place has no new ones.
    #[error("the credentials from {place} have expired: fetch new ones")]
    Expired {
        /// The place that they came from.
        place: String,
        /// Why there are no new ones; `None` if the place has the same ones as before.
        #[source]
        cause: Option<Box<Error>>,
    },
    /// The service refuses the credentials, and their place has no others.
    #[error("the service refuses the credentials from {place}, and there are no others")]
    Rejected {
        /// The place that they came from.
        place: String,
    },
}
