//! Explore: images that fulfil conditions, and how many there are behind each further condition.

use askama::Template;

use super::query::{Query, state_word};
use super::share::{length, number_of};
use super::{Command, Picture, Terms, name};
use crate::numbers::grouped;
use crate::scene::Scene;
use crate::store::read::{Facets, Found, ImageState, Page, Pick, Sample};

/// How many images a page shows.
pub const SHOWN: usize = 60;

/// How many labels a page shows of each image.
pub const SHOWN_LABELS: usize = 2;

/// How many choices a facet offers.
const CHOICES: usize = 12;

/// How many labels are offered, and how many if a part of their names is given.
const LABELS: usize = 24;
const MATCHING: usize = 200;

/// How many months are offered.
const MONTHS: usize = 24;

/// The confidences that can be chosen.
const CONFIDENCES: [u8; 5] = [50, 60, 70, 80, 90];

/// What Explore shows.
#[derive(Debug, Clone, Template)]
#[template(path = "explore.html")]
pub struct Explore {
    /// The answer in one sentence.
    pub title: String,
    /// The remark after it.
    pub remark: String,
    /// The conditions in use.
    pub chips: Vec<Chip>,
    /// The facets.
    pub facets: Vec<Facet>,
    /// The part of the names of labels that are offered.
    pub find: String,
    /// The conditions in use, as fields of a form.
    pub fields: Vec<(&'static str, String)>,
    /// The command that finds the same.
    pub command: Option<Command>,
    /// Why there is no such command.
    pub no_command: String,
    /// The images.
    pub tiles: Vec<Tile>,
    /// The query of the downloads, with its `?`; empty if there is none.
    pub query: String,
    /// The next page.
    pub next: Option<String>,
    /// What is said about the next page.
    pub more: String,
    /// How many pictures the page asks for, in words; empty if that costs nothing.
    pub asked: String,
}

/// A condition in use.
#[derive(Debug, Clone)]
pub struct Chip {
    /// What it is: `all`, `any` or `not`; empty if there is no choice.
    pub mode: &'static str,
    /// What a click on that leads to.
    pub other: String,
    /// The condition.
    pub name: String,
    /// Its parts; those of a prefix are its segments.
    pub parts: Vec<String>,
    /// The page without it.
    pub without: String,
}

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

/// An image.
#[derive(Debug, Clone)]
pub struct Tile {
    /// The page of the image.
    pub href: String,
    /// The picture.
    pub picture: Option<Picture>,
    /// The segments of the key.
    pub key: Vec<String>,
    /// The last segment.
    pub file: String,
    /// Its labels with their confidences.
    pub labels: Vec<(String, u8)>,
    /// What is told if it has none.
    pub state: &'static str,
    /// The code of its failure.
    pub code: String,
}

impl Explore {
    /// The model. `picture` returns the picture of an image; `None` if there is none.
    pub fn of(
        query: &Query,
        page: &Page,
        facets: &Facets,
        terms: &Terms,
        mut picture: impl FnMut(&Sample) -> Option<Picture>,
    ) -> Self {
        let back = query.address();
        let back = back.split_once('?').map_or("", |(_, query)| query);
        let tiles: Vec<Tile> =
            page.images.iter().map(|image| tile(image, back, picture(&image.sample))).collect();
        let asked =
            tiles.iter().filter(|tile| tile.picture.as_ref().is_some_and(Picture::costs)).count();
        let (title, remark) = sentence(query, facets);
        let (command, no_command) = command(query, terms);
        let whole = Query { after: None, find: String::new(), ..query.clone() };
        let address = whole.address();
        Self {
            title,
            remark,
            chips: chips(query),
            facets: all_facets(query, facets),
            find: query.find.clone(),
            fields: whole.pairs(),
            command,
            no_command,
            query: address.find('?').map_or("", |at| &address[at..]).to_owned(),
            next: page.next.map(|next| Query { after: Some(next), ..query.clone() }.address()),
            more: more(page, facets),
            asked: match asked {
                0 => String::new(),
                _ => format!("This page asks for {}.", number_of(asked as u64, "picture")),
            },
            tiles,
        }
    }
}

fn sentence(query: &Query, facets: &Facets) -> (String, String) {
    let count = facets.images;
    let title = match (count, facets.complete, query.is_open()) {
        (0, true, true) => "No images.".to_owned(),
        (0, true, false) => "No image fulfils these filters.".to_owned(),
        (0, false, _) => "No image so far.".to_owned(),
        (_, true, _) => format!("{}.", number_of(count, "image")),
        (_, false, _) => format!("{} or more.", number_of(count, "image")),
    };
    let remark = if facets.complete {
        String::new()
    } else {
        "Not everything was counted, so that the page comes at once: every number is at least this."
            .to_owned()
    };
    (title, remark)
}

fn more(page: &Page, facets: &Facets) -> String {
    match (page.next, page.complete) {
        (Some(_), false) => {
            "The search took long and was stopped here. The next page goes on.".to_owned()
        }
        (Some(_), true) if facets.complete => {
            format!("{} here, of {}.", page.images.len(), grouped(facets.images))
        }
        _ => String::new(),
    }
}

fn chips(query: &Query) -> Vec<Chip> {
    let mut chips = Vec::new();
    let names = |pick: &Pick| {
        [("all", pick.all.clone()), ("any", pick.any.clone()), ("not", pick.none.clone())]
    };
    for (place, (mode, labels)) in names(&query.pick).into_iter().enumerate() {
        for label in labels {
            let without = query.with(|pick| list(pick, place).retain(|name| *name != label));
            let other = without.with(|pick| list(pick, (place + 1) % 3).push(label.clone()));
            chips.push(Chip {
                mode,
                other: other.address(),
                parts: vec![name::label(&label)],
                name: name::label(&label),
                without: without.address(),
            });
        }
    }
    let mut in_parts = |parts: Vec<String>, without: Query| {
        let (name, without) = (parts.concat(), without.address());
        chips.push(Chip { mode: "", other: String::new(), name, parts, without });
    };
    let mut plain = |name: String, without: Query| in_parts(vec![name], without);
    let pick = &query.pick;
    if let Some(category) = &pick.category {
        plain(category_name(category), query.with(|pick| pick.category = None));
    }
    for scene in pick.scenes.iter() {
        let one = [scene].into_iter().collect();
        let without = query.with(|pick| pick.scenes = pick.scenes.without(one));
        plain(scene.name().to_owned(), without);
    }
    if pick.min_confidence > 0 {
        let told = format!("{} and above", pick.min_confidence);
        plain(told, query.with(|pick| pick.min_confidence = 0));
    }
    if !pick.prefix.is_empty() {
        in_parts(name::segments(&pick.prefix), query.with(|pick| pick.prefix.clear()));
    }
    let mut plain = |name: String, without: Query| in_parts(vec![name], without);
    if pick.days.is_some() {
        let mut without = query.with(|pick| pick.days = None);
        without.date.clear();
        plain(query.date.clone(), without);
    }
    if let Some(state) = pick.state {
        plain(state_name(state).to_owned(), query.with(|pick| pick.state = None));
    }
    chips
}

fn list(pick: &mut Pick, place: usize) -> &mut Vec<String> {
    match place {
        0 => &mut pick.all,
        1 => &mut pick.any,
        _ => &mut pick.none,
    }
}

fn all_facets(query: &Query, facets: &Facets) -> Vec<Facet> {
    let pick = &query.pick;
    let facet = |name, choices| Facet { name, finds: false, choices, rest: String::new() };
    let scenes = Scene::ALL.into_iter().map(|scene| {
        let one = [scene].into_iter().collect();
        let is_on = pick.scenes == one;
        let count = facets.scenes.get(&scene).copied().unwrap_or_default();
        let scenes = if is_on { crate::scene::Scenes::NONE } else { one };
        choice(scene.name().to_owned(), &query.with(|pick| pick.scenes = scenes), count, is_on)
    });
    let categories = facets.categories.iter().take(CHOICES).map(|(category, count)| {
        let is_on = pick.category.as_ref() == Some(category);
        let wanted = (!is_on).then(|| category.clone());
        let other = query.with(|pick| pick.category = wanted);
        choice(category_name(category), &other, *count, is_on)
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
        labels(query, facets),
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

fn labels(query: &Query, facets: &Facets) -> Facet {
    let wanted = query.find.trim().to_lowercase();
    let matching: Vec<_> = facets
        .labels
        .iter()
        .filter(|label| wanted.is_empty() || label.name.to_lowercase().contains(&wanted))
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
        let mut choice = choice(name::label(&label.name), &other, label.images, is_on);
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

fn tile(image: &Found, back: &str, picture: Option<Picture>) -> Tile {
    let key = name::segments(&image.sample.key);
    let query = if back.is_empty() { String::new() } else { format!("?{back}") };
    Tile {
        href: format!("/image/{}{query}", image.sample.content_id),
        picture,
        file: key.last().cloned().unwrap_or_default(),
        key,
        labels: image
            .labels
            .iter()
            .take(SHOWN_LABELS)
            .map(|(label, confidence)| (name::short_label(label), *confidence))
            .collect(),
        state: state_name(image.state),
        code: image.code.as_deref().map_or_else(String::new, name::name),
    }
}

/// The command that finds the same images, or why there is none.
///
/// `costag find` looks only at answered images, so it finds the same if the images must have a label: one of `all` or `any`.
fn command(query: &Query, terms: &Terms) -> (Option<Command>, String) {
    let pick = &query.pick;
    let has_label = !pick.all.is_empty() || !pick.any.is_empty();
    // An image that has a label is labelled, whatever else is known of it.
    let is_of_state = pick.state.is_some_and(|state| !has_label || state != ImageState::Labelled);
    let differs = [
        (pick.days.is_some(), "costag find knows no end of a time, so it cannot find the same."),
        (
            pick.category.is_some(),
            "costag find looks for second categories too, so it may find more.",
        ),
        (is_of_state, "costag find knows other states than this page, so it cannot find the same."),
    ];
    if let Some((_, why)) = differs.into_iter().find(|(differs, _)| *differs) {
        return (None, why.to_owned());
    }
    if !has_label {
        let why = if pick.none.is_empty() {
            "Choose a label to get a command that finds the same."
        } else {
            "costag find leaves out images without an answer. Choose a label that the images have to get a command that \
             finds the same."
        };
        return (None, why.to_owned());
    }
    let mut command = Command::new("find");
    for (option, labels) in [("--label", &pick.all), ("--any", &pick.any), ("--not", &pick.none)] {
        for label in labels {
            command = command.option(option, label);
        }
    }
    if !pick.scenes.is_empty() {
        let scenes: Vec<&str> = pick.scenes.iter().map(Scene::name).collect();
        command = command.option("--scene", &scenes.join(","));
    }
    if pick.min_confidence > 0 {
        command = command.option("--min-confidence", &pick.min_confidence.to_string());
    }
    if !pick.prefix.is_empty() {
        command = command.option("--prefix", &pick.prefix);
    }
    (Some(terms.here(command)), String::new())
}

pub(super) fn state_name(state: ImageState) -> &'static str {
    match state {
        ImageState::Unlabelled => "no label",
        _ => state_word(state),
    }
}

fn category_name(category: &str) -> String {
    if category.is_empty() { "(no category)".to_owned() } else { name::name(category) }
}

#[cfg(test)]
mod tests {
    use url::form_urlencoded;

    use super::super::terms::tests::terms;
    use super::*;

    fn explore(query: &str) -> Explore {
        let query = Query::of(form_urlencoded::parse(query.as_bytes())).unwrap();
        let facets = Facets {
            images: 7,
            labels: vec![crate::store::read::LabelFacet {
                name: "cat".to_owned(),
                first_category: "animal".to_owned(),
                images: 5,
            }],
            prefixes: vec![("2026/11/".to_owned(), 4)],
            complete: true,
            ..Facets::default()
        };
        Explore::of(&query, &Page::default(), &facets, &terms(), |_| None)
    }

    #[test]
    fn a_chip_goes_from_all_to_any_to_not() {
        let view = explore("all=cat&not=dog&after=9");
        let chips: Vec<_> =
            view.chips.iter().map(|chip| (chip.mode, chip.other.as_str())).collect();
        assert_eq!(
            chips,
            [("all", "/explore?any=cat&not=dog"), ("not", "/explore?all=cat&all=dog")]
        );
        assert_eq!(view.chips[0].without, "/explore?not=dog");
        let cat = &view.facets.iter().find(|facet| facet.finds).unwrap().choices[0];
        assert_eq!((cat.is_on, cat.href.as_str()), (true, "/explore?not=dog"));
    }

    #[test]
    fn the_command_finds_the_same_or_says_why_there_is_none() {
        let view = explore("all=it's&not=dog&scene=web&confidence=70&prefix=a b/");
        let parts = view.command.unwrap().parts;
        assert_eq!(
            parts,
            [
                "costag find",
                r"--label 'it'\''s'",
                "--not dog",
                "--scene web",
                "--min-confidence 70",
                "--prefix 'a b/'",
                "--db nightly.db"
            ]
        );
        let view = explore("any=cat&any=dog&state=labelled");
        let parts = view.command.unwrap().parts;
        assert_eq!(parts, ["costag find", "--any cat", "--any dog", "--db nightly.db"]);
        for (query, why) in [
            ("any=cat&state=failed", "knows other states"),
            ("state=labelled", "knows other states"),
            ("all=cat&date=2026", "knows no end of a time"),
            ("all=cat&category=animal", "second categories too"),
            ("not=dog", "leaves out images without an answer"),
            ("not=dog&confidence=70&scene=web", "leaves out images without an answer"),
            ("confidence=70", "Choose a label"),
        ] {
            let view = explore(query);
            assert!(view.command.is_none() && view.no_command.contains(why), "{query}");
        }
    }

    #[test]
    fn a_prefix_leads_deeper_and_back() {
        let view = explore("prefix=2026/");
        let facet = view.facets.iter().find(|facet| facet.name == "Prefix").unwrap();
        assert_eq!(facet.choices[0].name, "11/");
        let view = explore("prefix=2026/11/");
        let facet = view.facets.iter().find(|facet| facet.name == "Prefix").unwrap();
        assert_eq!(facet.choices[0].name, "‹ 2026/");
        assert_eq!(facet.choices[0].href, "/explore?prefix=2026%2F");
    }
}
