//! Tables for a terminal.

use std::fmt;
use std::io::{self, IsTerminal as _};

use comfy_table::{CellAlignment, ContentArrangement, presets};

use crate::visible::visible;

/// A table. Columns are aligned to the left, columns of numbers to the right.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with this header. On a terminal, cells are wrapped to its width; elsewhere each row is one line.
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

    /// Adds a row. Control characters are spelled out, so that a cell cannot break its line.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.0.add_row(cells.into_iter().map(|cell| visible(cell.as_ref()).into_owned()));
    }

    /// Aligns these columns, counted from 0, to the right.
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
    fn a_row_is_one_line_even_if_a_cell_has_a_line_break() {
        let mut table = Table::new(&["key", "n"]);
        table.row(["a\nb", "1"]);
        table.row(["猫", "1000"]);
        table.numbers(&[1]);
        insta::assert_snapshot!(table);
    }
}
