//! The types of checked settings: rates, limits, times of day, filters.

use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::glob::Meaning;
use crate::scene::Scenes;

/// The most requests that are sent in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// No limit: the workers send as fast as they can.
    Unlimited,
    /// At most this many a second; finite and above zero.
    PerSecond(f64),
    /// The rate is raised until the service throttles, and follows its limit.
    Auto,
}

/// The most calls in flight at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// As many as the pace needs, up to [`Workers::MOST_OF_AUTO`].
    Auto,
    /// This number, at most [`Workers::MOST`].
    Most(NonZeroUsize),
}

impl Workers {
    /// The largest number.
    pub const MOST: usize = 4096;
    /// The most workers of `auto`.
    pub const MOST_OF_AUTO: usize = 1024;

    /// The most calls that may ever be in flight at a time.
    pub const fn most(self) -> usize {
        match self {
            Self::Auto => Self::MOST_OF_AUTO,
            Self::Most(number) => number.get(),
        }
    }
}

/// When failures stop a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FailureLimit {
    /// Failures never stop the run.
    Unlimited,
    /// The run stops as soon as this many of its images have failed.
    Count(NonZeroU64),
    /// The run stops as soon as this share of the last 1,000 images has failed and a short probe fails too. The share
    /// is above 0 and at most 100.
    Percent(f64),
}

/// What a unit of billing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Billing {
    /// Each scene that a call asks for: a call for two scenes costs twice as much as a call for one.
    ///
    /// The API page of the sister product ("Image tagging", `DetectLabel`) says this about the versions in one request. No
    /// page says anything else about `detect-label`.
    #[default]
    Scene,
    /// Each call counts once, however many scenes it asks for.
    Call,
}

impl Billing {
    /// The name in settings and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scene => "scene",
            Self::Call => "call",
        }
    }

    /// The units of billing of one call for these scenes; at least one.
    pub fn units(self, scenes: Scenes) -> u64 {
        match self {
            Self::Scene => u64::from(scenes.len()).max(1),
            Self::Call => 1,
        }
    }

    /// The units of billing of this many calls that asked for this many scenes in all.
    pub const fn units_of(self, calls: u64, scenes: u64) -> u64 {
        match self {
            Self::Scene => scenes,
            Self::Call => calls,
        }
    }
}

/// When a notification about a run is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notify {
    /// Never.
    #[default]
    Never,
    /// After every run.
    Always,
    /// After a run whose exit code is no success.
    Trouble,
    /// After a run whose exit code is not that of the run before.
    Change,
}

impl Notify {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Trouble, Self::Change, Self::Always, Self::Never];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Always => "always",
            Self::Trouble => "trouble",
            Self::Change => "change",
        }
    }
}

/// The language of messages that people read elsewhere than at a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }
}

/// The time of day at which a run stops sending calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// Hour and minute.
    pub time: Time,
    /// The offset that was given with the time; `None` means the local time zone.
    pub offset: Option<Offset>,
}

impl Until {
    /// The first moment after `now` at which the clock shows this time, in the time zone `local` if no offset was given.
    ///
    /// If a clock change skips the time on that day, this is the moment of the change. If a day has the time twice, this is
    /// the first of both that is still to come. It is never `now` itself: a run that starts at the very moment at which its
    /// window closes has until tomorrow.
    pub fn after(&self, now: Timestamp, local: &TimeZone) -> Timestamp {
        let zone = self.offset.map_or_else(|| local.clone(), TimeZone::fixed);
        let today = now.to_zoned(zone.clone()).date();
        // Starts with yesterday: a clock that goes back at midnight shows the end of yesterday a second time.
        (-1..=2)
            .filter_map(|days| today.checked_add(days.days()).ok())
            .flat_map(|date| shown(&zone, date.to_datetime(self.time)))
            .flatten()
            .filter(|moment| *moment > now)
            .min()
            .unwrap_or(Timestamp::MAX)
    }
}

/// The moments at which the clocks of a time zone show this time: one, or two if the clocks go back. If the clocks skip
/// the time, this is the moment of the change.
fn shown(zone: &TimeZone, time: DateTime) -> [Option<Timestamp>; 2] {
    let by = |offset: Offset| offset.to_timestamp(time).ok();
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => [by(offset), None],
        AmbiguousOffset::Fold { before, after } => [by(before), by(after)],
        AmbiguousOffset::Gap { before, .. } => {
            // With the offset before the change, the time lies after the change.
            let change = by(before).and_then(|after| {
                let after = after.checked_add(1.nanosecond()).ok()?;
                zone.preceding(after).next().map(|transition| transition.timestamp())
            });
            [change, None]
        }
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

/// How a run shows its progress on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProgressForm {
    /// A block on a terminal that can move its cursor, and lines elsewhere.
    #[default]
    Auto,
    /// A block that is drawn again and again.
    Bar,
    /// A line from time to time.
    Plain,
    /// A JSON object on a line from time to time.
    Json,
    /// Nothing.
    None,
}

impl ProgressForm {
    /// Every form.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Bar, Self::Plain, Self::Json, Self::None];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Bar => "bar",
            Self::Plain => "plain",
            Self::Json => "json",
            Self::None => "none",
        }
    }
}

/// Which listed objects are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Suffixes in lower case, without the dot. They are compared without regard to case. If empty, every suffix fits.
    pub suffixes: Vec<String>,
    /// Globs of which at least one must match the key. If empty, every key fits.
    pub include: Vec<String>,
    /// Globs of which none may match the key.
    pub exclude: Vec<String>,
    /// Objects smaller than this number of bytes are skipped.
    pub min_size: u64,
    /// Objects larger than this number of bytes are skipped. `None` means no limit.
    pub max_size: Option<u64>,
    /// Whether the archive classes (ARCHIVE, `DEEP_ARCHIVE`, `MAZ_ARCHIVE`) are wanted too.
    pub archive: bool,
    /// What the globs are compared with. The first versions did not store it.
    #[serde(
        default = "Meaning::of_first_versions",
        skip_serializing_if = "Meaning::is_of_first_versions"
    )]
    pub globs: Meaning,
}

impl Filter {
    /// Whether there are globs, so that their meaning matters.
    pub fn has_globs(&self) -> bool {
        !(self.include.is_empty() && self.exclude.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_closes_at_the_next_moment_with_its_time() {
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

    #[test]
    fn a_window_closes_once_on_days_that_skip_or_repeat_its_time() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let until = |hour, minute| Until { time: Time::constant(hour, minute, 0, 0), offset: None };
        let half_past_two = |now: &str| until(2, 30).after(at(now), &berlin);
        // On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00.
        let change = at("2026-03-29T01:00:00Z");
        assert_eq!(half_past_two("2026-03-28T22:00:00Z"), change);
        assert_eq!(half_past_two("2026-03-29T00:59:59Z"), change);
        assert_eq!(half_past_two("2026-03-29T01:00:00Z"), at("2026-03-30T00:30:00Z"));
        assert_eq!(until(2, 0).after(at("2026-03-28T22:00:00Z"), &berlin), change);
        assert_eq!(until(3, 0).after(at("2026-03-28T22:00:00Z"), &berlin), change);
        // On 25 October 2026 they go from 03:00 to 02:00.
        let (first, second) = (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
        assert_eq!(half_past_two("2026-10-24T22:00:00Z"), first);
        assert_eq!(half_past_two("2026-10-25T00:30:00Z"), second, "begun between the two");
        assert_eq!(half_past_two("2026-10-25T01:30:00Z"), at("2026-10-26T01:30:00Z"));
        // Clocks that go back at midnight show the end of the day twice.
        let havana = TimeZone::get("America/Havana").unwrap();
        let now = at("2026-11-01T05:10:00Z");
        assert_eq!(now.to_zoned(havana.clone()).time(), Time::constant(0, 10, 0, 0));
        assert_eq!(
            until(0, 30).after(at("2026-11-01T04:40:00Z"), &havana),
            at("2026-11-01T05:30:00Z")
        );
    }
}
