//! The result of a run, as the caller gets it.

use super::{Limit, Snapshot, StopReason, Trial};
use crate::store::model::Counts;
use crate::store::read::Needed;

/// How a run ended.
#[derive(Debug, Clone)]
pub enum End {
    /// Everything is listed, and no image is pending.
    Complete,
    /// The images of `--limit` or `--sample` are settled; other images may be pending.
    Trial(Trial),
    /// The run was stopped before its work was done.
    Stopped(StopReason),
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// `run.id`.
    pub run_id: i64,
    /// How the run ended.
    pub end: End,
    /// The numbers of the whole run, including earlier invocations.
    pub snapshot: Snapshot,
    /// The counts of the run before this invocation resumed it.
    pub before: Counts,
    /// Whether this invocation resumed an unfinished run.
    pub resumed: bool,
    /// The calls that a plan found to be needed. Absent for other runs, and for a plan that was stopped.
    pub needed: Option<Needed>,
    /// Further facts about a run over a list. Absent if the source is a bucket.
    pub list: Option<ListReport>,
    /// For a plan: how much each limit allows in the run that follows. Empty for other runs.
    pub limits: Vec<Limit>,
    /// The options of the filter that match no key, as they would be typed. Empty unless the listing is complete.
    pub unmatched: Vec<String>,
    /// Names similar to the prefix, if no key begins with the prefix.
    pub beside: Vec<String>,
}

/// Facts about a run over a list, besides its numbers.
#[derive(Debug, Clone)]
pub struct ListReport {
    /// The ids of unfinished runs over other lists.
    pub unfinished: Vec<i64>,
    /// Whether a missing key makes the run fail.
    pub fails_if_missing: bool,
}

impl Report {
    /// Whether the run failed: an image failed, a line of a list failed, or a key of a list is missing where that is
    /// not allowed.
    pub fn fails(&self) -> bool {
        let Counts { failed, lines_failed, missing, .. } = self.snapshot.counts;
        let fails_if_missing = self.list.as_ref().is_some_and(|list| list.fails_if_missing);
        failed > 0 || lines_failed > 0 || (missing > 0 && fails_if_missing)
    }
}

#[cfg(test)]
impl Report {
    /// A report for tests: nothing is known of the run but how it ended and its numbers.
    pub(crate) fn of(run_id: i64, end: End, snapshot: Snapshot) -> Self {
        Self {
            run_id,
            end,
            snapshot,
            before: Counts::default(),
            resumed: false,
            needed: None,
            list: None,
            limits: Vec::new(),
            unmatched: Vec::new(),
            beside: Vec::new(),
        }
    }
}
