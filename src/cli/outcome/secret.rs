//! Addresses that are secrets: they come from the environment or from a file, and never from the command line, which other
//! users can see.

use std::env;
use std::fs;
use std::path::Path;

use crate::system;
use crate::visible::visible;

/// A text with secrets.
pub(super) struct Secret {
    pub(super) text: String,
    /// Where it came from, for messages.
    pub(super) origin: String,
    pub(super) is_variable: bool,
}

/// The text of the variable, or else of the file that the setting `key` names. Warns if others can read the file.
///
/// # Errors
/// The file cannot be read. The reason does not contain what is in it.
pub(super) fn find(
    variable: &str,
    key: &str,
    path: Option<&Path>,
) -> Result<Option<Secret>, String> {
    let given = env::var_os(variable).filter(|value| !value.is_empty());
    match (given, path) {
        (Some(text), _) => Ok(Some(Secret {
            text: text.into_string().unwrap_or_default(),
            origin: variable.to_owned(),
            is_variable: true,
        })),
        (None, None) => Ok(None),
        (None, Some(path)) => {
            let origin = path.display().to_string();
            let text = fs::read_to_string(path)
                .map_err(|error| format!("cannot read {key} {origin}: {error}"))?;
            let mode = fs::metadata(path).ok().and_then(|metadata| system::mode(&metadata));
            if mode.is_some_and(|mode| mode & 0o077 != 0) {
                say!(
                    "warning: others can read {}, which contains a secret: chmod 600",
                    visible(&origin)
                );
            }
            Ok(Some(Secret { text, origin, is_variable: false }))
        }
    }
}
