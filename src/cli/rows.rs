//! Rows of data on stdout: as text for people, as CSV or JSON lines for programs.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::export::{self, Output, field};
use crate::visible::Notation;

/// The options that choose the form of the rows.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct FormOptions {
    /// Print JSON, one object per line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV with a header
    #[arg(long)]
    csv: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people. The command decides what a line contains.
    Text,
    /// RFC 4180, with a header.
    Csv,
    /// JSON, one object per line.
    Json,
}

impl Form {
    /// How control characters are spelled out in this form.
    pub(super) fn notation(self) -> Notation {
        match self {
            Self::Text => Notation::Text,
            Self::Csv => Notation::Csv,
            Self::Json => Notation::Json,
        }
    }
}

impl FormOptions {
    /// The form that the options ask for.
    pub fn form(self) -> Form {
        match (self.json, self.csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Text,
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
        let output = Output::open(Path::new("-"))?.in_notation(form.notation());
        let mut rows = Self { form, output, line: Vec::new(), count: 0 };
        if form == Form::Csv {
            rows.line.extend_from_slice(columns.join(",").as_bytes());
            rows.line.push(b'\n');
            rows.write()?;
        }
        Ok(rows)
    }

    /// Writes a row: `value` as JSON, `cells` as CSV, or what `text` appends, which includes the end of the line.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(super) fn row<const N: usize>(
        &mut self,
        value: &impl Serialize,
        cells: impl FnOnce() -> [String; N],
        text: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), export::Error> {
        match self.form {
            Form::Json => {
                serde_json::to_writer(&mut self.line, value)
                    .expect("a row of texts and numbers can be written to memory");
                self.line.push(b'\n');
            }
            Form::Csv => {
                for (index, cell) in cells().iter().enumerate() {
                    if index > 0 {
                        self.line.push(b',');
                    }
                    field(cell, &mut self.line);
                }
                self.line.push(b'\n');
            }
            Form::Text => text(&mut self.line),
        }
        self.count += 1;
        self.write()
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
