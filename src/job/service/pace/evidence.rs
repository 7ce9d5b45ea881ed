//! Counts of answers, and what two of them say about each other.

use std::ops::{Add, AddAssign};

/// Answers that a count of faults remembers at most, so that it follows a share that drifts.
const REMEMBERED: f64 = 4000.0;
/// Answers, and expected throttles among them, below which two shares are not compared.
const ANSWERS: f64 = 40.0;
const EXPECTED: f64 = 6.0;
/// Answers that are enough even for shares which differ little.
const MANY: f64 = 160.0;
/// At a low rate a comparison ends after so many seconds with what there is.
const SECONDS: f64 = 20.0;
/// The share of throttles above which a service is taken to be full.
const FULL: f64 = 0.42;
/// Standard deviations that make a difference more than chance.
const DEVIATIONS: f64 = 2.0;
/// As [`DEVIATIONS`], where the question is asked every second.
const OFTEN: f64 = 2.5;

/// The answers of some time, and how many of them were throttles.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) answers: f64,
    pub(super) throttled: f64,
}

/// What a comparison of two shares came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There are too few answers yet.
    Open,
    /// The later share is lower than chance explains.
    Lowered,
    /// It is not.
    Same,
}

impl Counts {
    /// The share of throttles; 0 without answers.
    pub(super) fn share(self) -> f64 {
        self.throttled / self.answers.max(1.0)
    }

    /// The answers that were no throttles.
    pub(super) fn good(self) -> f64 {
        self.answers - self.throttled
    }

    /// Whether these are more throttles than the share of `faults` explains, by more than chance, `slack`
    /// answers and the share `borne`.
    pub(super) fn exceeds(self, faults: Self, borne: f64, slack: f64) -> bool {
        let share = faults.share();
        let expected = self.answers * share;
        // Both counts are samples.
        let variance = expected * (1.0 - share) * (1.0 + self.answers / faults.answers.max(1.0));
        self.throttled > expected + OFTEN * variance.sqrt() + slack + self.answers * borne
    }

    /// This count, or `faults` if their share is larger.
    pub(super) fn or_more_faults(self, faults: Self) -> Self {
        if faults.share() > self.share() { faults } else { self }
    }

    /// As if half a throttle more had come: few answers without a throttle do not prove that there is none.
    pub(super) fn with_doubt(self) -> Self {
        Self { answers: self.answers + 1.0, throttled: self.throttled + 0.5 }
    }

    /// Whether the service refuses so many calls that it is taken to be full, whoever fills it: another program
    /// that takes all of a quota looks like this at any rate of ours.
    pub(super) fn is_full(self) -> bool {
        self.throttled > FULL * self.answers + 0.5 * self.answers.sqrt()
    }

    /// As [`Counts::is_full`], sure enough to be asked after every answer.
    pub(super) fn is_plainly_full(self) -> bool {
        self.throttled > FULL * self.answers + self.answers.sqrt()
    }

    /// This count with the weight of [`REMEMBERED`] answers at most.
    pub(super) fn aged(self) -> Self {
        let kept = (REMEMBERED / self.answers.max(1.0)).min(1.0);
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

/// Compares the share of `earlier` with that of `later`, which was gathered at half the rate in so many seconds.
pub(super) fn compare(earlier: Counts, later: Counts, seconds: f64) -> Verdict {
    let (before, after) = (earlier.share(), later.share());
    let expected = later.answers * before;
    let is_late = seconds >= SECONDS;
    if expected < EXPECTED && !is_late {
        return Verdict::Open;
    }
    let pooled = (earlier + later).share();
    let samples = 1.0 / earlier.answers.max(1.0) + 1.0 / later.answers.max(1.0);
    let deviation = (pooled * (1.0 - pooled) * samples).sqrt();
    // A large count makes a small difference certain; it must be worth the lower pace too.
    if after < 0.9 * before && before - after > DEVIATIONS * deviation {
        return Verdict::Lowered;
    }
    if later.answers < ANSWERS && !is_late {
        return Verdict::Open;
    }
    // What a limit that is ours alone would leave: it lets as many calls through as before.
    let by_limit = (2.0 * before - 1.0).max(0.0);
    if after < f64::midpoint(before, by_limit) {
        Verdict::Lowered
    } else if after >= 0.8 * before
        || is_late
        || (later.answers >= MANY && expected >= 1.5 * EXPECTED)
    {
        Verdict::Same
    } else {
        Verdict::Open
    }
}
