//! The ledger: sums of calls, and the rate that it shows.

use std::ops::Range;

use crate::time::UnixMillis;

/// How the calls of the ledger are grouped, and which of them are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerQuery {
    /// What a group has in common.
    pub grouping: LedgerGrouping,
    /// Count only calls that ended in this range; all calls if `None`.
    pub within: Option<Range<UnixMillis>>,
}

/// What the calls of one group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerGrouping {
    /// The run. The number of a group is `run.id`.
    Run,
    /// The set of scenes that the call asked for. The number of a group holds the bits of the set.
    Scenes,
    /// The time at which the call ended. The number of a group is the Unix time in units of `unit_ms` milliseconds,
    /// rounded down.
    Time {
        /// The length of a unit in milliseconds, at least 1.
        unit_ms: i64,
    },
}

/// Sums over calls of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct LedgerSums {
    /// All calls.
    pub calls: u64,
    /// Calls that were answered, with labels or without any.
    pub answered: u64,
    /// Calls that the service answered with an error.
    pub failed: u64,
    /// Calls that the service throttled.
    pub throttled: u64,
    /// Calls that were sent and got no usable answer.
    pub thrown_away: u64,
    /// Calls that were in flight when a process was killed.
    pub unknown: u64,
    /// Calls made because an earlier call of the run for the same content had failed.
    pub retries: u64,
    /// Scenes that the calls asked for, at least one for each call.
    pub scenes_asked: u64,
}

impl std::ops::AddAssign for LedgerSums {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.failed += other.failed;
        self.throttled += other.throttled;
        self.thrown_away += other.thrown_away;
        self.unknown += other.unknown;
        self.retries += other.retries;
        self.scenes_asked += other.scenes_asked;
    }
}

/// The rate at which a run called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// `run.id`.
    pub run_id: i64,
    /// Calls a second, without pauses.
    pub per_second: f64,
    /// The number of calls over which the rate was measured.
    pub calls: u64,
}

/// The end of the ledger at some moment: rows that are written later are behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEnd(pub(in crate::store) i64);
