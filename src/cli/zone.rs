//! The local time zone, for commands that count days or read times of day.

use std::sync::Once;

use jiff::tz::TimeZone;

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
