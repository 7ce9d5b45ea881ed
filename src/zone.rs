//! The time zone that days, times of day and dates are meant in: the one of this machine, found once.

use std::sync::OnceLock;

use jiff::tz::TimeZone;

/// The zone of this machine, or UTC if it tells none.
#[derive(Debug, Clone)]
pub struct Zone {
    /// The zone.
    pub zone: TimeZone,
    /// Why it is UTC although nobody chose that, as a sentence for people.
    pub problem: Option<String>,
}

/// The zone of this process: that of the variable `TZ`, else that of the machine. Found at the first call.
pub fn local() -> &'static Zone {
    static LOCAL: OnceLock<Zone> = OnceLock::new();
    LOCAL.get_or_init(|| {
        let variable = std::env::var_os("TZ").map(|value| value.to_string_lossy().into_owned());
        of(variable.as_deref(), TimeZone::try_system())
    })
}

/// The zone that `found` is, or UTC with the reason.
fn of(variable: Option<&str>, found: Result<TimeZone, jiff::Error>) -> Zone {
    match (found, variable) {
        (Ok(zone), _) if !zone.is_unknown() => Zone { zone, problem: None },
        (_, Some(name)) => Zone {
            zone: TimeZone::UTC,
            problem: Some(format!(
                "TZ={name:?} names no time zone that is known here, so days and times of day are those of UTC; \
                 give a name such as TZ=Asia/Shanghai, or TZ=UTC"
            )),
        },
        (_, None) => Zone {
            zone: TimeZone::UTC,
            problem: Some(
                "this machine does not tell its time zone (no /etc/localtime that can be read, and TZ is \
                 not set), so days and times of day are those of UTC; set TZ, such as TZ=Asia/Shanghai or TZ=UTC"
                    .to_owned(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_is_not_known_is_utc_and_is_told() {
        let unknown = || TimeZone::get("Nowhere/Land");
        let zone = of(Some("Nowhere/Land"), unknown());
        assert_eq!(zone.zone, TimeZone::UTC);
        assert!(zone.problem.unwrap().contains("TZ=\"Nowhere/Land\" names no time zone"));
        assert!(of(None, unknown()).problem.unwrap().contains("does not tell its time zone"));
        assert!(of(None, Ok(TimeZone::unknown())).problem.is_some());
        assert_eq!(of(Some(""), Ok(TimeZone::UTC)).problem, None);
    }

    #[test]
    fn names_are_known_without_data_of_the_machine() {
        for name in ["Europe/Berlin", "Asia/Shanghai", "America/New_York"] {
            let found = jiff::tz::TimeZoneDatabase::bundled().get(name);
            assert!(found.is_ok(), "{name}");
        }
    }
}
