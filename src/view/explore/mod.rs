//! Explore: images that fulfil conditions, and how many there are behind each further condition.

mod chips;
mod command;
mod facets;
mod tile;
mod words;

use askama::Template;

pub use chips::Chip;
pub use facets::{Choice, Facet};
pub use tile::{SHOWN_LABELS, Tile};
pub(super) use words::state_name;

use super::query::Query;
use super::share::number_of;
use super::{Command, Picture, Terms};
use crate::numbers::grouped;
use crate::store::read::{Facets, Page, Sample};

/// How many images a page shows.
pub const SHOWN: usize = 60;

/// What Explore shows.
#[derive(Debug, Clone, Template)]
#[template(path = "explore.html")]
pub struct Explore {
    /// The answer in one sentence.
    pub title: String,
    /// The remark after it.
    pub remark: String,
    /// True if there are no images at all, so that there is nothing to find.
    pub is_empty: bool,
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
        let tiles: Vec<Tile> = page
            .images
            .iter()
            .map(|image| tile::tile(image, back, terms, picture(&image.sample)))
            .collect();
        let asked =
            tiles.iter().filter(|tile| tile.picture.as_ref().is_some_and(Picture::costs)).count();
        let (title, remark) = sentence(query, facets);
        let (command, no_command) = command::command(query, terms);
        let whole = Query { after: None, find: String::new(), ..query.clone() };
        let address = whole.address();
        Self {
            title,
            remark,
            is_empty: query.is_open() && facets.complete && facets.images == 0,
            chips: chips::chips(query, terms),
            facets: facets::all(query, facets, terms),
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
    let title = match (count, facets.is_total, query.is_open()) {
        (0, true, true) => "No images.".to_owned(),
        (0, true, false) => "No image fulfils these filters.".to_owned(),
        (0, false, _) => "No image so far.".to_owned(),
        (_, true, _) => format!("{}.", number_of(count, "image")),
        (_, false, _) => format!("{} or more.", number_of(count, "image")),
    };
    let remark = if facets.complete {
        String::new()
    } else if facets.is_total {
        "Not everything was counted, so that the page comes at once: every number beside a filter is at least this."
            .to_owned()
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
        (Some(_), true) if facets.is_total => {
            format!("{} here, of {}.", page.images.len(), grouped(facets.images))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
