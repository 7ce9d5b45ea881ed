//! The emulator's clock, which can be set wrong on purpose, and the forms of dates in the API.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time now in Unix seconds, plus `offset`.
pub(super) fn now(offset: i64) -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| i64::try_from(passed.as_secs()).unwrap_or(i64::MAX))
        .saturating_add(offset)
}

struct Civil {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
}

/// Converts Unix seconds to a date of the proleptic Gregorian calendar and a time of day in UTC.
fn civil(unix: i64) -> Civil {
    let days = unix.div_euclid(86_400);
    let second_of_day = unix.rem_euclid(86_400);
    let (year, month, day) = date(days);
    Civil {
        year,
        month,
        day,
        weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
        hour: second_of_day / 3600,
        minute: second_of_day / 60 % 60,
        second: second_of_day % 60,
    }
}

/// Returns year, month (1 to 12) and day of a day, which is counted from 1970-01-01. Computes with eras of 400 years
/// (146,097 days) that begin on 1 March.
pub(super) fn date(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

/// Returns the form of `Date` and `Last-Modified` (RFC 9110 section 5.6.7): `Thu, 16 May 2019 06:45:51 GMT`.
pub(super) fn http_date(unix: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Civil { year, month, day, weekday, hour, minute, second } = civil(unix);
    let (weekday, month) = (WEEKDAYS[weekday], MONTHS[month - 1]);
    let mut out = String::with_capacity(30);
    out.push_str(weekday);
    out.push_str(", ");
    push_digits(&mut out, day, 2, ' ');
    out.push_str(month);
    out.push(' ');
    push_digits(&mut out, year, 4, ' ');
    push_digits(&mut out, hour, 2, ':');
    push_digits(&mut out, minute, 2, ':');
    push_digits(&mut out, second, 2, ' ');
    out.push_str("GMT");
    out
}

/// Returns `2026-03-14T08:15:30` without a zone. The caller adds `.000Z` in listings and `Z` in errors.
pub(super) fn iso(unix: i64) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = civil(unix);
    let mut out = String::with_capacity(20);
    push_digits(&mut out, year, 4, '-');
    push_digits(&mut out, i64::try_from(month).unwrap_or(0), 2, '-');
    push_digits(&mut out, day, 2, 'T');
    push_digits(&mut out, hour, 2, ':');
    push_digits(&mut out, minute, 2, ':');
    push_digits(&mut out, second, 2, ' ');
    out.pop();
    out
}

/// Appends a number with leading zeros. This is faster than `write!`, which counts in a page of a thousand dates.
fn push_digits(out: &mut String, number: i64, width: u32, after: char) {
    for place in (0..width).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
    out.push(after);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_match_the_documented_examples() {
        assert_eq!(http_date(1_557_989_151), "Thu, 16 May 2019 06:45:51 GMT");
        assert_eq!(iso(1_773_476_130), "2026-03-14T08:15:30");
        assert_eq!(iso(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
