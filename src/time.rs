//! Moments as the service, the store and outputs count them: seconds or milliseconds since 1970 in UTC.
//!
//! Two types keep the units apart. Their numbers are the ones that are stored and written; calendars and time zones are
//! jiff's. Arithmetic never overflows: a result beyond the first or the last moment is that moment.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// A moment in whole seconds since 1970-01-01T00:00:00Z. It is negative before that.
///
/// ```
/// use costag::time::{UnixMillis, UnixSeconds};
///
/// let moment: UnixSeconds = "2026-03-14T08:15:30Z".parse::<jiff::Timestamp>().unwrap().into();
/// assert_eq!(moment, UnixSeconds(1_773_476_130));
/// assert_eq!(moment.to_millis(), UnixMillis(1_773_476_130_000));
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(pub i64);

/// A moment in milliseconds since 1970-01-01T00:00:00Z. It is negative before that.
///
/// ```
/// use costag::time::{UnixMillis, UnixSeconds};
///
/// assert_eq!(UnixMillis(1_999).to_seconds(), UnixSeconds(1));
/// assert_eq!(UnixMillis(-1).to_seconds(), UnixSeconds(-1));
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixSeconds {
    /// The first moment.
    pub const MIN: Self = Self(i64::MIN);
    /// The last moment.
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the time of this machine's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns the beginning of this second.
    pub fn to_millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(1_000))
    }

    /// Returns the moment for calendars; `None` if its year is not within -9999 to 9999.
    pub fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_second(self.0).ok()
    }

    /// Returns the moment that is later by the whole seconds of a duration.
    #[must_use]
    pub fn saturating_add(self, duration: SignedDuration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Returns the moment that is earlier by the whole seconds of a duration.
    #[must_use]
    pub fn saturating_sub(self, duration: SignedDuration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// Returns the time that has passed since another moment. It is negative if the other moment is later.
    pub fn duration_since(self, other: Self) -> SignedDuration {
        SignedDuration::from_secs(self.0.saturating_sub(other.0))
    }
}

impl UnixMillis {
    /// The first moment.
    pub const MIN: Self = Self(i64::MIN);
    /// The last moment.
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the time of this machine's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns the second in which this moment lies.
    pub fn to_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0.div_euclid(1_000))
    }

    /// Returns the moment for calendars; `None` if its year is not within -9999 to 9999.
    pub fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.0).ok()
    }

    /// Returns the moment that is later by the whole milliseconds of a duration.
    #[must_use]
    pub fn saturating_add(self, duration: SignedDuration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the moment that is earlier by the whole milliseconds of a duration.
    #[must_use]
    pub fn saturating_sub(self, duration: SignedDuration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns the time that has passed since another moment. It is negative if the other moment is later.
    pub fn duration_since(self, other: Self) -> SignedDuration {
        SignedDuration::from_millis(self.0.saturating_sub(other.0))
    }
}

/// The whole milliseconds of a duration, or the most or fewest that there are.
fn millis(duration: SignedDuration) -> i64 {
    let most = if duration.is_negative() { i64::MIN } else { i64::MAX };
    i64::try_from(duration.as_millis()).unwrap_or(most)
}

/// A time before 1970 becomes 1970: then the clock of the machine is not set.
impl From<SystemTime> for UnixMillis {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A time before 1970 becomes 1970: then the clock of the machine is not set.
impl From<SystemTime> for UnixSeconds {
    fn from(time: SystemTime) -> Self {
        UnixMillis::from(time).to_seconds()
    }
}

impl From<Timestamp> for UnixMillis {
    fn from(moment: Timestamp) -> Self {
        Self(moment.as_millisecond())
    }
}

impl From<Timestamp> for UnixSeconds {
    fn from(moment: Timestamp) -> Self {
        Self(moment.as_second())
    }
}

/// Returns the first moment of a day in a time zone; the last moment of all if calendars do not reach that far.
pub fn midnight(day: Date, zone: &TimeZone) -> UnixMillis {
    let begin = day.to_zoned(zone.clone()).and_then(|moment| moment.start_of_day());
    begin.map_or(UnixMillis::MAX, |begin| begin.timestamp().into())
}

/// Returns the day of a moment in a time zone, and the span from its midnight to the next one.
pub fn day_of(moment: UnixMillis, zone: &TimeZone) -> (Date, Range<UnixMillis>) {
    let day = moment.timestamp().unwrap_or_default().to_zoned(zone.clone()).date();
    let next = day.checked_add(1.day());
    let end = next.map_or(UnixMillis::MAX, |next| midnight(next, zone));
    (day, midnight(day, zone)..end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn arithmetic_stops_at_the_first_and_the_last_moment() {
        let (long, back) = (SignedDuration::MAX, SignedDuration::MIN);
        assert_eq!(UnixMillis(1).saturating_add(long), UnixMillis::MAX);
        assert_eq!(UnixMillis(-1).saturating_sub(long), UnixMillis::MIN);
        assert_eq!(UnixMillis(-1).saturating_add(back), UnixMillis::MIN);
        assert_eq!(UnixSeconds(1).saturating_add(long), UnixSeconds::MAX);
        assert_eq!(UnixSeconds(-1).saturating_sub(long), UnixSeconds::MIN);
        assert_eq!(UnixSeconds::MAX.to_millis(), UnixMillis::MAX);
        assert_eq!(UnixMillis::MAX.timestamp(), None);
        assert!(UnixSeconds::MIN.duration_since(UnixSeconds::MAX).is_negative());
        let moment = UnixMillis(5_000).saturating_add(SignedDuration::from_millis(250));
        assert_eq!(moment.duration_since(UnixMillis(6_000)).as_millis(), -750);
    }

    #[test]
    fn a_clock_before_1970_counts_as_1970() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!((UnixMillis::from(before), UnixSeconds::from(before)), Default::default());
        let after = UNIX_EPOCH + Duration::from_millis(1_999);
        assert_eq!(
            (UnixMillis::from(after), UnixSeconds::from(after)),
            (UnixMillis(1_999), UnixSeconds(1))
        );
    }

    #[test]
    fn a_day_lasts_from_midnight_to_midnight_in_its_time_zone() {
        let zone = |name| jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap();
        let (day, span) = day_of(UnixMillis(1_795_636_800_000), &zone("Asia/Shanghai"));
        assert_eq!(day.to_string(), "2026-11-26");
        assert_eq!(span, UnixMillis(1_795_622_400_000)..UnixMillis(1_795_708_800_000));
        // The clocks go forward on 29 March 2026 and back on 25 October 2026.
        for (moment, hours) in [("2026-03-29T12:00Z", 23), ("2026-10-25T12:00Z", 25)] {
            let moment = moment.parse::<Timestamp>().unwrap().into();
            let (_, span) = day_of(moment, &zone("Europe/Berlin"));
            assert_eq!(span.end.duration_since(span.start).as_hours(), hours);
            assert!(span.contains(&moment));
        }
    }

    #[test]
    fn a_moment_is_serialized_as_its_number() {
        assert_eq!(serde_json::to_string(&UnixMillis(-12)).unwrap(), "-12");
        assert_eq!(serde_json::from_str::<UnixSeconds>("12").unwrap(), UnixSeconds(12));
    }
}
