//! The run that goes on, as figures that change while a person looks at them.

use serde::Serialize;

use super::Terms;
use super::share::percent;
use crate::numbers::{duration, grouped, rate};
use crate::store::read::{RunRow, RunStanding};
use crate::store::{Error, Reader};

/// The run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// What the page has to be made for: if it changes, the page is read anew.
    pub version: String,
    /// The figures, each with its name.
    pub figures: Vec<Figure>,
    /// The run in a few words, for the head of every page.
    pub name: String,
    /// What is said above the figures.
    pub title: String,
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
        let measured = reader.measured_pace()?.filter(|measured| measured.run_id == run.id);
        let pace = measured.map_or(0.0, |measured| measured.per_second);
        let waiting = reader.content_counts()?;
        reader.unchanged()?;
        Ok(Some(Self::of(&run, pace, (waiting.pending, waiting.in_flight), terms)))
    }

    fn of(run: &RunRow, pace: f64, (pending, in_flight): (u64, u64), terms: &Terms) -> Self {
        let counts = &run.counts;
        let money = &terms.money;
        let units = money.units(counts.calls, counts.scenes_asked);
        let left = pending + in_flight;
        let figure = |id, name, value, remark: String| Figure { id, name, value, remark };
        #[expect(clippy::cast_precision_loss, reason = "a duration to show")]
        let time_left = match (run.listed_at, pace > 0.0) {
            (Some(_), true) => duration(left as f64 / pace),
            _ => "—".to_owned(),
        };
        let listing = if run.listed_at.is_some() {
            "everything is listed".to_owned()
        } else {
            "the listing goes on".to_owned()
        };
        let cost = match money.cost(units) {
            Some(cost) => {
                let told = format!("{} units of billing", grouped(units));
                figure("cost", "Cost, about", money.amount(cost), told)
            }
            None => figure("cost", "Units of billing", grouped(units), String::new()),
        };
        let done = counts.done;
        let whole = done + counts.failed + left;
        let length = |part: u64| super::share::length(part, whole, 1_000);
        Self {
            version: format!("{}-{}", run.id, run.listed_at.is_some()),
            name: format!("Run {} is in progress", run.id),
            title: format!("Run {} is in progress: {} labelled.", run.id, percent(done, whole)),
            figures: vec![
                figure(
                    "pace",
                    "Pace",
                    format!("{} /s", rate(pace)),
                    "measured over the last calls".to_owned(),
                ),
                figure("left", "Time left", time_left, listing),
                cost,
                figure("failed", "Failed", grouped(counts.failed), "in this run".to_owned()),
                figure("done", "Labelled", grouped(done), String::new()),
                figure("waiting", "Waiting", grouped(pending), String::new()),
                figure("flight", "In flight", grouped(in_flight), String::new()),
                figure("listed", "Listed", grouped(counts.listed), String::new()),
                figure(
                    "throttled",
                    "Throttled",
                    percent(counts.throttled, counts.calls),
                    "of all calls".to_owned(),
                ),
            ],
            parts: [length(done), length(counts.failed), length(left)],
        }
    }
}
