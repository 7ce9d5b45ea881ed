//! Unfinished runs that were told already to list again.

use std::collections::HashSet;

/// The runs, by `run.id`. The mark is on disk or in the turn under way.
#[derive(Debug, Default)]
pub(crate) struct Taken(HashSet<i64>);

impl Taken {
    /// Adds a run. Returns false if it was there already.
    pub(crate) fn insert(&mut self, run_id: i64) -> bool {
        self.0.insert(run_id)
    }
}
