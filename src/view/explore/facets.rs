//! The choices that narrow a search, each with the number of images behind it.

use super::super::query::Query;
use super::super::share::length;
use super::super::{Terms, name};
use super::words::state_name;
use crate::numbers::grouped;
use crate::scene::{Scene, Scenes};
use crate::store::read::{Facets, ImageState};

/// How many choices a facet offers.
const CHOICES: usize = 12;

/// How many labels are offered, and how many if a part of their names is given.
const LABELS: usize = 24;
const MATCHING: usize = 200;

/// How many months are offered.
const MONTHS: usize = 24;

/// The confidences that can be chosen.
const CONFIDENCES: [u8; 5] = [50, 60, 70, 80, 90];

/// Choices of one kind.
#[derive(Debug, Clone)]
pub struct Facet {
    /// The kind.
    pub name: &'static str,
    /// True if names of labels can be found here.
    pub finds: bool,
    /// The choices.
    pub choices: Vec<Choice>,
    /// What is said about the choices that are not offered.
    pub rest: String,
}

/// A choice.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The name.
    pub name: String,
    /// Its parts; those of a prefix are its segments.
    pub parts: Vec<String>,
    /// The page to which it leads.
    pub href: String,
    /// The number of images.
    pub count: String,
    /// True if there are no images.
    pub is_zero: bool,
    /// True if it is in use.
    pub is_on: bool,
    /// The page that leaves its images out, if there is one.
    pub not: Option<String>,
    /// The length of a bar, out of 100.
    pub width: u32,
}

pub(super) fn all(query: &Query, facets: &Facets, terms: &Terms) -> Vec<Facet> {
    let pick = &query.pick;
    let facet = |name, choices| Facet { name, finds: false, choices, rest: String::new() };
    let scenes = Scene::ALL.into_iter().map(|scene| {
        let one = [scene].into_iter().collect();
        let is_on = pick.scenes == one;
        let count = facets.scenes.get(&scene).copied().unwrap_or_default();
        let scenes = if is_on { Scenes::NONE } else { one };
        choice(scene.name().to_owned(), &query.with(|pick| pick.scenes = scenes), count, is_on)
    });
    let categories = facets.categories.iter().take(CHOICES).map(|(category, count)| {
        let is_on = pick.category.as_ref() == Some(category);
        let wanted = (!is_on).then(|| category.clone());
        let other = query.with(|pick| pick.category = wanted);
        choice(terms.first_category(category), &other, *count, is_on)
    });
    let confidences = CONFIDENCES.into_iter().map(|least| {
        let is_on = pick.min_confidence == least;
        let count = facets.confidence[usize::from(least / 10).min(9)];
        let wanted = if is_on { 0 } else { least };
        let other = query.with(|pick| pick.min_confidence = wanted);
        choice(format!("{least} and above"), &other, count, is_on)
    });
    let states = ImageState::ALL.into_iter().map(|state| {
        let is_on = pick.state == Some(state);
        let count = facets.states.get(&state).copied().unwrap_or_default();
        let wanted = (!is_on).then_some(state);
        choice(state_name(state).to_owned(), &query.with(|pick| pick.state = wanted), count, is_on)
    });
    vec![
        facet("Scene", scenes.collect()),
        with_rest(facet("Category", categories.collect()), facets.categories.len()),
        labels(query, facets, terms),
        facet("Confidence", confidences.collect()),
        prefixes(query, facets),
        months(query, facets),
        facet("State", states.collect()),
    ]
    .into_iter()
    .filter(|facet| facet.finds || !facet.choices.is_empty())
    .collect()
}

fn with_rest(mut facet: Facet, all: usize) -> Facet {
    let rest = all.saturating_sub(facet.choices.len());
    if rest > 0 {
        facet.rest = format!("and {} more", grouped(rest as u64));
    }
    facet
}

fn labels(query: &Query, facets: &Facets, terms: &Terms) -> Facet {
    let wanted = query.find.trim().to_lowercase();
    let is_wanted = |name: &str| wanted.is_empty() || name.to_lowercase().contains(&wanted);
    let matching: Vec<_> = facets
        .labels
        .iter()
        .filter(|label| is_wanted(&label.name) || is_wanted(terms.aliases.label(&label.name)))
        .collect();
    let most = matching.first().map_or(0, |label| label.images);
    let shown = if wanted.is_empty() { LABELS } else { MATCHING };
    let pick = &query.pick;
    let choices = matching.iter().take(shown).map(|label| {
        let is_on = pick.all.contains(&label.name);
        let other = query.with(|pick| {
            if is_on {
                pick.all.retain(|name| *name != label.name);
            } else {
                pick.all.push(label.name.clone());
            }
        });
        let mut choice = choice(terms.label(&label.name), &other, label.images, is_on);
        choice.width = length(label.images, most, 100);
        choice.not = (!is_on).then(|| {
            let without = query.with(|pick| pick.none.push(label.name.clone()));
            without.address()
        });
        choice
    });
    let facet =
        Facet { name: "Label", finds: true, choices: choices.collect(), rest: String::new() };
    if matching.is_empty() && !wanted.is_empty() {
        return Facet { rest: "no label of these images has that in its name".to_owned(), ..facet };
    }
    with_rest(facet, matching.len())
}

fn prefixes(query: &Query, facets: &Facets) -> Facet {
    let skipped = query.pick.prefix.len();
    let mut choices = Vec::new();
    // The way back up comes first.
    let up: Vec<usize> = query.pick.prefix.match_indices('/').map(|(at, _)| at + 1).collect();
    for end in up.into_iter().filter(|end| *end < skipped) {
        let wider = query.pick.prefix[..end].to_owned();
        let segments = name::segments(&wider);
        let mut choice = choice(
            format!("‹ {}", segments.concat()),
            &query.with(|pick| pick.prefix = wider),
            0,
            false,
        );
        choice.parts = std::iter::once("‹ ".to_owned()).chain(segments).collect();
        choice.count.clear();
        choice.is_zero = false;
        choices.push(choice);
    }
    let way = choices.len();
    for (prefix, count) in facets.prefixes.iter().take(CHOICES) {
        let segments = name::segments(prefix.get(skipped..).unwrap_or(prefix));
        let other = query.with(|pick| pick.prefix.clone_from(prefix));
        let choice = choice(segments.concat(), &other, *count, false);
        choices.push(Choice { parts: segments, ..choice });
    }
    let name = if facets.counts_keys { "Prefix, in keys" } else { "Prefix" };
    let facet = Facet { name, finds: false, choices, rest: String::new() };
    with_rest(facet, facets.prefixes.len() + way)
}

fn months(query: &Query, facets: &Facets) -> Facet {
    let choices = facets.months.iter().rev().take(MONTHS).map(|(month, count)| {
        let date = format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
        let is_on = query.date == date;
        let mut other = query.with(|_| {});
        other.date = if is_on { String::new() } else { date.clone() };
        choice(date, &other, *count, is_on)
    });
    let facet = Facet {
        name: if facets.counts_keys { "Changed in (UTC), in keys" } else { "Changed in (UTC)" },
        finds: false,
        choices: choices.collect(),
        rest: String::new(),
    };
    with_rest(facet, facets.months.len())
}

fn choice(name: String, leads: &Query, count: u64, is_on: bool) -> Choice {
    Choice {
        parts: vec![name.clone()],
        name,
        href: leads.address(),
        count: grouped(count),
        is_zero: count == 0 && !is_on,
        is_on,
        not: None,
        width: 0,
    }
}
