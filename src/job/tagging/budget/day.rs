//! `--daily-calls`: how many calls a day has had, by the ledger and by this invocation.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::cos::Clock;
use crate::store;

/// Counts the ledger's calls since a moment in Unix milliseconds, those of this invocation left out.
pub(super) type Earlier = Box<dyn Fn(i64) -> Result<u64, store::Error> + Send + Sync>;

/// A day in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;

/// Calls of this invocation that ended in one second, by this machine's own clock.
#[derive(Debug)]
struct Second {
    /// Unix milliseconds at its beginning.
    begins: i64,
    calls: u64,
}

/// The calls of one day, counted by the same clock as the rows of the ledger.
///
/// A call belongs to the day in which it ends, as in the ledger; calls on the wire count for the present day. A call
/// whose time is still to come counts for today as well: the clock was ahead when it was made. So the limit
/// holds over midnight, and when the clock is set or corrected.
pub(super) struct Day {
    limit: u64,
    zone: TimeZone,
    earlier: Earlier,
    /// The day that was counted, in Unix milliseconds from midnight to midnight, and the offset it was counted with.
    counted: Option<(Range<i64>, i64)>,
    /// Calls of today that were made before this invocation.
    before: u64,
    /// Calls of today that this invocation made, without those on the wire.
    own: u64,
    on_the_wire: u64,
    seconds: VecDeque<Second>,
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Day").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Day {
    /// A limit of calls a day in this zone.
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

    /// Takes one call out of today's, or returns false if there is none left.
    ///
    /// # Errors
    /// Those of any read, when the day has to be counted.
    pub(super) fn take(&mut self, clock: &Clock) -> Result<bool, store::Error> {
        if self.left(clock)? == 0 {
            return Ok(false);
        }
        self.on_the_wire += 1;
        Ok(true)
    }

    /// How many calls of today are left.
    ///
    /// # Errors
    /// Those of any read, when the day has to be counted.
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

    /// Counts the day in which `now` lies.
    fn count(&mut self, now: i64, offset: i64) -> Result<(), store::Error> {
        let day = day_of(now, &self.zone);
        self.before = (self.earlier)(day.start)?;
        let corrected = |second: &Second| second.begins + offset.saturating_mul(1000);
        // What lies further back counts for no day that a corrected clock could come back to.
        while self.seconds.front().is_some_and(|second| corrected(second) < day.start - DAY) {
            self.seconds.pop_front();
        }
        let today = self.seconds.iter().filter(|second| corrected(second) >= day.start);
        self.own = today.map(|second| second.calls).sum();
        self.counted = Some((day, offset));
        Ok(())
    }

    /// A call that was taken has ended, at this moment by this machine's own clock in Unix milliseconds.
    pub(super) fn ended(&mut self, local: i64) {
        self.on_the_wire = self.on_the_wire.saturating_sub(1);
        self.own += 1;
        let begins = local - local.rem_euclid(1000);
        match self.seconds.back_mut() {
            Some(second) if second.begins == begins => second.calls += 1,
            _ => self.seconds.push_back(Second { begins, calls: 1 }),
        }
    }

    /// A call that was taken was not made.
    pub(super) fn give_back(&mut self) {
        self.on_the_wire = self.on_the_wire.saturating_sub(1);
    }

    /// The limit in words.
    pub(super) fn describe(&self) -> String {
        format!("--daily-calls {}", self.limit)
    }
}

/// The day in which a moment lies, from midnight to midnight, in Unix milliseconds.
fn day_of(now: i64, zone: &TimeZone) -> Range<i64> {
    let moment = Timestamp::from_millisecond(now).unwrap_or_default();
    let today = moment.to_zoned(zone.clone());
    let midnight = |zoned: Result<jiff::Zoned, jiff::Error>, fallback: i64| {
        zoned.map_or(fallback, |midnight| midnight.timestamp().as_millisecond())
    };
    let begins = midnight(today.start_of_day(), i64::MIN);
    let tomorrow = today
        .date()
        .checked_add(1.day())
        .and_then(|date| date.to_zoned(zone.clone()).and_then(|midnight| midnight.start_of_day()));
    begins..midnight(tomorrow, i64::MAX)
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
            fn now() -> i64 {
                NOW.load(Ordering::Relaxed)
            }
            (&NOW, Clock::with_local(now))
        }};
    }

    fn day(limit: u64, rows: &Arc<Mutex<Vec<i64>>>) -> Day {
        let rows = Arc::clone(rows);
        let earlier = move |since| {
            Ok(rows.lock().unwrap().iter().filter(|row| **row >= since).count() as u64)
        };
        Day::new(limit, TimeZone::UTC, Box::new(earlier))
    }

    /// Makes calls until the day has none left; how many that were.
    fn exhaust(day: &mut Day, clock: &Clock) -> u64 {
        let mut calls = 0;
        while day.take(clock).unwrap() {
            day.ended(clock.local_millis());
            calls += 1;
        }
        calls
    }

    #[test]
    fn a_new_day_begins_at_midnight_and_calls_on_the_wire_are_its_own() {
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
    fn a_confirmed_offset_counts_again() {
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
    fn a_clock_that_is_set_back_gives_no_call_back() {
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

    #[test]
    fn days_are_those_of_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // The clocks go forward on 29 March 2026 and back on 25 October 2026.
        for (moment, hours) in [("2026-03-29T12:00Z", 23), ("2026-10-25T12:00Z", 25)] {
            let now = moment.parse::<Timestamp>().unwrap().as_millisecond();
            let day = day_of(now, &zone);
            assert_eq!(day.end - day.start, hours * HOUR, "{moment}");
            assert!(day.contains(&now));
        }
    }
}
