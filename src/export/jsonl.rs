//! JSON lines: one object per row, with the names of the CSV columns. `null` stands for an empty field of the CSV.

use serde::Serialize;

use super::columns::Column;
use super::csv;
use super::time::iso_seconds;
use crate::label::Label;
use crate::store::read::Exported;
use crate::time::{UnixMillis, UnixSeconds};

#[derive(Serialize)]
struct WideLabel<'a> {
    name: &'a str,
    first_category: &'a str,
    second_category: &'a str,
    confidence: u8,
}

impl<'a> From<Label<'a>> for WideLabel<'a> {
    fn from(label: Label<'a>) -> Self {
        let Label { name, first_category, second_category, confidence, .. } = label;
        Self { name, first_category, second_category, confidence }
    }
}

/// What comes before the value of the column at this place of a row.
pub(super) fn before(place: usize, column: Column) -> Vec<u8> {
    let begin = if place == 0 { '{' } else { ',' };
    format!("{begin}\"{}\":", column.name()).into_bytes()
}

/// Appends the value of a cell.
pub(super) fn cell(
    column: Column,
    object: &Exported<'_>,
    label: Option<&Label<'_>>,
    out: &mut Vec<u8>,
) {
    match (column, label) {
        (Column::Bucket, _) => json(object.bucket, out),
        (Column::Key, _) => json(object.key, out),
        (Column::Scene, Some(label)) => json(label.scene.name(), out),
        (Column::Rank, Some(label)) => csv::number(label.rank, out),
        (Column::Name, Some(label)) => json(label.name, out),
        (Column::FirstCategory, Some(label)) => json(label.first_category, out),
        (Column::SecondCategory, Some(label)) => json(label.second_category, out),
        (Column::Confidence, Some(label)) => csv::number(label.confidence, out),
        // A scene that was not asked for is `null`, and a scene without labels is an empty list.
        (Column::Labels(scene), _) => {
            let labels = object.labels().filter(|label| label.scene == scene);
            let labels = || labels.map(WideLabel::from).collect::<Vec<_>>();
            json(&object.scenes.contains(scene).then(labels), out);
        }
        (Column::ETag, _) => json(&object.etag.map(ToString::to_string), out),
        (Column::Size, _) => json(&object.size, out),
        (Column::LastModified, _) => {
            time(object.last_modified.map(UnixMillis::to_seconds), out);
        }
        (Column::TaggedAt, _) => time(object.tagged_at, out),
        (Column::Deleted, _) => json(&object.is_deleted, out),
        (_, None) => json(&(), out),
    }
}

/// Appends a time as a text, or `null` if it is not known or has more than four digits in its year.
fn time(seconds: Option<UnixSeconds>, out: &mut Vec<u8>) {
    let begin = out.len();
    out.push(b'"');
    if let Some(seconds) = seconds {
        iso_seconds(seconds, out);
    }
    if out.len() == begin + 1 {
        out.truncate(begin);
        json(&(), out);
    } else {
        out.push(b'"');
    }
}

fn json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("texts and numbers can be written to memory");
}
