//! The clock that requests are signed with: this machine's clock, corrected by an offset that the service has confirmed.
//!
//! Requests are signed with this time, and everything else that counts by the clock (ledger rows, days, windows) uses
//! it too. Only an answer that complains about the time of a request changes the offset. The header `Date` of other
//! answers is noted and shown, but it moves nothing: proxies and caches write that header as well.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::time::{UnixMillis, UnixSeconds};

/// The smallest difference that is corrected, in seconds. The service does not complain about a smaller one.
const CORRECTABLE: i64 = 30;

/// The value of [`Clock::measured`] before any answer had a `Date` header.
const UNMEASURED: i64 = i64::MIN;

/// How far a clock may be off before the service complains about it ("403 Forbidden" guide).
const TOLERATED: SignedDuration = SignedDuration::from_mins(15);

/// The corrected clock. All requests share it, and reading it is cheap.
#[derive(Debug)]
pub struct Clock {
    /// Reads this machine's clock.
    local: fn() -> UnixMillis,
    /// The seconds that are added to this machine's time.
    offset: AtomicI64,
    /// The service's time less this machine's in seconds, or [`UNMEASURED`].
    measured: AtomicI64,
    /// True once the service has accepted or corrected this time.
    known: AtomicBool,
    /// The moment at which the service did so, by this machine's clock and by the monotonic clock;
    /// `None` before that.
    known_at: Mutex<Option<(UnixMillis, Instant)>>,
}

/// What the service says when it refuses a request for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Complaint {
    /// The offset that the request was signed with, in seconds, if that is known.
    pub signed_offset: Option<i64>,
    /// The service's time from the header `Date`.
    pub date: Option<UnixSeconds>,
    /// The service's time from the body.
    pub server_time: Option<UnixSeconds>,
}

/// The result of [`Clock::correct`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// The clock has this new offset, in seconds. Sign the request again.
    Corrected(i64),
    /// The clock was corrected after this request had been signed. Sign the request again.
    Outdated,
    /// The clock agrees with the time of the answer within 30 seconds, or the answer tells no time. The complaint says
    /// nothing about this machine's clock, so one node of the service must be at fault.
    Unfounded,
}

impl Default for Clock {
    fn default() -> Self {
        Self::with_local(UnixMillis::now)
    }
}

impl Clock {
    /// Creates a clock that corrects the time of `local`.
    pub fn with_local(local: fn() -> UnixMillis) -> Self {
        Self {
            local,
            offset: AtomicI64::new(0),
            measured: AtomicI64::new(UNMEASURED),
            known: AtomicBool::new(false),
            known_at: Mutex::new(None),
        }
    }

    /// Returns the corrected time in whole seconds.
    pub fn now(&self) -> UnixSeconds {
        self.millis().to_seconds()
    }

    /// Returns the corrected time.
    pub fn millis(&self) -> UnixMillis {
        self.correct_millis(self.local_millis())
    }

    /// Returns the corrected time as a timestamp for calendar arithmetic.
    pub fn timestamp(&self) -> jiff::Timestamp {
        self.millis().timestamp().unwrap_or(jiff::Timestamp::MAX)
    }

    /// Returns this machine's own time, without the correction.
    pub fn local_millis(&self) -> UnixMillis {
        (self.local)()
    }

    /// Adds the present offset to a moment from [`Clock::local_millis`].
    pub fn correct_millis(&self, local: UnixMillis) -> UnixMillis {
        self.corrected(local).0
    }

    /// As [`Clock::correct_millis`], with the offset in seconds that was added: another thread may change it meanwhile.
    pub fn corrected(&self, local: UnixMillis) -> (UnixMillis, i64) {
        let offset = self.offset();
        (local.saturating_add(SignedDuration::from_secs(offset)), offset)
    }

    /// Returns the seconds that are added to this machine's time.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Sets an offset that the service has confirmed in an earlier run. If this machine's clock was set since then, the
    /// first request is refused, and [`Clock::correct`] replaces the offset.
    pub fn restore(&self, offset: i64) {
        self.offset.store(offset, Ordering::Relaxed);
    }

    /// Returns the service's time less this machine's, in seconds, from the last `Date` header; `None` if there was none
    /// yet. This is for display only.
    pub fn measured(&self) -> Option<i64> {
        Some(self.measured.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNMEASURED)
    }

    /// Records the service's time, without applying it.
    pub(super) fn observe(&self, server: UnixSeconds) {
        self.measured.store(self.difference(server), Ordering::Relaxed);
    }

    /// Records that the service has accepted a signature: this clock is right within 15 minutes.
    pub(super) fn accepted(&self) {
        // Most requests stop here and need neither the lock nor the time.
        if !self.known.load(Ordering::Relaxed) {
            self.known.store(true, Ordering::Relaxed);
            let mut known_at = self.known_at.lock().unwrap_or_else(PoisonError::into_inner);
            *known_at = Some((self.local_millis(), Instant::now()));
        }
    }

    /// Returns `true` if a moment has certainly passed.
    ///
    /// Returns `false` while the service has neither accepted nor corrected this clock, and after the clock was set or
    /// the machine was asleep. An accepted clock may still be off by 15 minutes, which counts in favour of the moment.
    pub(super) fn is_certainly_past(&self, moment: UnixSeconds) -> bool {
        self.now() >= moment.saturating_add(TOLERATED) && self.is_known()
    }

    fn is_known(&self) -> bool {
        let known_at = *self.known_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((local, moment)) = known_at else { return false };
        let by_wall = self.local_millis().duration_since(local);
        let by_monotonic =
            SignedDuration::try_from(moment.elapsed()).unwrap_or(SignedDuration::MAX);
        let known = by_wall.saturating_sub(by_monotonic).unsigned_abs()
            < Duration::from_secs(CORRECTABLE.unsigned_abs());
        if !known {
            self.known.store(false, Ordering::Relaxed);
        }
        known
    }

    /// Corrects the clock by what the service says when it refuses a request for its time.
    ///
    /// Only a difference of 30 s or more counts. A difference of less from this machine's own time means that no offset
    /// is needed any more.
    pub fn correct(&self, complaint: &Complaint) -> Correction {
        let Complaint { signed_offset, date, server_time } = *complaint;
        let offset = self.offset();
        if signed_offset.is_some_and(|signed| signed != offset) {
            return Correction::Outdated;
        }
        let differs = |server: UnixSeconds| {
            let difference = self.difference(server);
            (difference.abs_diff(offset) >= CORRECTABLE.unsigned_abs()).then_some(difference)
        };
        let by_header = date.or(server_time).and_then(differs);
        // If the header was followed already and did not help, it comes from a proxy whose clock is wrong.
        let by_body = || server_time.filter(|_| offset != 0).and_then(differs);
        let Some(difference) = by_header.or_else(by_body) else { return Correction::Unfounded };
        let needed = if difference.abs() < CORRECTABLE { 0 } else { difference };
        self.offset.store(needed, Ordering::Relaxed);
        self.known.store(false, Ordering::Relaxed);
        self.accepted();
        Correction::Corrected(needed)
    }

    /// The service's time less this machine's, in seconds.
    fn difference(&self, server: UnixSeconds) -> i64 {
        server.duration_since(self.local_millis().to_seconds()).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: i64 = 1_700_000_000;

    fn clock() -> Clock {
        Clock::with_local(|| UnixMillis(LOCAL * 1000 + 123))
    }

    fn complaint(date: Option<i64>, server_time: Option<i64>) -> Complaint {
        let seconds = |time: Option<i64>| time.map(UnixSeconds);
        Complaint { signed_offset: None, date: seconds(date), server_time: seconds(server_time) }
    }

    #[test]
    fn the_date_header_corrects_the_clock_and_the_body_does_if_there_is_none() {
        let clock = clock();
        let date = complaint(Some(LOCAL + 1000), Some(LOCAL + 5));
        assert_eq!(clock.correct(&date), Correction::Corrected(1000));
        assert_eq!((clock.offset(), clock.now().0), (1000, LOCAL + 1000));
        assert_eq!(clock.millis().0, LOCAL * 1000 + 1_000_123);
        let body = complaint(None, Some(LOCAL - 1000));
        assert_eq!(clock.correct(&body), Correction::Corrected(-1000));
        assert_eq!(clock.now().0, LOCAL - 1000);
    }

    #[test]
    fn a_difference_of_less_than_30_seconds_corrects_nothing() {
        let clock = clock();
        for date in [Some(LOCAL + 29), Some(LOCAL - 29), None] {
            assert_eq!(clock.correct(&complaint(date, None)), Correction::Unfounded, "{date:?}");
        }
        assert_eq!(clock.offset(), 0);
        let skewed = || complaint(Some(LOCAL + 30), None);
        assert_eq!(clock.correct(&skewed()), Correction::Corrected(30));
        // The same complaint with the corrected clock is no clock problem: no loop.
        assert_eq!(clock.correct(&skewed()), Correction::Unfounded);
    }

    #[test]
    fn a_date_without_a_complaint_corrects_nothing() {
        let clock = clock();
        for seconds in [-86_400 * 365, -600, 600, 86_400] {
            clock.observe(UnixSeconds(LOCAL + seconds));
            assert_eq!((clock.offset(), clock.now().0), (0, LOCAL));
            assert_eq!(clock.measured(), Some(seconds));
        }
    }

    #[test]
    fn an_offset_from_an_earlier_run_is_removed_once_this_machines_clock_is_right() {
        let clock = clock();
        clock.restore(-3600);
        assert_eq!(clock.now().0, LOCAL - 3600);
        let skewed = complaint(Some(LOCAL + 2), None);
        assert_eq!(clock.correct(&skewed), Correction::Corrected(0));
        assert_eq!((clock.offset(), clock.now().0), (0, LOCAL));
    }

    #[test]
    fn the_time_in_the_body_is_used_after_the_date_header_did_not_help() {
        let clock = clock();
        let refused = || complaint(Some(LOCAL - 1_000_000), Some(LOCAL - 600));
        assert_eq!(clock.correct(&refused()), Correction::Corrected(-1_000_000));
        assert_eq!(clock.correct(&refused()), Correction::Corrected(-600));
    }

    #[test]
    fn no_moment_has_certainly_passed_before_the_service_accepted_this_clock() {
        let clock = clock();
        assert!(!clock.is_certainly_past(UnixSeconds(LOCAL - 1_000_000)));
        clock.accepted();
        assert!(clock.is_certainly_past(UnixSeconds(LOCAL - 900)));
        assert!(!clock.is_certainly_past(UnixSeconds(LOCAL - 899)));
    }
}
