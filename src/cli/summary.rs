//! The summary of a run, and the question before a costly one.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::price::Price;
use super::trial;
use crate::config::{self, Settings};
use crate::job::{End, Expected, Report, Snapshot, StopReason};
use crate::numbers::{counted, duration, grouped, money, rate};
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

/// The summary of a run: what a person wants first. A row that would only say zero is left out. `codes` are the codes with
/// which images of this run failed.
pub(super) fn text(report: &Report, codes: &[FailureCode], budget: &config::Budget) -> String {
    let Report { run_id, end, snapshot, before, resumed, needed: _, list, .. } = report;
    let counts = &snapshot.counts;
    let state = match end {
        End::Complete => "complete".to_owned(),
        End::Trial(trial) => format!("complete ({})", trial.name()),
        End::Stopped(reason @ StopReason::Signal(_)) => reason.to_string(),
        // Why it stopped is told after the summary, together with what to do.
        End::Stopped(_) => "stopped".to_owned(),
    };
    let whole = if *resumed { " (all numbers are since the run began)" } else { "" };
    let seconds = snapshot.elapsed.as_secs_f64();
    let mut text = format!("run {run_id}: {state}, {seconds:.1} s{whole}\n");
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<9} {value}");
        }
    };
    if counts.listed == 0 && counts.calls == 0 {
        return text;
    }
    row("tagged", Some(tagged(counts)));
    for (index, code) in codes.iter().enumerate() {
        row(if index == 0 { "failed" } else { "" }, Some(failed(code)));
    }
    row("cost", cost(counts, budget));
    row("left", Some(left(snapshot)));
    row("listed", Some(listed(counts)));
    if list.is_some() && matches!(end, End::Complete) {
        row("lines", Some(lines(counts)));
    }
    row("changes", changes(counts, list.is_some()));
    let reused = counts.reused;
    row(
        "reused",
        (reused > 0)
            .then(|| format!("{} needed no separate call", counted(reused, "wanted object"))),
    );
    row("calls", (counts.calls > 0).then(|| calls(counts)));
    let made = counts.calls.saturating_sub(before.calls);
    row("rate", rate_of(made, snapshot));
    row("waited", waited(snapshot));
    text
}

fn tagged(counts: &Counts) -> String {
    match (counts.done, counts.labels) {
        (0, _) => "no image".to_owned(),
        (done, labels) => format!("{}, with {}", counted(done, "image"), counted(labels, "label")),
    }
}

fn failed(FailureCode { code, http_status, temporary, contents }: &FailureCode) -> String {
    let code = code.as_deref().unwrap_or("no answer");
    let status = http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let again = if *temporary { ", the next run tries again" } else { "" };
    let images = counted(*contents, "image");
    format!("{images} with {}{status}{again}", visible(&shortened(code)))
}

fn cost(counts: &Counts, budget: &config::Budget) -> Option<String> {
    let units = budget.billing.units_of(counts.calls, counts.scenes_asked.max(counts.calls));
    if units == 0 {
        return None;
    }
    let units_told = format!("{} of billing", counted(units, "unit"));
    Some(match Price::of(budget).of_units(units) {
        Some(cost) => {
            format!("about {} {} for {units_told}", money(cost), visible(&budget.currency))
        }
        None => units_told,
    })
}

/// What is left to do.
fn left(snapshot: &Snapshot) -> String {
    let pending = snapshot.pending();
    let images = match (pending, snapshot.listed) {
        (0, true) => return "nothing".to_owned(),
        (0, false) => return "the rest of the listing".to_owned(),
        (pending, _) => format!("{} without a call", counted(pending, "image")),
    };
    if snapshot.listed { images } else { format!("{images}, and the rest of the listing") }
}

/// What differs from the listing before. A key of a list that the bucket does not have is counted as gone, even if the
/// database has never seen it.
fn changes(counts: &Counts, is_list: bool) -> Option<String> {
    let Counts { added, changed, gone, .. } = *counts;
    let gone_text = if is_list { "gone or missing" } else { "gone" };
    let told: Vec<String> = [(added, "added"), (changed, "changed"), (gone, gone_text)]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn rate_of(made: u64, snapshot: &Snapshot) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
    let rate = made as f64 / snapshot.calling.as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate to show")]
    let whole = || grouped(rate.round() as u64);
    let text = || if rate < 1000.0 { format!("{rate:.1}") } else { whole() };
    (made > 0 && !snapshot.calling.is_zero()).then(|| format!("{} calls a second", text()))
}

fn waited(snapshot: &Snapshot) -> Option<String> {
    let (times, seconds) = (snapshot.times_waited, snapshot.waited.as_secs_f64());
    let often = if times == 1 { "once".to_owned() } else { counted(u64::from(times), "time") };
    (times > 0).then(|| format!("{often}, {seconds:.1} s"))
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
    let mut text = format!("this run needs {least}{}", counted(calls, "call"));
    if units != calls {
        let _ = write!(text, ", which bill {}", counted(units, "scene"));
    }
    if let Some(cost) = Price::of(&settings.budget).of_units(units) {
        let currency = visible(&settings.budget.currency).into_owned();
        let _ = write!(text, ", about {} {currency}", money(cost));
    }
    if let Some(pace) = trial::pace(settings, made, now.calling) {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = calls as f64 / pace;
        let _ = write!(text, ", {} at {}/s", duration(seconds), rate(pace));
    }
    let state = if listed { "everything is listed" } else { "the listing is not complete yet" };
    let _ = write!(
        text,
        "; {state}\nit may use {} of billing without asking (--confirm-above)\ncontinue calling?",
        counted(above, "unit")
    );
    text
}

fn listed(counts: &Counts) -> String {
    let skipped: u64 = counts.skipped.values().sum();
    let mut text =
        format!("{}: {} wanted", counted(counts.listed, "object"), grouped(counts.wanted));
    if skipped > 0 {
        let _ = write!(text, ", {} skipped", grouped(skipped));
        let named = |(reason, count): (&String, &u64)| format!("{reason} {}", grouped(*count));
        let reasons: Vec<String> = counts.skipped.iter().map(named).collect();
        let _ = write!(text, " ({})", reasons.join(", "));
    }
    if counts.rejected > 0 {
        let _ = write!(text, ", {} that no request can carry", grouped(counts.rejected));
    }
    for (count, what) in [(counts.lines_failed, "failed"), (counts.missing, "missing")] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", grouped(count));
        }
    }
    text
}

/// Counts how the lines of a list ended. Each line counts once.
fn lines(counts: &Counts) -> String {
    let skipped: u64 = counts.skipped.values().sum();
    let failed = counts.lines_failed + counts.given_up_lines;
    let done = counts.wanted.saturating_sub(counts.given_up_lines);
    let [all, done, failed, skipped, missing] =
        [counts.listed, done, failed, skipped, counts.missing].map(grouped);
    let mut text =
        format!("{all}: {done} done, {failed} failed, {skipped} skipped, {missing} missing");
    if counts.repeated > 0 {
        let verb = if counts.repeated == 1 { "repeats" } else { "repeat" };
        let _ = write!(text, "; {} more {verb} one of them", grouped(counts.repeated));
    }
    text
}

fn calls(counts: &Counts) -> String {
    let mut text = grouped(counts.calls);
    if counts.answered < counts.calls {
        let _ = write!(text, ": {} answered", grouped(counts.answered));
    }
    for (count, what) in [
        (counts.failed_calls, "failed"),
        (counts.throttled, "throttled"),
        (counts.thrown_away, "without a usable answer"),
        (counts.unknown, "cut off when a run was killed"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", grouped(count));
        }
    }
    if counts.retries > 0 {
        let _ = write!(text, "; {} of them repeated a failed one", grouped(counts.retries));
    }
    text
}
