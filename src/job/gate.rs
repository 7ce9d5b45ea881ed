//! A gate before the units of billing above a number: their calls wait until a person has confirmed them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::stats::Stats;
use super::trial::Trial;
use crate::config::Billing;
use crate::job::tagging::budget::Budget;
use crate::job::tagging::budget::forecast::Room;
use crate::scene::Scenes;
use crate::store::Reader;
use crate::store::model::Counts;

/// What is known of the calls of an invocation when somebody is asked about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Calls that are made already.
    pub made: u64,
    /// All calls, with those that are made already.
    pub calls: u64,
    /// Their units of billing.
    pub units: u64,
    /// Whether everything is listed; else there may be more.
    pub listed: bool,
}

/// Open for every call unless it was told to hold some back; shared by the run and whoever confirms.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    above: OnceLock<u64>,
    // Tokens as events: they happen once, and whoever comes later sees it.
    reached: CancellationToken,
    asked: CancellationToken,
    listed: CancellationToken,
    opened: CancellationToken,
    expected: Mutex<Expected>,
}

impl Gate {
    /// Holds back every call that would take this invocation above so many units of billing, until
    /// [`Gate::open`].
    pub fn hold_above(&self, units: u64) {
        let _ = self.0.above.set(units);
    }

    /// The units of billing that pass without a question, if it was told to hold any back.
    pub fn above(&self) -> Option<u64> {
        self.0.above.get().copied()
    }

    /// Returns once a call is held back, or is known to be held back later.
    pub async fn asks(&self) -> Expected {
        self.0.asked.cancelled().await;
        self.expected()
    }

    /// Returns once everything is listed, after somebody was asked.
    pub async fn is_listed(&self) -> Expected {
        self.0.listed.cancelled().await;
        self.expected()
    }

    fn expected(&self) -> Expected {
        *self.0.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every call through from now on.
    pub fn open(&self) {
        self.0.opened.cancel();
    }

    /// Whether a call that takes the invocation to so many units may be made at once.
    pub(super) fn lets(&self, units: u64) -> bool {
        self.above().is_none_or(|above| units <= above) || self.0.opened.is_cancelled()
    }

    /// Whether a call that takes the invocation to so many units may be made: at once, or once the gate opens.
    /// Returns `false` if the run stops meanwhile.
    pub(super) async fn admits(&self, units: u64, stopping: &CancellationToken) -> bool {
        if self.lets(units) {
            return true;
        }
        self.0.reached.cancel();
        tokio::select! {
            biased;
            () = stopping.cancelled() => false,
            () = self.0.opened.cancelled() => true,
        }
    }
}

/// How often it is looked whether more is to be called than passes without a question.
const LOOK: Duration = Duration::from_millis(100);
/// Contents that are looked at to know how many scenes the pending ones ask for.
const LOOKED_AT: u32 = 2_000;

/// Looks ahead: somebody is asked as soon as it is known that calls will be held back.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) gate: Gate,
    pub(super) budget: Arc<Budget>,
    pub(super) stats: Arc<Stats>,
    pub(super) reader: Reader,
    pub(super) run_id: i64,
    pub(super) scenes: Scenes,
    pub(super) billing: Billing,
    pub(super) trial: Option<Trial>,
    /// What the run had counted before this invocation.
    pub(super) before: Counts,
}

impl Watch {
    /// Looks until somebody is asked, and once more when everything is listed.
    pub(super) async fn run(self) -> Infallible {
        let Some(above) = self.gate.above() else { return std::future::pending().await };
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.gate.0.reached.cancelled() => break,
            }
            let expected = self.expected();
            if expected.units > above {
                break;
            }
        }
        self.tell(self.expected());
        self.gate.0.asked.cancel();
        while !self.expected().listed {
            tokio::time::sleep(LOOK).await;
        }
        self.tell(self.expected());
        self.gate.0.listed.cancel();
        std::future::pending().await
    }

    fn tell(&self, expected: Expected) {
        *self.gate.0.expected.lock().unwrap_or_else(PoisonError::into_inner) = expected;
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn calls_above_wait_for_a_yes_and_end_with_the_run() {
        let stopping = CancellationToken::new();
        let gate = Gate::default();
        let admits = |call| gate.admits(call, &stopping).now_or_never();
        assert_eq!(admits(1_000_000), Some(true), "nothing was to be held back");
        gate.hold_above(2);
        assert_eq!((admits(1), admits(2)), (Some(true), Some(true)));
        assert_eq!(
            gate.0.reached.cancelled().now_or_never(),
            None,
            "nobody is asked before it is needed"
        );
        assert_eq!(admits(3), None);
        assert_eq!(gate.0.reached.cancelled().now_or_never(), Some(()));
        gate.open();
        assert_eq!((admits(3), admits(4)), (Some(true), Some(true)));

        let gate = Gate::default();
        gate.hold_above(0);
        stopping.cancel();
        assert_eq!(gate.admits(1, &stopping).now_or_never(), Some(false));
    }
}
