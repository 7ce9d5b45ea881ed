//! Numbers as people read them: rates, thousands, durations.
//!
//! No crate is used, because each format takes a few lines and is fixed by tests, and the crates round or spell
//! differently.

/// A rate without needless zeros: `1`, `0.25`, `37.1`.
pub fn rate(per_second: f64) -> String {
    let digits = if per_second < 10.0 { 3 } else { 1 };
    let text = format!("{per_second:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with commas between thousands: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things with the right form of the noun: `1 image`, `1,204 images`. The plural is formed with an s.
pub fn counted(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number))
}

/// An amount of money with two digits after the point. A smaller amount has as many as show two of its digits, at most five.
pub fn money(amount: f64) -> String {
    let small = amount.abs();
    let digits = match small {
        0.01..0.1 => 3,
        0.001..0.01 => 4,
        0.000_005..0.001 => 5,
        _ => 2,
    };
    let text = format!("{amount:.digits$}");
    match text.find('.') {
        Some(point) if digits > 2 => {
            let least = point + 3;
            let end = text.trim_end_matches('0').len().max(least);
            text[..end].to_owned()
        }
        _ => text,
    }
}

/// A duration in seconds as people say it: `42 s`, `3 min 5 s`, `2 h 7 min`.
pub fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => {
            // A long duration is rounded to the nearest minute.
            let minutes = (whole + 30) / 60;
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
    }
}

/// A duration that is not exactly known, from its bounds in seconds: `3 min 5 s to 2 h 7 min`. Bounds that hardly differ
/// are told as one duration.
pub fn span(least: f64, most: Option<f64>) -> String {
    match most {
        None => format!("at least {}", duration(least)),
        Some(most) if most - least < 1.0 || most < least * 1.1 => duration(most),
        Some(most) => format!("{} to {}", duration(least), duration(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas_and_rates_have_no_needless_digits() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1.0, 0.25, 100.0, 37.123].map(rate), ["1", "0.25", "100", "37.1"]);
    }

    #[test]
    fn one_thing_is_told_in_the_singular() {
        assert_eq!(
            [0, 1, 1_204].map(|n| counted(n, "image")),
            ["0 images", "1 image", "1,204 images"]
        );
    }

    #[test]
    fn a_small_amount_shows_its_first_digits_and_no_more() {
        let amounts = [0.0, 0.000_001_2, 0.00012, 0.0012, 0.04, 0.012, 0.12, 1.5, 1234.567];
        let told =
            ["0.00", "0.00", "0.00012", "0.0012", "0.04", "0.012", "0.12", "1.50", "1234.57"];
        assert_eq!(amounts.map(money), told);
    }

    #[test]
    fn a_duration_is_told_in_its_two_largest_units() {
        assert_eq!(duration(0.4), "0 s");
        assert_eq!(duration(185.0), "3 min 5 s");
        assert_eq!(duration(7620.0), "2 h 7 min");
        assert_eq!(duration(11_980.0), "3 h 20 min");
    }
}
