//! A checked set of credentials.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::error::Error;
use crate::time::UnixSeconds;

/// The credentials that a request is signed with.
#[derive(Clone)]
pub struct Credentials {
    /// The secret id, which is sent with each request.
    pub secret_id: String,
    /// The secret key, which is never sent.
    pub secret_key: SecretString,
    /// The security token of temporary credentials; `None` for permanent ones.
    pub token: Option<SecretString>,
    /// When the credentials expire; `None` if this is not known.
    pub expires_at: Option<UnixSeconds>,
}

/// Prints four characters of the id, no key and no token.
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
    /// Checks the values of one place. `names` are its names for id, key and token, for error messages.
    pub(super) fn checked(
        names: [&str; 3],
        id: &str,
        key: &str,
        token: Option<&str>,
        expires_at: Option<UnixSeconds>,
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

    /// Returns the first four characters of the id, for display.
    pub fn shown_id(&self) -> String {
        self.secret_id.chars().take(4).chain(['…']).collect()
    }

    /// Returns the token as it is sent and signed; `None` if there is none.
    pub(in crate::cos) fn expose_token(&self) -> Option<&str> {
        self.token.as_ref().map(ExposeSecret::expose_secret)
    }

    /// Returns `true` if id, key and token are the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.secret_id == other.secret_id
            && self.secret_key.expose_secret() == other.secret_key.expose_secret()
            && self.expose_token() == other.expose_token()
    }
}
