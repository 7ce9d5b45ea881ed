//! Estimates how long a run still takes. The estimate is pure: it knows no clock and no store, but only what it is shown
//! once a second, so simulated runs can test it.
//!
//! The speed is the number of images that were processed in a second of work, over the recent past. It includes what a
//! throttled pace, retries and slow answers cost. Images that failed for a temporary reason wait for a later pass, so the
//! pauses before the passes to come are added. While the listing goes on, the number of images is a range, and so is the
//! time. Budgets and windows that end the run earlier shorten it.

mod extent;
#[cfg(test)]
mod simulation;

use std::collections::VecDeque;

pub(super) use extent::{Extent, Seen, share};

/// The passes after the first one.
pub(super) const LATER_PASSES: usize = 2;
/// How many times as long as before the second pass images wait before the third one.
const LONGER: f64 = 4.0;
/// The shortest time over which the speed is measured, in seconds of work.
const SHORTEST: f64 = 15.0;
/// The part of the work so far over which the speed is measured, if that is longer.
const PART: f64 = 0.25;
/// The chance from which on a later pass is certain, and the one from which on it is possible.
const CERTAIN: f64 = 0.95;
const POSSIBLE: f64 = 0.03;
/// By which factor the speed may change while the listing goes on.
const UNSURE: f64 = 1.12;

/// How long a run still takes, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    /// The shortest time that is likely.
    pub least: f64,
    /// The longest time that is likely. Once everything is listed, it differs from `least` only if it is not certain
    /// whether images will need a later pass. Absent if it is not known how much is still to be listed.
    pub most: Option<f64>,
}

/// What is known about a run at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    /// Seconds since this invocation began.
    pub(super) at: f64,
    /// Seconds of those in which calls waited for a later pass or an outage.
    pub(super) waited: f64,
    /// Whether everything is listed.
    pub(super) is_listed: bool,
    /// How many times as many objects as are listed there are. Absent once everything is listed.
    pub(super) extent: Option<Extent>,
    /// Objects listed.
    pub(super) listed: u64,
    /// Images that the listing has put into the queue.
    pub(super) queued: u64,
    /// Images that are done or given up.
    pub(super) settled: u64,
    /// How often an image was put back for a later pass, so far.
    pub(super) put_back: u64,
    /// Images that wait for the second and for the third pass now.
    pub(super) later: [u64; LATER_PASSES],
    /// The passes that have begun, after the first one.
    pub(super) pass: u32,
    /// Calls made.
    pub(super) calls: u64,
    /// Seconds until the present wait ends. Absent if the calls do not wait.
    pub(super) wait: Option<f64>,
    /// The pause before the second pass, in seconds.
    pub(super) cooldown: f64,
    /// How many calls the budgets still allow. Absent if there is no such limit.
    pub(super) calls_allowed: Option<u64>,
    /// Seconds until the window for calls ends. Absent if it has no end.
    pub(super) window: Option<f64>,
}

/// What is remembered of one look.
#[derive(Debug, Clone, Copy)]
struct Point {
    at: f64,
    worked: f64,
    processed: u64,
    listed: u64,
    calls: u64,
}

/// An estimator of one run.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    points: VecDeque<Point>,
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(number: u64) -> f64 {
    number as f64
}

impl Forecast {
    /// Estimates the time that is left. Call it once a second. `None` as long as nothing can be said.
    pub(super) fn look(&mut self, sight: &Sight) -> Option<Left> {
        let now = Point {
            at: sight.at,
            worked: (sight.at - sight.waited).max(0.0),
            processed: sight.settled + sight.put_back,
            listed: sight.listed,
            calls: sight.calls,
        };
        self.points.push_back(now);
        let span = (now.worked * PART).max(SHORTEST);
        while self.points.len() > 2 && now.worked - self.points[1].worked >= span {
            self.points.pop_front();
        }
        let before = self.points[0];
        let seconds = now.worked - before.worked;
        let processed = float(now.processed.saturating_sub(before.processed));
        let (least_share, most_share) = match (sight.is_listed, &sight.extent) {
            (true, _) => (1.0, Some(1.0)),
            (false, Some(extent)) => (extent.least, extent.most),
            (false, None) => (1.0, None),
        };
        if sight.is_listed && sight.queued <= sight.settled {
            return Some(Left { least: 0.0, most: Some(0.0) });
        }
        if processed == 0.0 || seconds <= 0.0 {
            return None;
        }
        let speed = processed / seconds;
        let calls_a_second = float(now.calls.saturating_sub(before.calls)) / seconds;
        let listing = float(now.listed.saturating_sub(before.listed)) / (now.at - before.at);
        let time = |share: f64, factor: f64, likely: f64| {
            let work = Self::work(sight, share, speed, likely);
            // A listing that is slower than the calls decides.
            let to_list = float(sight.listed) * (share - 1.0);
            let listed = if to_list > 0.0 && listing > 0.0 { to_list / listing } else { 0.0 };
            limited(work.max(listed), sight, calls_a_second, factor)
        };
        // The speed is not exact either.
        let unsure = if sight.is_listed { 1.0 } else { UNSURE };
        let least = time(least_share, 1.0 / unsure, CERTAIN);
        let most = most_share.map(|share| time(share, unsure, POSSIBLE));
        // Without an end in sight, a budget or a window is one.
        let most = most.or_else(|| {
            let end = limited(f64::INFINITY, sight, calls_a_second, unsure);
            end.is_finite().then_some(end)
        });
        Some(Left { least, most: most.map(|most| most.max(least)) })
    }

    /// The seconds that the calls still need if there are `share` times as many objects as are listed. The pause before a
    /// pass counts if the chance that there is such a pass is `likely` at least.
    fn work(sight: &Sight, share: f64, speed: f64, likely: f64) -> f64 {
        let queued = float(sight.queued) * share;
        let waiting = sight.later.map(float);
        let fresh = (queued - float(sight.settled) - waiting.iter().sum::<f64>()).max(0.0);
        // The share of the processed images that were put back.
        let processed = float(sight.settled + sight.put_back).max(1.0);
        let fails = float(sight.put_back) / processed;
        let mut seconds = fresh / speed;
        let mut failing = fresh * fails;
        for (index, waits) in waiting.into_iter().enumerate() {
            let images = waits + failing;
            let pause = sight.cooldown * LONGER.powi(i32::try_from(index).unwrap_or_default());
            let has_begun = usize::try_from(sight.pass).is_ok_and(|pass| pass > index);
            if !has_begun {
                // The chance that there is an image for this pass at all.
                let chance = if waits >= 1.0 { 1.0 } else { 1.0 - (-images).exp() };
                if chance >= likely {
                    seconds += pause;
                }
            }
            seconds += images / speed;
            failing = images * fails;
        }
        // The pause that goes on now is told exactly.
        match sight.wait {
            Some(wait) => {
                let index = usize::try_from(sight.pass).unwrap_or_default();
                let counted = index < LATER_PASSES && sight.later[index] > 0 && fresh < 1.0;
                let pause = sight.cooldown * LONGER.powi(i32::try_from(index).unwrap_or_default());
                seconds + wait - if counted { pause } else { 0.0 }
            }
            None => seconds,
        }
    }
}

/// The time until the first limit ends the run, if that is before the work is done.
/// All but the end of a window is multiplied by `factor`.
fn limited(work: f64, sight: &Sight, calls_a_second: f64, factor: f64) -> f64 {
    let by_budget = sight.calls_allowed.filter(|_| calls_a_second > 0.0);
    let by_budget =
        by_budget.map(|calls| (float(calls) / calls_a_second + sight.wait.unwrap_or(0.0)) * factor);
    [by_budget, sight.window].into_iter().flatten().fold(work.max(0.0) * factor, f64::min)
}
