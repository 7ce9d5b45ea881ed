//! What only the process of a run knows while it works, as it leaves it in the database for other programs.

use serde::{Deserialize, Serialize};

use crate::time::UnixMillis;

/// The facts about a run at work. It is one row, in JSON, and is replaced about once a second. The names of its fields are
/// read by other versions, so they must not change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    /// `run.id`.
    pub run: i64,
    /// When this was written.
    pub at: UnixMillis,
    /// Whether everything is listed.
    pub listed: bool,
    /// Calls a second over the last seconds. Absent until it is measured.
    pub per_second: Option<f64>,
    /// The rate of calls that is allowed now, in calls a second. Absent if it is that of the settings.
    pub pace: Option<f64>,
    /// The rate of the settings, in calls a second. Absent if there is none.
    pub cap: Option<f64>,
    /// Calls in flight.
    pub in_flight: u64,
    /// What the run waits for. Absent if it does not wait.
    pub waits: Option<LiveWait>,
    /// The shortest time, in seconds, that the run is likely to take. Absent if it is not known.
    pub left_least: Option<f64>,
    /// The longest time, in seconds. Absent if it is not known.
    pub left_most: Option<f64>,
    /// When calls end, and which limit says so, as text. Absent if there is no such limit.
    pub window: Option<String>,
}

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveWait {
    /// What the run waits for, as text that can follow "waiting: ".
    pub what: String,
    /// The beginning of the wait.
    pub since: UnixMillis,
    /// When the run goes on, or tries again.
    pub until: UnixMillis,
    /// When the run stops if the reason lasts. Absent if the wait ends by itself.
    pub gives_up: Option<UnixMillis>,
}

impl Live {
    /// The shortest and the longest time, in seconds, that the run is likely to take from `now` on. Absent if they are
    /// not known.
    pub fn left(&self, now: UnixMillis) -> Option<(f64, Option<f64>)> {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        let less = |seconds: f64| (seconds - passed).max(0.0);
        self.left_least.map(|least| (less(least), self.left_most.map(less)))
    }

    /// Whether a person would see another picture, apart from the time left, which passes by itself.
    pub fn differs(&self, other: &Self) -> bool {
        let still = |live: &Self| Self {
            at: UnixMillis::default(),
            left_least: None,
            left_most: None,
            ..live.clone()
        };
        still(self) != still(other)
    }
}
