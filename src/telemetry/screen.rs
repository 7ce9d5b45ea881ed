//! What a person sees on stderr: lines that stay, and below them a block of a few lines that is drawn again and again, or
//! a question.
//!
//! Everything that the program writes to stderr goes through this module. It takes the block away, writes the new lines
//! and draws the block again below them, in one write. So nothing tears the block or leaves a second one behind.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use unicode_width::UnicodeWidthStr as _;

use crate::system::terminal_size;

/// Gives the lines of the block for a number of columns.
type Layout = Box<dyn Fn(usize) -> Vec<String> + Send>;

static SCREEN: Mutex<Screen> = Mutex::new(Screen::new());

/// Writes lines that stay, above the block. Failures are ignored, since there is no other place to report them.
pub fn line(text: &str) {
    let mut screen = lock();
    let size = Size::now();
    let written = screen.line(text, size);
    write(&written);
}

/// Shows a block, in place of the one before. The layout is asked for its lines at every redraw.
pub fn show(layout: impl Fn(usize) -> Vec<String> + Send + 'static) {
    let mut screen = lock();
    screen.layout = Some(Box::new(layout));
    let written = screen.redraw(Size::now());
    write(&written);
}

/// Takes the block away.
pub fn clear() {
    let mut screen = lock();
    screen.layout = None;
    let written = screen.erase(Size::now());
    write(&written);
}

/// Shows a question at the bottom, with the cursor behind it. The block is hidden until [`answered`] is called.
///
/// # Errors
/// If stderr cannot be written.
pub fn ask(question: &str) -> io::Result<()> {
    let mut screen = lock();
    let size = Size::now();
    let mut written = screen.erase(size);
    screen.question = Some(question.to_owned());
    written.push_str(&screen.draw(size));
    io::stderr().write_all(written.as_bytes())
}

/// Says that the question was answered. `is_ended` says whether the answer ended with a line end, which the terminal has
/// shown too.
pub fn answered(is_ended: bool) {
    let mut screen = lock();
    screen.question = None;
    screen.drawn = Drawn::Nothing;
    let mut written = if is_ended { String::new() } else { "\n".to_owned() };
    written.push_str(&screen.draw(Size::now()));
    write(&written);
}

/// Says that other programs may have written to the terminal, so that the block is no longer where it was drawn.
pub fn forget() {
    lock().drawn = Drawn::Nothing;
}

fn lock() -> MutexGuard<'static, Screen> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(text: &str) {
    if !text.is_empty() {
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Columns and rows of the terminal.
#[derive(Debug, Clone, Copy)]
struct Size {
    columns: usize,
    rows: usize,
}

impl Size {
    /// The size of the terminal now. Without a terminal, or if it does not know its size, the variable `COLUMNS` or 80.
    fn now() -> Self {
        let known = terminal_size();
        let columns = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
        Self {
            columns: known.map(|(columns, _)| columns.into()).or_else(columns).unwrap_or(80),
            rows: known.map(|(_, rows)| rows.into()).filter(|rows| *rows > 0).unwrap_or(24),
        }
    }
}

/// What is drawn below the lines that stay.
#[derive(Debug, PartialEq, Eq)]
enum Drawn {
    Nothing,
    /// Lines, with the cursor at the begin of the line below them.
    Block(Vec<String>),
    /// A question of so many columns, with the cursor behind it.
    Question(usize),
}

struct Screen {
    layout: Option<Layout>,
    question: Option<String>,
    drawn: Drawn,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.drawn.fmt(f)
    }
}

impl Screen {
    const fn new() -> Self {
        Self { layout: None, question: None, drawn: Drawn::Nothing }
    }

    fn line(&mut self, text: &str, size: Size) -> String {
        let mut written = self.erase(size);
        written.push_str(text);
        written.push('\n');
        written.push_str(&self.draw(size));
        written
    }

    /// Takes away what is drawn.
    fn erase(&mut self, size: Size) -> String {
        let mut written = String::new();
        if self.drawn != Drawn::Nothing {
            self.go_to_top(size, &mut written);
            written.push_str("\x1b[J");
        }
        self.drawn = Drawn::Nothing;
        written
    }

    /// Moves the cursor to the begin of what is drawn. If the terminal has become narrower, it has wrapped the lines.
    fn go_to_top(&self, size: Size, out: &mut String) {
        let rows = match &self.drawn {
            Drawn::Nothing => return,
            Drawn::Block(lines) => {
                lines.iter().map(|line| line.width().div_ceil(size.columns).max(1)).sum()
            }
            Drawn::Question(columns) => columns / size.columns,
        };
        out.push('\r');
        if rows > 0 {
            let _ = write!(out, "\x1b[{rows}A");
        }
    }

    /// Draws the question, or else the block, below the lines that stay.
    fn draw(&mut self, size: Size) -> String {
        if let Some(question) = &self.question {
            self.drawn = Drawn::Question(question.width());
            return question.clone();
        }
        let lines = self.lines(size);
        let written = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        if !lines.is_empty() {
            self.drawn = Drawn::Block(lines);
        }
        written
    }

    /// Draws the block in its place. Nothing is written if it has not changed, or while a question is shown.
    fn redraw(&mut self, size: Size) -> String {
        let lines = self.lines(size);
        if self.question.is_some() || self.drawn == Drawn::Block(lines.clone()) {
            return String::new();
        }
        // Each line is replaced and not erased first, so that nothing flickers.
        let mut written = String::new();
        self.go_to_top(size, &mut written);
        for line in &lines {
            let _ = writeln!(written, "{line}\x1b[K");
        }
        written.push_str("\x1b[J");
        self.drawn = Drawn::Block(lines);
        written
    }

    /// The lines of the block. There must be room for the cursor below them.
    fn lines(&self, size: Size) -> Vec<String> {
        let mut lines = self.layout.as_ref().map_or_else(Vec::new, |layout| layout(size.columns));
        lines.truncate(size.rows.saturating_sub(1));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Size = Size { columns: 20, rows: 10 };

    fn screen(lines: &'static [&'static str]) -> Screen {
        let layout = move |_| lines.iter().map(|line| (*line).to_owned()).collect();
        Screen { layout: Some(Box::new(layout)), ..Screen::new() }
    }

    #[test]
    fn a_line_is_written_above_the_block() {
        let mut screen = screen(&["one", "two"]);
        assert_eq!(screen.redraw(WIDE), "one\x1b[K\ntwo\x1b[K\n\x1b[J");
        assert_eq!(screen.line("WARN x", WIDE), "\r\x1b[2A\x1b[JWARN x\none\ntwo\n");
        assert_eq!(screen.redraw(WIDE), "", "nothing has changed");
        assert_eq!(screen.erase(WIDE), "\r\x1b[2A\x1b[J");
        assert_eq!(screen.erase(WIDE), "");
    }

    #[test]
    fn a_block_that_the_terminal_has_wrapped_is_taken_away_whole() {
        let mut screen = screen(&["0123456789 12345", "two"]);
        screen.redraw(WIDE);
        let narrow = Size { columns: 8, rows: 10 };
        assert_eq!(screen.erase(narrow), "\r\x1b[3A\x1b[J");
    }

    #[test]
    fn a_line_that_comes_while_a_question_is_shown_appears_above_it() {
        let mut screen = screen(&["one"]);
        screen.redraw(WIDE);
        screen.erase(WIDE);
        screen.question = Some("continue? ".to_owned());
        assert_eq!(screen.draw(WIDE), "continue? ");
        assert_eq!(screen.redraw(WIDE), "", "the block is hidden");
        assert_eq!(screen.line("WARN x", WIDE), "\r\x1b[JWARN x\ncontinue? ");
    }

    #[test]
    fn a_low_terminal_shows_as_many_lines_as_fit() {
        let mut screen = screen(&["one", "two", "three"]);
        assert_eq!(screen.draw(Size { columns: 20, rows: 3 }), "one\ntwo\n");
    }
}
