//! The checked types of settings: what a limit, a rate, a time of day means once it has been read.

use std::fmt;
use std::num::NonZeroU64;

use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

/// How many requests a second are sent at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// As fast as the workers go.
    Unlimited,
    /// At most this many a second; finite and above zero.
    PerSecond(f64),
    /// As fast as the service takes them: raised until it throttles.
    Auto,
}

/// When failures stop a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FailureLimit {
    /// Never.
    Unlimited,
    /// As soon as this many images have failed in this run.
    Count(NonZeroU64),
    /// As soon as this share of the last 1,000 images has failed, and a short probe fails too; above 0, at
    /// most 100.
    Percent(f64),
}

/// The time of day at which a run stops sending calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// Hour and minute.
    pub time: Time,
    /// The zone it is meant in; none: the local zone.
    pub offset: Option<Offset>,
}

impl Until {
    /// The first moment after `now` at which the clock shows this time, by `local` if no zone was given.
    ///
    /// A time that a clock change skips is the moment the clock jumped to. `now` itself is never the
    /// answer: a window that closes at the very moment of the start is tomorrow's.
    pub fn after(&self, now: Timestamp, local: &TimeZone) -> Timestamp {
        let zone = self.offset.map_or_else(|| local.clone(), TimeZone::fixed);
        let start: Zoned = now.to_zoned(zone.clone());
        (0..=2)
            .filter_map(|days| start.date().checked_add(days.days()).ok())
            .filter_map(|date| date.to_datetime(self.time).to_zoned(zone.clone()).ok())
            .map(|zoned| zoned.timestamp())
            .find(|moment| *moment > now)
            .unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.time.hour(), self.time.minute())?;
        let Some(offset) = self.offset else { return Ok(()) };
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

/// The form of log lines on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which listed objects are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Lowercase, without the dot; compared without regard to case. Empty: every suffix.
    pub suffixes: Vec<String>,
    /// Globs of which one must match the key; empty: every key.
    pub include: Vec<String>,
    /// Globs of which none may match the key.
    pub exclude: Vec<String>,
    /// Bytes; smaller objects are skipped.
    pub min_size: u64,
    /// Bytes; larger objects are skipped. None: no upper bound.
    pub max_size: Option<u64>,
    /// Whether the archive classes (ARCHIVE, `DEEP_ARCHIVE`, `MAZ_ARCHIVE`) are wanted too.
    pub archive: bool,
}

/// The suffixes of the formats that `detect-label` reads.
const SUFFIXES: [&str; 11] =
    ["jpg", "jpeg", "png", "bmp", "webp", "gif", "heic", "heif", "avif", "tif", "tiff"];

impl Default for Filter {
    fn default() -> Self {
        Self {
            suffixes: SUFFIXES.map(str::to_owned).to_vec(),
            include: Vec::new(),
            exclude: Vec::new(),
            min_size: 0,
            max_size: None,
            archive: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_closes_at_the_next_such_time() {
        let until = Until {
            time: Time::constant(6, 30, 0, 0),
            offset: Some(Offset::from_seconds(8 * 3600).unwrap()),
        };
        let utc = TimeZone::UTC;
        assert_eq!(until.after(at("2026-03-14T15:00:00Z"), &utc), at("2026-03-14T22:30:00Z"));
        assert_eq!(until.after(at("2026-03-14T22:29:59Z"), &utc), at("2026-03-14T22:30:00Z"));
        assert_eq!(until.after(at("2026-03-14T22:30:00Z"), &utc), at("2026-03-15T22:30:00Z"));
        let local = Until { offset: None, ..until };
        assert_eq!(local.after(at("2026-03-14T22:30:00Z"), &utc), at("2026-03-15T06:30:00Z"));
        assert_eq!(until.to_string(), "06:30+08:00");
    }
}
