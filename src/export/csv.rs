//! CSV as of RFC 4180 with LF line ends, in UTF-8. Keys are not changed.
//!
//! The csv crate is not used: its writer cannot quote the fields that all rows of an object share once per object.

use std::io::Write as _;

use super::rows::Rows;
use super::time::iso_seconds;
use crate::object::ETag;
use crate::scene::Scene;
use crate::store::read::Exported;

/// The columns of the long layout, which are those of the view `labels`.
pub const LONG_COLUMNS: &str = "bucket,key,scene,rank,name,first_category,second_category,confidence,etag,size,last_modified,tagged_at";

/// The columns of the wide layout. Each scene has a column with its labels as `name:confidence;…`.
pub const WIDE_COLUMNS: &str = "bucket,key,album,camera,news,web,etag,size,last_modified,tagged_at";

/// Appends a field, in quotes only if RFC 4180 requires them.
pub fn field(text: &str, out: &mut Vec<u8>) {
    if text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.push(b'"');
        for part in text.split_inclusive('"') {
            out.extend_from_slice(part.as_bytes());
            if part.ends_with('"') {
                out.push(b'"');
            }
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn number(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number}");
}

/// Appends `,etag,size,last_modified,tagged_at` and the end of the line.
fn tail(object: &Exported<'_>, out: &mut Vec<u8>) {
    out.push(b',');
    match object.etag {
        None => {}
        Some(ETag::Md5(md5)) => hex(*md5, out),
        Some(ETag::Text(text)) => field(text, out),
    }
    out.push(b',');
    if let Some(size) = object.size {
        number(size, out);
    }
    out.push(b',');
    if let Some(milliseconds) = object.last_modified {
        iso_seconds(milliseconds.div_euclid(1_000), out);
    }
    out.push(b',');
    if let Some(seconds) = object.tagged_at {
        iso_seconds(seconds, out);
    }
    out.push(b'\n');
}

/// Appends an MD5 as 32 lowercase hexadecimal digits. The crate hex is not used, because it needs a buffer or a
/// `String`.
pub(super) fn hex(md5: [u8; 16], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in md5 {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// One row per label.
#[derive(Default)]
pub(super) struct Long {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Rows for Long {
    fn header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(LONG_COLUMNS.as_bytes());
        out.push(b'\n');
    }

    fn object(&mut self, object: &Exported<'_>, out: &mut Vec<u8>) -> u64 {
        let labels = object.labels();
        let rows = labels.len();
        if rows == 0 {
            return 0;
        }
        self.head.clear();
        field(object.bucket, &mut self.head);
        self.head.push(b',');
        field(object.key, &mut self.head);
        self.head.push(b',');
        self.tail.clear();
        tail(object, &mut self.tail);
        for label in labels {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(label.scene.name().as_bytes());
            out.push(b',');
            number(label.rank, out);
            for text in [label.name, label.first_category, label.second_category] {
                out.push(b',');
                field(text, out);
            }
            out.push(b',');
            number(label.confidence, out);
            out.extend_from_slice(&self.tail);
        }
        rows as u64
    }
}

/// One row per object.
#[derive(Default)]
pub(super) struct Wide {
    joined: String,
}

impl Rows for Wide {
    fn header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(WIDE_COLUMNS.as_bytes());
        out.push(b'\n');
    }

    fn object(&mut self, object: &Exported<'_>, out: &mut Vec<u8>) -> u64 {
        field(object.bucket, out);
        out.push(b',');
        field(object.key, out);
        for scene in Scene::ALL {
            self.joined.clear();
            for label in object.labels().filter(|label| label.scene == scene) {
                if !self.joined.is_empty() {
                    self.joined.push(';');
                }
                // The name is escaped, so that a program can read it even if it contains a separator.
                for c in label.name.chars() {
                    if matches!(c, ':' | ';' | '\\') {
                        self.joined.push('\\');
                    }
                    self.joined.push(c);
                }
                self.joined.push(':');
                self.joined.push_str(&label.confidence.to_string());
            }
            out.push(b',');
            field(&self.joined, out);
        }
        tail(object, out);
        1
    }
}
