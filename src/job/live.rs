//! Looks at a run once a second: measures its speed, estimates the time left, and leaves in the database what only this
//! process knows, for `costag status --watch` and the page.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::forecast::{Forecast, Sight};
use super::stats::{Snapshot, Stats};
use super::tagging::budget::Budget;
use super::tagging::budget::forecast::Room;
use super::trial::Trial;
use super::writer::{Record, Writer};
use crate::config::{Billing, Rate};
use crate::scene::Scenes;
use crate::store::live::{Live, LiveWait};
use crate::store::model::Counts;
use crate::time::UnixMillis;

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The span over which the calls a second are measured.
const SPAN: Duration = Duration::from_secs(10);

/// Watches a run.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) run_id: i64,
    pub(super) stats: Arc<Stats>,
    pub(super) budget: Arc<Budget>,
    pub(super) scenes: Scenes,
    pub(super) billing: Billing,
    pub(super) trial: Option<Trial>,
    pub(super) cap: Rate,
    pub(super) cooldown: Duration,
    /// The counts of the run before this invocation.
    pub(super) before: Counts,
}

impl Watcher {
    /// Watches until it is dropped. `writer` keeps what is seen; it is absent for a plan, which writes nothing.
    pub(super) async fn run(self, writer: Option<Writer>) -> Infallible {
        let mut forecast = Forecast::default();
        let mut recent = Recent::default();
        let mut told = Live::default();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let now = self.stats.snapshot();
            let per_second = recent.add(&now);
            let left = forecast.look(&self.sight(&now));
            self.stats.looked(per_second, left);
            let live = self.live(&self.stats.snapshot());
            // It is committed together with whatever else has arrived. While nothing happens, nothing is written.
            if let Some(writer) = &writer
                && live.differs(&told)
            {
                told = live.clone();
                let _ = writer.send(Record::Live { live }).await;
            }
        }
    }

    fn sight(&self, now: &Snapshot) -> Sight {
        let counts = &now.counts;
        let settled_before = self.before.done + self.before.failed;
        let settled = (counts.done + counts.failed).saturating_sub(settled_before);
        let queued = counts.queued.saturating_sub(counts.left + settled_before);
        let in_trial =
            self.trial.map(|trial| settled + trial.images().saturating_sub(trial.settled(counts)));
        let queued = in_trial.map_or(queued, |images| queued.min(images));
        let room = Room::of(&self.budget.limits_of_calls());
        let units = self.billing.units(self.scenes).max(1);
        let calls_allowed = room.calls.min(room.units / units);
        let is_listed = now.listed || in_trial.is_some_and(|images| queued >= images);
        Sight {
            at: now.elapsed.as_secs_f64(),
            waited: now.waited.as_secs_f64(),
            is_listed,
            extent: self.stats.extent().filter(|_| !is_listed),
            listed: counts.listed,
            queued,
            settled,
            put_back: now.passes.put_back,
            later: now.passes.later,
            pass: now.passes.begun,
            calls: counts.calls,
            wait: now.calls_wait.map(|wait| wait.as_secs_f64()),
            cooldown: self.cooldown.as_secs_f64(),
            calls_allowed: (room != Room::ALL).then_some(calls_allowed),
            window: self.budget.window_left().map(|left| left.as_secs_f64()),
        }
    }

    fn live(&self, now: &Snapshot) -> Live {
        Live {
            run: self.run_id,
            at: UnixMillis::now(),
            listed: now.listed,
            per_second: now.per_second,
            pace: now.pace,
            cap: match self.cap {
                Rate::PerSecond(rate) => Some(rate),
                Rate::Auto | Rate::Unlimited => None,
            },
            in_flight: now.in_flight as u64,
            waits: now.waits.as_ref().map(|wait| LiveWait {
                what: wait.what.clone(),
                since: wait.since.into(),
                until: wait.until.into(),
                gives_up: wait.gives_up.map(UnixMillis::from),
            }),
            left_least: now.left.map(|left| left.least),
            left_most: now.left.and_then(|left| left.most),
            window: self.budget.describe_window(),
        }
    }
}

/// Measures the calls a second over the last seconds.
#[derive(Debug, Default)]
struct Recent {
    points: VecDeque<(Duration, u64)>,
}

impl Recent {
    /// The calls a second, or `None` if no call has ended in the last seconds.
    fn add(&mut self, now: &Snapshot) -> Option<f64> {
        self.points.push_back((now.elapsed, now.counts.calls));
        while self.points.len() > 2 && now.elapsed.saturating_sub(self.points[1].0) >= SPAN {
            self.points.pop_front();
        }
        let (since, calls) = self.points[0];
        let elapsed = now.elapsed.saturating_sub(since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let made = now.counts.calls.saturating_sub(calls) as f64;
        (elapsed > 0.0 && made > 0.0).then(|| made / elapsed)
    }
}
