//! The numbers of a plan.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Zoned;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::outcome::SCHEMA;
use crate::cli::price::Price;
use crate::config::{Billing, Budget, Rate, Settings};
use crate::job::{Report, Room, Share};
use crate::store::read::{Measured, Needed};

/// What `--json` prints. Its names must not change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Plan {
    /// The version of this JSON, as in the summary of a run.
    pub(super) schema: u32,
    pub(super) exit_code: u8,
    pub(super) reason: &'static str,
    pub(super) run_id: i64,
    pub(super) source: String,
    pub(super) scenes: String,
    pub(super) listed: u64,
    pub(super) wanted: u64,
    pub(super) skipped: BTreeMap<String, u64>,
    pub(super) rejected: u64,
    /// Lines of a list whose key cannot be looked up, or cannot be sent in a request.
    pub(super) lines_failed: u64,
    /// Keys of a list that are not in the bucket.
    pub(super) missing: u64,
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) gone: u64,
    /// Wanted objects that need no call: they are labelled, or have the same bytes as another object.
    pub(super) need_no_call: u64,
    /// Images that failed for good.
    pub(super) given_up: u64,
    /// Wanted objects that are larger than 3 MB, which the service may refuse.
    pub(super) larger_than_3_mb: u64,
    /// Wanted objects that are neither PNG nor JPEG, which the service may refuse.
    pub(super) other_formats: u64,
    /// The calls of a run with the limits of this command.
    pub(super) calls: u64,
    /// The number of calls if the calls for the most scenes come first. It is smaller than `calls` only if calls for
    /// different numbers of scenes reach `--max-cost`.
    pub(super) calls_at_least: u64,
    /// The limits that the run reaches before everything is called.
    pub(super) limited_by: Vec<String>,
    /// All needed calls by the scenes that they ask for: the calls of the run, and those that remain after it.
    pub(super) calls_by_scenes: BTreeMap<String, u64>,
    /// How many scenes the calls of the run ask for. This is what is billed, unless `billing` is `call`.
    pub(super) scenes_asked: u64,
    /// The calls that remain after the run; the next two fields tell their scenes and their cost.
    pub(super) remaining_calls: u64,
    pub(super) remaining_scenes_asked: u64,
    pub(super) remaining_cost: Option<f64>,
    pub(super) price_per_1000_calls: Option<f64>,
    pub(super) billing: Billing,
    pub(super) currency: String,
    pub(super) cost: Option<f64>,
    /// The cost if each scene is billed, even if `billing` says otherwise.
    pub(super) cost_up_to: Option<f64>,
    /// Calls a second; `None` if no limit is set.
    pub(super) configured_pace: Option<f64>,
    pub(super) configured_seconds: Option<f64>,
    pub(super) measured_pace: Option<f64>,
    pub(super) measured_seconds: Option<f64>,
    pub(super) measured_in_run: Option<i64>,
    /// The seconds in which calls may be made; `None` without `--until` and `--max-duration`.
    pub(super) window_seconds: Option<f64>,
    pub(super) fits_the_window: Option<bool>,
}

/// How long calls may be made from now on.
fn window(budget: &Budget, now: &Zoned) -> Option<Duration> {
    let by_clock = budget.until.map(|until| {
        let left = until.after(now.timestamp(), now.time_zone()).duration_since(now.timestamp());
        Duration::try_from(left).unwrap_or_default()
    });
    by_clock.into_iter().chain(budget.max_duration).min()
}

impl Plan {
    pub(super) fn new(
        source: String,
        report: &Report,
        needed: &Needed,
        measured: Option<Measured>,
        settings: &Settings,
        now: &Zoned,
    ) -> Self {
        let counts = &report.snapshot.counts;
        let billing = settings.budget.billing;
        let share = Share::of(needed, Room::of(&report.limits), billing);
        let (calls, scenes_asked) = (share.calls.1, share.scenes.1);
        let (remaining_calls, remaining_scenes_asked) =
            (needed.calls() - calls, needed.scenes().saturating_sub(scenes_asked));
        let limited_by = report.limits.iter().filter(|limit| {
            let alone = Share::of(needed, limit.room, billing).calls;
            alone.0 < needed.calls() && alone.0 <= share.calls.0
        });
        let price = Price::of(&settings.budget);
        let configured_pace = match settings.pace.qps {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Unlimited | Rate::Auto => None,
        };
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let at = |pace: f64| calls as f64 / pace;
        let configured_seconds = configured_pace.map(at);
        let measured_pace = measured.map(|measured| measured.per_second);
        // A pace that was measured under a lower limit says nothing of what a higher one would give.
        let measured_seconds = measured_pace.map(at);
        let slower = [configured_seconds, measured_seconds].into_iter().flatten().reduce(f64::max);
        let window_seconds = window(&settings.budget, now).map(|window| window.as_secs_f64());
        Self {
            schema: SCHEMA,
            exit_code: Exit::Complete.code(),
            reason: Exit::Complete.meaning(),
            run_id: report.run_id,
            source,
            scenes: settings.stored.scenes.to_string(),
            listed: counts.listed,
            wanted: counts.wanted,
            skipped: counts.skipped.clone(),
            rejected: counts.rejected,
            lines_failed: counts.lines_failed,
            missing: counts.missing,
            added: counts.added,
            changed: counts.changed,
            gone: counts.gone,
            need_no_call: counts.wanted.saturating_sub(needed.calls() + needed.given_up),
            given_up: needed.given_up,
            larger_than_3_mb: needed.doubtful.larger,
            other_formats: needed.doubtful.other_formats,
            calls,
            calls_at_least: share.calls.0,
            limited_by: limited_by.map(|limit| limit.name.clone()).collect(),
            remaining_calls,
            remaining_scenes_asked,
            remaining_cost: price.cost(remaining_calls, remaining_scenes_asked),
            calls_by_scenes: needed
                .by_scenes
                .iter()
                .map(|(scenes, calls)| (scenes.to_string(), *calls))
                .collect(),
            scenes_asked,
            price_per_1000_calls: settings.budget.price_per_1000_calls,
            billing,
            currency: settings.budget.currency.clone(),
            cost: price.cost(calls, scenes_asked),
            cost_up_to: price.of_units(scenes_asked),
            configured_pace,
            configured_seconds,
            measured_pace,
            measured_seconds,
            measured_in_run: measured.map(|measured| measured.run_id),
            window_seconds,
            fits_the_window: window_seconds
                .zip(slower)
                .map(|(window, needed)| needed <= window)
                .or(window_seconds.filter(|_| calls == 0).map(|_| true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::suggest::Suggestion;
    use crate::config::Until;
    use crate::job::{End, Snapshot};
    use crate::scene::Scenes;
    use crate::store::model::Counts;

    #[test]
    fn a_plan_adds_up() {
        let counts = Counts {
            listed: 100,
            wanted: 80,
            skipped: [("suffix".to_owned(), 20)].into(),
            added: 60,
            ..Counts::default()
        };
        let snapshot = Snapshot { counts, ..Snapshot::default() };
        let report = Report::of(4, End::Complete, snapshot);
        let needed = Needed {
            by_scenes: vec![(Scenes::from_bits(2), 30), (Scenes::from_bits(10), 20)],
            given_up: 5,
            ..Needed::default()
        };
        let measured = Measured { run_id: 3, per_second: 5.0, calls: 1_000 };
        let mut settings = Settings::default();
        settings.budget.price_per_1000_calls = Some(10.0);
        settings.budget.until =
            Some(Until { time: jiff::civil::Time::constant(6, 30, 0, 0), offset: None });
        let now: Zoned = "2026-11-23T06:29:50[UTC]".parse().unwrap();
        let source = "cos://photos-1250000000/".to_owned();
        let plan = Plan::new(source, &report, &needed, Some(measured), &settings, &now);
        assert_eq!((plan.calls, plan.need_no_call, plan.scenes_asked), (50, 25, 70));
        assert_eq!((plan.cost, plan.cost_up_to), (Some(0.7), Some(0.7)));
        assert_eq!((plan.configured_seconds, plan.measured_seconds), (Some(5.0), Some(10.0)));
        assert_eq!((plan.window_seconds, plan.fits_the_window), (Some(10.0), Some(true)));
        settings.budget.billing = Billing::Call;
        let by_call = Plan::new(String::new(), &report, &needed, None, &settings, &now);
        assert_eq!((by_call.cost, by_call.cost_up_to), (Some(0.5), Some(0.7)));
        settings.budget.billing = Billing::Scene;
        let late: Zoned = "2026-11-23T06:29:51[UTC]".parse().unwrap();
        let late = Plan::new(String::new(), &report, &needed, Some(measured), &settings, &late);
        assert_eq!(late.fits_the_window, Some(false));
        insta::with_settings!({filters => vec![(r"until .*:", "until [TIME]:")]}, {
            insta::assert_snapshot!(super::super::text::text(&plan, &settings, &Suggestion::plain(["run", "cos://a-1"])));
        });
    }
}
