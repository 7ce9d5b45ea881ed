//! Writes what a command answers beside its exit code to stdout. A reader that is gone, or a full disk, does not hide the
//! exit code.

use std::error::Error as _;
use std::io::Write as _;
use std::path::Path;

use super::exit::Exit;
use super::fault::chain;
use crate::export::{self, Output};
use crate::visible::Notation;

/// Writes the text to stdout, and returns the exit code of the command. It is `exit` if the text can be written. `what`
/// names the text in a message.
pub(super) fn write(what: &str, text: &str, notation: Notation, exit: Exit) -> Exit {
    let written = Output::open_in(Path::new("-"), notation).and_then(|mut output| {
        output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
        output.commit()
    });
    after(what, written, exit)
}

/// The exit code of a command after its text was written, or could not be. It is `exit` if the text was written, and also
/// if the reader has closed stdout, because nobody wants the rest of the text then. Any other failure is reported, and the
/// exit code is [`Exit::Local`] unless `exit` is worse.
pub(super) fn after(what: &str, written: Result<(), export::Error>, exit: Exit) -> Exit {
    match written {
        Ok(()) | Err(export::Error::Closed { .. }) => exit,
        Err(error) => {
            let reason = error.source().map_or_else(|| chain(&error), chain);
            say!("error: {what} cannot be written to standard output: {reason}");
            exit.or_worse(Exit::Local)
        }
    }
}
