//! Looks ahead for the gate: estimates how many calls are to come, and has them confirmed as soon as it is known that
//! some will be held back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::budget::forecast::Room;
use crate::config::Billing;
use crate::job::gate::{Expected, Gate};
use crate::job::stats::Stats;
use crate::job::trial::Trial;
use crate::scene::Scenes;
use crate::store::Reader;
use crate::store::model::Counts;

/// How often it is looked whether more is to be called than passes without a question.
const LOOK: Duration = Duration::from_millis(100);
/// Contents that are looked at to know how many scenes the pending ones ask for.
const LOOKED_AT: u32 = 2_000;

/// Looks ahead: somebody is asked as soon as it is known that calls will be held back.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) gate: Gate,
    pub(crate) budget: Arc<Budget>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) reader: Reader,
    pub(crate) run_id: i64,
    pub(crate) scenes: Scenes,
    pub(crate) billing: Billing,
    pub(crate) trial: Option<Trial>,
    /// What the run had counted before this invocation.
    pub(crate) before: Counts,
}

impl Watch {
    /// Runs the watch, if calls may be held back.
    pub(crate) async fn run_if_any(watch: Option<Self>) -> Infallible {
        match watch {
            Some(watch) => watch.run().await,
            None => std::future::pending().await,
        }
    }

    /// Looks until somebody is asked, and once more when everything is listed.
    async fn run(self) -> Infallible {
        let Some(above) = self.gate.above() else { return std::future::pending().await };
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.gate.is_reached() => break,
            }
            let expected = self.expected();
            if expected.units > above {
                break;
            }
        }
        self.gate.ask(self.expected());
        while !self.expected().listed {
            tokio::time::sleep(LOOK).await;
        }
        self.gate.set_listed(self.expected());
        std::future::pending().await
    }

    /// The calls of this invocation, those made and those that are known to follow, if none has to be repeated.
    fn expected(&self) -> Expected {
        let now = self.stats.snapshot();
        let counts = &now.counts;
        let made = counts.calls.saturating_sub(self.before.calls);
        let asked = counts.scenes_asked.saturating_sub(self.before.scenes_asked);
        let (taken, units_taken) = self.budget.used_so_far();
        let room = Room::of(&self.budget.limits_of_calls());
        let units_made = self.billing.units_of(made, asked);
        // Calls on the wire are pending still, and have their room already.
        let calls_left = room.calls.saturating_add(taken.saturating_sub(made));
        let units_left = room.units.saturating_add(units_taken.saturating_sub(units_made));
        let in_trial = self
            .trial
            .map_or(u64::MAX, |trial| trial.images().saturating_sub(trial.settled(counts)));
        let pending = now.pending().min(in_trial).min(calls_left);
        // How many units an image takes is looked up only if it decides anything.
        let (contents, scenes) = match self.reader.asked_of_queue(self.run_id, LOOKED_AT) {
            Ok((contents @ 1.., scenes)) if pending > 0 => (contents, scenes),
            _ => (1, u64::from(self.scenes.len()).max(1)),
        };
        let each = self.billing.units_of(contents, scenes);
        let units = (pending.saturating_mul(each) / contents).min(units_left);
        let calls = pending.min(units.saturating_mul(contents) / each.max(1));
        Expected { made, calls: made + calls, units: units_made + units, listed: now.listed }
    }
}
