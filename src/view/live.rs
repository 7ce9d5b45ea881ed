//! The run that goes on, as figures that change while a person looks at them.

use serde::Serialize;

use super::share::{LENGTH, length, percent};
use super::{Terms, name};
use crate::numbers::{grouped, rate, span};
use crate::store::live::{self, LiveWait};
use crate::store::read::{RunRow, RunStanding};
use crate::store::{Error, Reader};
use crate::time::UnixMillis;

/// The run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// A text that changes when the page has to be loaded again.
    pub version: String,
    /// The figures, each with its name.
    pub figures: Vec<Figure>,
    /// The run in a few words, for the head of every page.
    pub name: String,
    /// What is said above the figures.
    pub title: String,
    /// What the run waits for, in a sentence; empty if it does not wait.
    pub waits: String,
    /// The parts of all images, out of 1,000: labelled, failed, waiting.
    pub parts: [u32; 3],
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// A word for programs.
    pub id: &'static str,
    /// What it counts.
    pub name: &'static str,
    /// The figure.
    pub value: String,
    /// What else there is to say.
    pub remark: String,
}

impl Live {
    /// Reads the figures of the run that goes on. Returns `None` if none does.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn read(reader: &Reader, terms: &Terms) -> Result<Option<Self>, Error> {
        // Asked before the run is read: otherwise a run that starts in between would look killed.
        let is_running = reader.is_running();
        let run = reader.runs(1)?.into_iter().next();
        let Some(run) = run.filter(|run| run.standing(is_running) == RunStanding::Running) else {
            return Ok(None);
        };
        let process = reader.live()?.filter(|live| live.run == run.id);
        let waiting = reader.content_counts()?;
        reader.unchanged()?;
        let contents = Contents { pending: waiting.pending, claimed: waiting.in_flight };
        Ok(Some(Self::of(&run, process.as_ref(), &contents, terms)))
    }

    fn of(run: &RunRow, process: Option<&live::Live>, contents: &Contents, terms: &Terms) -> Self {
        let counts = &run.counts;
        let is_listed = run.listed_at.is_some();
        let left = contents.pending + contents.claimed;
        // Contents are claimed in advance, so those whose call is in flight are known only to the process.
        let in_flight = process.map_or(contents.claimed, |process| process.in_flight);
        let (done, whole) = (counts.done, counts.done + counts.failed + left);
        let length = |part: u64| length(part, whole, LENGTH);
        let retries = match counts.retries {
            0 => String::new(),
            1 => "1 retry".to_owned(),
            retries => format!("{} retries", grouped(retries)),
        };
        let figure = |id, name, value, remark: String| Figure { id, name, value, remark };
        Self {
            version: format!("{}-{is_listed}", run.id),
            name: format!("Run {} is in progress", run.id),
            title: format!("Run {} is in progress: {} labelled.", run.id, percent(done, whole)),
            waits: process
                .and_then(|process| process.waits.as_ref())
                .map_or_else(String::new, |wait| waits(wait, terms)),
            figures: vec![
                pace(process),
                time_left(process, is_listed, terms),
                cost(run, terms),
                figure("failed", "Failed", grouped(counts.failed), "in this run".to_owned()),
                figure("done", "Labelled", grouped(done), String::new()),
                figure(
                    "waiting",
                    "Waiting",
                    grouped(left.saturating_sub(in_flight)),
                    format!("{} in flight", grouped(in_flight)),
                ),
                figure("listed", "Listed", grouped(counts.listed), String::new()),
                figure("throttled", "Throttled", percent(counts.throttled, counts.calls), retries),
            ],
            parts: [length(done), length(counts.failed), length(left)],
        }
    }
}

/// Contents that the run has not settled.
struct Contents {
    pending: u64,
    claimed: u64,
}

fn pace(process: Option<&live::Live>) -> Figure {
    let now = process.and_then(|process| process.per_second);
    let limit = process.map(|process| (process.pace, process.cap));
    Figure {
        id: "pace",
        name: "Pace",
        value: now.map_or_else(|| "—".to_owned(), |calls| format!("{calls:.1} /s")),
        remark: match limit {
            Some((Some(pace), Some(cap))) => format!("at most {pace:.1} of {} /s", rate(cap)),
            Some((Some(pace), None)) => format!("at most {pace:.1} /s now"),
            Some((None, Some(cap))) => format!("at most {} /s", rate(cap)),
            Some((None, None)) => "no limit is set".to_owned(),
            None => "not measured yet".to_owned(),
        },
    }
}

fn time_left(process: Option<&live::Live>, is_listed: bool, terms: &Terms) -> Figure {
    let left = process.and_then(|process| process.left(UnixMillis::from(terms.now)));
    let listing = if is_listed { "everything is listed" } else { "the listing goes on" };
    Figure {
        id: "left",
        name: "Time left",
        value: left.map_or_else(|| "—".to_owned(), |(least, most)| span(least, most)),
        remark: match process.and_then(|process| process.window.as_deref()) {
            Some(window) => format!("{listing}; calls stop at {}", name::text(window)),
            None => listing.to_owned(),
        },
    }
}

fn cost(run: &RunRow, terms: &Terms) -> Figure {
    let money = &terms.money;
    let units = money.units(run.counts.calls, run.counts.scenes_asked);
    let (name, value, remark) = match money.cost(units) {
        Some(cost) => {
            let told = format!("{} units of billing", grouped(units));
            ("Cost, about", money.amount(cost), told)
        }
        None => ("Units of billing", grouped(units), String::new()),
    };
    Figure { id: "cost", name, value, remark }
}

/// What the run waits for, with the times of the wait.
fn waits(wait: &LiveWait, terms: &Terms) -> String {
    let (what, since, until) =
        (name::text(&wait.what), terms.clock(wait.since), terms.clock(wait.until));
    match wait.gives_up {
        Some(end) => format!(
            "The run has been waiting since {since}: {what}. It tries again at {until}, and gives up at {}.",
            terms.clock(end)
        ),
        None => format!("The run has been waiting since {since}: {what}. It goes on at {until}."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::terms::tests::terms;
    use super::*;
    use crate::store::model::{Counts, RunState, SourceKind};
    use crate::time::UnixSeconds;

    fn run() -> RunRow {
        RunRow {
            id: 3,
            bucket: "photos".to_owned(),
            source: SourceKind::Bucket,
            prefix: String::new(),
            state: RunState::Running,
            stop_reason: None,
            settings: String::new(),
            plan: false,
            journals: true,
            tool_version: String::new(),
            exit_code: None,
            pruned: false,
            import: None,
            started_at: UnixSeconds(1_795_672_000),
            listed_at: None,
            ended_at: None,
            counts: Counts {
                calls: 1_000,
                scenes_asked: 1_000,
                throttled: 20,
                done: 900,
                retries: 80,
                ..Counts::default()
            },
        }
    }

    fn figures(live: &Live) -> Vec<(&str, &str)> {
        live.figures.iter().map(|figure| (figure.value.as_str(), figure.remark.as_str())).collect()
    }

    #[test]
    fn what_the_process_knows_is_shown_and_its_time_passes() {
        let terms = terms();
        let at = UnixMillis::from(terms.now);
        let process = live::Live {
            run: 3,
            at: UnixMillis(at.0 - 5_000),
            per_second: Some(4.94),
            pace: Some(5.0),
            cap: Some(10.0),
            in_flight: 40,
            left_least: Some(65.0),
            left_most: Some(305.0),
            window: Some("06:30 (--until 06:30)".to_owned()),
            waits: Some(LiveWait {
                what: "the service cannot be reached".to_owned(),
                since: at,
                until: UnixMillis(at.0 + 30_000),
                gives_up: Some(UnixMillis(at.0 + 900_000)),
            }),
            ..live::Live::default()
        };
        let contents = Contents { pending: 50, claimed: 50 };
        let live = Live::of(&run(), Some(&process), &contents, &terms);
        let told = figures(&live);
        assert_eq!(told[0], ("4.9 /s", "at most 5.0 of 10 /s"));
        let window = "the listing goes on; calls stop at 06:30 (--until 06:30)";
        assert_eq!(told[1], ("1 min 0 s to 5 min 0 s", window));
        assert_eq!(told[5], ("60", "40 in flight"));
        assert_eq!(told[7], ("2 %", "80 retries"));
        assert_eq!(live.parts, [900, 0, 100]);
        assert_eq!(
            live.waits,
            "The run has been waiting since 06:00:00: the service cannot be reached. It tries again at 06:00:30, and gives up at \
             06:15:00."
        );
    }

    #[test]
    fn a_run_that_has_told_nothing_yet_shows_no_pace() {
        let live = Live::of(&run(), None, &Contents { pending: 0, claimed: 0 }, &terms());
        assert_eq!(figures(&live)[..2], [("—", "not measured yet"), ("—", "the listing goes on")]);
        assert!(live.waits.is_empty());
    }
}
