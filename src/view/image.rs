//! Image: everything that is known of one.

use std::collections::BTreeMap;

use askama::Template;

use super::explore::state_name;
use super::query::Query;
use super::share::number_of;
use super::{Command, Picture, Terms, advice, name};
use crate::numbers::grouped;
use crate::scene::{Scene, Scenes};
use crate::store::model::CallOutcome;
use crate::store::read::{ImageCall, ImageKey, ImageRecord, UNCERTAIN_BELOW};

/// What the view of an image shows.
#[derive(Debug, Clone, Template)]
#[template(path = "image.html")]
pub struct Image {
    /// The search from which the person came.
    pub back: String,
    /// The last segment of a key.
    pub title: String,
    /// The picture, if there is one.
    pub picture: Option<Picture>,
    /// What is said about the labels.
    pub said: String,
    /// The names and values of what is known.
    pub pairs: Vec<(&'static str, String)>,
    /// The segments of the first key.
    pub key: Vec<String>,
    /// The scenes that were answered.
    pub scenes: Vec<&'static str>,
    /// The labels.
    pub labels: Vec<LabelRow>,
    /// The confidence below which a label is uncertain.
    pub uncertain_below: u8,
    /// The keys.
    pub keys: Vec<KeyRow>,
    /// What is said about the keys.
    pub keys_note: String,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The calls.
    pub calls: Vec<CallRow>,
    /// What it costs to ask again.
    pub again_note: String,
    /// The command that asks again.
    pub again: Option<Command>,
}

/// A label of an image.
#[derive(Debug, Clone)]
pub struct LabelRow {
    /// The name.
    pub name: String,
    /// The categories.
    pub categories: String,
    /// Images with this label.
    pub href: String,
    /// The confidence in each scene that was answered; `None` if the scene does not have the label.
    pub confidences: Vec<Option<u8>>,
}

/// A key of an image.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// The segments.
    pub key: Vec<String>,
    /// The time, and what else there is to say.
    pub remark: String,
}

/// Why an image failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What happened.
    pub title: String,
    /// What the service said.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// The command that does it.
    pub command: Option<Command>,
}

/// A call for an image.
#[derive(Debug, Clone)]
pub struct CallRow {
    /// When it ended.
    pub at: String,
    /// The run.
    pub run: i64,
    /// The scenes.
    pub scenes: String,
    /// How it ended.
    pub answer: String,
    /// What else there is to say.
    pub remark: &'static str,
    /// How long it took.
    pub took: String,
    /// The units of billing.
    pub units: String,
    /// The request id of an error.
    pub request: String,
}

impl Image {
    /// The model. `back` is the search from which the person came.
    pub fn of(record: &ImageRecord, back: &Query, terms: &Terms, picture: Option<Picture>) -> Self {
        let first = record.keys.first();
        let key = first.map_or_else(Vec::new, |key| name::whole_segments(&key.key));
        let file = first.and_then(|key| name::segments(&key.key).pop());
        let labels = labels(record, terms);
        Self {
            back: back.address(),
            title: file.unwrap_or_else(|| format!("Image {}", record.content_id)),
            picture,
            said: said(record, &labels),
            pairs: pairs(record, first, terms),
            key,
            scenes: record.scenes.iter().map(Scene::name).collect(),
            labels,
            uncertain_below: UNCERTAIN_BELOW,
            keys: record.keys.iter().map(|key| key_row(key, terms)).collect(),
            keys_note: keys_note(record),
            failure: failure(record, terms),
            calls: record.calls.iter().map(|call| call_row(call, terms)).collect(),
            again_note: again_note(record, terms),
            again: again(record, terms),
        }
    }
}

fn labels(record: &ImageRecord, terms: &Terms) -> Vec<LabelRow> {
    type Key<'a> = (&'a str, &'a str, &'a str);
    let scenes: Vec<Scene> = record.scenes.iter().collect();
    let mut rows: BTreeMap<Key<'_>, Vec<Option<u8>>> = BTreeMap::new();
    for label in &record.labels {
        let key = (&*label.name, &*label.first_category, &*label.second_category);
        let row = rows.entry(key).or_insert_with(|| vec![None; scenes.len()]);
        if let Some(place) = scenes.iter().position(|scene| *scene == label.scene) {
            row[place] = row[place].max(Some(label.confidence));
        }
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, confidences)| std::cmp::Reverse(confidences.iter().max().copied()));
    rows.into_iter()
        .map(|((label, first, second), confidences)| LabelRow {
            name: terms.label(label),
            categories: terms.categories(first, second),
            href: super::links::address(&[("all", label)]),
            confidences,
        })
        .collect()
}

fn said(record: &ImageRecord, labels: &[LabelRow]) -> String {
    let names: Vec<&str> = labels.iter().take(3).map(|label| label.name.as_str()).collect();
    match (&names[..], record.scenes.is_empty()) {
        ([], true) => "Not labelled yet.".to_owned(),
        ([], false) => "The service found no label.".to_owned(),
        (names, _) => {
            // Each name is isolated, so that one that is written from right to left does not reorder the others.
            let names: Vec<String> =
                names.iter().map(|name| format!("\u{2068}{name}\u{2069}")).collect();
            let rest = labels.len() - names.len();
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            format!("{}{rest}.", names.join(", "))
        }
    }
}

fn pairs(
    record: &ImageRecord,
    first: Option<&ImageKey>,
    terms: &Terms,
) -> Vec<(&'static str, String)> {
    let mut pairs = Vec::new();
    let state = match (record.state, &record.failure) {
        (None, _) => "no longer wanted, or not in the bucket".to_owned(),
        (Some(state), Some(failure)) if failure.stands => {
            let labels = if record.labels.is_empty() { "" } else { "; it has earlier labels" };
            format!("{}, {}{labels}", state_name(state), name::name(&failure.code))
        }
        (Some(state), _) => state_name(state).to_owned(),
    };
    pairs.push(("State", state));
    if let Some(key) = first {
        pairs.push((if key.is_url { "Called through" } else { "Bucket" }, name::text(&key.bucket)));
    }
    if let Some(at) = record.tagged_at {
        let run = record.run_id.map_or_else(String::new, |run| format!(", run {run}"));
        pairs.push(("Labelled", format!("{}{run}", terms.moment(at))));
    }
    let scenes = |scenes: Scenes| scenes.iter().map(Scene::name).collect::<Vec<_>>().join(", ");
    if !record.scenes.is_empty() {
        pairs.push(("Scenes", scenes(record.scenes)));
    }
    if !record.asks.is_empty() && record.state.is_some() {
        pairs.push(("Next call", scenes(record.asks)));
    }
    if let Some(size) = record.size {
        let class = first.and_then(|key| key.storage_class.as_deref());
        let class = class.map_or_else(String::new, |class| format!(", {}", name::name(class)));
        pairs.push(("Size", format!("{} bytes{class}", grouped(size))));
    }
    if let Some(at) = first.and_then(|key| key.last_modified) {
        pairs.push(("Changed", terms.moment(at.to_seconds())));
    }
    if let Some(etag) = &record.etag {
        pairs.push(("ETag", name::text(etag)));
    }
    pairs
}

fn key_row(key: &ImageKey, terms: &Terms) -> KeyRow {
    let mut remark: Vec<String> =
        key.last_modified.map(|at| terms.moment(at.to_seconds())).into_iter().collect();
    if key.called {
        remark.push("called".to_owned());
    }
    if let Some(reason) = &key.skipped {
        remark.push(format!("skipped: {}", name::name(reason)));
    }
    if key.gone {
        remark.push("gone".to_owned());
    }
    KeyRow { key: name::whole_segments(&key.key), remark: remark.join(" · ") }
}

fn keys_note(record: &ImageRecord) -> String {
    let shown = record.keys.len() as u64;
    match record.all_keys {
        0 => "No key has these bytes any longer.".to_owned(),
        1 => "One key has these bytes.".to_owned(),
        all if all > shown => {
            format!("{} have these bytes, paid for once. {shown} are here.", number_of(all, "key"))
        }
        all => format!("{} have these bytes, paid for once.", number_of(all, "key")),
    }
}

fn failure(record: &ImageRecord, terms: &Terms) -> Option<Failure> {
    let failure = record.failure.as_ref().filter(|failure| failure.stands)?;
    let code = crate::store::read::FailureCode {
        code: Some(failure.code.clone()),
        http_status: failure.http_status.map(i64::from),
        temporary: failure.temporary,
        contents: 1,
    };
    let cause = advice::of_images(&code, terms);
    let status = failure.http_status.map_or_else(String::new, |status| format!("HTTP {status}, "));
    let request = failure.request_id.as_deref();
    let request = request.map_or_else(String::new, |id| format!(" (request {})", name::text(id)));
    Some(Failure {
        title: format!("{}: {status}{}{request}", cause.what, cause.code),
        message: name::text(&failure.message),
        advice: cause.advice.to_owned(),
        command: cause.command,
    })
}

fn call_row(call: &ImageCall, terms: &Terms) -> CallRow {
    let answer = match (call.outcome, &call.code, call.http_status) {
        (CallOutcome::Answered, _, _) => "answered".to_owned(),
        (CallOutcome::Imported, _, _) => "imported".to_owned(),
        (_, Some(code), Some(status)) => format!("{status} {}", name::name(code)),
        (_, Some(code), None) => name::name(code),
        (_, None, Some(status)) => format!("HTTP {status}"),
        (_, None, None) => "no answer".to_owned(),
    };
    let remark = match call.outcome {
        CallOutcome::Answered | CallOutcome::Failed => "",
        CallOutcome::Imported => "labels from a file; nothing was paid",
        CallOutcome::Throttled => "throttled, not an attempt",
        CallOutcome::ThrownAway => "may have been paid",
        CallOutcome::Unknown => "in flight when the process ended; may have been paid",
    };
    let scenes: Vec<&str> = call.scenes.iter().map(Scene::name).collect();
    CallRow {
        at: terms.moment(call.ended_at.to_seconds()),
        run: call.run_id,
        scenes: scenes.join(", "),
        answer,
        remark,
        took: call.duration_ms.map_or_else(String::new, |took| format!("{} ms", grouped(took))),
        units: match call.outcome {
            CallOutcome::Imported => grouped(0),
            _ => grouped(terms.money.units(1, u64::from(call.scenes.len()))),
        },
        request: call.request_id.as_deref().map_or_else(String::new, name::text),
    }
}

fn again_note(record: &ImageRecord, terms: &Terms) -> String {
    let units = terms.money.units(1, u64::from(record.scenes.len().max(1)));
    let cost = terms.money.cost(units).map(|cost| format!(", about {}", terms.money.amount(cost)));
    format!(
        "The next run asks again, which costs {}{} for each image whose key begins so. Old labels stay until the new answer is there.",
        number_of(units, "unit"),
        cost.unwrap_or_default()
    )
}

fn again(record: &ImageRecord, terms: &Terms) -> Option<Command> {
    let key = record.keys.iter().find(|key| !key.gone && !key.is_url)?;
    if record.scenes.is_empty() {
        return None;
    }
    let command =
        Command::new("retag").option("--bucket", &key.bucket).option("--prefix", &key.key);
    Some(terms.here(command))
}
