//! Progress as lines, for logs and for programs.

use serde_json::json;

use super::facts::{Facts, clock, in_words};
use crate::cli::price::Price;
use crate::job::Wait;
use crate::numbers::{counted, grouped};
use crate::visible::visible;

/// A line for people.
pub(super) fn plain(facts: &Facts) -> String {
    use std::fmt::Write as _;
    let now = &facts.now;
    let counts = &now.counts;
    let listed = if now.listed { "all listed" } else { "listing" };
    let mut text = format!(
        "{listed}: {}, {} wanted; tagged {} of {}, {} in flight",
        counted(counts.listed, "object"),
        grouped(counts.wanted),
        grouped(counts.done),
        grouped(counts.done + counts.failed + now.pending()),
        grouped(now.in_flight as u64),
    );
    if let Some(per_second) = now.per_second {
        let _ = write!(text, ", {per_second:.1}/s");
    }
    if let Some(pace) = now.pace {
        let _ = write!(text, " (pace now {pace:.1}/s)");
    }
    for (count, what) in
        [(counts.throttled, "throttled"), (counts.retries, "retries"), (counts.failed, "failed")]
    {
        if count > 0 {
            let _ = write!(text, ", {} {what}", grouped(count));
        }
    }
    if let Some(wait) = &now.waits {
        let _ = write!(text, ", waiting: {}", waiting(wait));
    }
    if let Some(left) = now.left.filter(|_| !now.listed || now.pending() > 0) {
        let _ = write!(text, ", {} left", in_words(left));
    }
    text
}

/// What the run waits for, since when and until when, in local time.
fn waiting(wait: &Wait) -> String {
    let (what, since, until) = (visible(&wait.what), clock(wait.since), clock(wait.until));
    match wait.gives_up {
        Some(end) => {
            format!("{what}, since {since}; next try at {until}, gives up at {}", clock(end))
        }
        None => format!("{what}, since {since} until {until}"),
    }
}

/// A JSON object for programs. Numbers of calls and units are those of this invocation.
pub(super) fn json(facts: &Facts) -> String {
    let now = &facts.now;
    let counts = &now.counts;
    let calls = counts.calls.saturating_sub(facts.before.calls);
    let scenes = counts.scenes_asked.saturating_sub(facts.before.scenes_asked);
    let units = facts.budget.billing.units_of(calls, scenes.max(calls));
    let waits = now.waits.as_ref().map(|wait| {
        json!({
            "what": wait.what,
            "since": wait.since.to_string(),
            "until": wait.until.to_string(),
            "gives_up": wait.gives_up.map(|end| end.to_string()),
        })
    });
    json!({
        "event": "progress",
        "seconds": now.elapsed.as_secs(),
        "listed_to_the_end": now.listed,
        "listed": counts.listed,
        "wanted": counts.wanted,
        "skipped": counts.skipped.values().sum::<u64>(),
        "tagged": counts.done,
        "failed": counts.failed,
        "pending": now.pending(),
        "in_flight": now.in_flight,
        "calls": calls,
        "units": units,
        "cost": Price::of(&facts.budget).of_units(units),
        "throttled": counts.throttled,
        "retries": counts.retries,
        "calls_per_second": now.per_second,
        "pace": now.pace,
        "seconds_left": now.left.map(|left| left.least),
        "seconds_left_most": now.left.and_then(|left| left.most),
        "waits": waits,
    })
    .to_string()
}
