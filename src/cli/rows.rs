//! Rows of data on stdout: as text for people, as CSV or JSON lines for programs.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::export::{self, Dialect, Output};
use crate::visible::Notation;

/// The options that choose the form of the rows.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct FormOptions {
    /// Print JSON, one object per line
    #[arg(long, conflicts_with_all = ["csv", "excel"])]
    json: bool,
    /// Print CSV with a header
    #[arg(long)]
    csv: bool,
    /// Print CSV for spreadsheets: with a byte order mark and CRLF line ends, and safe to open
    #[arg(long)]
    excel: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people. The command decides what a line contains.
    Text,
    /// CSV of this dialect, with a header.
    Csv(Dialect),
    /// JSON, one object per line.
    Json,
}

impl Form {
    /// How control characters are spelled out in this form.
    pub(super) fn notation(self) -> Notation {
        match self {
            Self::Text => Notation::Text,
            Self::Csv(_) => Notation::Csv,
            Self::Json => Notation::Json,
        }
    }
}

impl FormOptions {
    /// The form that the options ask for.
    pub fn form(self) -> Form {
        match self {
            Self { json: true, .. } => Form::Json,
            Self { excel: true, .. } => Form::Csv(Dialect::Excel),
            Self { csv: true, .. } => Form::Csv(Dialect::Plain),
            _ => Form::Text,
        }
    }
}

/// Writes rows to stdout as they come.
#[derive(Debug)]
pub(super) struct Rows {
    form: Form,
    output: Output,
    line: Vec<u8>,
    count: u64,
}

impl Rows {
    /// Opens stdout, and writes the header if the form has one.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(super) fn begin(form: Form, columns: &[&str]) -> Result<Self, export::Error> {
        let output = Output::open_in(Path::new("-"), form.notation())?;
        let mut rows = Self { form, output, line: Vec::new(), count: 0 };
        if let Form::Csv(dialect) = form {
            export::header(columns, dialect, &mut rows.line);
            rows.write()?;
        }
        Ok(rows)
    }

    /// Writes a row: `value` as JSON, `cells` as CSV, or what `text` appends, which includes the end of the line.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(super) fn row<C: AsRef<[String]>>(
        &mut self,
        value: &impl Serialize,
        cells: impl FnOnce() -> C,
        text: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), export::Error> {
        match self.form {
            Form::Json => {
                serde_json::to_writer(&mut self.line, value)
                    .expect("a row of texts and numbers can be written to memory");
                self.line.push(b'\n');
            }
            Form::Csv(dialect) => export::line(cells().as_ref(), dialect, &mut self.line),
            Form::Text => text(&mut self.line),
        }
        self.count += 1;
        self.write()
    }

    /// Shows the rows so far at once, for a command whose rows take time.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), export::Error> {
        self.output.flush().map_err(|source| self.output.error(source))
    }

    /// Flushes stdout, and returns the number of rows.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(super) fn end(self) -> Result<u64, export::Error> {
        self.output.commit()?;
        Ok(self.count)
    }

    fn write(&mut self) -> Result<(), export::Error> {
        let written = self.output.write_all(&self.line);
        self.line.clear();
        written.map_err(|source| self.output.error(source))
    }
}
