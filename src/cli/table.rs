//! Tables for a terminal, and text made safe to show there.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};

use comfy_table::{CellAlignment, ContentArrangement, presets};

/// Text that can be shown on a terminal: what would move the cursor, change colours or reverse the direction
/// of writing is spelled out, `\x1b` for an escape.
///
/// Keys and messages come from others; shown as they are, they could rewrite what is on the screen.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if !is_hidden(c) => shown.push(c),
            c if u32::from(c) < 0x100 => {
                let _ = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(shown)
}

/// Controls, marks of writing direction, and what takes no room.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A table; numbers to the right, everything else to the left.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with this header. On a terminal it keeps to the width there is; elsewhere lines stay whole.
    pub fn new(header: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_header(header.iter().copied());
        table.set_content_arrangement(if io::stdout().is_terminal() {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        });
        Self(table)
    }

    /// Adds a row; control characters are made visible, so that each row is one entry.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.0.add_row(cells.into_iter().map(|cell| visible(cell.as_ref()).into_owned()));
    }

    /// Sets columns of numbers, by their places from 0.
    pub fn numbers(&mut self, columns: &[usize]) {
        for column in columns {
            if let Some(column) = self.0.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_is_spelled_out() {
        assert_eq!(visible("a\u{1b}[2J\n\u{202e}b\u{9b}"), "a\\x1b[2J\\n\\u{202e}b\\x9b");
        assert!(matches!(visible("照片/猫.jpg"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_row_is_a_line() {
        let mut table = Table::new(&["key", "n"]);
        table.row(["a\nb", "1"]);
        table.row(["猫", "1000"]);
        table.numbers(&[1]);
        insta::assert_snapshot!(table);
    }
}
