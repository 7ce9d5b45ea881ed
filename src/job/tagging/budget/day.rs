//! Counts the calls of a day for `--daily-calls`: those in the ledger, and those of this invocation.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::cos::Clock;
use crate::store;
use crate::time::{UnixMillis, UnixSeconds, day_of};

/// Counts the calls in the ledger since a moment, without those of this invocation.
pub(super) type Earlier = Box<dyn Fn(UnixMillis) -> Result<u64, store::Error> + Send + Sync>;

/// The longest way that a correction of the clock leads back.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The calls of this invocation that ended in one second of this machine's own clock.
#[derive(Debug)]
struct Second {
    /// The second.
    begins: UnixSeconds,
    calls: u64,
}

/// Limits the calls of a day, by the same clock as the rows of the ledger.
///
/// A call belongs to the day in which it ends, as in the ledger. Calls in flight count for the present day. A call with a
/// time in the future counts for today too, because the clock was ahead when it was made. Thus the limit holds at midnight,
/// and when the clock is set or corrected.
pub(super) struct Day {
    limit: u64,
    zone: TimeZone,
    earlier: Earlier,
    /// The day that was counted, from midnight to midnight, and the offset of the clock at that time, in
    /// seconds. Absent if no day was counted yet.
    counted: Option<(Range<UnixMillis>, i64)>,
    /// The calls of today before this invocation.
    before: u64,
    /// The calls of today by this invocation that have ended.
    own: u64,
    /// The calls in flight.
    on_the_wire: u64,
    /// The calls of this invocation, by the second in which they ended.
    seconds: VecDeque<Second>,
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Day").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Day {
    /// A limit of calls a day, where days begin at midnight in this time zone.
    pub(super) fn new(limit: u64, zone: TimeZone, earlier: Earlier) -> Self {
        Self {
            limit,
            zone,
            earlier,
            counted: None,
            before: 0,
            own: 0,
            on_the_wire: 0,
            seconds: VecDeque::new(),
        }
    }

    /// Takes one of the calls that are left today. Returns `false` if none is left.
    ///
    /// # Errors
    /// An error of the store, if the calls of the day have to be counted.
    pub(super) fn take(&mut self, clock: &Clock) -> Result<bool, store::Error> {
        if self.left(clock)? == 0 {
            return Ok(false);
        }
        self.on_the_wire += 1;
        Ok(true)
    }

    /// The number of calls that are left today.
    ///
    /// # Errors
    /// An error of the store, if the calls of the day have to be counted.
    pub(super) fn left(&mut self, clock: &Clock) -> Result<u64, store::Error> {
        let (now, offset) = (clock.millis(), clock.offset());
        let is_counted = self
            .counted
            .as_ref()
            .is_some_and(|(day, counted_with)| *counted_with == offset && day.contains(&now));
        if !is_counted {
            self.count(now, offset)?;
        }
        Ok(self.limit.saturating_sub(self.before + self.own + self.on_the_wire))
    }

    /// Counts the calls of the day in which `now` lies.
    fn count(&mut self, now: UnixMillis, offset: i64) -> Result<(), store::Error> {
        let (_, day) = day_of(now, &self.zone);
        self.before = (self.earlier)(day.start)?;
        let offset_now = SignedDuration::from_secs(offset);
        let corrected = |second: &Second| second.begins.saturating_add(offset_now).to_millis();
        // A correction of the clock never leads further back than a day, so older calls are not needed.
        while self
            .seconds
            .front()
            .is_some_and(|second| corrected(second) < day.start.saturating_sub(DAY))
        {
            self.seconds.pop_front();
        }
        let today = self.seconds.iter().filter(|second| corrected(second) >= day.start);
        self.own = today.map(|second| second.calls).sum();
        self.counted = Some((day, offset));
        Ok(())
    }

    /// Notes that a call has ended at `local`, by this machine's own clock.
    pub(super) fn ended(&mut self, local: UnixMillis) {
        self.on_the_wire = self.on_the_wire.saturating_sub(1);
        self.own += 1;
        let begins = local.to_seconds();
        match self.seconds.back_mut() {
            Some(second) if second.begins == begins => second.calls += 1,
            _ => self.seconds.push_back(Second { begins, calls: 1 }),
        }
    }

    /// Gives back a call that was taken and not made.
    pub(super) fn give_back(&mut self) {
        self.on_the_wire = self.on_the_wire.saturating_sub(1);
    }

    /// The limit as it is typed.
    pub(super) fn describe(&self) -> String {
        format!("--daily-calls {}", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    const HOUR: i64 = 3_600_000;
    /// A midnight of UTC.
    const MIDNIGHT: i64 = 20_000 * 24 * HOUR;

    /// A clock that is set to a moment; each test has its own.
    macro_rules! clock {
        () => {{
            static NOW: AtomicI64 = AtomicI64::new(0);
            fn now() -> UnixMillis {
                UnixMillis(NOW.load(Ordering::Relaxed))
            }
            (&NOW, Clock::with_local(now))
        }};
    }

    fn day(limit: u64, rows: &Arc<Mutex<Vec<i64>>>) -> Day {
        let rows = Arc::clone(rows);
        let earlier = move |UnixMillis(since)| {
            Ok(rows.lock().unwrap().iter().filter(|row| **row >= since).count() as u64)
        };
        Day::new(limit, TimeZone::UTC, Box::new(earlier))
    }

    /// Makes calls until none is left for the day. Returns how many it made.
    fn exhaust(day: &mut Day, clock: &Clock) -> u64 {
        let mut calls = 0;
        while day.take(clock).unwrap() {
            day.ended(clock.local_millis());
            calls += 1;
        }
        calls
    }

    #[test]
    fn a_new_day_begins_at_midnight_and_counts_the_calls_in_flight() {
        let (now, clock) = clock!();
        now.store(MIDNIGHT - HOUR, Ordering::Relaxed);
        let earlier = Arc::new(Mutex::new(vec![MIDNIGHT - 25 * HOUR, MIDNIGHT - 2 * HOUR]));
        let mut day = day(10, &earlier);
        for _ in 0..3 {
            assert!(day.take(&clock).unwrap());
        }
        assert_eq!(exhaust(&mut day, &clock), 6, "one earlier today, and three on the wire");
        now.store(MIDNIGHT, Ordering::Relaxed);
        assert_eq!(exhaust(&mut day, &clock), 7, "the three end today");
    }

    #[test]
    fn a_correction_of_the_clock_counts_the_day_again() {
        let (now, clock) = clock!();
        // This machine is an hour ahead, and takes the last half hour of the day for tomorrow's first.
        now.store(MIDNIGHT + HOUR / 2, Ordering::Relaxed);
        let earlier = Arc::new(Mutex::new(vec![MIDNIGHT - HOUR; 4]));
        let mut day = day(10, &earlier);
        for _ in 0..5 {
            assert!(day.take(&clock).unwrap());
            day.ended(clock.local_millis());
        }
        clock.restore(-3600);
        assert_eq!(exhaust(&mut day, &clock), 1, "four of before, five of this invocation");
        now.store(MIDNIGHT + HOUR, Ordering::Relaxed);
        assert_eq!(exhaust(&mut day, &clock), 10);
    }

    #[test]
    fn setting_the_clock_back_allows_no_further_calls() {
        let (now, clock) = clock!();
        now.store(MIDNIGHT + HOUR, Ordering::Relaxed);
        let earlier = Arc::new(Mutex::new(Vec::new()));
        let mut day = day(10, &earlier);
        assert_eq!(exhaust(&mut day, &clock), 10);
        now.store(MIDNIGHT - 5 * HOUR, Ordering::Relaxed);
        assert_eq!(exhaust(&mut day, &clock), 0, "their time is still to come");
        now.store(MIDNIGHT + 2 * HOUR, Ordering::Relaxed);
        assert_eq!(exhaust(&mut day, &clock), 0);
        now.store(MIDNIGHT + 24 * HOUR, Ordering::Relaxed);
        assert_eq!(exhaust(&mut day, &clock), 10);
    }
}
