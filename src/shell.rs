//! Words of commands as a person pastes them into a shell.

use crate::visible::visible;

/// A word, quoted for a POSIX shell if necessary. Control characters are spelled out, since a person reads it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    let shown = visible(word);
    if !word.is_empty() && word.chars().all(plain) {
        shown.into_owned()
    } else {
        format!("'{}'", shown.replace('\'', r"'\''"))
    }
}
