//! What the status consists of.

use serde::Serialize;

use super::advice::Advice;
use crate::store::model::Counts;
use crate::store::read::{ContentCounts, DatabaseSize, FailureCode, RunStanding};

/// What `--json` prints. Its names must not change.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) database: String,
    pub(super) size: Option<DatabaseSize>,
    pub(super) contents: ContentCounts,
    pub(super) failure_codes: Vec<FailureCode>,
    /// The currency of the costs.
    pub(super) currency: String,
    pub(super) runs: Vec<RunStatus>,
    /// What to do next.
    pub(super) next: &'static str,
    /// The command that does it, quoted for a shell. `None` if no command does.
    pub(super) next_command: Option<String>,
    /// What would make the database smaller, if it is worth it.
    pub(super) advice: Vec<Advice>,
}

/// A run, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct RunStatus {
    pub(super) id: i64,
    pub(super) source: String,
    /// The state in the database, or `killed` if the run has not ended and no process works on it.
    pub(super) state: RunStanding,
    pub(super) stop_reason: Option<String>,
    pub(super) plan: bool,
    /// The file of an import of labels; `None` if this is a run or a plan.
    pub(super) import: Option<String>,
    pub(super) tool_version: String,
    pub(super) started_at: String,
    pub(super) ended_at: Option<String>,
    pub(super) seconds: Option<i64>,
    pub(super) listed_to_the_end: bool,
    pub(super) ranges_done: u64,
    pub(super) ranges: u64,
    /// The exit code with which the run ended. `None` before that, and after a kill.
    pub(super) exit_code: Option<u8>,
    pub(super) counts: Counts,
    /// What the calls cost according to the settings; `None` without a price.
    pub(super) cost: Option<f64>,
}
