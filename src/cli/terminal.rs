//! Lines on stderr, and questions. Questions are only asked if a person sits at a terminal.

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _, stderr, stdin};

/// Writes a line to stderr and ignores failures; see the macro `say!`.
pub(super) fn say(line: fmt::Arguments<'_>) {
    // In one write, so that the lines of several threads do not mix.
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether a person can be asked: stdin and stderr are terminals.
pub(super) fn can_ask() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks a question on stderr and returns whether the answer was "y" or "yes".
///
/// # Errors
/// If the terminal cannot be written or read.
pub(super) fn confirm(question: &str) -> io::Result<bool> {
    {
        // stderr is not locked while the answer is awaited: a signal that arrives meanwhile is reported there too.
        let mut out = stderr().lock();
        write!(out, "{question} [y/N] ")?;
        out.flush()?;
    }
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_y_and_yes_are_taken_as_yes() {
        for (answer, yes) in
            [("y\n", true), (" YES \n", true), ("\n", false), ("", false), ("yep\n", false)]
        {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
