//! Durations and times of day.

use std::fmt::Write as _;
use std::time::Duration;

use figment::value::Value;
use jiff::civil::Time;
use jiff::tz::Offset;

use super::texts::{Checked, scalar};
use crate::config::types::Until;

/// Reads a duration that an option of one command gives.
///
/// # Errors
/// What was expected.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    timeout(&Value::from(text))
}

/// The units of durations in milliseconds, the largest first. A duration is written in this order.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest duration in milliseconds: 366 days, which every clock can add to its time.
const LONGEST: u64 = 366 * 86_400_000;

/// A duration: whole numbers with the units d, h, m, s and ms, larger units first.
///
/// This is not read by a crate: jiff and humantime also accept fractions, signs, spelled-out units or any order, and
/// stored runs repeat what was typed.
pub(in crate::config) fn duration(value: &Value) -> Checked<Duration> {
    let expected = "expected a duration with its unit, such as 90s, 15m, 8h or 1h30m";
    let Value::String(_, text) = value else { return Err(expected.to_owned()) };
    let mut rest = text.trim();
    let mut total = 0_u64;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return Err(expected.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| expected.to_owned())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let name = &rest[..letters];
        rest = rest[letters..].trim_start();
        let (_, unit) =
            units.by_ref().find(|(unit, _)| *unit == name).ok_or_else(|| expected.to_owned())?;
        total = number
            .checked_mul(*unit)
            .and_then(|part| part.checked_add(total))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| "expected at most 366 days".to_owned())?;
    }
    Ok(Duration::from_millis(total))
}

/// A duration above zero.
pub(in crate::config) fn timeout(value: &Value) -> Checked<Duration> {
    match duration(value)? {
        Duration::ZERO => Err("expected a duration above zero".to_owned()),
        duration => Ok(duration),
    }
}

/// A duration. The empty text, 0 and a duration of zero mean no limit.
pub(in crate::config) fn optional_duration(value: &Value) -> Checked<Option<Duration>> {
    match scalar(value, "expected a duration in quotes, such as \"8h\"")?.as_str() {
        "" | "0" => Ok(None),
        _ => Ok(Some(duration(value)?).filter(|duration| !duration.is_zero())),
    }
}

/// Writes a duration in the form that [`duration`] reads.
pub(in crate::config) fn duration_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(LONGEST);
    let mut text = String::new();
    for (name, unit) in UNITS.iter().skip(1) {
        if rest >= *unit {
            let _ = write!(text, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A time of day, local or with an offset. The empty text means no limit.
pub(in crate::config) fn until(value: &Value) -> Checked<Option<Until>> {
    let expected =
        || "expected a time of day such as \"06:30\", or with its zone, \"06:30+08:00\"".to_owned();
    let Value::String(_, text) = value else { return Err(expected()) };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let split = text.find(['+', '-', 'Z']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(split);
    let minutes = |text: &str, hours: i32| -> Option<i32> {
        let (hour, minute) = text.split_once(':')?;
        let two = |part: &str| {
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse::<i32>().ok())
                .flatten()
        };
        let (hour, minute) = (two(hour)?, two(minute)?);
        (hour < hours && minute < 60).then_some(hour * 60 + minute)
    };
    let of_day = minutes(clock, 24).ok_or_else(expected)?;
    let offset = match zone.split_at_checked(1) {
        None => None,
        Some(("Z", "")) => Some(Offset::UTC),
        Some((sign @ ("+" | "-"), digits)) => {
            let sign = if sign == "-" { -60 } else { 60 };
            let minutes = minutes(digits, 15).ok_or_else(expected)?;
            Some(Offset::from_seconds(sign * minutes).map_err(|_| expected())?)
        }
        Some(_) => return Err(expected()),
    };
    let part = |n: i32| i8::try_from(n).map_err(|_| expected());
    let time = Time::new(part(of_day / 60)?, part(of_day % 60)?, 0, 0).map_err(|_| expected())?;
    Ok(Some(Until { time, offset }))
}
