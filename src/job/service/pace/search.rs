//! The controller of the pace: finds the service's limit, stays just below it, and tells it from faults.
//!
//! The service does not tell its limit, but what it lets through while it throttles is the limit itself. The
//! controller lowers the rate to just below that, holds it there, and looks now and then, by small steps,
//! whether there is more. A rate that the person gave is the upper bound of this search.
//!
//! Some services answer 503 for reasons of their own. Such faults come at every rate with the same share, so
//! lowering the rate does not help. Two observations tell them from a limit:
//! - after the rate was lowered and throttle answers kept coming, the rate is halved for a moment (a trial): if
//!   the share of throttle answers stays, they are faults, and the former rate is given back;
//! - while the rate climbs for the first time, a share that does not rise with the rate does not end the climb.
//!
//! From then on only what exceeds the known share of faults counts as throttling.

use std::ops::AddAssign;

use super::evidence::{Counts, Verdict, compare};

/// Where `auto` begins in calls a second, if no earlier run has found the limit.
pub(super) const AUTO_START: f64 = 10.0;
/// The step of the first climb, when nothing is known yet, as a share of the rate.
const FIRST_STEP: f64 = 0.25;
/// The first step of a rise near a limit that is known.
const SMALL_STEP: f64 = 0.005;
/// Each further step of a rise is this much longer, because the limit may have become a multiple.
const STRIDE: f64 = 1.4;
/// The longest step of a rise.
const LONG_STEP: f64 = 0.25;
/// The step of a rise from a rate that is far below one that was let through before.
const RECOVERY_STEP: f64 = 1.0;
/// The share of the rate that was let through to go on with: the pace of a process is not even to the
/// millisecond.
const KEPT: f64 = 0.97;
/// Above this share of throttles the calls let through are counted; below it, a start that is slow would tell more
/// than the limit does.
const PLAIN_SHARE: f64 = 0.2;
/// One lowering leaves at least this share: for a moment after a limit has fallen nothing is let through.
const LEFT: f64 = 0.5;
/// Seconds, and calls, between a limit found and the next rise. A rise costs a few throttled calls.
const HOLD_SECONDS: f64 = 10.0;
const HOLD_CALLS: f64 = 200.0;
/// A rise that goes from below the limit to above it in a step of this much has found it.
const NEAR: f64 = 1.05;
/// Throttling up to this share, beyond the known faults, is never taken for a limit.
const BORNE: f64 = 0.015;
/// After a step of a rise, this share of the step is borne too: a step too far shows by far more.
const BORNE_OF_STEP: f64 = 0.125;
/// If less than this share of the rate is used, the workers or the work are what is short.
const USED: f64 = 0.8;
/// Fewer answers than this are too few to judge a share by, ...
const ENOUGH: f64 = 20.0;
/// ... unless there are so many and most of them are throttles, ...
const PLAIN: f64 = 5.0;
/// ... or so many seconds have gone by.
const LONG: f64 = 20.0;
/// Fewer throttles than this say that the edge of the limit was touched, not how far away it is, ...
const THROTTLES: f64 = 3.0;
/// ... and among fewer answers than this they may mean nothing.
const FEW: f64 = 100.0;
/// A trial lowers the rate at least to this share of what it was.
const TRIED: f64 = 0.7;
/// A longer interval than this has more answers to calls of a trial than to those before it.
const SETTLED: f64 = 4.0;
/// Throttle answers that a share of faults must rest on.
const PROVEN: f64 = 8.0;
/// Seconds after which faults that persist are looked at again; each further look waits twice as long.
const FIRST_LOOK: f64 = 60.0;
/// A look is due after this many times what the last one took at the earliest.
const RARELY: f64 = 20.0;
const LAST_LOOK: f64 = 960.0;

/// What happened since the rate was last judged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Interval {
    pub(super) seconds: f64,
    /// Permits granted.
    pub(super) permits: f64,
    /// All answers that came, and the throttles among them.
    pub(super) seen: Counts,
}

impl Interval {
    /// Whether the rate is what bounds the calls.
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

#[derive(Debug)]
enum Phase {
    /// The first climb: no limit is known. `seen` is what came at the rates below the present one.
    Climb { seen: Counts },
    /// Up to a rate that was let through before every call was throttled, twice as high each time.
    Return { aim: f64 },
    /// Up, by `step` next. `clean` was let through before the last step, `base` before all of them; 0 if
    /// nothing was. `doubt`: one or two throttles among few answers came last; they may be faults.
    Rise { base: f64, clean: f64, step: f64, doubt: bool },
    /// At a rate that is let through, or at the upper bound.
    Hold(Interval),
    /// At half the rate, to see whether that lowers the share of throttle answers.
    Trial(Trial),
}

#[derive(Debug)]
struct Trial {
    /// The rate that is given back if the throttle answers are faults.
    before: f64,
    /// How much of that rate was used.
    used: f64,
    /// The rate to go on with if they are not.
    fallback: f64,
    /// What came before the rate was halved, and since.
    earlier: Counts,
    seen: Counts,
    seconds: f64,
    /// The answers to calls made before the halving have come: they do not count.
    settled: bool,
}

/// A lowering of the rate whose effect is not known yet.
#[derive(Debug)]
struct Lowered {
    /// The rate before, and how much of it was used.
    before: f64,
    used: f64,
    /// What came at that rate, and since.
    earlier: Counts,
    since: Counts,
}

/// The state of the controller.
#[derive(Debug)]
pub(super) struct Search {
    /// The upper bound; infinite if there is none.
    cap: f64,
    phase: Phase,
    lowered: Option<Lowered>,
    /// Throttle answers that no rate prevents. Their share is 0 until something else is proven.
    faults: Counts,
    /// What came since the share of faults was last compared with it.
    recent: Counts,
    /// Seconds since faults were last looked at, and when that is due again.
    looked: f64,
    next_look: f64,
    found: Option<f64>,
    /// The highest rate that was held for a while. A limit that falls for a moment is soon where it was.
    high: f64,
}

impl Search {
    /// Looks for an unknown limit from a low rate on.
    pub(super) fn unknown() -> Self {
        Self::new(f64::INFINITY, Phase::Climb { seen: Counts::default() })
    }

    /// Begins at `limit`, which an earlier run has found, and soon looks whether there is more.
    pub(super) fn near(limit: f64) -> Self {
        // From so low a rate small steps would take minutes if the limit has risen.
        if limit < AUTO_START {
            return Self::unknown();
        }
        let step = SMALL_STEP;
        Self::new(f64::INFINITY, Phase::Rise { base: limit, clean: limit, step, doubt: false })
    }

    /// Begins at `cap` and never goes above it; it may be infinite.
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

    /// The limit that was found, if there is one: a rate that is let through and near one that is not.
    pub(super) fn found(&self) -> Option<f64> {
        self.found
    }

    /// The share of throttle answers that is known to be faults.
    pub(super) fn faults(&self) -> f64 {
        self.faults.share()
    }

    /// Goes on from `rate` after a time in which every call was throttled, and soon to just below `aim`.
    pub(super) fn come_back(&mut self, rate: f64, aim: f64) {
        self.lowered = None;
        let aim = if aim < self.cap { KEPT * aim } else { self.cap };
        self.phase = if rate < aim { Phase::Return { aim } } else { self.arrived(aim) };
    }

    /// The phase that follows once a rate is reached that was let through before.
    fn arrived(&self, rate: f64) -> Phase {
        if rate >= self.cap { Phase::hold() } else { Phase::from_below() }
    }

    /// Whether the rate is lowered for a moment, to see whether that helps.
    pub(super) fn is_trying(&self) -> bool {
        matches!(self.phase, Phase::Trial(_))
    }

    /// Whether the interval holds enough answers to judge by: at a low rate a second has too few.
    pub(super) fn can_judge(&self, rate: f64, interval: &Interval) -> bool {
        self.has_enough(rate, interval) || interval.seconds >= LONG
    }

    fn has_enough(&self, rate: f64, interval: &Interval) -> bool {
        let Counts { answers, throttled } = interval.seen;
        let faults = self.faults();
        // The larger the share of faults, the more answers it takes to see a limit among them.
        answers >= ENOUGH * (1.0 + 4.0 * faults)
            || (answers >= PLAIN && interval.seen.is_plainly_full())
            || (answers >= PLAIN && throttled < 1.0 && self.recovers(rate))
    }

    /// Whether the rate is far below one that was held for a while.
    fn recovers(&self, rate: f64) -> bool {
        match self.phase {
            Phase::Return { .. } => true,
            Phase::Rise { .. } => rate < self.high / 4.0,
            _ => false,
        }
    }

    /// The rate to go on with after `interval` at `rate`; both may be infinite.
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
        let Phase::Climb { seen } = &mut self.phase else { return rate };
        let lower = seen.or_more_faults(self.faults);
        let borne = BORNE.max(FIRST_STEP * BORNE_OF_STEP);
        let rises = interval.seen.is_full()
            || (lower.answers >= ENOUGH && interval.seen.exceeds(lower.with_doubt(), borne, 0.5));
        if rises {
            return self.lower(rate, interval);
        }
        if interval.uses(rate) {
            *seen += interval.seen;
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
            // Near the limit that was found they are expected.
            let is_near = self.found.is_some_and(|found| (found..NEAR * found).contains(&rate));
            let says_little = is_few && interval.seen.answers < FEW && !is_near;
            if says_little && !std::mem::replace(doubt, true) {
                return rate;
            }
            let (base, clean) = (*base, *clean);
            if clean > 0.0 {
                // What was held before may be no more.
                self.high /= 2.0;
            }
            let found = rate < clean * NEAR;
            // One or two say that the edge was touched and not how far away it is, or nothing at all.
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
        // A shorter step could not be seen in so few answers.
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
        if held.seen.answers < 2.0 * ENOUGH && !interval.seen.is_full() {
            return rate;
        }
        if interval.seen.throttled >= THROTTLES && interval.seen.exceeds(self.faults, BORNE, 1.0) {
            // What came before is of the same rate, unless something has changed.
            let is_plain = interval.seen.answers >= FEW || interval.seen.is_full();
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

    /// Lowers the rate to what was let through; if lowering it once has not helped, halves it as a trial.
    fn lower(&mut self, rate: f64, interval: &Interval) -> f64 {
        let used = effective(rate, interval);
        let next = (KEPT * self.let_through(rate, interval)).clamp(LEFT * used, KEPT * rate);
        if let Some(Lowered { before, used: full, earlier, .. }) = self.lowered.take() {
            let all = earlier + interval.seen;
            // A first second may have begun slowly.
            let full = full.max(used);
            if !interval.seen.is_full() && compare(earlier, interval.seen, 0.0) != Verdict::Lowered
            {
                if all.answers >= ENOUGH && all.throttled >= PROVEN {
                    let fallback = next.min(KEPT * interval.seen.good() / interval.seconds);
                    let half = (full / 2.0).min(TRIED * rate);
                    let since = Counts::default();
                    let lowered = Lowered { before, used: full, earlier: all, since };
                    return self.begin_trial(&lowered, half, fallback);
                }
                // Too few answers yet to compare anything with.
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

    /// Judges the trial once there are answers enough.
    fn try_half(&mut self, rate: f64, interval: &Interval) -> f64 {
        let Phase::Trial(trial) = &mut self.phase else { return rate };
        if !std::mem::replace(&mut trial.settled, true) && interval.seconds < SETTLED {
            return rate;
        }
        trial.seen += interval.seen;
        trial.seconds += interval.seconds;
        let Trial { before, used, fallback, earlier, seen, seconds, .. } = *trial;
        let is_lower = rate <= TRIED.midpoint(1.0) * used;
        let is_full = seen.answers >= ENOUGH && seen.is_full();
        let verdict = if !is_lower || is_full || (earlier + seen).is_full() {
            Verdict::Lowered
        } else {
            compare(earlier, seen, seconds)
        };
        match verdict {
            Verdict::Open => rate,
            Verdict::Same => {
                self.faults = earlier + seen;
                self.recent = Counts::default();
                self.looked = 0.0;
                self.next_look = self.next_look.max(RARELY * seconds);
                if self.found.is_some_and(|found| found < before) {
                    self.found = None;
                }
                self.phase = if before >= self.cap {
                    Phase::hold()
                } else if self.found.is_some() {
                    Phase::from_below()
                } else {
                    Phase::Climb { seen: Counts::default() }
                };
                before
            }
            Verdict::Lowered => {
                if seen.share() < self.faults.share() {
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

    /// Follows a share of faults that falls, and forgets a lowering that has helped.
    fn watch_faults(&mut self, interval: &Interval) {
        self.looked += interval.seconds;
        if let Some(lowered) = &mut self.lowered {
            lowered.since += interval.seen;
            let expected = lowered.since.answers * lowered.earlier.share();
            if expected >= PROVEN && lowered.since.throttled < 0.5 * expected {
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
        // No rate has a smaller share of throttles than the faults alone: a smaller one is news at any rate.
        let is_held = matches!(self.phase, Phase::Hold(_));
        if recent.share() < self.faults.share()
            || (is_held && !recent.exceeds(self.faults, 0.0, 0.0))
        {
            self.faults = self.faults.aged() + recent;
        }
    }

    /// The rate that was let through: by the share of the answers, and if many were throttles and the rate was
    /// used, also by their number. Faults do not count against it.
    fn let_through(&self, rate: f64, interval: &Interval) -> f64 {
        let passing = 1.0 - self.faults.share();
        let by_share = rate * (1.0 - interval.seen.share()) / passing;
        let counted = interval.seen.good() / interval.seconds / passing;
        let is_plain = interval.seen.share() > PLAIN_SHARE && interval.uses(rate);
        if rate.is_infinite() || is_plain { by_share.min(counted) } else { by_share }
    }
}

/// The calls a second that `rate` amounts to: less than it where the work or the workers are short.
fn effective(rate: f64, interval: &Interval) -> f64 {
    if interval.uses(rate) { rate } else { rate.min(interval.seen.answers / interval.seconds) }
}

impl Phase {
    fn hold() -> Self {
        Self::Hold(Interval::default())
    }

    /// A rise from below a limit that was touched.
    fn from_below() -> Self {
        Self::Rise { base: 0.0, clean: 0.0, step: SMALL_STEP, doubt: false }
    }
}
