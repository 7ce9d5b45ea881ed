//! The summary of a run, and the question before a costly one.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::price::{Price, amount};
use super::trial;
use crate::config::{self, Settings};
use crate::job::{End, Expected, Report, Snapshot};
use crate::numbers::{duration, grouped, rate};
use crate::store::model::Counts;
use crate::store::read::FailureCode;
use crate::visible::visible;

/// A code, shortened to fit on a line. `costag status --failures` shows all of it.
fn shortened(code: &str) -> Cow<'_, str> {
    const LONGEST: usize = 80;
    match code.char_indices().nth(LONGEST) {
        None => Cow::Borrowed(code),
        Some((end, _)) => Cow::Owned(format!("{}…", &code[..end])),
    }
}

/// The summary of a run. `codes` are the codes with which images of this run failed.
pub(super) fn text(report: &Report, codes: &[FailureCode], budget: &config::Budget) -> String {
    let Report { run_id, end, snapshot, before, resumed, needed: _, list, .. } = report;
    let counts = &snapshot.counts;
    let mut text = String::new();
    let state = match end {
        End::Complete => "complete".to_owned(),
        End::Trial(trial) => format!("complete ({})", trial.name()),
        End::Stopped(reason) => visible(&reason.to_string()).into_owned(),
    };
    let whole = if *resumed { " (all numbers are since the run began)" } else { "" };
    let seconds = snapshot.elapsed.as_secs_f64();
    let _ = writeln!(text, "run {run_id}: {state}, {seconds:.1} s{whole}");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    row("listed", listed(counts));
    if list.is_some() && matches!(end, End::Complete) {
        row("lines", lines(counts));
    }
    row(
        "changes",
        format!("{} added, {} changed, {} gone", counts.added, counts.changed, counts.gone),
    );
    row("reused", format!("{} wanted objects needed no call of their own", counts.reused));
    row("calls", calls(counts));
    row(
        "images",
        format!("{} done, {} failed, {} pending", counts.done, counts.failed, snapshot.pending()),
    );
    if let Some(cost) = Price::of(budget).cost(counts.calls, counts.scenes_asked) {
        row("cost", format!("about {} {}", amount(cost), visible(&budget.currency)));
    }
    row("labels", counts.labels.to_string());
    let made = counts.calls.saturating_sub(before.calls);
    if made > 0 && !snapshot.calling.is_zero() {
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let rate = made as f64 / snapshot.calling.as_secs_f64();
        row("rate", format!("{rate:.1} calls a second"));
    }
    if snapshot.times_waited > 0 {
        let (times, seconds) = (snapshot.times_waited, snapshot.waited.as_secs_f64());
        let often = if times == 1 { "once" } else { &format!("{times} times") };
        row("waited", format!("{often}, {seconds:.1} s"));
    }
    for FailureCode { code, http_status, temporary, contents } in codes {
        let code = code.as_deref().unwrap_or("no answer");
        let status = http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
        let again = if *temporary { ", the next run tries again" } else { "" };
        row("failed", format!("{contents} with {}{status}{again}", visible(&shortened(code))));
    }
    text
}

/// Describes the calls of a run that needs more than `above` units of billing, and asks whether to continue.
pub(super) fn question(
    expected: Expected,
    now: &Snapshot,
    above: u64,
    settings: &Settings,
) -> String {
    let Expected { made, calls, units, listed } = expected;
    let least = if listed { "" } else { "at least " };
    let mut text = format!("this run needs {least}{} calls", grouped(calls));
    if units != calls {
        let _ = write!(text, ", which bill {} scenes", grouped(units));
    }
    if let Some(cost) = Price::of(&settings.budget).of_units(units) {
        let currency = visible(&settings.budget.currency).into_owned();
        let _ = write!(text, ", about {} {currency}", amount(cost));
    }
    if let Some(pace) = trial::pace(settings, made, now.calling) {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = calls as f64 / pace;
        let _ = write!(text, ", {} at {}/s", duration(seconds), rate(pace));
    }
    let state = if listed { "everything is listed" } else { "the listing is not complete yet" };
    let _ = write!(
        text,
        "; {state}\nit may use {} units of billing without asking (--confirm-above)\ncontinue calling?",
        grouped(above)
    );
    text
}

fn listed(counts: &Counts) -> String {
    let skipped: u64 = counts.skipped.values().sum();
    let mut text =
        format!("{} objects: {} wanted, {skipped} skipped", counts.listed, counts.wanted);
    if skipped > 0 {
        let reasons: Vec<String> =
            counts.skipped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let _ = write!(text, " ({})", reasons.join(", "));
    }
    if counts.rejected > 0 {
        let _ = write!(text, ", {} that no request can carry", counts.rejected);
    }
    for (count, what) in [(counts.lines_failed, "failed"), (counts.missing, "missing")] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

/// Counts how the lines of a list ended. Each line counts once.
fn lines(counts: &Counts) -> String {
    let skipped: u64 = counts.skipped.values().sum();
    let failed = counts.lines_failed + counts.given_up_lines;
    let done = counts.wanted.saturating_sub(counts.given_up_lines);
    let mut text = format!(
        "{}: {done} done, {failed} failed, {skipped} skipped, {} gone",
        counts.listed, counts.missing
    );
    if counts.repeated > 0 {
        let _ = write!(text, "; {} more repeat one of them", counts.repeated);
    }
    text
}

fn calls(counts: &Counts) -> String {
    let mut text = format!("{}: {} answered", counts.calls, counts.answered);
    for (count, what) in [
        (counts.failed_calls, "failed"),
        (counts.throttled, "throttled"),
        (counts.thrown_away, "without a usable answer"),
        (counts.unknown, "unknown"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if counts.retries > 0 {
        let _ = write!(text, "; {} of them retries", counts.retries);
    }
    text
}
