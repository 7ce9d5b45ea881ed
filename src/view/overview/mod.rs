//! The overview: how many images there are, what is on them, and what changed.

mod categories;
mod changes;
mod histogram;
mod sheet;

use askama::Template;

pub use categories::{Category, CategoryPart};
pub use changes::{Changes, Riser};
pub use histogram::{ConfidenceBar, Histogram};
pub use sheet::{FRAMES, Frame, SHEET, Strip};

use super::fact::Fact;
use super::prefixes::{self, PrefixRow};
use super::share::{LENGTH, length, number_of, percent};
use super::{Command, Links, Money, Picture, Readings, Terms};
use crate::numbers::grouped;
use crate::store::read::{ImageCounts, Sample, Survey};

/// What the overview shows.
#[derive(Debug, Clone, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// The answer in one sentence, and a remark.
    pub title: String,
    /// The remark after it.
    pub remark: String,
    /// The commands with which to begin, if there is nothing to show.
    pub begin: Vec<Command>,
    /// The parts of all images.
    pub ribbon: Vec<Segment>,
    /// The figures below the sentence.
    pub facts: Vec<Fact>,
    /// The most frequent labels.
    pub sheet: Vec<Strip>,
    /// The number of all labels.
    pub all_labels: String,
    /// Where all labels are.
    pub labels_href: &'static str,
    /// How many pictures the view asks for, in words; empty if that costs nothing.
    pub asked: String,
    /// True if the sheet has pictures.
    pub has_pictures: bool,
    /// The categories.
    pub categories: Vec<Category>,
    /// The number of categories that are not shown.
    pub more_categories: usize,
    /// The confidences.
    pub histogram: Option<Histogram>,
    /// The prefixes, each with its place in the tree.
    pub prefixes: Vec<PrefixRow>,
    /// What the last listing found different.
    pub changes: Option<Changes>,
}

/// A part of the ribbon.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The class that gives the colour.
    pub class: &'static str,
    /// The place and the length, out of 1,000.
    pub x: u32,
    /// The length.
    pub width: u32,
    /// What it stands for.
    pub name: &'static str,
    /// The number of images.
    pub count: String,
}

impl Overview {
    /// The model. `picture` returns the picture of an image; `None` if there is none.
    pub fn of(
        readings: &Readings,
        terms: &Terms,
        mut picture: impl FnMut(&Sample) -> Option<Picture>,
    ) -> Self {
        let survey = &readings.survey;
        let (title, remark) = sentence(readings);
        let sheet: Vec<Strip> = sheet::sheet(&survey.labels, terms, &mut picture);
        let has_pictures =
            sheet.iter().any(|strip| strip.frames.iter().any(|frame| frame.picture.is_some()));
        Self {
            title,
            remark,
            begin: begin(readings, terms),
            ribbon: ribbon(&survey.images),
            facts: if readings.runs.is_empty() { Vec::new() } else { facts(readings, terms) },
            has_pictures,
            labels_href: terms.links.labels(),
            asked: sheet::asked(&sheet),
            all_labels: grouped(
                survey.labels.iter().filter(|label| label.images > 0).count() as u64
            ),
            sheet,
            more_categories: survey.categories.len().saturating_sub(categories::CATEGORIES),
            categories: categories::categories(&survey.categories, terms),
            histogram: histogram::histogram(&survey.confidence),
            prefixes: prefixes::rows(&survey.prefixes, terms.links),
            changes: changes::changes(survey, readings, terms),
        }
    }
}

fn sentence(readings: &Readings) -> (String, String) {
    let Survey { images, objects, .. } = &readings.survey;
    let all = images.all();
    if all == 0 {
        let (title, remark) = match readings.runs.first() {
            None => ("Nothing was labelled yet.", "A run fills this page."),
            Some(_) if readings.running => ("No images so far.", "A run is looking for them."),
            Some(_) => ("No images.", "The runs found nothing to label."),
        };
        return (title.to_owned(), remark.to_owned());
    }
    let share = percent(images.labelled, all);
    let title = if all == 1 && images.labelled == 1 {
        "1 image, labelled.".to_owned()
    } else {
        format!("{}, {share} labelled.", number_of(all, "image"))
    };
    let remark = match objects.copies {
        0 => String::new(),
        1 => "1 call was saved by a copy.".to_owned(),
        copies => format!("{} calls were saved by copies.", grouped(copies)),
    };
    (title, remark)
}

fn begin(readings: &Readings, terms: &Terms) -> Vec<Command> {
    if !readings.runs.is_empty() {
        return Vec::new();
    }
    let source = |name| terms.here(Command::new(name).option("--region", "ap-guangzhou"));
    vec![source("plan cos://BUCKET-APPID"), source("run cos://BUCKET-APPID")]
}

fn ribbon(images: &ImageCounts) -> Vec<Segment> {
    let all = images.all();
    let parts = [
        ("is-main", "Labelled", images.labelled),
        ("", "No label", images.unlabelled),
        ("is-failed", "Failed", images.given_up),
        ("is-open", "Waiting", images.waiting),
    ];
    let mut x = 0;
    let shown = parts.into_iter().filter(|(_, _, count)| *count > 0);
    shown
        .map(|(class, name, count)| {
            let width = length(count, all, LENGTH).min(LENGTH - x.min(LENGTH));
            let segment = Segment { class, x, width, name, count: grouped(count) };
            x += width;
            segment
        })
        .collect()
}

fn facts(readings: &Readings, terms: &Terms) -> Vec<Fact> {
    let links = terms.links;
    let Survey { images, objects, failures, changes, .. } = &readings.survey;
    let all = images.all();
    let causes = match failures.len() {
        0 => "no image was given up".to_owned(),
        1 => format!("{}, with one cause", percent(images.failed, all)),
        causes => format!("{}, with {causes} causes", percent(images.failed, all)),
    };
    let gone = match changes {
        Some(changes) if changes.gone > 0 => {
            format!("no longer in the bucket, {} since the run before", grouped(changes.gone))
        }
        _ => "objects that are no longer in the bucket".to_owned(),
    };
    vec![
        Fact {
            name: "No label",
            value: grouped(images.unlabelled),
            href: links.images("state", "unlabelled"),
            remark: match images.unlabelled {
                0 if images.labelled == 0 => "no image was answered".to_owned(),
                0 => "every answer had a label".to_owned(),
                count => format!("{}, answered but nothing found", percent(count, all)),
            },
        },
        Fact {
            name: "Failed",
            value: grouped(images.failed),
            href: (images.failed > 0).then(|| links.failures().to_owned()),
            remark: causes,
        },
        Fact { name: "Gone", value: grouped(objects.gone), href: None, remark: gone },
        spent(readings, &terms.money, links),
    ]
}

fn spent(readings: &Readings, money: &Money, links: Links) -> Fact {
    let href = Some(links.spend().to_owned());
    let units = money.units(readings.calls.calls, readings.calls.scenes_asked);
    let last = readings.runs.first().and_then(|run| readings.by_run.get(&run.id));
    let last = last.map_or(0, |sums| money.units(sums.calls, sums.scenes_asked));
    let Some(cost) = money.cost(units) else {
        let remark =
            format!("units of billing, {} in the last run; no price is set", grouped(last));
        return Fact { name: "Used", value: grouped(units), href, remark };
    };
    let remark = format!("{} units, {} in the last run", grouped(units), money.told(last));
    Fact { name: "Spent, about", value: money.amount(cost), href, remark }
}
