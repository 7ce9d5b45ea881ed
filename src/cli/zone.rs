//! The local time zone, for commands that count days, and dates and times that are given to commands.

use std::sync::Once;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::visible::visible;
use crate::zone;

/// The time zone of this machine. If there is none, UTC is used, and a warning is printed once.
pub(super) fn local() -> TimeZone {
    static TOLD: Once = Once::new();
    let local = zone::local();
    TOLD.call_once(|| {
        if let Some(problem) = &local.problem {
            say!("warning: {}", visible(problem));
        }
    });
    local.zone.clone()
}

/// Reads a date, or a date and time. Without a time zone it is local time.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let local = |time: DateTime| time.to_zoned(local()).map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Zoned>().map(|zoned| zoned.timestamp()))
        .or_else(|_| text.parse::<Date>().and_then(|date| local(date.at(0, 0, 0, 0))))
        .or_else(|_| text.parse::<DateTime>().and_then(local))
        .map_err(|_| "expected a date such as 2026-11-01, or a date and time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_without_a_zone_is_local_and_other_text_is_refused() {
        let utc = moment("2026-11-01T06:30:00+08:00").unwrap();
        assert_eq!(utc.to_string(), "2026-10-31T22:30:00Z");
        let day = Date::constant(2026, 11, 1).at(0, 0, 0, 0).to_zoned(local()).unwrap();
        assert_eq!(moment("2026-11-01").unwrap(), day.timestamp());
        assert!(moment("2026-11-01T06:30").is_ok());
        for wrong in ["", "yesterday", "2026-11", "2026-13-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
