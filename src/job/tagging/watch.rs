//! Looks ahead for the gate: estimates the number of calls, and asks for confirmation as soon as it is known that the gate
//! will hold some back.

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

/// The time between two estimates.
const LOOK: Duration = Duration::from_millis(100);
/// The number of pending contents from which the number of scenes is estimated.
const LOOKED_AT: u32 = 2_000;

/// Estimates the calls of an invocation while they are being made.
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
    /// The counts of the run before this invocation.
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

    /// Asks for confirmation when it is needed, and gives the final number once everything is listed.
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

    /// The calls of this invocation: those made, and those that are known to follow if none has to be repeated.
    fn expected(&self) -> Expected {
        let now = self.stats.snapshot();
        let counts = &now.counts;
        let made = counts.calls.saturating_sub(self.before.calls);
        let asked = counts.scenes_asked.saturating_sub(self.before.scenes_asked);
        let (taken, units_taken) = self.budget.used_so_far();
        let room = Room::of(&self.budget.limits_of_calls());
        let units_made = self.billing.units_of(made, asked);
        // Calls in flight still count as pending, but the limits have counted them already.
        let calls_left = room.calls.saturating_add(taken.saturating_sub(made));
        let units_left = room.units.saturating_add(units_taken.saturating_sub(units_made));
        let in_trial = self
            .trial
            .map_or(u64::MAX, |trial| trial.images().saturating_sub(trial.settled(counts)));
        let pending = now.pending().min(in_trial).min(calls_left);
        // The number of billing units for an image matters only if images are pending.
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
