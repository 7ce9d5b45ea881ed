//! The search for a limit that nobody tells, for `auto`: up to where throttling begins, a little back, wait.
//!
//! Lowering by a fixed share and rising by another one, as under a cap, would run into the limit every few
//! seconds, and ask for up to a third too little in between. But what was let through while the service
//! throttled is the limit itself: the rate goes to just below it and stays there, and only now and then it
//! looks, by small steps, whether there is more.

/// What a rise begins with when nothing is known yet, each second.
const FIRST_STEP: f64 = 0.25;
/// What a rise begins with near a limit that is known, ...
const SMALL_STEP: f64 = 0.005;
/// ... how much longer each further step is, for the limit may have become a multiple, ...
const STRIDE: f64 = 1.4;
/// ... and the longest step.
const LONG_STEP: f64 = 0.25;
/// What is kept of the rate that was let through: the pace of a process is not even to the millisecond.
const KEPT: f64 = 0.97;
/// What one lowering leaves at least: for a moment after a limit has fallen nothing at all is let through.
const LEFT: f64 = 0.5;
/// Seconds, and calls, between a limit found and the next rise. A rise costs a few throttled calls.
const HOLD_SECONDS: f64 = 10.0;
const HOLD_CALLS: f64 = 200.0;
/// A rise that goes from below the limit to above it in a step of this much has found it; else it goes on.
const NEAR: f64 = 1.05;
/// Throttling up to this share is borne: a service may have other reasons for it.
const BORNE: f64 = 0.015;
/// After a step of a rise so much of the step is borne too, for the same reason: too far shows by far more.
const BORNE_OF_STEP: f64 = 0.125;
/// Less use of the rate says nothing of the limit: the workers, or the work, are what is short.
const USED: f64 = 0.8;
/// Fewer answers than this are no share to judge by, ...
const ENOUGH: f64 = 20.0;
/// ... unless so many were throttles, ...
const THROTTLES: f64 = 3.0;
/// ... or so many seconds have gone by.
const LONG: f64 = 5.0;

/// What happened since the rate was last judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub(super) seconds: f64,
    /// Permits granted.
    pub(super) permits: f64,
    /// Answers that came, throttles among them.
    pub(super) answers: f64,
    pub(super) throttled: f64,
}

#[derive(Debug)]
enum Phase {
    /// Up, by a step of this share next. `clean` was let through before the last one, `base` before all of
    /// them; 0: nothing was.
    Rise { base: f64, clean: f64, step: f64 },
    /// At a rate that is known to be let through.
    Hold(Held),
}

/// What came since the rate is held.
#[derive(Debug, Default)]
struct Held {
    seconds: f64,
    calls: f64,
    throttled: f64,
}

/// The state of a search.
#[derive(Debug)]
pub(super) struct Search(Phase);

impl Search {
    pub(super) fn new() -> Self {
        Self(Phase::Rise { base: 0.0, clean: 0.0, step: FIRST_STEP })
    }

    /// Whether an interval holds enough to judge by: a second alone has too few calls at a low rate.
    pub(super) fn can_judge(interval: &Interval) -> bool {
        interval.answers >= ENOUGH || interval.throttled >= THROTTLES || interval.seconds >= LONG
    }

    /// The rate to go on with.
    pub(super) fn next(&mut self, rate: f64, interval: &Interval) -> f64 {
        let Interval { seconds, permits, answers, throttled } = *interval;
        let used = permits >= USED * rate * seconds;
        if answers < ENOUGH && throttled < THROTTLES && !used {
            return rate;
        }
        match &mut self.0 {
            Phase::Rise { base, clean, step }
                if throttled > 0.5 + answers * BORNE.max(*step * BORNE_OF_STEP) =>
            {
                // One or two say that the edge was touched and not how far away it is, or nothing at all.
                let few = throttled < THROTTLES && *clean > 0.0;
                let (back, least) = if few {
                    (*clean, *base)
                } else {
                    (let_through(rate, interval).max(*clean), 0.0)
                };
                self.0 = if rate < *clean * NEAR {
                    Phase::Hold(Held::default())
                } else {
                    Phase::Rise { base: 0.0, clean: 0.0, step: SMALL_STEP }
                };
                (KEPT * back).clamp(LEFT * rate, KEPT * rate).max(least)
            }
            Phase::Hold(_) if throttled > 1.0 + answers * BORNE => {
                self.0 = Phase::Rise { base: 0.0, clean: 0.0, step: SMALL_STEP };
                (KEPT * let_through(rate, interval)).clamp(LEFT * rate, KEPT * rate)
            }
            Phase::Rise { clean, step, .. } if used => {
                *clean = rate;
                let raised = rate * (1.0 + *step);
                *step = (*step * STRIDE).min(LONG_STEP);
                raised
            }
            Phase::Rise { .. } => rate,
            Phase::Hold(held) => {
                held.seconds += seconds;
                held.calls += answers;
                held.throttled += throttled;
                if held.throttled >= THROTTLES && held.throttled > BORNE * held.calls {
                    *held = Held::default();
                    return KEPT * rate;
                }
                if held.seconds >= HOLD_SECONDS && held.calls >= HOLD_CALLS {
                    self.0 = Phase::Rise { base: rate, clean: rate, step: SMALL_STEP };
                }
                rate
            }
        }
    }
}

/// The rate that was let through, by the share if the rate was not used up, else also by what was counted.
fn let_through(rate: f64, interval: &Interval) -> f64 {
    let Interval { seconds, permits, answers, throttled } = *interval;
    let by_share = rate * (1.0 - throttled / answers.max(1.0));
    let counted = (answers - throttled) / seconds;
    if permits >= USED * rate * seconds { by_share.min(counted) } else { by_share }
}
