//! Lines on stderr, as text or JSON, and questions. Questions are only asked if a person sits at a terminal.

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, stderr, stdin};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::telemetry::screen;

/// Whether lines are JSON objects.
static JSON: AtomicBool = AtomicBool::new(false);

/// Makes every further line a JSON object, or a line for people.
pub(super) fn write_json(yes: bool) {
    JSON.store(yes, Ordering::Relaxed);
}

/// Whether only errors and warnings are said, and what follows an error.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether the command line asks for this.
static ASKS_FOR_QUIET: AtomicBool = AtomicBool::new(false);

/// Says only errors and warnings from now on, and what to do about an error.
pub(super) fn be_quiet(yes: bool) {
    ASKS_FOR_QUIET.store(yes, Ordering::Relaxed);
    QUIET.store(yes, Ordering::Relaxed);
}

/// Begins a part of the command that an error of an earlier part does not concern: it is quiet again if the command line
/// asks for this.
pub(super) fn be_quiet_again() {
    QUIET.store(ASKS_FOR_QUIET.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Says everything from now on, because it belongs to an error.
pub(super) fn be_loud() {
    QUIET.store(false, Ordering::Relaxed);
}

/// Whether only errors and warnings are said now.
pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Whether lines are JSON objects.
pub(super) fn writes_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Writes a line to stderr and ignores failures; see the macro `say!`.
pub(super) fn say(line: fmt::Arguments<'_>) {
    if is_quiet() {
        let text = line.to_string();
        if text.starts_with("error") || text.starts_with("stopped") {
            // What to do about it follows.
            be_loud();
        } else if !text.starts_with("warning") {
            return;
        }
    }
    let line =
        if writes_json() { json(&line.to_string(), Timestamp::now()) } else { line.to_string() };
    screen::line(&line);
}

/// A message in the form of a log line in JSON. Its level follows from its first word.
fn json(line: &str, at: Timestamp) -> String {
    let line = line.trim();
    let (level, message) = [("ERROR", "error: "), ("WARN", "warning: ")]
        .into_iter()
        .find_map(|(level, word)| Some((level, line.strip_prefix(word)?)))
        .unwrap_or(("INFO", line));
    let timestamp = format!("{at:.6}");
    serde_json::json!({
        "timestamp": timestamp, "level": level, "message": message, "target": "costag",
    })
    .to_string()
}

/// Whether a person can be asked: stdin and stderr are terminals.
pub(super) fn can_ask() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks for a line of text on stderr. Returns `None` if no line comes, as at the end of the input.
///
/// # Errors
/// If the terminal cannot be written or read.
pub(super) fn line(question: &str) -> io::Result<Option<String>> {
    screen::ask(question)?;
    let mut answer = String::new();
    let read = stdin().lock().read_line(&mut answer);
    screen::answered(answer.ends_with('\n'));
    read?;
    Ok((!answer.is_empty()).then(|| answer.trim().to_owned()))
}

/// Asks a question on stderr and returns whether the answer was "y" or "yes".
///
/// # Errors
/// If the terminal cannot be written or read.
pub(super) fn confirm(question: &str) -> io::Result<bool> {
    // Only the last line is the prompt. What comes before it stays, also if the question has to be drawn again.
    let prompt = match question.rsplit_once('\n') {
        Some((above, prompt)) => {
            screen::line(above);
            prompt
        }
        None => question,
    };
    screen::ask(&format!("{prompt} [y/N] "))?;
    let mut answer = String::new();
    let read = stdin().lock().read_line(&mut answer);
    screen::answered(answer.ends_with('\n'));
    read?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_json_has_the_level_that_its_first_word_says() {
        let line = |text: &str| -> serde_json::Value {
            serde_json::from_str(&json(text, Timestamp::UNIX_EPOCH)).unwrap()
        };
        let error = line("error: the disk is full\n");
        assert_eq!(
            (error["level"].as_str(), error["message"].as_str()),
            (Some("ERROR"), Some("the disk is full"))
        );
        assert_eq!(error["timestamp"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(line("warning: x")["level"], "WARN");
        assert_eq!(line("run 1: complete\n  listed 3")["level"], "INFO");
    }

    #[test]
    fn only_y_and_yes_are_taken_as_yes() {
        for (answer, yes) in
            [("y\n", true), (" YES \n", true), ("\n", false), ("", false), ("yep\n", false)]
        {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
