//! The window for calls: `--until` and `--max-duration`, by the wall clock and by the monotonic clock.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::{self, Until};
use crate::cos::Clock;
use crate::time::UnixMillis;

/// The window in which one invocation may call.
///
/// It ends when either of two clocks has reached its end. The monotonic clock stands still while the machine is asleep.
/// The wall clock does not, but it can be set.
#[derive(Debug, Clone)]
pub(super) struct Window {
    zone: TimeZone,
    until: Option<Until>,
    max_duration: Option<Duration>,
    /// When the window began, by this machine's own clock.
    begun: UnixMillis,
    begun_at: Instant,
    /// The offset of the clock with which the end was computed, in seconds.
    offset: i64,
    /// Absent if calls may be made at any time.
    end: Option<End>,
}

#[derive(Debug, Clone)]
struct End {
    /// The end by the wall clock, corrected by the offset.
    wall: Timestamp,
    /// The end by the monotonic clock. Absent if it is too far in the future.
    monotonic: Option<Instant>,
    /// The limit that sets the end, as it is typed.
    what: String,
}

impl Window {
    /// The window of an invocation that begins now.
    pub(super) fn new(settings: &config::Budget, clock: &Clock, zone: TimeZone) -> Self {
        let mut window = Self {
            zone,
            until: settings.until,
            max_duration: settings.max_duration,
            begun: clock.local_millis(),
            begun_at: Instant::now(),
            offset: clock.offset(),
            end: None,
        };
        window.compute();
        window
    }

    /// Computes the end, with the present offset of the clock.
    fn compute(&mut self) {
        let begun = self.begun.saturating_add(SignedDuration::from_secs(self.offset));
        let begun = begun.timestamp().unwrap_or(Timestamp::MAX);
        let end = |wall: Timestamp, what: String| {
            let left = Duration::try_from(wall.duration_since(begun)).unwrap_or_default();
            End { wall, monotonic: self.begun_at.checked_add(left), what }
        };
        let by_duration = self.max_duration.map(|duration| {
            let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
            let wall = begun.checked_add(duration).unwrap_or(Timestamp::MAX);
            end(wall, format!("--max-duration {duration:#}"))
        });
        let by_clock =
            self.until.map(|until| end(until.after(begun, &self.zone), format!("--until {until}")));
        self.end = by_duration.into_iter().chain(by_clock).min_by_key(|end| end.wall);
    }

    /// Computes the end again if the clock has been corrected since. Returns whether it was.
    pub(super) fn follow(&mut self, clock: &Clock) -> bool {
        let offset = clock.offset();
        if self.offset == offset {
            return false;
        }
        self.offset = offset;
        self.compute();
        true
    }

    /// Returns whether the window has an end.
    pub(super) fn ends(&self) -> bool {
        self.end.is_some()
    }

    /// The limit that was reached. `None` if the window is still open.
    pub(super) fn over(&self, clock: &Clock) -> Option<String> {
        // This runs before every call, so the clocks are read only if there is an end.
        self.end.as_ref()?;
        self.over_at(clock.timestamp(), Instant::now())
    }

    fn over_at(&self, wall: Timestamp, monotonic: Instant) -> Option<String> {
        let end = self.end.as_ref()?;
        let over = end.wall <= wall || end.monotonic.is_some_and(|end| end <= monotonic);
        over.then(|| end.what.clone())
    }

    /// The time until the end by the monotonic clock.
    pub(super) fn left(&self) -> Duration {
        let end = self.end.as_ref().and_then(|end| end.monotonic);
        end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }

    /// The end as an absolute time with the offset from UTC, and the limit that sets it. `None` if there is no end.
    pub(super) fn describe(&self) -> Option<String> {
        let end = self.end.as_ref()?;
        Some(format!("{} ({})", absolute(end.wall, &self.zone), end.what))
    }
}

/// Formats a moment for people, with the offset from UTC: `2026-11-27 06:30:00+08:00`.
pub fn absolute(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%F %H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: i64 = 1_780_000_000;

    fn clock() -> Clock {
        Clock::with_local(|| UnixMillis(BEGUN * 1000))
    }

    fn window(clock: &Clock, change: impl FnOnce(&mut config::Budget)) -> Window {
        let mut budget = config::Settings::default().budget;
        change(&mut budget);
        Window::new(&budget, clock, TimeZone::UTC)
    }

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_second(BEGUN + seconds).unwrap()
    }

    /// The time of day this many seconds after the beginning, rounded down to a minute.
    fn until(seconds: i64) -> Until {
        let time = wall(seconds).to_zoned(TimeZone::UTC).time();
        Until { time: time.with().second(0).build().unwrap(), offset: None }
    }

    #[test]
    fn the_window_ends_when_either_clock_has_reached_its_end() {
        let clock = clock();
        let window = window(&clock, |b| b.max_duration = Some(Duration::from_mins(1)));
        let at = |seconds| window.begun_at + Duration::from_secs(seconds);
        assert_eq!(window.over_at(wall(59), at(59)), None);
        let over = Some("--max-duration 1m".to_owned());
        assert_eq!(window.over_at(wall(59), at(60)), over, "the wall clock was set back");
        assert_eq!(window.over_at(wall(60), at(1)), over, "the machine was asleep");
    }

    #[test]
    fn the_earlier_of_two_limits_counts() {
        let clock = clock();
        let both = window(&clock, |b| {
            b.max_duration = Some(Duration::from_hours(1));
            b.until = Some(until(600));
        });
        let told = both.over_at(wall(3599), both.begun_at).unwrap();
        assert!(told.starts_with("--until "), "{told}");
        assert!(!window(&clock, |_| ()).ends());
    }

    #[test]
    fn a_correction_of_the_clock_moves_the_end() {
        // This machine is an hour ahead: half an hour before the end it believes that the end has passed.
        let clock = clock();
        let mut window = window(&clock, |b| b.until = Some(until(-1800)));
        assert!(window.end.as_ref().unwrap().wall > wall(80_000), "tomorrow's");
        assert!(!window.follow(&clock));
        clock.restore(-3600);
        assert!(window.follow(&clock));
        assert!((wall(-1860)..=wall(-1800)).contains(&window.end.as_ref().unwrap().wall));
        assert!(window.left() <= Duration::from_mins(30));
        assert!(window.describe().unwrap().contains("+00:00 (--until "));
    }
}
