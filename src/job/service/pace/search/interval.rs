//! What is known of the time since the rate was judged last.

use std::ops::AddAssign;

use super::tuning::USED_SHARE;
use crate::job::service::pace::evidence::Counts;

/// What has happened since the rate was judged last.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::job::service::pace) struct Interval {
    pub(in crate::job::service::pace) seconds: f64,
    /// The permits that were granted.
    pub(in crate::job::service::pace) permits: f64,
    /// The answers, and the throttles among them.
    pub(in crate::job::service::pace) seen: Counts,
}

impl Interval {
    /// Returns whether the rate limits the calls.
    pub(super) fn uses(&self, rate: f64) -> bool {
        self.permits >= USED_SHARE * rate * self.seconds
    }
}

impl AddAssign for Interval {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.permits += other.permits;
        self.seen += other.seen;
    }
}

/// The calls a second that are made at `rate`. They are fewer if the work or the workers do not suffice.
pub(super) fn effective(rate: f64, interval: &Interval) -> f64 {
    if interval.uses(rate) { rate } else { rate.min(interval.seen.answers / interval.seconds) }
}
