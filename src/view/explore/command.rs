//! The `costag find` that finds the same images.

use super::super::query::Query;
use super::super::{Command, Terms};
use crate::scene::Scene;
use crate::store::read::ImageState;

/// The command that finds the same images, or why there is none.
///
/// `costag find` looks only at answered images, so it finds the same if the images must have a label: one of `all` or `any`.
pub(super) fn command(query: &Query, terms: &Terms) -> (Option<Command>, String) {
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
    if !terms.aliases.is_empty() {
        // The names are stored ones, and several of them may have the same alias.
        command = command.option("--aliases", "");
    }
    (Some(terms.here(command)), String::new())
}
