//! What is shown about a run while it goes on.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{Budget, Rate};
use crate::job::{Left, Snapshot};
use crate::numbers::span;
use crate::store::model::Counts;

/// What is known about a run at one moment.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) now: Snapshot,
    /// The counts before this invocation.
    pub(super) before: Counts,
    /// The rate of the settings.
    pub(super) cap: Rate,
    pub(super) budget: Budget,
    /// When calls end. Absent if there is no such limit.
    pub(super) window: Option<String>,
}

/// The time left in words: a range while it is not known how much is still to be listed.
pub(super) fn in_words(left: Left) -> String {
    span(left.least, left.most)
}

/// The time of day on this machine's clock, for people.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}
