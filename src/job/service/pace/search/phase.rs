//! What the search does at the present rate.

use super::interval::Interval;
use super::tuning::FIRST_RISE_STEP;
use crate::job::service::pace::evidence::Counts;

/// What the search does at the present rate.
#[derive(Debug)]
pub(super) enum Phase {
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

impl Phase {
    pub(super) fn climb() -> Self {
        Self::Climb { seen: Counts::default(), doubtful: None }
    }

    pub(super) fn hold() -> Self {
        Self::Hold(Interval::default())
    }

    /// A rise from just below a limit.
    pub(super) fn from_below() -> Self {
        Self::Rise { base: 0.0, clean: 0.0, step: FIRST_RISE_STEP, doubt: false }
    }
}

/// A halved rate that is being tried.
#[derive(Debug)]
pub(super) struct Trial {
    /// The rate to restore if the throttle answers are faults.
    pub(super) before: f64,
    /// The part of that rate that was used, in calls a second.
    pub(super) used: f64,
    /// The next rate if they are not faults.
    pub(super) fallback: f64,
    /// The answers before the rate was halved.
    pub(super) earlier: Counts,
    /// The answers since.
    pub(super) seen: Counts,
    /// The duration of the trial.
    pub(super) seconds: f64,
    /// Whether the answers to calls before the trial have come. They do not count.
    pub(super) settled: bool,
}

/// A lowering of the rate whose effect is not known yet.
#[derive(Debug)]
pub(super) struct Lowered {
    /// The rate before.
    pub(super) before: f64,
    /// The part of that rate that was used, in calls a second.
    pub(super) used: f64,
    /// The answers at that rate.
    pub(super) earlier: Counts,
    /// The answers since.
    pub(super) since: Counts,
}
