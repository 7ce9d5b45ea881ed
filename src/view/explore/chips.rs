//! The conditions in use. Each can be changed and removed.

use super::super::query::Query;
use super::super::{Terms, name};
use super::words::state_name;
use crate::store::read::Pick;

/// A condition in use.
#[derive(Debug, Clone)]
pub struct Chip {
    /// What it is: `all`, `any` or `not`; empty if there is no choice.
    pub mode: &'static str,
    /// The address to which a click on the mode leads.
    pub other: String,
    /// The condition.
    pub name: String,
    /// Its parts; those of a prefix are its segments.
    pub parts: Vec<String>,
    /// The page without it.
    pub without: String,
}

pub(super) fn chips(query: &Query, terms: &Terms) -> Vec<Chip> {
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
                parts: vec![terms.label(&label)],
                name: terms.label(&label),
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
        plain(terms.first_category(category), query.with(|pick| pick.category = None));
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
