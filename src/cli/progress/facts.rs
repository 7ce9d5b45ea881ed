//! What is shown about a run while it goes on.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{Budget, Rate};
use crate::job::Snapshot;
use crate::store::model::Counts;

/// What is known about a run at one moment.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) now: Snapshot,
    /// The counts before this invocation.
    pub(super) before: Counts,
    /// Calls a second. Absent until it is measured.
    pub(super) per_second: Option<f64>,
    /// The rate of the settings.
    pub(super) cap: Rate,
    pub(super) budget: Budget,
    /// The remaining time in seconds. Absent if it is not known.
    pub(super) left: Option<f64>,
    /// When calls end. Absent if there is no such limit.
    pub(super) window: Option<String>,
}

/// The time of day on this machine's clock, for people.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}
