//! Who signs: a secret id and key, perhaps a token, where they come from and when they are renewed.
//!
//! [`Sources`] says where to look, [`Provider::discover`] takes the first place that has something, and the
//! [`Provider`] then knows that place only: an id of one place is never used with a token of another.

mod coscli;
mod coscmd;
mod environment;
mod process;
mod provider;
mod role;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use provider::{Provider, Sources};

use super::transport::Cause;

/// What a request is signed with.
#[derive(Clone)]
pub struct Credentials {
    /// The id, which goes over the wire with each request.
    pub secret_id: String,
    /// The key, which never does.
    pub secret_key: SecretString,
    /// The token of temporary credentials.
    pub token: Option<SecretString>,
    /// When they end, Unix seconds; `None` if that is not known.
    pub expires_at: Option<i64>,
}

/// Shows four characters of the id, no key and no token.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("secret_id", &self.shown_id())
            .field("temporary", &self.token.is_some())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Checks and joins what one place has told; `names` are its words for id, key and token.
    fn checked(
        names: [&str; 3],
        id: &str,
        key: &str,
        token: Option<&str>,
        expires_at: Option<i64>,
    ) -> Result<Self, Error> {
        let token = token.filter(|token| !token.is_empty());
        for (name, value) in names.into_iter().zip([Some(id), Some(key), token]) {
            let Some(value) = value else { continue };
            if value.is_empty() {
                return Err(Error::Missing { name: name.to_owned() });
            }
            if value.trim() != value {
                return Err(Error::Blanks { name: name.to_owned() });
            }
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Error::Characters { name: name.to_owned() });
            }
        }
        Ok(Self {
            secret_id: id.to_owned(),
            secret_key: key.into(),
            token: token.map(SecretString::from),
            expires_at,
        })
    }

    /// The first four characters of the id: enough to tell two of them apart.
    pub fn shown_id(&self) -> String {
        self.secret_id.chars().take(4).chain(['…']).collect()
    }

    /// The token as it is sent and signed.
    pub(super) fn expose_token(&self) -> Option<&str> {
        self.token.as_ref().map(ExposeSecret::expose_secret)
    }

    /// Whether these are the very same ones.
    fn same(&self, other: &Self) -> bool {
        self.secret_id == other.secret_id
            && self.secret_key.expose_secret() == other.secret_key.expose_secret()
            && self.expose_token() == other.expose_token()
    }
}

/// Reads `text` as each form that credentials are kept in.
///
/// For fuzzing: what is found is dropped, since nothing may show it.
pub(crate) fn read_every_form(text: &[u8]) -> [Option<Error>; 4] {
    let place = "a file";
    let lossy = String::from_utf8_lossy(text);
    [
        coscli::parse(place, &lossy).err(),
        coscmd::parse(place, &lossy).err(),
        environment::parse(place, &lossy).err(),
        process::parse(place, text).err(),
    ]
}

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

#[cfg(test)]
mod tests;
