//! Times in exports: ISO 8601 in UTC, with whole seconds.

use crate::time::UnixSeconds;

/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH: i64 = 719_468;

/// The last second of the year 9999: later years do not fit in four digits.
const LAST: i64 = 253_402_300_799;

/// Appends a time such as `2026-03-14T08:15:30Z`. Appends nothing for a year before 0 or after 9999.
///
/// No crate is used, because an export formats two times per object. Years begin on 1 March here, so that the leap day
/// is the last day of a year (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
pub fn iso_seconds(UnixSeconds(seconds): UnixSeconds, out: &mut Vec<u8>) {
    if !(-EPOCH * 86_400..=LAST).contains(&seconds) {
        return;
    }
    let (days, of_day) = (seconds.div_euclid(86_400) + EPOCH, seconds.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    two(year / 100, out);
    two(year % 100, out);
    for (sign, part) in [
        (b'-', month),
        (b'-', day),
        (b'T', of_day / 3_600),
        (b':', of_day / 60 % 60),
        (b':', of_day % 60),
    ] {
        out.push(sign);
        two(part, out);
    }
    out.push(b'Z');
}

fn two(number: i64, out: &mut Vec<u8>) {
    let digit = |n: i64| b'0' + u8::try_from(n % 10).unwrap_or(0);
    out.extend([digit(number / 10), digit(number)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_calendar() {
        let mut seconds = -EPOCH * 86_400;
        while seconds <= LAST {
            let mut text = Vec::new();
            iso_seconds(UnixSeconds(seconds), &mut text);
            let expected = jiff::Timestamp::from_second(seconds.min(253_402_207_200)).unwrap();
            if expected.as_second() == seconds {
                assert_eq!(String::from_utf8(text).unwrap(), expected.to_string());
            }
            seconds += 86_400 * 13 + 3_661;
        }
        for outside in [LAST + 1, -EPOCH * 86_400 - 1, i64::MAX, i64::MIN] {
            let mut text = Vec::new();
            iso_seconds(UnixSeconds(outside), &mut text);
            assert!(text.is_empty());
        }
    }
}
