//! Lines on stderr, and questions, which only a person at a terminal is asked.

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _, stderr, stdin};

/// Writes a line to stderr; see `say!`.
pub(super) fn say(line: fmt::Arguments<'_>) {
    // In one piece, so that lines of several threads do not mix.
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether somebody can be asked: both ends are a terminal.
pub(super) fn can_ask() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks on stderr; only a yes is one.
///
/// # Errors
/// If the terminal cannot be written or read.
pub(super) fn confirm(question: &str) -> io::Result<bool> {
    {
        // Not locked while it waits for the answer: a signal that comes meanwhile is told on stderr too.
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
    fn only_a_yes_is_one() {
        for (answer, yes) in
            [("y\n", true), (" YES \n", true), ("\n", false), ("", false), ("yep\n", false)]
        {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
