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

use std::ops::AddAssign;

use super::evidence::{Counts, Verdict, compare};

/// The first rate of `auto` in calls a second, if no earlier run has found the limit.
pub(super) const AUTO_START: f64 = 10.0;
/// The step of the first climb, while no limit is known, as a share of the rate.
const FIRST_STEP: f64 = 0.25;
/// The first step of a rise from a known limit, as a share of the rate.
const SMALL_STEP: f64 = 0.005;
/// Each further step of a rise is longer by this factor, because the limit may have become much higher.
const STRIDE: f64 = 1.4;
/// The longest step of a rise, as a share of the rate.
const LONG_STEP: f64 = 0.25;
/// The step of a rise from a rate that is far below a former one, as a share of the rate.
const RECOVERY_STEP: f64 = 1.0;
/// The rate is lowered to this share of what was let through, because the calls of a process are not evenly spaced to
/// the millisecond.
const KEPT: f64 = 0.97;
/// Above this share of throttles, the number of calls that were let through indicates the limit. Below it, a slow start
/// would distort that number.
const PLAIN_SHARE: f64 = 0.2;
/// The rate is lowered at most to this share at a time, because for a moment after a limit has fallen nothing is let
/// through.
const LEFT: f64 = 0.5;
/// The number of seconds for which a rate is held before it rises again, since a rise costs a few throttled calls.
const HOLD_SECONDS: f64 = 10.0;
/// The number of calls for which a rate is held, too, before it rises again.
const HOLD_CALLS: f64 = 200.0;
/// If a step of a rise by less than this factor goes from below the limit to above it, the limit is found.
const NEAR: f64 = 1.05;
/// Up to this share of throttle answers, beyond the known faults, does not count as a limit.
const BORNE: f64 = 0.015;
/// After a step of a rise, this share of the step is tolerated too. A step beyond the limit causes much more.
const BORNE_OF_STEP: f64 = 0.125;
/// If less than this share of the rate is used, the calls are limited by the workers or the work, not by the rate.
const USED: f64 = 0.8;
/// The number of answers from which on a share is judged.
const ENOUGH: f64 = 20.0;
/// The number of answers from which on a share is judged if most of them are throttles.
const PLAIN: f64 = 5.0;
/// The number of seconds after which a share is judged even with fewer answers.
const LONG: f64 = 20.0;
/// Fewer throttles than this show that the rate has reached the limit, but not by how much it exceeds it.
const THROTTLES: f64 = 3.0;
/// So few throttles among fewer answers than this may be accidental.
const FEW: f64 = 100.0;
/// If a smaller share than this is throttled at half the rate, those throttles are faults.
const FEW_FAULTS: f64 = 0.1;
/// A trial lowers the rate at least to this share.
const TRIED: f64 = 0.7;
/// In an interval of more seconds than this, most answers belong to calls of the trial, not to earlier ones.
const SETTLED: f64 = 4.0;
/// The smallest number of throttle answers from which a share of faults is computed.
const PROVEN: f64 = 8.0;
/// The seconds until lasting faults are examined again. The time doubles with each examination.
const FIRST_LOOK: f64 = 60.0;
/// The next examination comes after at least this many times the duration of the last one.
const RARELY: f64 = 20.0;
/// The longest time between two examinations, in seconds.
const LAST_LOOK: f64 = 960.0;

/// What has happened since the rate was judged last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Interval {
    pub(super) seconds: f64,
    /// The permits that were granted.
    pub(super) permits: f64,
    /// The answers, and the throttles among them.
    pub(super) seen: Counts,
}

impl Interval {
    /// Returns whether the rate limits the calls.
    fn uses(&self, rate: f64) -> bool {
        self.permits >= USED * rate * self.seconds
    }
}

impl AddAssign for Interval {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.permits += other.permits;
        self.seen += other.seen;
    }
}

/// What the search does at the present rate.
#[derive(Debug)]
enum Phase {
    /// Climbs for the first time: no limit is known. `seen` counts the answers at lower rates, and `doubtful` those at
    /// the present rate if they contained so many throttles that the limit may be reached.
    Climb { seen: Counts, doubtful: Option<Interval> },
    /// Doubles the rate until it is `aim`, which was let through before every call was throttled.
    Return { aim: f64 },
    /// Rises, by `step` next. `clean` is the rate that was let through before the last step, and `base` the one before
    /// all steps; 0 if there is none. `doubt` says that the last answers contained one or two throttles, which may be
    /// faults.
    Rise { base: f64, clean: f64, step: f64, doubt: bool },
    /// Holds a rate that is let through, or the upper bound.
    Hold(Interval),
    /// Halves the rate for a moment, to find out whether that lowers the share of throttle answers.
    Trial(Trial),
}

/// A halved rate that is being tried.
#[derive(Debug)]
struct Trial {
    /// The rate to restore if the throttle answers are faults.
    before: f64,
    /// The part of that rate that was used, in calls a second.
    used: f64,
    /// The next rate if they are not faults.
    fallback: f64,
    /// The answers before the rate was halved.
    earlier: Counts,
    /// The answers since.
    seen: Counts,
    /// The duration of the trial.
    seconds: f64,
    /// Whether the answers to calls before the trial have come. They do not count.
    settled: bool,
}

/// A lowering of the rate whose effect is not known yet.
#[derive(Debug)]
struct Lowered {
    /// The rate before.
    before: f64,
    /// The part of that rate that was used, in calls a second.
    used: f64,
    /// The answers at that rate.
    earlier: Counts,
    /// The answers since.
    since: Counts,
}

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
    looked: f64,
    /// After how many seconds they are examined again.
    next_look: f64,
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
        let step = SMALL_STEP;
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
            looked: 0.0,
            next_look: FIRST_LOOK,
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
        let aim = if aim < self.cap { KEPT * aim } else { self.cap };
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
        self.has_enough(rate, interval) || interval.seconds >= LONG
    }

    fn has_enough(&self, rate: f64, interval: &Interval) -> bool {
        let Counts { answers, throttled } = interval.seen;
        let faults = self.faults();
        // The larger the share of faults, the more answers are needed to detect a limit among them.
        answers >= ENOUGH * (1.0 + 4.0 * faults)
            || (answers >= PLAIN && interval.seen.is_plainly_full(self.faults))
            || (answers >= PLAIN && throttled < 1.0 && self.recovers(rate))
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
        let borne = BORNE.max(FIRST_STEP * BORNE_OF_STEP);
        let mut here = doubtful.unwrap_or_default();
        here += *interval;
        let rises = interval.seen.is_full(lower)
            || (lower.answers >= ENOUGH && here.seen.exceeds(lower.with_doubt(), borne, 0.5));
        if rises {
            // So few answers may be accidental, so the next ones decide.
            let is_few = here.seen.answers < FEW && !interval.seen.is_plainly_full(lower);
            if is_few && doubtful.is_none() {
                *doubtful = Some(here);
                return rate;
            }
            return self.lower(rate, &here);
        }
        if interval.uses(rate) {
            *seen += here.seen;
            *doubtful = None;
            let raised = rate * (1.0 + FIRST_STEP);
            if raised >= self.cap {
                self.phase = Phase::hold();
            }
            return raised;
        }
        rate
    }

    fn come_nearer(&mut self, rate: f64, aim: f64, interval: &Interval) -> f64 {
        if interval.seen.exceeds(self.faults, BORNE, 0.5) {
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
        if interval.seen.exceeds(self.faults, BORNE.max(*step * BORNE_OF_STEP), 0.5) {
            let is_few = interval.seen.throttled < THROTTLES;
            // Close to the limit that was found, throttles are expected.
            let is_near = self.found.is_some_and(|found| (found..NEAR * found).contains(&rate));
            let says_little = is_few && interval.seen.answers < FEW && !is_near;
            if says_little && !std::mem::replace(doubt, true) {
                return rate;
            }
            let (base, clean) = (*base, *clean);
            if clean > 0.0 {
                // A rate that was held before may be too high now.
                self.high /= 2.0;
            }
            let found = rate < clean * NEAR;
            // One or two throttles show that the limit is close, but not how close. They may also be accidental.
            if is_few && clean > 0.0 {
                self.phase = if found { Phase::hold() } else { Phase::from_below() };
                let next = (KEPT * clean).clamp(LEFT * rate, KEPT * rate).max(base);
                self.found = Some(next).filter(|_| found).or(self.found);
                return next;
            }
            let next = self.lower(rate, interval);
            if found && !self.is_trying() {
                let next = next.max((KEPT * clean).clamp(LEFT * rate, KEPT * rate));
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
        *step = (*step * STRIDE).min(LONG_STEP);
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
        if held.seen.answers < 2.0 * ENOUGH && !interval.seen.is_full(self.faults) {
            return rate;
        }
        if interval.seen.throttled >= THROTTLES && interval.seen.exceeds(self.faults, BORNE, 1.0) {
            // Earlier answers at the same rate count too, unless the share has changed plainly.
            let is_plain = interval.seen.answers >= FEW || interval.seen.is_full(self.faults);
            let has_changed = is_plain && interval.seen.exceeds(before.seen.with_doubt(), 0.0, 0.0);
            return self.lower(rate, if has_changed { interval } else { &held });
        }
        if held.seen.throttled >= THROTTLES && held.seen.exceeds(self.faults, BORNE, 0.0) {
            let next = self.lower(rate, &held);
            if self.is_trying() {
                return next;
            }
            self.phase = Phase::hold();
            return KEPT * effective(rate, &held);
        }
        if self.faults.share() > BORNE && self.looked >= self.next_look {
            (self.looked, self.next_look) = (0.0, (2.0 * self.next_look).min(LAST_LOOK));
            let used = effective(rate, interval);
            let (earlier, since) = (self.faults, Counts::default());
            let now = Lowered { before: rate, used, earlier, since };
            return self.begin_trial(&now, used / 2.0, rate);
        }
        if held.seconds >= HOLD_SECONDS && rate.is_finite() {
            self.high = rate;
        }
        if rate < self.cap && held.seconds >= HOLD_SECONDS && held.seen.answers >= HOLD_CALLS {
            self.phase = Phase::Rise { base: rate, clean: rate, step: SMALL_STEP, doubt: false };
        }
        rate
    }

    /// Lowers the rate to what was let through. If that has not helped before, halves the rate for a trial.
    fn lower(&mut self, rate: f64, interval: &Interval) -> f64 {
        let used = effective(rate, interval);
        let next = (KEPT * self.let_through(rate, interval)).clamp(LEFT * used, KEPT * rate);
        if let Some(Lowered { before, used: full, earlier, .. }) = self.lowered.take() {
            let all = earlier + interval.seen;
            // The first second may have begun slowly.
            let full = full.max(used);
            if !interval.seen.is_full(Counts::default())
                && compare(earlier, interval.seen, 0.0) != Verdict::Lowered
            {
                if all.answers >= ENOUGH && all.throttled >= PROVEN {
                    let fallback = next.min(KEPT * self.counted(interval));
                    let half = (full / 2.0).min(TRIED * rate);
                    let since = Counts::default();
                    let lowered = Lowered { before, used: full, earlier: all, since };
                    return self.begin_trial(&lowered, half, fallback);
                }
                // There are too few answers for a comparison.
                let since = Counts::default();
                self.lowered = Some(Lowered { before, used: full, earlier: all, since });
            }
        }
        if self.lowered.is_none() {
            let (earlier, since) = (interval.seen, Counts::default());
            self.lowered = Some(Lowered { before: rate, used, earlier, since });
        }
        self.phase = Phase::from_below();
        next
    }

    fn begin_trial(&mut self, lowered: &Lowered, half: f64, fallback: f64) -> f64 {
        let Lowered { before, used, earlier, .. } = *lowered;
        self.lowered = None;
        self.phase = Phase::Trial(Trial {
            before,
            used,
            fallback,
            earlier,
            seen: Counts::default(),
            seconds: 0.0,
            settled: false,
        });
        half
    }

    /// Judges a trial once there are enough answers.
    fn try_half(&mut self, rate: f64, interval: &Interval) -> f64 {
        let Phase::Trial(trial) = &mut self.phase else { return rate };
        if !std::mem::replace(&mut trial.settled, true) && interval.seconds < SETTLED {
            return rate;
        }
        trial.seen += interval.seen;
        trial.seconds += interval.seconds;
        let Trial { before, used, fallback, earlier, seen, seconds, .. } = *trial;
        let is_lower = rate <= TRIED.midpoint(1.0) * used;
        let is_full = seen.answers >= ENOUGH && seen.is_full(Counts::default());
        let verdict = if !is_lower || is_full || (earlier + seen).may_be_full() {
            Verdict::Lowered
        } else {
            compare(earlier, seen, seconds)
        };
        match verdict {
            Verdict::Open => rate,
            Verdict::Same => {
                // Faults that were not known yet may have been taken for a limit.
                if self.faults.share() <= BORNE || self.found.is_some_and(|found| found < before) {
                    self.found = None;
                }
                self.faults = earlier + seen;
                self.recent = Counts::default();
                self.looked = 0.0;
                self.next_look = self.next_look.max(RARELY * seconds);
                self.phase = if before >= self.cap {
                    Phase::hold()
                } else if self.found.is_some() {
                    Phase::from_below()
                } else {
                    Phase::climb()
                };
                before
            }
            Verdict::Lowered => {
                // A few throttles that are left are faults. Many may come from another program with the same quota.
                let is_known = self.faults.share() > 0.0;
                let is_fault = is_lower && seen.answers >= FEW && seen.share() < FEW_FAULTS;
                if seen.share() < self.faults.share() || (!is_known && is_fault) {
                    self.faults = seen;
                }
                let all = Interval { seconds: interval.seconds, permits: interval.permits, seen };
                if seen.exceeds(self.faults, BORNE, 1.0) {
                    return self.lower(rate, &all);
                }
                self.phase = Phase::from_below();
                rate.max(fallback)
            }
        }
    }

    /// Lowers the known share of faults if fewer come, and forgets a lowering of the rate that has helped.
    fn watch_faults(&mut self, interval: &Interval) {
        self.looked += interval.seconds;
        if let Some(lowered) = &mut self.lowered {
            lowered.since += interval.seen;
            // Known faults come at any rate, so only the others can tell whether the lowering has helped.
            let faults = self.faults.share();
            let expected = lowered.since.answers * (lowered.earlier.share() - faults);
            let others = lowered.since.throttled - lowered.since.answers * faults;
            if expected >= PROVEN && others < 0.5 * expected {
                self.lowered = None;
            }
        }
        if self.faults.throttled <= 0.0 {
            return;
        }
        self.recent += interval.seen;
        let expected = self.recent.answers * self.faults.share();
        if expected < 2.0 * PROVEN {
            return;
        }
        let recent = std::mem::take(&mut self.recent);
        if recent.throttled < 0.5 * expected {
            self.faults = recent;
            self.next_look = FIRST_LOOK;
            return;
        }
        // The share of throttles is never smaller than that of the faults alone, so a smaller share corrects it at any
        // rate.
        let is_held = matches!(self.phase, Phase::Hold(_));
        if recent.share() < self.faults.share()
            || (is_held && !recent.exceeds(self.faults, 0.0, 0.0))
        {
            self.faults = self.faults.aged() + recent;
        }
    }

    /// The rate that was let through, computed from the share of throttles. If many answers are throttles and the rate
    /// is used, it is also limited by the number of other answers. Faults do not lower it.
    fn let_through(&self, rate: f64, interval: &Interval) -> f64 {
        let passing = 1.0 - self.faults.share();
        let by_share = rate * (1.0 - interval.seen.share()) / passing;
        let is_plain = interval.seen.share() > PLAIN_SHARE && interval.uses(rate);
        let is_counted = rate.is_infinite() || is_plain;
        if is_counted { by_share.min(self.counted(interval)) } else { by_share }
    }

    /// The rate that was let through, computed from the number of other answers.
    fn counted(&self, interval: &Interval) -> f64 {
        interval.seen.good() / interval.seconds / (1.0 - self.faults.share())
    }
}

/// The calls a second that are made at `rate`. They are fewer if the work or the workers do not suffice.
fn effective(rate: f64, interval: &Interval) -> f64 {
    if interval.uses(rate) { rate } else { rate.min(interval.seen.answers / interval.seconds) }
}

impl Phase {
    fn climb() -> Self {
        Self::Climb { seen: Counts::default(), doubtful: None }
    }

    fn hold() -> Self {
        Self::Hold(Interval::default())
    }

    /// A rise from just below a limit.
    fn from_below() -> Self {
        Self::Rise { base: 0.0, clean: 0.0, step: SMALL_STEP, doubt: false }
    }
}
