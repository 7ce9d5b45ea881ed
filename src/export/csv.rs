//! CSV as of RFC 4180, in UTF-8. The plain dialect has LF line ends and changes no text.
//!
//! The csv crate is not used: its writer cannot quote the fields that all rows of an object share once per object.

use std::io::Write as _;

use super::columns::Column;
use super::form::Dialect;
use super::time::iso_seconds;
use crate::label::Label;
use crate::object::ETag;
use crate::scene::Scene;
use crate::store::read::Exported;

/// The end of a line.
pub(super) fn line_end(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Plain => b"\n",
        Dialect::Excel => b"\r\n",
    }
}

/// Appends the first line, which has the names of the columns.
pub fn header(names: &[&str], dialect: Dialect, out: &mut Vec<u8>) {
    if dialect == Dialect::Excel {
        // Without a byte order mark, Excel takes the text for one in the code page of the system.
        out.extend_from_slice("\u{feff}".as_bytes());
    }
    out.extend_from_slice(names.join(",").as_bytes());
    out.extend_from_slice(line_end(dialect));
}

/// Appends a line of texts.
pub fn line(cells: &[String], dialect: Dialect, out: &mut Vec<u8>) {
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        field(cell, dialect, out);
    }
    out.extend_from_slice(line_end(dialect));
}

/// Appends a text in this dialect, in quotes only if it needs them.
pub(super) fn field(text: &str, dialect: Dialect, out: &mut Vec<u8>) {
    match dialect {
        Dialect::Plain => plain(text, out),
        Dialect::Excel => excel(text, out),
    }
}

pub(super) fn plain(text: &str, out: &mut Vec<u8>) {
    if text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        quoted(text, out);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a text that no spreadsheet executes: an apostrophe is put before a text that a spreadsheet may take for a
/// formula. It is also put before a text that begins with an apostrophe, so that a program that removes one apostrophe
/// from the beginning of each text gets the original texts.
pub(super) fn excel(text: &str, out: &mut Vec<u8>) {
    if !may_be_formula(text) && !text.starts_with('\'') {
        plain(text, out);
        return;
    }
    out.extend_from_slice(b"\"'");
    escaped(text, out);
    out.push(b'"');
}

/// Whether a spreadsheet may take a text for a formula. White space and invisible characters before the sign are skipped,
/// because some spreadsheets skip them. The wide forms of the signs count in East Asian versions.
fn may_be_formula(text: &str) -> bool {
    if text.starts_with(['\t', '\r', '\n']) {
        return true;
    }
    let begin =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{200b}');
    text.trim_start_matches(begin).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

fn escaped(text: &str, out: &mut Vec<u8>) {
    for part in text.split_inclusive('"') {
        out.extend_from_slice(part.as_bytes());
        if part.ends_with('"') {
            out.push(b'"');
        }
    }
}

/// Appends the cell of a row. It is empty if the row has no label, or no such value is known.
pub(super) fn cell(
    column: Column,
    object: &Exported<'_>,
    label: Option<&Label<'_>>,
    text: impl Fn(&str, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    match (column, label) {
        (Column::Bucket, _) => text(object.bucket, out),
        (Column::Key, _) => text(object.key, out),
        (Column::Scene, Some(label)) => out.extend_from_slice(label.scene.name().as_bytes()),
        (Column::Rank, Some(label)) => number(label.rank, out),
        (Column::Name, Some(label)) => text(label.name, out),
        (Column::FirstCategory, Some(label)) => text(label.first_category, out),
        (Column::SecondCategory, Some(label)) => text(label.second_category, out),
        (Column::Confidence, Some(label)) => number(label.confidence, out),
        (Column::Labels(scene), _) => text(&joined(object, scene), out),
        (Column::ETag, _) => match object.etag {
            None => {}
            Some(ETag::Md5(md5)) => hex(*md5, out),
            Some(ETag::Text(etag)) => text(etag, out),
        },
        (Column::Size, _) => {
            if let Some(size) = object.size {
                number(size, out);
            }
        }
        (Column::LastModified, _) => {
            if let Some(moment) = object.last_modified {
                iso_seconds(moment.to_seconds(), out);
            }
        }
        (Column::TaggedAt, _) => {
            if let Some(moment) = object.tagged_at {
                iso_seconds(moment, out);
            }
        }
        (Column::Deleted, _) => out.extend_from_slice(object.is_deleted.to_string().as_bytes()),
        (_, None) => {}
    }
}

/// The labels of an object in one scene, as `name:confidence;…`.
fn joined(object: &Exported<'_>, scene: Scene) -> String {
    let mut joined = String::new();
    for label in object.labels().filter(|label| label.scene == scene) {
        if !joined.is_empty() {
            joined.push(';');
        }
        // The name is escaped, so that a program can read it even if it contains a separator.
        for c in label.name.chars() {
            if matches!(c, ':' | ';' | '\\') {
                joined.push('\\');
            }
            joined.push(c);
        }
        joined.push(':');
        joined.push_str(&label.confidence.to_string());
    }
    joined
}

pub(super) fn number(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number}");
}

/// Appends an MD5 as 32 lowercase hexadecimal digits. The crate hex is not used, because it needs a buffer or a
/// `String`.
fn hex(md5: [u8; 16], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in md5 {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_may_execute_gets_an_apostrophe() {
        let excel = |text: &str| {
            let mut out = Vec::new();
            field(text, Dialect::Excel, &mut out);
            String::from_utf8(out).unwrap()
        };
        for text in
            ["=1+1", "+1", "-1", "@SUM(1)", " =1", "\u{feff}=1", "\t1", "\r1", "＝1", "＠a", "'a"]
        {
            assert_eq!(excel(text), format!("\"'{text}\""), "{text:?}");
        }
        assert_eq!(excel("=\"a\""), "\"'=\"\"a\"\"\"");
        for text in ["", "a=1", "2026/a-b.jpg", "蓝色", "1+1", "a'"] {
            assert_eq!(excel(text), text);
        }
        assert_eq!(excel("a,b"), "\"a,b\"");
    }
}
