//! Rows of data on stdout: text for people, CSV or JSON lines for machines.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::export::{self, Output, field};
use crate::visible::Notation;

/// The options that choose the form.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct FormOptions {
    /// As JSON, one object a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// As CSV, with a header
    #[arg(long)]
    csv: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people; what a line holds is the command's to say.
    Text,
    /// RFC 4180, with a header.
    Csv,
    /// One object a line.
    Json,
}

impl Form {
    /// How characters that a terminal would obey are spelled out in this form.
    pub(super) fn notation(self) -> Notation {
        match self {
            Self::Text => Notation::Text,
            Self::Csv => Notation::Csv,
            Self::Json => Notation::Json,
        }
    }
}

impl FormOptions {
    /// The form that was asked for.
    pub fn form(self) -> Form {
        match (self.json, self.csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Text,
        }
    }
}

/// A stream of rows; nothing of them is kept.
#[derive(Debug)]
pub(super) struct Rows {
    form: Form,
    output: Output,
    line: Vec<u8>,
    count: u64,
}

impl Rows {
    /// Begins with the header, if the form has one.
    ///
    /// # Errors
    /// Those of an output.
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

    /// Writes a row: `value` as JSON, `cells` as CSV, `text` (its line end included) for people.
    ///
    /// # Errors
    /// Those of an output.
    pub(super) fn row<const N: usize>(
        &mut self,
        value: &impl Serialize,
        cells: impl FnOnce() -> [String; N],
        text: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), export::Error> {
        match self.form {
            Form::Json => {
                serde_json::to_writer(&mut self.line, value)
                    .expect("texts and numbers, into memory");
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

    /// Ends the output. Returns how many rows there were.
    ///
    /// # Errors
    /// Those of an output.
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
