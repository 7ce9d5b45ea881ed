//! The labels, the most frequent first.

use askama::Template;

use super::share::{length, number_of, roughly};
use super::{Readings, Terms, name};
use crate::numbers::grouped;
use crate::store::read::{LabelCount, UNCERTAIN_BELOW};

/// How many labels are shown.
pub const SHOWN: usize = 1_000;

/// How many rows are laid out together.
const PART: usize = 100;

/// The most bytes of HTML that the rows take, about. It is reached only if names are long and full of markup.
const BYTES: usize = 545_000;

/// The bytes of HTML that a row takes without its names.
const ROW: usize = 430;

/// What the view of the labels shows.
#[derive(Debug, Clone, Template)]
#[template(path = "labels.html")]
pub struct Labels {
    /// The answer in one sentence.
    pub title: String,
    /// The remark after it.
    pub remark: String,
    /// The labels.
    pub rows: Vec<Row>,
    /// True if a listing was compared with an earlier one, so that changes can be told.
    pub has_changes: bool,
    /// The confidence below which a label is uncertain.
    pub uncertain_below: u8,
    /// What is said about the labels that are not shown; empty if all are shown.
    pub rest: String,
}

/// A label.
#[derive(Debug, Clone)]
pub struct Row {
    /// The place among all labels.
    pub rank: usize,
    /// The name.
    pub name: String,
    /// Where its images are, if they can be looked at.
    pub href: Option<String>,
    /// The categories.
    pub categories: String,
    /// The number of images.
    pub images: String,
    /// The length of the bar.
    pub width: u32,
    /// The mean confidence.
    pub confidence: String,
    /// The share of images in which it is uncertain.
    pub uncertain: String,
    /// The labels that most often stand beside it.
    pub beside: Vec<Beside>,
    /// The change since the run before, with its sign; empty if there is none.
    pub change: String,
}

/// A label that stands beside another.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The name.
    pub name: String,
    /// Where it leads, if anywhere.
    pub href: Option<String>,
}

impl Labels {
    /// The model.
    pub fn of(readings: &Readings, terms: &Terms) -> Self {
        let links = terms.links;
        let all: Vec<&LabelCount> =
            readings.survey.labels.iter().filter(|label| label.images > 0).collect();
        let most = all.first().map_or(0, |label| label.images);
        let row = |(place, label): (usize, &&LabelCount)| Row {
            rank: place + 1,
            name: terms.label(&label.name),
            href: links.images("all", &label.name),
            categories: terms.categories(&label.first_category, &label.second_category),
            images: grouped(label.images),
            width: length(label.images, most, 100),
            confidence: (label.confidence / label.images.max(1)).to_string(),
            uncertain: roughly(label.uncertain, label.images),
            beside: label.beside.iter().filter_map(|rank| beside(&all, *rank, terms)).collect(),
            change: change(label),
        };
        let mut left = BYTES;
        let rows: Vec<Row> = all
            .iter()
            .take(SHOWN)
            .enumerate()
            .map(row)
            .map_while(|row| {
                left = left.checked_sub(row.bytes())?;
                Some(row)
            })
            .collect();
        let hidden = &all[rows.len()..];
        let rest = match hidden.iter().map(|label| label.images).max() {
            None => String::new(),
            Some(1) => {
                format!("{} more are in one image each.", number_of(hidden.len() as u64, "label"))
            }
            Some(images) => format!(
                "{} more are in {} each, or in fewer.",
                number_of(hidden.len() as u64, "label"),
                number_of(images, "image")
            ),
        };
        let (title, remark) = sentence(&all, rows.len(), terms);
        Self {
            title,
            remark,
            rows,
            has_changes: readings.survey.changes.is_some(),
            uncertain_below: UNCERTAIN_BELOW,
            rest,
        }
    }

    /// The rows in parts, each of which is a table: a browser lays out only those near the window, so that the page
    /// appears at once.
    fn parts(&self) -> std::slice::Chunks<'_, Row> {
        self.rows.chunks(PART)
    }
}

impl Row {
    /// About how many bytes of HTML the row takes.
    fn bytes(&self) -> usize {
        let beside =
            self.beside.iter().map(|beside| name::bytes_in_html(&beside.name)).sum::<usize>();
        ROW + beside + name::bytes_in_html(&self.name) + name::bytes_in_html(&self.categories)
    }
}

fn sentence(all: &[&LabelCount], shown: usize, terms: &Terms) -> (String, String) {
    let Some(first) = all.first() else {
        return ("No labels.".to_owned(), "No image has a label so far.".to_owned());
    };
    let remark = if shown < all.len() {
        format!("The {} most frequent are here.", grouped(shown as u64))
    } else {
        let name = terms.label(&first.name);
        // The two marks isolate the name, so that one that is written from right to left does not turn the sentence.
        format!("\u{2068}{name}\u{2069} is in {}.", number_of(first.images, "image"))
    };
    (format!("{}.", number_of(all.len() as u64, "label")), remark)
}

fn beside(all: &[&LabelCount], place: usize, terms: &Terms) -> Option<Beside> {
    let label = all.get(place)?;
    Some(Beside {
        name: terms.short_label(&label.name),
        href: (place < SHOWN).then(|| terms.links.label(place + 1, &label.name)),
    })
}

fn change(label: &LabelCount) -> String {
    let change = label.came.cast_signed() - label.went.cast_signed();
    match change {
        0 => String::new(),
        1.. => format!("+{}", grouped(change.unsigned_abs())),
        _ => format!("−{}", grouped(change.unsigned_abs())),
    }
}
