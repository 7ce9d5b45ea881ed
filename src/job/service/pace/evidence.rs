//! Counts of answers, and statistical comparisons of them.

use std::ops::{Add, AddAssign};

/// A count of faults has at most the weight of this number of answers, so that it follows a share that changes.
const REMEMBERED_ANSWERS: f64 = 4000.0;
/// With fewer answers than this in the later count, only a clear difference decides a comparison.
const ENOUGH_ANSWERS: f64 = 40.0;
/// If fewer throttles than this are expected in the later count, a comparison stays open.
const ENOUGH_EXPECTED: f64 = 6.0;
/// With this number of answers, shares that differ only a little count as equal.
const MANY_ANSWERS: f64 = 160.0;
/// After this number of seconds a comparison is decided with the answers that there are, since at a low rate there are
/// few.
const DECIDED_AFTER_SECONDS: f64 = 20.0;
/// If a larger share of the answers are throttles, the limit of the service counts as used up.
const FULL_SHARE: f64 = 0.42;
/// A larger share of faults than this is not assumed when a limit may be used up: then it counts like this one.
const LARGEST_FAULT_SHARE: f64 = 0.3;
/// A difference of more standard deviations than this is not due to chance.
const DEVIATIONS: f64 = 2.0;
/// Like [`DEVIATIONS`], for a comparison that is made every second.
const DEVIATIONS_EVERY_SECOND: f64 = 2.5;

/// The number of answers in some time, and of the throttles among them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) answers: f64,
    pub(super) throttled: f64,
}

/// The result of comparing two shares of throttles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// There are too few answers to decide.
    Open,
    /// The later share is lower, and not by chance.
    Lowered,
    /// The later share is not lower.
    Same,
}

impl Counts {
    /// The share of throttles. 0 if there are no answers.
    pub(super) fn share(self) -> f64 {
        self.throttled / self.answers.max(1.0)
    }

    /// The number of answers that are not throttles.
    pub(super) fn good(self) -> f64 {
        self.answers - self.throttled
    }

    /// Returns whether there are more throttles than the share of `faults` explains. The excess must be larger than
    /// chance, `slack` answers and the share `tolerated` together.
    pub(super) fn exceeds(self, faults: Self, tolerated: f64, slack: f64) -> bool {
        let share = faults.share();
        let expected = self.answers * share;
        // Both counts are samples, so both contribute to the variance.
        let variance = expected * (1.0 - share) * (1.0 + self.answers / faults.answers.max(1.0));
        self.throttled
            > expected
                + DEVIATIONS_EVERY_SECOND * variance.sqrt()
                + slack
                + self.answers * tolerated
    }

    /// This count, or `faults` if its share is larger.
    pub(super) fn or_more_faults(self, faults: Self) -> Self {
        if faults.share() > self.share() { faults } else { self }
    }

    /// This count with half a throttle more, since a few answers without a throttle do not prove a share of zero.
    pub(super) fn with_doubt(self) -> Self {
        Self { answers: self.answers + 1.0, throttled: self.throttled + 0.5 }
    }

    /// Returns whether so many calls were throttled, beyond the share of `faults`, that the limit of the service counts
    /// as used up. Another program may be the one that uses it.
    pub(super) fn is_full(self, faults: Self) -> bool {
        self.exceeds_full(faults) > 0.5 * self.answers.sqrt()
    }

    /// Like [`Counts::is_full`], with a wider margin, so that it can be checked after every answer.
    pub(super) fn is_plainly_full(self, faults: Self) -> bool {
        self.exceeds_full(faults) > self.answers.sqrt()
    }

    /// Like [`Counts::is_full`], without a margin: the share is not plainly below that of a limit that is used up.
    pub(super) fn may_be_full(self) -> bool {
        self.exceeds_full(Self::default()) > 0.0
    }

    /// By how many throttles this count exceeds the share from which on the limit counts as used up.
    fn exceeds_full(self, faults: Self) -> f64 {
        let faults = faults.share().min(LARGEST_FAULT_SHARE);
        self.throttled - (faults + (1.0 - faults) * FULL_SHARE) * self.answers
    }

    /// This count, scaled down to at most [`REMEMBERED_ANSWERS`] answers.
    pub(super) fn aged(self) -> Self {
        let kept = (REMEMBERED_ANSWERS / self.answers.max(1.0)).min(1.0);
        Self { answers: self.answers * kept, throttled: self.throttled * kept }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { answers: self.answers + other.answers, throttled: self.throttled + other.throttled }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Compares the share of `earlier` with that of `later`, which was counted at half the rate in this many seconds.
pub(super) fn compare(earlier: Counts, later: Counts, seconds: f64) -> Comparison {
    let (before, after) = (earlier.share(), later.share());
    let expected = later.answers * before;
    let is_late = seconds >= DECIDED_AFTER_SECONDS;
    if expected < ENOUGH_EXPECTED && !is_late {
        return Comparison::Open;
    }
    let pooled = (earlier + later).share();
    let samples = 1.0 / earlier.answers.max(1.0) + 1.0 / later.answers.max(1.0);
    let deviation = (pooled * (1.0 - pooled) * samples).sqrt();
    // With many answers even a small difference is certain, but it must also be large enough to matter.
    if after < 0.9 * before && before - after > DEVIATIONS * deviation {
        return Comparison::Lowered;
    }
    if later.answers < ENOUGH_ANSWERS && !is_late {
        return Comparison::Open;
    }
    // The share that a limit would cause at half the rate: it would let as many calls through as before.
    let by_limit = (2.0 * before - 1.0).max(0.0);
    if after < f64::midpoint(before, by_limit) {
        Comparison::Lowered
    } else if after >= 0.8 * before
        || is_late
        || (later.answers >= MANY_ANSWERS && expected >= 1.5 * ENOUGH_EXPECTED)
    {
        Comparison::Same
    } else {
        Comparison::Open
    }
}
