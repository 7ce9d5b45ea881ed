//! The errors that only the command line has, and how an error is shown: one line with all of its causes.

use std::error::Error;

use crate::visible::visible;

/// The command is wrong in a way that only shows after parsing; ends with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// A word is neither an address nor the name of a profile; ends with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error(
    "{word:?} is not the address of a bucket, and no profile has this name: an address has the form cos://BUCKET-APPID \
     or cos://BUCKET-APPID/PREFIX; {profiles}"
)]
pub(super) struct UnknownWord {
    pub(super) word: String,
    /// Which profiles there are.
    pub(super) profiles: String,
}

/// Marks an error of this machine's disk; ends with exit code 4.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct LocalFault(pub(super) &'static str);

/// A folder of this machine cannot be written; ends with exit code 4.
#[derive(Debug, thiserror::Error)]
#[error("cannot write into the folder {0}")]
pub(super) struct UnwritableFolder(pub(super) String);

/// An error and its causes on one line, with control characters spelled out. A cause that ends the text of its parent is
/// not repeated.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    visible(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_and_its_causes_are_one_line_without_control_characters() {
        let error = anyhow::anyhow!("no such key \u{1b}[2J").context("calling\nfor a.jpg");
        assert_eq!(chain(error.as_ref()), "calling\\nfor a.jpg: no such key \\x1b[2J");
    }
}
