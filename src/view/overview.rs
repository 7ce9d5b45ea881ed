//! The overview: how many images there are, what is on them, and what changed.

use askama::Template;

use super::chart::{self, Bar};
use super::prefixes::{self, PrefixRow};
use super::share::{length, number_of, percent, roughly};
use super::{Command, Links, Money, Picture, Readings, Terms, name};
use crate::numbers::grouped;
use crate::store::read::{CategoryCount, ImageCounts, LabelCount, Sample, Survey, UNCERTAIN_BELOW};

/// How many labels the contact sheet shows, and how many of them are large.
pub const SHEET: usize = 30;
const LARGE: usize = 6;

/// How many pictures of each label the contact sheet shows.
pub const FRAMES: usize = 6;

/// How many categories are shown, into how many parts each is divided at most, and how many of them are named.
const CATEGORIES: usize = 24;
const PARTS: usize = 10;
const NAMED: usize = 3;

/// How many labels that rose or fell are shown.
const RISERS: usize = 10;

/// The length of the bars, in units of their `viewBox`.
const LENGTH: u32 = 1_000;

/// The width of a bar of the histogram, in steps of confidence.
const STEP: usize = 5;

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

/// A figure.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What it counts.
    pub name: &'static str,
    /// The figure.
    pub value: String,
    /// Where it leads, if anywhere.
    pub href: Option<String>,
    /// What else there is to say.
    pub remark: String,
}

/// A label of the contact sheet.
#[derive(Debug, Clone)]
pub struct Strip {
    /// The place among all labels.
    pub rank: usize,
    /// Where the label leads.
    pub href: String,
    /// True if it is one of the large ones.
    pub large: bool,
    /// The name.
    pub name: String,
    /// The categories.
    pub categories: String,
    /// The number of images.
    pub count: String,
    /// The length of the bar.
    pub width: u32,
    /// Some pictures.
    pub frames: Vec<Frame>,
    /// True if its pictures are loaded before the person scrolls.
    pub at_once: bool,
}

/// A picture of the contact sheet.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The picture, if there is one.
    pub picture: Option<Picture>,
    /// The segments of its key.
    pub key: Vec<String>,
}

/// A first category.
#[derive(Debug, Clone)]
pub struct Category {
    /// The name.
    pub name: String,
    /// Where its images are, if they can be looked at.
    pub href: Option<String>,
    /// The number of images.
    pub count: String,
    /// The second categories as parts of a bar.
    pub parts: Vec<CategoryPart>,
    /// The largest second categories, with their share.
    pub named: Vec<(String, String)>,
}

/// A second category.
#[derive(Debug, Clone)]
pub struct CategoryPart {
    /// The place on the bar.
    pub x: u32,
    /// The length.
    pub width: u32,
    /// The name.
    pub name: String,
    /// The number of images.
    pub count: String,
}

/// How many images have a label of which confidence.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// A bar for each five steps of confidence.
    pub bars: Vec<ConfidenceBar>,
    /// The threshold at the beginning.
    pub threshold: usize,
    /// Images whose best label reaches it.
    pub kept: String,
    /// Images whose best label does not.
    pub lost: String,
}

/// A bar of the histogram.
#[derive(Debug, Clone)]
pub struct ConfidenceBar {
    /// The lowest confidence of the bar.
    pub from: usize,
    /// The bar.
    pub bar: Bar,
}

/// What the last listing found different.
#[derive(Debug, Clone)]
pub struct Changes {
    /// Which listing that was.
    pub note: String,
    /// The figures.
    pub facts: Vec<Fact>,
    /// The labels that rose or fell most.
    pub rows: Vec<Riser>,
}

/// A label that rose or fell.
#[derive(Debug, Clone)]
pub struct Riser {
    /// Where the label leads, if anywhere.
    pub href: Option<String>,
    /// The name.
    pub name: String,
    /// The place of the bar, out of 100.
    pub x: u32,
    /// The length of the bar, out of 50.
    pub width: u32,
    /// True if it rose.
    pub up: bool,
    /// The change, with its sign.
    pub told: String,
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
        let sheet: Vec<Strip> = sheet(&survey.labels, terms.links, &mut picture);
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
            asked: asked(&sheet),
            all_labels: grouped(
                survey.labels.iter().filter(|label| label.images > 0).count() as u64
            ),
            sheet,
            more_categories: survey.categories.len().saturating_sub(CATEGORIES),
            categories: categories(&survey.categories, terms.links),
            histogram: histogram(&survey.confidence),
            prefixes: prefixes::rows(&survey.prefixes, terms.links),
            changes: changes(survey, readings, terms),
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

fn sheet(
    labels: &[LabelCount],
    links: Links,
    picture: &mut impl FnMut(&Sample) -> Option<Picture>,
) -> Vec<Strip> {
    let most = labels.first().map_or(0, |label| label.images);
    let shown = labels.iter().filter(|label| label.images > 0).take(SHEET);
    shown
        .enumerate()
        .map(|(place, label)| Strip {
            rank: place + 1,
            href: links.label(place + 1, &label.name),
            large: place < LARGE,
            at_once: (place + 1) * FRAMES <= AT_ONCE,
            name: name::label(&label.name),
            categories: name::categories(&label.first_category, &label.second_category),
            count: grouped(label.images),
            width: length(label.images, most, LENGTH),
            frames: label
                .samples
                .iter()
                .take(FRAMES)
                .map(|sample| Frame { picture: picture(sample), key: name::segments(&sample.key) })
                .collect(),
        })
        .collect()
}

/// The number of pictures that a browser asks for before the person scrolls, if they cost something.
const AT_ONCE: usize = 60;

/// How many pictures the sheet asks for, in words; empty if that costs nothing.
fn asked(sheet: &[Strip]) -> String {
    let frames = sheet.iter().flat_map(|strip| &strip.frames);
    match frames.filter(|frame| frame.picture.as_ref().is_some_and(Picture::costs)).count() {
        0 => String::new(),
        all if all > AT_ONCE => {
            format!("This page asks for {AT_ONCE} pictures, and for more as you scroll.")
        }
        all => format!("This page asks for {}.", number_of(all as u64, "picture")),
    }
}

fn categories(categories: &[CategoryCount], links: Links) -> Vec<Category> {
    let most = categories.first().map_or(0, |category| category.images);
    let shown = categories.iter().take(CATEGORIES);
    shown
        .map(|category| {
            // An image may have labels of several second categories, so their sum may exceed the number of images.
            let sum: u64 = category.second.iter().map(|(_, images)| images).sum();
            let whole = length(category.images, most, LENGTH);
            let mut x = 0;
            let mut parts = Vec::new();
            for (second, images) in category.second.iter().take(PARTS) {
                let width = length(*images, sum, whole).min(whole.saturating_sub(x));
                if width < 4 {
                    break;
                }
                // A gap between two parts belongs to the first one.
                let shown = name::name(second);
                parts.push(CategoryPart {
                    x,
                    width: width - 3,
                    name: shown,
                    count: grouped(*images),
                });
                x += width;
            }
            let named = category.second.iter().filter(|(second, _)| !second.is_empty()).take(NAMED);
            Category {
                href: links.images("category", &category.name),
                name: match category.name.as_str() {
                    "" => "(no category)".to_owned(),
                    category => name::name(category),
                },
                count: grouped(category.images),
                named: named
                    .map(|(second, images)| (name::name(second), roughly(*images, category.images)))
                    .collect(),
                parts,
            }
        })
        .collect()
}

fn histogram(confidence: &[u64]) -> Option<Histogram> {
    if confidence.iter().all(|images| *images == 0) {
        return None;
    }
    // The last bar includes 100.
    let steps = 100 / STEP;
    let threshold = usize::from(UNCERTAIN_BELOW);
    let sum = |from: usize, to: usize| -> u64 { confidence.iter().take(to).skip(from).sum() };
    let values = (0..steps).map(|step| {
        let (from, to) = (step * STEP, (step + 1) * STEP);
        let is_last = step + 1 == steps;
        let name = if is_last { format!("{from} to 100") } else { format!("{from} to {}", to - 1) };
        chart::counted(name, sum(from, if is_last { usize::MAX } else { to }))
    });
    let bars = chart::bars(values.collect()).into_iter().enumerate().map(|(step, mut bar)| {
        let from = step * STEP;
        bar.on = from >= threshold;
        ConfidenceBar { from, bar }
    });
    Some(Histogram {
        bars: bars.collect(),
        threshold,
        kept: grouped(sum(threshold, usize::MAX)),
        lost: grouped(sum(0, threshold)),
    })
}

fn changes(survey: &Survey, readings: &Readings, terms: &Terms) -> Option<Changes> {
    let changes = survey.changes?;
    let run = readings.runs.iter().find(|run| run.id == changes.run_id);
    let note = run.map_or_else(
        || format!("What the listing of run {} found.", changes.run_id),
        |run| {
            format!(
                "What the listing of run {}, on {}, found.",
                run.id,
                terms.moment(run.started_at)
            )
        },
    );
    let fact = |name, value, remark: &str| Fact {
        name,
        value: grouped(value),
        href: None,
        remark: remark.to_owned(),
    };
    let facts = vec![
        fact("Added", changes.added, ""),
        fact("Overwritten", changes.changed, ""),
        fact("Moved", changes.moved, if changes.moved > 0 { "no call needed" } else { "" }),
        fact("Gone", changes.gone, ""),
    ];
    Some(Changes { note, facts, rows: risers(&survey.labels, terms.links) })
}

fn risers(labels: &[LabelCount], links: Links) -> Vec<Riser> {
    let mut moved: Vec<(i64, usize)> = labels
        .iter()
        .enumerate()
        .map(|(place, label)| (label.came.cast_signed() - label.went.cast_signed(), place))
        .filter(|(change, _)| *change != 0)
        .collect();
    moved.sort_by_key(|(change, place)| (std::cmp::Reverse(change.unsigned_abs()), *place));
    moved.truncate(RISERS);
    // Those that rose come first, the strongest at the top; those that fell most are at the bottom.
    moved.sort_by_key(|(change, place)| (std::cmp::Reverse(*change), *place));
    let most = moved.iter().map(|(change, _)| change.unsigned_abs()).max().unwrap_or(0);
    moved
        .into_iter()
        .map(|(change, place)| {
            let width = length(change.unsigned_abs(), most, 48).max(1);
            let sign = if change > 0 { "+" } else { "−" };
            Riser {
                href: (place < super::labels::SHOWN && labels[place].images > 0)
                    .then(|| links.label(place + 1, &labels[place].name)),
                name: name::label(&labels[place].name),
                x: if change > 0 { 50 } else { 50 - width },
                width,
                up: change > 0,
                told: format!("{sign}{}", grouped(change.unsigned_abs())),
            }
        })
        .collect()
}
