//! `costag plan`: what a run would call, what that may cost, and how long it takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};
use serde::Serialize;

use crate::cli::connect;
use crate::cli::execute_job;
use crate::cli::exit::{self, Exit};
use crate::cli::options::global::GlobalOptions;
use crate::cli::outcome::SCHEMA;
use crate::cli::outcome::reporter::Reporter;
use crate::cli::price::{Price, cost_in_words};
use crate::cli::takes;
use crate::cli::target::Target;
use crate::numbers::{duration, rate};
use crate::visible::{Notation, visible};

use crate::cli::zone;
use crate::config::{Billing, Budget, Rate, Settings};
use crate::export::Output;
use crate::job::{End, Job, Purpose, Report, Room, Share, absolute};
use crate::store::read::{Doubtful, Measured, Needed};
use crate::store::{Reader, Store};

/// Show what a run would call, what it may cost and how long it takes, without calling
///
/// Lists the bucket and compares the listing with the database. Only the numbers of the plan are saved, so a later run
/// works as if there had been no plan. Takes all options of `costag run`. With limits (--limit, --sample, --max-calls,
/// --max-cost, --daily-calls), it shows what a run with these limits would call and what would remain. Images that an
/// unfinished run has left are counted too.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints. Its names must not change.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Plan {
    /// The version of this JSON, as in the summary of a run.
    schema: u32,
    exit_code: u8,
    reason: &'static str,
    run_id: i64,
    source: String,
    scenes: String,
    listed: u64,
    wanted: u64,
    skipped: BTreeMap<String, u64>,
    rejected: u64,
    /// Lines of a list whose key cannot be looked up, or cannot be sent in a request.
    lines_failed: u64,
    /// Keys of a list that are not in the bucket.
    missing: u64,
    added: u64,
    changed: u64,
    gone: u64,
    /// Wanted objects that need no call: they are labelled, or have the same bytes as another object.
    need_no_call: u64,
    /// Images that failed for good.
    given_up: u64,
    /// Wanted objects that are larger than 3 MB, which the service may refuse.
    larger_than_3_mb: u64,
    /// Wanted objects that are neither PNG nor JPEG, which the service may refuse.
    other_formats: u64,
    /// The calls of a run with the limits of this command.
    calls: u64,
    /// The number of calls if the calls for the most scenes come first. It is smaller than `calls` only if calls for
    /// different numbers of scenes reach `--max-cost`.
    calls_at_least: u64,
    /// The limits that the run reaches before everything is called.
    limited_by: Vec<String>,
    /// All needed calls by the scenes that they ask for: the calls of the run, and those that remain after it.
    calls_by_scenes: BTreeMap<String, u64>,
    /// How many scenes the calls of the run ask for. This is what is billed, unless `billing` is `call`.
    scenes_asked: u64,
    /// The calls that remain after the run; the next two fields tell their scenes and their cost.
    remaining_calls: u64,
    remaining_scenes_asked: u64,
    remaining_cost: Option<f64>,
    price_per_1000_calls: Option<f64>,
    billing: Billing,
    currency: String,
    cost: Option<f64>,
    /// The cost if each scene is billed, even if `billing` says otherwise.
    cost_up_to: Option<f64>,
    /// Calls a second; `None` if no limit is set.
    configured_pace: Option<f64>,
    configured_seconds: Option<f64>,
    measured_pace: Option<f64>,
    measured_seconds: Option<f64>,
    measured_in_run: Option<i64>,
    /// The seconds in which calls may be made; `None` without `--until` and `--max-duration`.
    window_seconds: Option<f64>,
    fits_the_window: Option<bool>,
}

impl Args {
    /// Lists, compares, and prints the plan.
    ///
    /// # Errors
    /// The same as those of a run.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let reporter = Reporter::new("plan", self.json);
        match self.plan(global) {
            Ok((Exit::Complete, _)) => Ok(Exit::Complete),
            // There is no plan to print, so the summary says why.
            result => reporter.ends(result),
        }
    }

    fn plan(self, global: &GlobalOptions) -> anyhow::Result<(Exit, Option<Report>)> {
        let (settings, bucket, source) = self.target.resolve(global)?;
        let shown = source.describe(bucket.as_str());
        let report = execute_job::runtime()?.block_on(async {
            let region = settings.stored.region.as_deref();
            let endpoint = settings.stored.endpoint.as_deref();
            let client = connect::bucket_client(&bucket, region, endpoint, &settings).await?;
            let store = Store::open(&settings.db)?;
            // The time window limits calls, and a plan makes none.
            let budget = Budget { until: None, max_duration: None, ..settings.budget.clone() };
            let unhurried = Settings { budget, ..settings.clone() };
            let job = Job::begin(store, client, &bucket, source, unhurried, Purpose::Plan)?;
            Box::pin(execute_job::run_without_summary(job)).await
        })?;
        if !matches!(report.end, End::Complete) {
            return Ok((exit::explain_end(&report), Some(report)));
        }
        let needed = report.needed.clone().unwrap_or_default();
        let measured = Reader::open(&settings.db)?.measured_pace()?;
        let plan = Plan::new(
            shown,
            &report,
            &needed,
            measured,
            &settings,
            &Timestamp::now().to_zoned(zone::local()),
        );
        let text = if self.json {
            serde_json::to_string_pretty(&plan)? + "\n"
        } else {
            plan.text(&settings)
        };
        let notation = if self.json { Notation::Json } else { Notation::Text };
        let mut output = Output::open_in(Path::new("-"), notation)?;
        output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
        output.commit()?;
        Ok((Exit::Complete, None))
    }
}

/// How long calls may be made from now on.
fn window(budget: &Budget, now: &Zoned) -> Option<Duration> {
    let by_clock = budget.until.map(|until| {
        let left = until.after(now.timestamp(), now.time_zone()).duration_since(now.timestamp());
        Duration::try_from(left).unwrap_or_default()
    });
    by_clock.into_iter().chain(budget.max_duration).min()
}

/// Counts with their names, separated by commas.
fn named(counts: &BTreeMap<String, u64>, between: &str) -> String {
    let all: Vec<String> =
        counts.iter().map(|(name, count)| format!("{count}{between}{name}")).collect();
    all.join(", ")
}

impl Plan {
    fn new(
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

    /// What remains after a run that its limits end, in words.
    fn remain(&self, settings: &Settings) -> String {
        let cost = cost_in_words(settings, self.remaining_calls, self.remaining_scenes_asked);
        let mut text = format!("{} calls after this run; cost: {cost}", self.remaining_calls);
        if let Some(pace) = self.configured_pace.or(self.measured_pace) {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let seconds = self.remaining_calls as f64 / pace;
            let _ = write!(text, "; {} at {}/s", duration(seconds), rate(pace));
        }
        text
    }

    /// What was listed, in words.
    fn listed(&self) -> String {
        let skipped: u64 = self.skipped.values().sum();
        let mut listed =
            format!("{} objects: {} wanted, {skipped} skipped", self.listed, self.wanted);
        if skipped > 0 {
            let _ = write!(listed, " ({})", named(&self.skipped, " "));
        }
        if self.rejected > 0 {
            let _ = write!(listed, ", {} that no request can carry", self.rejected);
        }
        for (count, what) in [(self.lines_failed, "failed"), (self.missing, "missing")] {
            if count > 0 {
                let _ = write!(listed, ", {count} {what}");
            }
        }
        listed
    }

    fn text(&self, settings: &Settings) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "plan (run {}) for {}", self.run_id, visible(&self.source));
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<9} {value}");
        };
        row("listed", self.listed());
        row(
            "changes",
            format!("{} added, {} changed, {} gone", self.added, self.changed, self.gone),
        );
        row(
            "no call",
            format!("{} wanted objects: labelled, or the same bytes as another", self.need_no_call),
        );
        if self.given_up > 0 {
            row("given up", format!("{} images; `costag retry` puts them back", self.given_up));
        }
        let doubtful =
            Doubtful { larger: self.larger_than_3_mb, other_formats: self.other_formats };
        if let Some(text) = takes::text(doubtful, &format!("{} wanted objects", self.wanted)) {
            row("doubtful", text);
        }
        let needed = self.calls + self.remaining_calls;
        let by_scenes = match needed {
            0 => String::new(),
            _ => format!(": {}", named(&self.calls_by_scenes, " for ")),
        };
        if self.limited_by.is_empty() {
            row("calls", format!("{needed}{by_scenes}, if no call has to be retried"));
        } else {
            let least = match self.calls_at_least {
                least if least < self.calls => format!("{least} to "),
                _ => String::new(),
            };
            let limits = visible(&self.limited_by.join(", ")).into_owned();
            row("needed", format!("{needed} calls{by_scenes}"));
            row(
                "calls",
                format!(
                    "{least}{} by this run ({limits}), if no call has to be retried",
                    self.calls
                ),
            );
        }
        row("cost", cost_in_words(settings, self.calls, self.scenes_asked));
        let configured = match (self.configured_pace, self.configured_seconds) {
            (Some(pace), Some(seconds)) => {
                format!("{} at the configured {pace} calls a second", duration(seconds))
            }
            _ => "no pace is configured".to_owned(),
        };
        let measured = match (self.measured_pace, self.measured_seconds, self.measured_in_run) {
            (Some(pace), Some(seconds), Some(run)) => {
                format!("; {} at the {pace:.1} of run {run}", duration(seconds))
            }
            _ => String::new(),
        };
        row("time", configured + &measured);
        if let Some(window) = self.window_seconds {
            let end = Timestamp::now()
                .saturating_add(SignedDuration::from_secs_f64(window))
                .map(|end| absolute(end, &zone::local()))
                .unwrap_or_default();
            let fits = match self.fits_the_window {
                Some(true) => "it fits",
                Some(false) => "it does not fit: the rest stays for `costag resume`",
                None => "unknown without a pace",
            };
            row("window", format!("{} until {end}: {fits}", duration(window)));
        }
        if !self.limited_by.is_empty() {
            row("remain", self.remain(settings));
        }
        let _ = match self.calls {
            0 if self.remaining_calls > 0 => {
                writeln!(
                    text,
                    "next: these limits allow no call: a run without them calls for what remains"
                )
            }
            0 => writeln!(text, "next: nothing to call"),
            _ => writeln!(text, "next: `costag run` with the same options calls for them"),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Until;
    use crate::job::Snapshot;
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
        let report = Report {
            run_id: 4,
            end: End::Complete,
            snapshot: Snapshot { counts, ..Snapshot::default() },
            before: Counts::default(),
            resumed: false,
            needed: None,
            list: None,
            limits: Vec::new(),
            unmatched: Vec::new(),
            beside: Vec::new(),
        };
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
            insta::assert_snapshot!(plan.text(&settings));
        });
    }
}
