//! Reads the times of a listing: the form that the service writes by a fast path, any other form of ISO 8601 by jiff.

use crate::time::UnixMillis;

/// Reads a time in ISO 8601 in UTC, with or without fractions of a second.
pub(super) fn parse_time(text: &str) -> Option<UnixMillis> {
    plain_time(text.as_bytes())
        .or_else(|| text.parse::<jiff::Timestamp>().ok().map(UnixMillis::from))
}

/// Reads the form `2026-03-14T08:15:30.000Z` and no other. Every entry of every page has it.
fn plain_time(text: &[u8]) -> Option<UnixMillis> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if text.len() != 24 || marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let clock = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    let (hour, minute, second) = clock;
    let milliseconds = number(&text[20..23])?;
    // Anything else falls back to jiff, such as a leap second or a text that is no time.
    if !(1..=12).contains(&month) || !(1..=28).contains(&day) && !is_day(year, month, day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // The days since 1970 are counted in years that begin in March, so that a leap day is the last day of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1
        - 719_468;
    Some(UnixMillis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milliseconds))
}

/// Returns `true` if the month has this day.
fn is_day(year: i64, month: i64, day: i64) -> bool {
    let last = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=last).contains(&day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn the_fast_path_reads_the_same_time_as_jiff(
            (year, month, day) in (0_i64..=9999, 0_i64..=13, 0_i64..=32),
            (hour, minute, second, part) in (0_i64..=24, 0_i64..=60, 0_i64..=61, 0_i64..1000),
        ) {
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{part:03}Z"
            );
            let any = text.parse::<jiff::Timestamp>().ok().map(UnixMillis::from);
            if let Some(plain) = plain_time(text.as_bytes()) {
                prop_assert_eq!(Some(plain), any, "{}", text);
            } else {
                let usual = any.is_some() && second < 60;
                prop_assert!(!usual, "{} is as usual as any", text);
            }
        }

        #[test]
        fn no_text_makes_the_fast_path_panic(text in "[0-9TZ:.\\-+é]{20,26}") {
            let _ = plain_time(text.as_bytes());
        }
    }
}
