//! What `costag prune` removes.

use crate::time::{UnixMillis, UnixSeconds};

/// Which details of runs are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prunes {
    /// How many of the newest runs keep their details; plans are not counted. At least one.
    pub keep_runs: u32,
    /// Runs that ended at this moment or later keep their details.
    pub ended_before: UnixSeconds,
    /// Calls that ended at this moment or later stay in the ledger, so that the calls of a day can be counted.
    pub calls_before: UnixMillis,
    /// The present time.
    pub now: UnixSeconds,
}

/// What is removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Runs that lose their details.
    pub runs: u64,
    /// Entries of journals, also of runs that an interrupted command has begun to prune.
    pub changes: u64,
    /// Rows of the ledger, which are added up. They can be rows of runs that an earlier command has pruned.
    pub calls: u64,
}

impl Pruned {
    /// The number of rows that are removed.
    pub fn rows(&self) -> u64 {
        self.changes + self.calls
    }
}
