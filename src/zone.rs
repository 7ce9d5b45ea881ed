//! The time zone of this machine, in which days, times of day and dates are meant. It is determined once.

use std::sync::OnceLock;

use jiff::tz::TimeZone;

/// The time zone of this machine, or UTC if the machine has none.
#[derive(Debug, Clone)]
pub struct Zone {
    /// The time zone.
    pub zone: TimeZone,
    /// Why UTC is used although nobody chose it, as a sentence for people; `None` otherwise.
    pub problem: Option<String>,
}

/// The time zone of this process: the one of the variable `TZ`, or else the one of the machine. The first call determines
/// it, and later calls return the same.
pub fn local() -> &'static Zone {
    static LOCAL: OnceLock<Zone> = OnceLock::new();
    LOCAL.get_or_init(|| {
        let variable = std::env::var_os("TZ").map(|value| value.to_string_lossy().into_owned());
        of(variable.as_deref(), TimeZone::try_system())
    })
}

/// The time zone that was found, or UTC with the reason.
fn of(variable: Option<&str>, found: Result<TimeZone, jiff::Error>) -> Zone {
    match (found, variable) {
        (Ok(zone), _) if !zone.is_unknown() => Zone { zone, problem: None },
        (_, Some(name)) => Zone {
            zone: TimeZone::UTC,
            problem: Some(format!(
                "TZ={name:?} names no known time zone, so days and times of day are those of UTC; give a name such as \
                 TZ=Asia/Shanghai, or TZ=UTC"
            )),
        },
        (_, None) => Zone {
            zone: TimeZone::UTC,
            problem: Some(
                "the time zone of this machine is not known (/etc/localtime cannot be read, and TZ is not set), \
                 so days and times of day are those of UTC; set TZ, such as TZ=Asia/Shanghai or TZ=UTC"
                    .to_owned(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_time_zone_becomes_utc_with_a_warning() {
        let unknown = || TimeZone::get("Nowhere/Land");
        let zone = of(Some("Nowhere/Land"), unknown());
        assert_eq!(zone.zone, TimeZone::UTC);
        assert!(zone.problem.unwrap().contains("TZ=\"Nowhere/Land\" names no known time zone"));
        assert!(
            of(None, unknown()).problem.unwrap().contains("time zone of this machine is not known")
        );
        assert!(of(None, Ok(TimeZone::unknown())).problem.is_some());
        assert_eq!(of(Some(""), Ok(TimeZone::UTC)).problem, None);
    }

    #[test]
    fn time_zones_are_known_without_data_of_the_machine() {
        for name in ["Europe/Berlin", "Asia/Shanghai", "America/New_York"] {
            let found = jiff::tz::TimeZoneDatabase::bundled().get(name);
            assert!(found.is_ok(), "{name}");
        }
    }
}
