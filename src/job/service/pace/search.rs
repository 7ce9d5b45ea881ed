//! The search for the limit of the service: sets the rate just below it, and tells the limit from faults.
//!
//! The service does not say what its limit is, but the calls that it lets through while it throttles others are the
//! limit. The search lowers the rate to just below that, holds it, and raises it in small steps from time to time to
//! find out whether the limit has risen. A rate in the settings is the upper bound of the search.
//!
//! Some services answer 503 for other reasons. The share of such faults is the same at every rate, so a lower rate does
//! not help. Two observations tell them from a limit:
//! - If throttle answers continue after the rate was lowered, the rate is halved for a moment (a trial). If their share
//!   stays the same, they are faults, and the former rate is restored.
//! - While the rate climbs for the first time, a share that does not rise with the rate does not end the climb.
//!
//! From then on, only throttle answers beyond the known share of faults count as throttling.

mod faults;
mod interval;
mod phase;
mod tuning;

use super::evidence::Counts;
pub(super) use interval::Interval;
use interval::effective;
use phase::{Lowered, Phase};
pub(super) use tuning::AUTO_START;
use tuning::{
    BEYOND_CHANCE, CLIMB_STEP, CUT_AT_MOST_TO, ENOUGH_ANSWERS, ENOUGH_IF_CLEAR, ENOUGH_THROTTLES,
    FIRST_EXAMINATION, FIRST_RISE_STEP, HOLD_CALLS, HOLD_SECONDS, JUST_BELOW, LONG_SECONDS,
    LONGEST_REST, LONGEST_RISE_STEP, NEAR_FACTOR, RECOVERY_STEP, RISE_STEP_GROWTH, TOLERATED_SHARE,
    TOLERATED_SHARE_OF_STEP,
};

/// The search for the limit.
#[derive(Debug)]
pub(super) struct LimitSearch {
    /// The upper bound of the rate. Infinite if there is none.
    cap: f64,
    phase: Phase,
    /// Absent if the effect of the last lowering is known.
    lowered: Option<Lowered>,
    /// Throttle answers that come at any rate. Their share is 0 until another share is proven.
    faults: Counts,
    /// The answers since the share of faults was checked last.
    recent: Counts,
    /// Seconds since the faults were examined last.
    since_examined: f64,
    /// After how many seconds they are examined again.
    examine_after: f64,
    /// The limit that was found. Absent if none was.
    found: Option<f64>,
    /// The highest rate that was held for a while. If a limit falls only for a moment, the rate returns quickly.
    high: f64,
}

impl LimitSearch {
    /// Searches for an unknown limit, from a low rate on.
    pub(super) fn unknown() -> Self {
        Self::new(f64::INFINITY, Phase::climb())
    }

    /// Begins at `limit`, which an earlier run has found, and soon raises the rate in small steps.
    pub(super) fn near(limit: f64) -> Self {
        // From such a low rate, small steps would take minutes if the limit has risen.
        if limit < AUTO_START {
            return Self::unknown();
        }
        let step = FIRST_RISE_STEP;
        Self::new(f64::INFINITY, Phase::Rise { base: limit, clean: limit, step, doubt: false })
    }

    /// Begins at `cap`, and never exceeds it. It may be infinite.
    pub(super) fn below(cap: f64) -> Self {
        Self::new(cap, Phase::hold())
    }

    fn new(cap: f64, phase: Phase) -> Self {
        Self {
            cap,
            phase,
            lowered: None,
            faults: Counts::default(),
            recent: Counts::default(),
            since_examined: 0.0,
            examine_after: FIRST_EXAMINATION,
            found: None,
            high: 0.0,
        }
    }

    /// The limit that was found: a rate that is let through, and is close to one that is not. `None` if none was found.
    pub(super) fn found(&self) -> Option<f64> {
        self.found
    }

    /// The share of throttle answers that is known to be faults.
    pub(super) fn faults(&self) -> f64 {
        self.faults.share()
    }

    /// Goes on from `rate` after every call was throttled for a time. The rate soon returns to just below `aim`.
    pub(super) fn come_back(&mut self, rate: f64, aim: f64) {
        self.lowered = None;
        let aim = if aim < self.cap { JUST_BELOW * aim } else { self.cap };
        self.phase = if rate < aim { Phase::Return { aim } } else { self.arrived(aim) };
    }

    /// The next phase after the rate has returned to one that was let through before.
    fn arrived(&self, rate: f64) -> Phase {
        if rate >= self.cap { Phase::hold() } else { Phase::from_below() }
    }

    /// Returns whether the rate is halved for a trial.
    pub(super) fn is_trying(&self) -> bool {
        matches!(self.phase, Phase::Trial(_))
    }

    /// Returns whether an interval has enough answers to be judged. At a low rate, a second has too few.
    pub(super) fn can_judge(&self, rate: f64, interval: &Interval) -> bool {
        self.has_enough(rate, interval) || interval.seconds >= LONG_SECONDS
    }

    fn has_enough(&self, rate: f64, interval: &Interval) -> bool {
        let Counts { answers, throttled } = interval.seen;
        let faults = self.faults();
        // The larger the share of faults, the more answers are needed to detect a limit among them.
        answers >= ENOUGH_ANSWERS * (1.0 + 4.0 * faults)
            || (answers >= ENOUGH_IF_CLEAR && interval.seen.is_plainly_full(self.faults))
            || (answers >= ENOUGH_IF_CLEAR && throttled < 1.0 && self.recovers(rate))
    }

    /// Returns whether the rate is far below one that was held for a while.
    fn recovers(&self, rate: f64) -> bool {
        match self.phase {
            Phase::Return { .. } => true,
            Phase::Rise { .. } => rate < self.high / 4.0,
            _ => false,
        }
    }

    /// Returns the next rate after `interval` at `rate`. Both rates may be infinite.
    pub(super) fn next(&mut self, rate: f64, interval: &Interval) -> f64 {
        if !self.has_enough(rate, interval) && !interval.uses(rate) {
            return rate;
        }
        self.watch_faults(interval);
        let next = match &mut self.phase {
            Phase::Trial(_) => self.try_half(rate, interval),
            Phase::Climb { .. } => self.climb(rate, interval),
            Phase::Return { aim } => {
                let aim = *aim;
                self.come_nearer(rate, aim, interval)
            }
            Phase::Rise { .. } => self.rise(rate, interval),
            Phase::Hold(_) => self.hold(rate, interval),
        };
        next.min(self.cap)
    }

    fn climb(&mut self, rate: f64, interval: &Interval) -> f64 {
        let Phase::Climb { seen, doubtful } = &mut self.phase else { return rate };
        let lower = seen.or_more_faults(self.faults);
        let tolerated = TOLERATED_SHARE.max(CLIMB_STEP * TOLERATED_SHARE_OF_STEP);
        let mut here = doubtful.unwrap_or_default();
        here += *interval;
        let rises = interval.seen.is_full(lower)
            || (lower.answers >= ENOUGH_ANSWERS
                && here.seen.exceeds(lower.with_doubt(), tolerated, 0.5));
        if rises {
            // So few answers may be accidental, so the next ones decide.
            let is_few = here.seen.answers < BEYOND_CHANCE && !interval.seen.is_plainly_full(lower);
            if is_few && doubtful.is_none() {
                *doubtful = Some(here);
                return rate;
            }
            return self.lower(rate, &here);
        }
        if interval.uses(rate) {
            *seen += here.seen;
            *doubtful = None;
            let raised = rate * (1.0 + CLIMB_STEP);
            if raised >= self.cap {
                self.phase = Phase::hold();
            }
            return raised;
        }
        rate
    }

    fn come_nearer(&mut self, rate: f64, aim: f64, interval: &Interval) -> f64 {
        if interval.seen.exceeds(self.faults, TOLERATED_SHARE, 0.5) {
            return self.lower(rate, interval);
        }
        if !interval.uses(rate) {
            return rate;
        }
        let raised = rate * (1.0 + RECOVERY_STEP);
        if raised < aim {
            return raised;
        }
        self.phase = self.arrived(aim);
        aim
    }

    fn rise(&mut self, rate: f64, interval: &Interval) -> f64 {
        let Phase::Rise { base, clean, step, doubt } = &mut self.phase else { return rate };
        if interval.seen.exceeds(
            self.faults,
            TOLERATED_SHARE.max(*step * TOLERATED_SHARE_OF_STEP),
            0.5,
        ) {
            let is_few = interval.seen.throttled < ENOUGH_THROTTLES;
            // Close to the limit that was found, throttles are expected.
            let is_near =
                self.found.is_some_and(|found| (found..NEAR_FACTOR * found).contains(&rate));
            let says_little = is_few && interval.seen.answers < BEYOND_CHANCE && !is_near;
            if says_little && !std::mem::replace(doubt, true) {
                return rate;
            }
            let (base, clean) = (*base, *clean);
            if clean > 0.0 {
                // A rate that was held before may be too high now.
                self.high /= 2.0;
            }
            let found = rate < clean * NEAR_FACTOR;
            // One or two throttles show that the limit is close, but not how close. They may also be accidental.
            if is_few && clean > 0.0 {
                self.phase = if found { Phase::hold() } else { Phase::from_below() };
                let next =
                    (JUST_BELOW * clean).clamp(CUT_AT_MOST_TO * rate, JUST_BELOW * rate).max(base);
                self.found = Some(next).filter(|_| found).or(self.found);
                return next;
            }
            let next = self.lower(rate, interval);
            if found && !self.is_trying() {
                let next =
                    next.max((JUST_BELOW * clean).clamp(CUT_AT_MOST_TO * rate, JUST_BELOW * rate));
                self.phase = Phase::hold();
                self.found = Some(next);
                return next;
            }
            return next;
        }
        if !interval.uses(rate) {
            return rate;
        }
        if *clean == 0.0 && rate < self.cap {
            self.found = Some(rate);
        }
        (*clean, *doubt) = (rate, false);
        // The effect of a shorter step could not be detected in so few answers.
        let mut raised = rate * (1.0 + step.max(0.35 / interval.seen.answers));
        *step = (*step * RISE_STEP_GROWTH).min(LONGEST_RISE_STEP);
        if interval.seen.throttled < 1.0 && self.recovers(rate) {
            raised = rate * (1.0 + RECOVERY_STEP);
        }
        if raised >= self.cap {
            self.phase = Phase::hold();
        }
        raised
    }

    fn hold(&mut self, rate: f64, interval: &Interval) -> f64 {
        let Phase::Hold(held) = &mut self.phase else { return rate };
        let before = *held;
        *held += *interval;
        let held = *held;
        if held.seen.answers < 2.0 * ENOUGH_ANSWERS && !interval.seen.is_full(self.faults) {
            return rate;
        }
        if interval.seen.throttled >= ENOUGH_THROTTLES
            && interval.seen.exceeds(self.faults, TOLERATED_SHARE, 1.0)
        {
            // Earlier answers at the same rate count too, unless the share has changed plainly.
            let is_plain =
                interval.seen.answers >= BEYOND_CHANCE || interval.seen.is_full(self.faults);
            let has_changed = is_plain && interval.seen.exceeds(before.seen.with_doubt(), 0.0, 0.0);
            return self.lower(rate, if has_changed { interval } else { &held });
        }
        if held.seen.throttled >= ENOUGH_THROTTLES
            && held.seen.exceeds(self.faults, TOLERATED_SHARE, 0.0)
        {
            let next = self.lower(rate, &held);
            if self.is_trying() {
                return next;
            }
            self.phase = Phase::hold();
            return JUST_BELOW * effective(rate, &held);
        }
        if self.faults.share() > TOLERATED_SHARE && self.since_examined >= self.examine_after {
            (self.since_examined, self.examine_after) =
                (0.0, (2.0 * self.examine_after).min(LONGEST_REST));
            let used = effective(rate, interval);
            let (earlier, since) = (self.faults, Counts::default());
            let now = Lowered { before: rate, used, earlier, since };
            return self.begin_trial(&now, used / 2.0, rate);
        }
        if held.seconds >= HOLD_SECONDS && rate.is_finite() {
            self.high = rate;
        }
        if rate < self.cap && held.seconds >= HOLD_SECONDS && held.seen.answers >= HOLD_CALLS {
            self.phase =
                Phase::Rise { base: rate, clean: rate, step: FIRST_RISE_STEP, doubt: false };
        }
        rate
    }
}
