//! What the last listing found different, and which labels rose and fell.

use super::super::fact::Fact;
use super::super::share::length;
use super::super::{Readings, Terms, labels};
use crate::numbers::grouped;
use crate::store::read::{LabelCount, Survey};

/// How many labels that rose or fell are shown.
const RISERS: usize = 10;

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

pub(super) fn changes(survey: &Survey, readings: &Readings, terms: &Terms) -> Option<Changes> {
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
    Some(Changes { note, facts, rows: risers(&survey.labels, terms) })
}

fn risers(labels: &[LabelCount], terms: &Terms) -> Vec<Riser> {
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
                href: (place < labels::SHOWN && labels[place].images > 0)
                    .then(|| terms.links.label(place + 1, &labels[place].name)),
                name: terms.label(&labels[place].name),
                x: if change > 0 { 50 } else { 50 - width },
                width,
                up: change > 0,
                told: format!("{sign}{}", grouped(change.unsigned_abs())),
            }
        })
        .collect()
}
