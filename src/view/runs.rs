//! The runs: how the last one went, what failed and what to do about it, what was spent, and the runs before.

use std::fmt::Write as _;

use askama::Template;
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan as _};

use super::advice::{self, Cause};
use super::chart::{self, Bar, Tick};
use super::fact::Fact;
use super::live::Live;
use super::share::{number_of, percent};
use super::{Command, Money, Pace, Readings, Terms, name};
use crate::numbers::{duration, grouped, rate};
use crate::store::model::SourceKind;
use crate::store::read::{LedgerSums, RunRow, RunStanding};
use crate::time::{UnixMillis, UnixSeconds};

/// How many runs the table shows.
const SHOWN: usize = 50;

/// How many causes of failures are shown. The service has some dozens of codes.
const CAUSES: usize = 40;

/// How many days the chart shows.
const DAYS: usize = 30;

/// What the view of the runs shows.
#[derive(Debug, Clone, Template)]
#[template(path = "runs.html")]
pub struct Runs {
    /// The answer in one sentence.
    pub title: String,
    /// The remark after it.
    pub remark: String,
    /// The command that continues or begins, if there is one.
    pub next: Option<Command>,
    /// The figures of the last run.
    pub facts: Vec<Fact>,
    /// True if the page follows the run that goes on, or waits for one.
    pub follows: bool,
    /// The run that goes on, if the page follows it.
    pub live: Option<Live>,
    /// The pace of the last run that made calls.
    pub pace: Option<PaceChart>,
    /// Why images failed.
    pub failures: Vec<Cause>,
    /// Why lines of lists failed.
    pub lines: Vec<Cause>,
    /// The number of images that failed, in a sentence.
    pub failed: String,
    /// What was spent by day.
    pub spend: Option<Spend>,
    /// The runs, the newest first.
    pub rows: Vec<Row>,
    /// What the last column of the table has.
    pub cost: &'static str,
    /// What is said about the runs that are not shown.
    pub note: String,
}

/// Calls over the time of a run.
#[derive(Debug, Clone)]
pub struct PaceChart {
    /// Which run it is, and how long a bar is.
    pub note: String,
    /// The pace of each part of the time.
    pub bars: Vec<Bar>,
    /// The share of throttled calls, if there were any.
    pub throttled: Vec<Bar>,
    /// Times below the chart.
    pub ticks: Vec<Tick>,
    /// The highest pace.
    pub highest: String,
    /// The share of all calls that were throttled, in words.
    pub share: String,
}

/// Spending by day.
#[derive(Debug, Clone)]
pub struct Spend {
    /// What the chart shows.
    pub title: String,
    /// The sum of all days.
    pub note: String,
    /// A bar for each day.
    pub bars: Vec<Bar>,
    /// Days below the chart.
    pub ticks: Vec<Tick>,
    /// The day with the highest bar, in words.
    pub highest: String,
}

/// A run of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The number of the run.
    pub id: i64,
    /// What it read its work from.
    pub source: Vec<String>,
    /// When it began.
    pub started: String,
    /// How long it took.
    pub took: String,
    /// How it ended.
    pub ended: String,
    /// Images labelled.
    pub done: String,
    /// Images given up.
    pub failed: String,
    /// What it cost, or its units of billing.
    pub cost: String,
}

impl Runs {
    /// The model.
    pub fn of(readings: &Readings, terms: &Terms) -> Self {
        let survey = &readings.survey;
        let (title, remark, next) = sentence(readings, terms);
        let shown = readings.runs.len().min(SHOWN);
        let failed = survey.images.failed;
        Self {
            title,
            remark,
            follows: false,
            live: None,
            next,
            facts: readings.runs.first().map_or_else(Vec::new, |run| facts(run, readings, terms)),
            pace: readings.pace.as_ref().map(|pace| pace_chart(pace, terms)),
            failures: survey
                .failures
                .iter()
                .take(CAUSES)
                .map(|code| advice::of_images(code, terms))
                .collect(),
            lines: survey
                .lines
                .iter()
                .take(CAUSES)
                .map(|code| advice::of_lines(code, terms))
                .collect(),
            failed: match failed {
                0 => "No image in the bucket has failed.".to_owned(),
                1 => "1 image in the bucket has failed.".to_owned(),
                _ => format!("{} images in the bucket have failed, by cause.", grouped(failed)),
            },
            spend: spend(readings, terms),
            rows: (0..)
                .zip(readings.runs.iter().take(SHOWN))
                .map(|(place, run): (usize, &RunRow)| {
                    row(run, readings.running && place == 0, readings, terms)
                })
                .collect(),
            cost: if terms.money.per_1000.is_some() { "Cost" } else { "Units" },
            note: if shown < readings.runs.len() {
                format!("The last {shown} of {}.", grouped(readings.runs.len() as u64))
            } else {
                String::new()
            },
        }
    }
}

fn sentence(readings: &Readings, terms: &Terms) -> (String, String, Option<Command>) {
    let Some(run) = readings.runs.first() else {
        return ("No run yet.".to_owned(), String::new(), None);
    };
    let standing = run.standing(readings.running);
    let counts = &run.counts;
    let title = match standing {
        RunStanding::Running => format!("Run {} is in progress.", run.id),
        RunStanding::Complete => format!("Run {} is complete.", run.id),
        RunStanding::Superseded => format!("Run {} was replaced by a later run.", run.id),
        RunStanding::Killed | RunStanding::Interrupted | RunStanding::Stopped => {
            format!("Run {} was {}.", run.id, standing.word())
        }
    };
    let labelled = if counts.done == 0 {
        "No image needed a call".to_owned()
    } else {
        format!("{} labelled", number_of(counts.done, "image"))
    };
    let took = match run.ended_at {
        Some(end) if counts.calls > 0 => format!(" in {}", took(run.started_at, end)),
        _ => String::new(),
    };
    let mut remark = match (counts.done, counts.failed) {
        (0, 0) if counts.calls == 0 => format!("{labelled}."),
        (0, failed) => format!("{} failed{took}.", number_of(failed, "image")),
        (_, 0) => format!("{labelled}{took}."),
        (_, failed) => format!("{labelled}{took}, {} failed.", grouped(failed)),
    };
    if counts.pending() > 0 {
        let waiting = number_of(counts.pending(), "image");
        let verb = if counts.pending() == 1 { "waits" } else { "wait" };
        let _ = write!(remark, " {waiting} {verb}.");
    }
    let next = standing.can_resume().then(|| terms.here(Command::new("resume")));
    (title, remark, next)
}

fn facts(run: &RunRow, readings: &Readings, terms: &Terms) -> Vec<Fact> {
    let counts = &run.counts;
    let sums = readings.by_run.get(&run.id).copied().unwrap_or_default();
    let units = terms.money.units(sums.calls, sums.scenes_asked);
    let fact = |name, value, remark: String| Fact { name, value, href: None, remark };
    let skipped: u64 = counts.skipped.values().sum();
    let listed = match (run.source, skipped) {
        (SourceKind::Bucket, 0) => String::new(),
        (SourceKind::Bucket, _) => format!("{} skipped", grouped(skipped)),
        _ => "lines of a list".to_owned(),
    };
    let throttled = match counts.throttled {
        0 => "none was throttled".to_owned(),
        _ => format!("{} throttled", percent(counts.throttled, counts.calls)),
    };
    vec![
        fact("Listed", grouped(counts.listed), listed),
        fact("Calls", grouped(counts.calls), throttled),
        fact(
            "Labels",
            grouped(counts.labels),
            match counts.reused {
                0 => String::new(),
                reused => format!("{} needed no call", number_of(reused, "object")),
            },
        ),
        match terms.money.cost(units) {
            Some(cost) => fact(
                "Cost, about",
                terms.money.amount(cost),
                format!("{} of billing", number_of(units, "unit")),
            ),
            None => fact("Units of billing", grouped(units), "no price is set".to_owned()),
        },
    ]
}

fn pace_chart(pace: &Pace, terms: &Terms) -> PaceChart {
    #[expect(clippy::cast_precision_loss, reason = "a pace to show")]
    let per_second = |calls: u64| calls as f64 * 1_000.0 / pace.part_ms.max(1) as f64;
    let moments: Vec<String> = (0..)
        .zip(&pace.parts)
        .map(|(place, _): (i64, _)| {
            let after = SignedDuration::from_millis(place.saturating_mul(pace.part_ms));
            let at = pace.from.saturating_add(after);
            clock(at, pace.part_ms, terms)
        })
        .collect();
    let named = || moments.iter().cloned().zip(&pace.parts);
    let bars = named().map(|(name, sums)| (name, sums.calls, rate(per_second(sums.calls))));
    let total = pace.parts.iter().fold(LedgerSums::default(), |mut sum, part| {
        sum += *part;
        sum
    });
    let throttled = named().map(|(name, sums)| {
        let tenths = sums.throttled.saturating_mul(1_000) / sums.calls.max(1);
        (name, tenths, percent(sums.throttled, sums.calls))
    });
    let throttled = if total.throttled > 0 { chart::bars(throttled.collect()) } else { Vec::new() };
    let highest = pace.parts.iter().map(|sums| sums.calls).max().unwrap_or(0);
    PaceChart {
        note: format!("Run {}, a bar for each {}.", pace.run_id, part_name(pace.part_ms)),
        bars: chart::bars(bars.collect()),
        throttled,
        ticks: chart::ticks(&moments, 5),
        highest: rate(per_second(highest)),
        share: match total.throttled {
            0 => "none was throttled".to_owned(),
            throttled => format!("{} were throttled", percent(throttled, total.calls)),
        },
    }
}

/// The length of a part of a chart: `second`, `5 s`, `minute`, `30 min`.
fn part_name(milliseconds: i64) -> String {
    match milliseconds / 1_000 {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        seconds @ ..60 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// A time of day, with seconds if the parts of the chart are shorter than a minute.
fn clock(moment: UnixMillis, part_ms: i64, terms: &Terms) -> String {
    let Some(moment) = moment.timestamp() else { return String::new() };
    let form = if part_ms < 60_000 { "%H:%M:%S" } else { "%H:%M" };
    moment.to_zoned(terms.zone.clone()).strftime(form).to_string()
}

fn spend(readings: &Readings, terms: &Terms) -> Option<Spend> {
    let last = *readings.by_day.last_key_value()?.0;
    let money = &terms.money;
    let units = |sums: &LedgerSums| money.units(sums.calls, sums.scenes_asked);
    let mut day = last.saturating_sub((i64::try_from(DAYS).unwrap_or(1) - 1).days());
    let mut values = Vec::new();
    let mut sum = 0;
    while day <= last && values.len() < DAYS {
        let used = readings.by_day.get(&day).map_or(0, units);
        sum += used;
        values.push((day_name(day, last), used, money.told(used)));
        day = day.saturating_add(1.day());
    }
    let names: Vec<String> = values.iter().map(|(name, _, _)| name.clone()).collect();
    let highest = values.iter().max_by_key(|(_, used, _)| *used);
    let highest =
        highest.map_or_else(String::new, |(name, _, told)| format!("at most {told}, on {name}"));
    let (what, total) = match money.per_1000 {
        Some(_) => ("Estimated cost by day", money.told(sum)),
        None => ("Units of billing by day", number_of(sum, "unit")),
    };
    Some(Spend {
        title: what.to_owned(),
        note: format!("{total} in {DAYS} days, by the local day."),
        bars: chart::bars(values),
        ticks: chart::ticks(&names, 4),
        highest,
    })
}

fn day_name(day: Date, last: Date) -> String {
    let form = if day.year() == last.year() { "%-d %b" } else { "%-d %b %Y" };
    day.strftime(form).to_string()
}

fn row(run: &RunRow, is_at_work: bool, readings: &Readings, terms: &Terms) -> Row {
    let standing = run.standing(is_at_work);
    let sums = readings.by_run.get(&run.id).copied().unwrap_or_default();
    let address = format!("cos://{}/{}", run.bucket, run.prefix);
    let source = match run.source {
        SourceKind::Bucket => name::segments(address.trim_end_matches('/')),
        SourceKind::Keys => vec!["a list of keys".to_owned()],
        SourceKind::Urls => vec!["a list of URLs".to_owned()],
    };
    let ended = match (&run.stop_reason, standing) {
        (Some(reason), RunStanding::Complete) => {
            format!("complete, a trial ({})", name::text(reason))
        }
        (Some(reason), RunStanding::Stopped) => format!("stopped: {}", name::text(reason)),
        (_, standing) => standing.word().to_owned(),
    };
    Row {
        id: run.id,
        source,
        started: terms.moment(run.started_at),
        took: run.ended_at.map_or_else(String::new, |end| took(run.started_at, end)),
        ended,
        done: grouped(run.counts.done),
        failed: grouped(run.counts.failed),
        cost: cost(&terms.money, &sums),
    }
}

fn cost(money: &Money, sums: &LedgerSums) -> String {
    money.told(money.units(sums.calls, sums.scenes_asked))
}

fn took(from: UnixSeconds, to: UnixSeconds) -> String {
    duration(to.duration_since(from).as_secs_f64().max(0.0))
}
