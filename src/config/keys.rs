//! Keys of a configuration file that are not settings.

use std::path::Path;

use super::definitions;
use super::error::Error;

/// The error about a key that is not a setting. `shown` is the key with its tables.
pub(super) fn refuse(shown: String, key: &str, path: &Path) -> Error {
    if looks_secret(key) {
        return Error::Secret { key: shown, path: path.into() };
    }
    let near = definitions::nearest(key).map(str::to_owned);
    Error::UnknownKey { key: shown, path: path.into(), near }
}

fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "token", "password"].iter().any(|word| key.contains(word))
}
