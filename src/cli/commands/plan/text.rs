//! A plan as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::model::Plan;
use crate::cli::price::cost_in_words;
use crate::cli::suggest::Suggestion;
use crate::cli::takes;
use crate::cli::zone;
use crate::config::Settings;
use crate::job::absolute;
use crate::numbers::{counted, duration, grouped, rate};
use crate::store::read::Doubtful;
use crate::visible::visible;

/// The name of a row, and what it says.
type Row = (&'static str, String);

/// The plan, one row a line, and what to do next. `run` is the command that runs as planned.
pub(super) fn text(plan: &Plan, settings: &Settings, run: &Suggestion) -> String {
    let mut rows = vec![("listed", listed(plan)), ("changes", changes(plan))];
    rows.push((
        "no call",
        format!(
            "{}: labelled, or the same bytes as another",
            counted(plan.need_no_call, "wanted object")
        ),
    ));
    if plan.given_up > 0 {
        let (given_up, them) =
            (counted(plan.given_up, "image"), if plan.given_up == 1 { "it" } else { "them" });
        rows.push(("given up", format!("{given_up} failed for good; retry puts {them} back")));
    }
    rows.extend(doubtful(plan));
    rows.extend(calls(plan));
    rows.push(("cost", cost_in_words(settings, plan.calls, plan.scenes_asked)));
    rows.push(("time", time(plan)));
    rows.extend(plan.window_seconds.map(|seconds| ("window", window(plan, seconds))));
    if !plan.limited_by.is_empty() {
        rows.push(("remain", remain(plan, settings)));
    }
    let mut text = format!("plan (run {}) for {}\n", plan.run_id, visible(&plan.source));
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<9} {value}");
    }
    let _ = writeln!(text, "next: {}", next(plan));
    if plan.calls > 0 {
        let _ = writeln!(text, "{run}");
    }
    text
}

fn changes(plan: &Plan) -> String {
    let [added, changed, gone] = [plan.added, plan.changed, plan.gone].map(grouped);
    format!("{added} added, {changed} changed, {gone} gone")
}

/// The wanted objects that the service may refuse. Absent if there are none.
fn doubtful(plan: &Plan) -> Option<Row> {
    let doubtful = Doubtful { larger: plan.larger_than_3_mb, other_formats: plan.other_formats };
    takes::text(doubtful, &counted(plan.wanted, "wanted object")).map(|text| ("doubtful", text))
}

/// The calls of the run, after those that are needed if the limits do not allow all of them.
fn calls(plan: &Plan) -> Vec<Row> {
    let needed = plan.calls + plan.remaining_calls;
    let by_scenes = match needed {
        0 => String::new(),
        _ => format!(": {}", named(&plan.calls_by_scenes, " for ")),
    };
    if plan.limited_by.is_empty() {
        return vec![(
            "calls",
            format!("{}{by_scenes}, if no call has to be retried", grouped(needed)),
        )];
    }
    let least = match plan.calls_at_least {
        least if least < plan.calls => format!("{} to ", grouped(least)),
        _ => String::new(),
    };
    let limits = plan.limited_by.join(", ");
    let by_this_run = format!("{least}{} by this run ({})", grouped(plan.calls), visible(&limits));
    vec![
        ("needed", format!("{}{by_scenes}", counted(needed, "call"))),
        ("calls", format!("{by_this_run}, if no call has to be retried")),
    ]
}

/// How long the calls take at the configured pace, and at the one that was measured last.
fn time(plan: &Plan) -> String {
    let configured = match (plan.configured_pace, plan.configured_seconds) {
        (Some(pace), Some(seconds)) => {
            format!("{} at the configured {pace} calls a second", duration(seconds))
        }
        _ => "no pace is configured".to_owned(),
    };
    let measured = match (plan.measured_pace, plan.measured_seconds, plan.measured_in_run) {
        (Some(pace), Some(seconds), Some(run)) => {
            format!("; {} at the {pace:.1} of run {run}", duration(seconds))
        }
        _ => String::new(),
    };
    configured + &measured
}

/// Whether the calls fit the time window, which lasts for so many seconds.
fn window(plan: &Plan, seconds: f64) -> String {
    let end = Timestamp::now()
        .saturating_add(SignedDuration::from_secs_f64(seconds))
        .map(|end| absolute(end, &zone::local()))
        .unwrap_or_default();
    let fits = match plan.fits_the_window {
        Some(true) => "it fits",
        Some(false) => "it does not fit: what remains is left for resuming",
        None => "unknown without a pace",
    };
    format!("{} until {end}: {fits}", duration(seconds))
}

/// What to do next.
fn next(plan: &Plan) -> &'static str {
    match plan.calls {
        0 if plan.remaining_calls > 0 => {
            "these limits allow no call: a run without them calls for what remains"
        }
        0 => "nothing to call",
        _ => "to make these calls:",
    }
}

/// What remains after a run that its limits end, in words.
fn remain(plan: &Plan, settings: &Settings) -> String {
    let cost = cost_in_words(settings, plan.remaining_calls, plan.remaining_scenes_asked);
    let calls = counted(plan.remaining_calls, "call");
    let mut text = format!("{calls} after this run; cost: {cost}");
    if let Some(pace) = plan.configured_pace.or(plan.measured_pace) {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = plan.remaining_calls as f64 / pace;
        let _ = write!(text, "; {} at {}/s", duration(seconds), rate(pace));
    }
    text
}

/// What was listed, in words.
fn listed(plan: &Plan) -> String {
    let skipped: u64 = plan.skipped.values().sum();
    let objects = counted(plan.listed, "object");
    let mut listed =
        format!("{objects}: {} wanted, {} skipped", grouped(plan.wanted), grouped(skipped));
    if skipped > 0 {
        let _ = write!(listed, " ({})", named(&plan.skipped, " "));
    }
    if plan.rejected > 0 {
        let _ = write!(listed, ", {} that no request can carry", grouped(plan.rejected));
    }
    for (count, what) in [(plan.lines_failed, "failed"), (plan.missing, "missing")] {
        if count > 0 {
            let _ = write!(listed, ", {} {what}", grouped(count));
        }
    }
    listed
}

/// Counts with their names, separated by commas.
fn named(counts: &BTreeMap<String, u64>, between: &str) -> String {
    let named = |(name, count): (&String, &u64)| format!("{}{between}{name}", grouped(*count));
    let all: Vec<String> = counts.iter().map(named).collect();
    all.join(", ")
}
