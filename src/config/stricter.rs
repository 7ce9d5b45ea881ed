//! Finds the stricter of two values of a limit, for a run that is resumed.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::types::{FailureLimit, Rate, Until, Workers};

/// Replaces the value that was typed by the value that is set now if that one is stricter. Returns whether it did.
/// `None` means no limit.
pub(super) fn take_if_less<T: Copy>(
    typed: &mut Option<T>,
    now: Option<T>,
    is_stricter: impl Fn(T, T) -> bool,
) -> bool {
    let stricter = match (now, *typed) {
        (Some(now), Some(typed)) => is_stricter(now, typed),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if stricter {
        *typed = now;
    }
    stricter
}

/// Replaces the value that was typed by the value that is set now if that one is stricter. Returns whether it did.
pub(super) fn take_if<T: Clone>(
    typed: &mut T,
    now: &T,
    is_stricter: impl Fn(&T, &T) -> bool,
) -> bool {
    let stricter = is_stricter(now, typed);
    if stricter {
        typed.clone_from(now);
    }
    stricter
}

pub(super) fn is_slower(now: &Rate, typed: &Rate) -> bool {
    match (now, typed) {
        (Rate::PerSecond(now), Rate::PerSecond(typed)) => now < typed,
        (Rate::PerSecond(_), _) | (Rate::Auto, Rate::Unlimited) => true,
        (Rate::Auto | Rate::Unlimited, _) => false,
    }
}

/// A number is stricter than `auto` if it is below the most that `auto` uses.
pub(super) fn has_fewer(now: Workers, typed: Workers) -> bool {
    matches!(now, Workers::Most(_)) && now.most() < typed.most()
}

pub(super) fn allows_fewer_failures(now: &FailureLimit, typed: &FailureLimit) -> bool {
    match (now, typed) {
        (FailureLimit::Unlimited, _) => false,
        (FailureLimit::Count(now), FailureLimit::Count(typed)) => now < typed,
        (FailureLimit::Percent(now), FailureLimit::Percent(typed)) => now < typed,
        // A number and a share cannot be compared: the value that is set now applies.
        (FailureLimit::Count(_) | FailureLimit::Percent(_), _) => true,
    }
}

pub(super) fn closes_sooner(now: Until, typed: Until) -> bool {
    let moment = |until: Until| until.after(Timestamp::now(), &TimeZone::system());
    moment(now) < moment(typed)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::config::definitions::{self, Resume};
    use crate::config::typed::Typed;
    use crate::config::{Files, Origin, PartialOptions, Settings};

    fn options(pairs: &[(&'static str, &str)]) -> PartialOptions {
        let mut options = PartialOptions::default();
        for (key, text) in pairs {
            options.text(key, Some(text));
        }
        options
    }

    fn typed(pairs: &[(&'static str, &str)]) -> Typed {
        options(pairs).kept()
    }

    fn again(
        now: &[(&'static str, &str)],
        environment: &[(&'static str, &str)],
        typed: &Typed,
    ) -> (Settings, crate::config::Provenance) {
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| crate::config::variable(key) == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::resolve_again(&options(now), variable, &Files::default(), typed).unwrap()
    }

    #[rstest]
    #[case("qps", "50", "5", "5")]
    #[case("qps", "5", "50", "5")]
    #[case("qps", "0", "auto", "auto")]
    #[case("qps", "auto", "0", "auto")]
    #[case("qps", "auto", "7", "7")]
    #[case("qps", "7", "auto", "7")]
    #[case("workers", "64", "8", "8")]
    #[case("workers", "auto", "8", "8")]
    #[case("workers", "8", "auto", "8")]
    #[case("list_workers", "2", "8", "2")]
    #[case("max_failures", "50%", "10%", "10%")]
    #[case("max_failures", "3", "5", "3")]
    #[case("max_failures", "0", "5", "5")]
    #[case("max_failures", "3", "90%", "90%")]
    #[case("max_calls", "100", "10", "10")]
    #[case("max_calls", "0", "10", "10")]
    #[case("max_calls", "10", "0", "10")]
    #[case("daily_calls", "9", "10", "9")]
    #[case("max_duration", "8h", "1h", "1h")]
    #[case("max_duration", "", "1h", "1h")]
    #[case("confirm_above", "0", "100", "100")]
    #[case("price_per_1000_calls", "1", "2", "2")]
    #[case("price_per_1000_calls", "2", "1", "2")]
    #[case("billing", "call", "scene", "scene")]
    #[case("billing", "scene", "call", "scene")]
    fn the_stricter_limit_holds(
        #[case] key: &'static str,
        #[case] typed_then: &str,
        #[case] environment: &'static str,
        #[case] holds: &str,
    ) {
        let typed = typed(&[(key, typed_then)]);
        let (settings, origins) = again(&[], &[(key, environment)], &typed);
        let expected = again(&[(key, holds)], &[], &Typed::default()).0;
        assert_eq!((settings.pace, &settings.budget), (expected.pace, &expected.budget));
        let from_environment = origins[key] != Origin::Run;
        assert_eq!(from_environment, holds == environment && holds != typed_then, "{origins:?}");
        // Without a variable, the typed value applies. An option that is given now replaces it.
        let alone = again(&[], &[], &typed).0;
        let expected = again(&[(key, typed_then)], &[], &Typed::default()).0;
        assert_eq!((alone.pace, &alone.budget), (expected.pace, &expected.budget));
        let (replaced, origins) = again(&[(key, typed_then)], &[(key, environment)], &typed);
        assert_eq!((replaced.pace, &replaced.budget), (expected.pace, &expected.budget));
        assert!(matches!(origins[key], Origin::Option(_)));
    }

    #[test]
    fn the_window_that_closes_first_holds() {
        let soon = |minutes: i64| {
            let now = jiff::Zoned::now();
            let then = now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
            then.strftime("%H:%M").to_string()
        };
        let (sooner, later) = (soon(60), soon(120));
        for (then, environment) in [(&sooner, &later), (&later, &sooner)] {
            let environment: &'static str = environment.clone().leak();
            let kept = typed(&[("until", then)]);
            let (settings, _) = again(&[], &[("until", environment)], &kept);
            assert_eq!(settings.budget.until.unwrap().to_string(), sooner);
        }
    }

    #[test]
    fn a_typed_option_that_is_not_a_limit_wins_over_the_environment() {
        let kept = typed(&[("timeout", "7s"), ("currency", "EUR")]);
        let (settings, origins) = again(&[], &[("timeout", "3s"), ("cooldown", "2s")], &kept);
        assert_eq!(settings.connection.timeout.as_secs(), 7);
        assert_eq!(settings.connection.cooldown.as_secs(), 2);
        assert_eq!(origins["timeout"], Origin::Run);
        assert_eq!(kept.command_line(|_| true), "--currency EUR --timeout 7s");
    }

    #[test]
    fn the_stricter_value_of_every_limit_is_found() {
        let limits = definitions::all().filter_map(|setting| match setting.resume {
            Resume::Stricter(keep_stricter) => Some((setting.name, keep_stricter)),
            _ => None,
        });
        let loose = [
            ("max_failures", "0"),
            ("qps", "0"),
            ("list_qps", "0"),
            ("workers", "4096"),
            ("list_workers", "256"),
            ("billing", "call"),
            ("confirm_above", "0"),
        ];
        let strict = [
            ("max_duration", "1h"),
            ("until", "06:30"),
            ("billing", "scene"),
            ("max_failures", "1"),
        ];
        for (limit, keep_stricter) in limits {
            let of = |values: &[(&str, &'static str)], usual| {
                values.iter().find(|(key, _)| *key == limit).map_or(usual, |(_, value)| *value)
            };
            let empty = matches!(limit, "max_duration" | "until");
            let loosest = of(&loose, if empty { "" } else { "0" });
            let strictest = of(&strict, "1");
            // A maximum cost needs a price.
            let price = [("price_per_1000_calls", "1")];
            let price = if limit == "price_per_1000_calls" { &[][..] } else { &price[..] };
            let loose = [&[(limit, loosest)], price].concat();
            let strict = [&[(limit, strictest)], price].concat();
            let mut again = again(&loose, &[], &Typed::default()).0;
            let now = super::tests::again(&strict, &[], &Typed::default()).0;
            assert!(keep_stricter(&mut again, &now), "{}", limit);
            assert_eq!((again.pace, again.budget), (now.pace, now.budget), "{limit}");
        }
    }
}
