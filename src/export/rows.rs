//! Turns objects into rows of bytes.
//!
//! Every format is written in the same way: something before each cell, the cell, and something at the end of a row. The
//! cells that all rows of an object share are formatted once for each object: an image with ten labels has ten rows.

use std::ops::Range;

use super::columns::Column;
use super::form::{Dialect, Format, Layout};
use super::shape::Shape;
use super::{csv, jsonl};
use crate::label::Label;
use crate::store::read::Exported;

/// Writes one cell.
type Cell = fn(Column, &Exported<'_>, Option<&Label<'_>>, &mut Vec<u8>);

/// A part of a row.
#[derive(Debug)]
enum Part {
    /// A cell with its own value for each label; what comes before it is at this place of `before`.
    Label(usize, Column),
    /// Cells that are equal in all rows of an object.
    Shared(Range<usize>),
}

/// Writes the rows of an export.
#[derive(Debug)]
pub(super) struct Rows {
    shape: Shape,
    cell: Cell,
    /// What comes before each cell.
    before: Vec<Vec<u8>>,
    parts: Vec<Part>,
    end: &'static [u8],
    /// The shared cells of the present object, and where those of each part end.
    shared: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows {
    pub(super) fn new(shape: Shape) -> Self {
        let before = (0..shape.columns.len()).map(|place| match shape.format {
            Format::Csv if place == 0 => Vec::new(),
            Format::Csv => b",".to_vec(),
            Format::Jsonl => jsonl::before(place, shape.columns[place]),
        });
        let before = before.collect();
        let cell: Cell = match (shape.format, shape.dialect) {
            (Format::Csv, Dialect::Plain) => {
                |column, object, label, out| csv::cell(column, object, label, csv::plain, out)
            }
            (Format::Csv, Dialect::Excel) => {
                |column, object, label, out| csv::cell(column, object, label, csv::excel, out)
            }
            (Format::Jsonl, _) => jsonl::cell,
        };
        let end: &[u8] = match shape.format {
            Format::Csv => csv::line_end(shape.dialect),
            Format::Jsonl => b"}\n",
        };
        let parts = parts(&shape.columns);
        Self { shape, cell, before, parts, end, shared: Vec::new(), ends: Vec::new() }
    }

    /// Appends what comes before the first row.
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        if self.shape.format == Format::Csv {
            let names: Vec<_> = self.shape.columns.iter().map(|column| column.name()).collect();
            csv::header(&names, self.shape.dialect, out);
        }
    }

    /// Appends the rows of an object, and returns their number.
    pub(super) fn object(&mut self, object: &Exported<'_>, out: &mut Vec<u8>) -> u64 {
        let labels = object.labels();
        let rows = labels.len() as u64;
        if self.shape.layout == Layout::Wide || object.is_deleted {
            self.row(object, out);
            return 1;
        }
        if rows == 0 && self.shape.tells_deleted() {
            // An image without labels has no row in this layout.
            self.row(&object.deleted(), out);
            return 1;
        }
        if rows > 0 {
            self.share(object);
        }
        for label in labels {
            let (mut from, mut ends) = (0, self.ends.iter());
            for part in &self.parts {
                match part {
                    Part::Label(place, column) => {
                        out.extend_from_slice(&self.before[*place]);
                        (self.cell)(*column, object, Some(&label), out);
                    }
                    Part::Shared(_) => {
                        let to = *ends.next().unwrap_or(&from);
                        out.extend_from_slice(&self.shared[from..to]);
                        from = to;
                    }
                }
            }
            out.extend_from_slice(self.end);
        }
        rows
    }

    /// Appends a row without a label of its own.
    fn row(&self, object: &Exported<'_>, out: &mut Vec<u8>) {
        for (place, column) in self.shape.columns.iter().enumerate() {
            out.extend_from_slice(&self.before[place]);
            (self.cell)(*column, object, None, out);
        }
        out.extend_from_slice(self.end);
    }

    /// Formats the cells that all rows of an object share.
    fn share(&mut self, object: &Exported<'_>) {
        self.shared.clear();
        self.ends.clear();
        for part in &self.parts {
            let Part::Shared(places) = part else { continue };
            for place in places.clone() {
                self.shared.extend_from_slice(&self.before[place]);
                (self.cell)(self.shape.columns[place], object, None, &mut self.shared);
            }
            self.ends.push(self.shared.len());
        }
    }
}

/// Divides the columns of the long layout into cells of a label and groups of shared cells.
fn parts(columns: &[Column]) -> Vec<Part> {
    let mut parts = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        match parts.last_mut() {
            _ if column.belongs_to_a_label() => parts.push(Part::Label(place, *column)),
            Some(Part::Shared(places)) => places.end = place + 1,
            _ => parts.push(Part::Shared(place..place + 1)),
        }
    }
    parts
}
