//! Runs and counts: what `status` and `stats` show.

use crate::scene::Scene;
use crate::store::model::{Counts, RunState, SourceKind};
use crate::time::UnixSeconds;

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// The number of the run, ascending from 1.
    pub id: i64,
    /// The name of the bucket.
    pub bucket: String,
    /// What the run reads its work from.
    pub source: SourceKind,
    /// The scope of a listing; empty for the whole bucket and for lists.
    pub prefix: String,
    /// The state of the run. A run that was killed is still `running`: ask the reader whether a run is under way.
    pub state: RunState,
    /// Why the run stopped; `None` if it has not, or has come to its end.
    pub stop_reason: Option<String>,
    /// The settings as JSON, as they were stored.
    pub settings: String,
    /// True if this is no run that calls: a plan, which only lists and compares, or an import.
    pub plan: bool,
    /// The name of the file, if this is an import of labels.
    pub import: Option<String>,
    /// True if differences are written into the journal. The first listing of a scope writes none.
    pub journals: bool,
    /// The version of the program that began the run.
    pub tool_version: String,
    /// When the run began.
    pub started_at: UnixSeconds,
    /// When everything was listed; `None` before that.
    pub listed_at: Option<UnixSeconds>,
    /// When the run ended; `None` before that.
    pub ended_at: Option<UnixSeconds>,
    /// The exit code with which the run ended; `None` before that, after a kill, and if an earlier version wrote it.
    pub exit_code: Option<u8>,
    /// True if `costag prune` has removed the journal, the ranges and the ledger rows of the run.
    pub pruned: bool,
    /// What the run has counted so far.
    pub counts: Counts,
}

/// When a run last succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Success {
    /// The number of the run.
    pub run_id: i64,
    /// When it ended.
    pub at: UnixSeconds,
}

/// The number of contents in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct ContentCounts {
    /// Contents that wait for a call.
    pub pending: u64,
    /// Contents that are claimed and not settled.
    pub in_flight: u64,
    /// Contents that have every label that was wanted of them.
    pub done: u64,
    /// Contents that are given up.
    pub failed: u64,
}

/// The number of ranges of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct RangeCounts {
    /// Ranges that are listed to their end.
    pub done: u64,
    /// All ranges.
    pub total: u64,
}

/// The number of labels of one name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TagCount {
    /// The name.
    pub name: String,
    /// The wider category.
    pub first_category: String,
    /// The narrower category.
    pub second_category: String,
    /// Labels of this name. A content that has it in two scenes counts twice.
    pub labels: u64,
}

/// The space that a database in files takes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct DatabaseSize {
    /// The database file, in bytes.
    pub database: u64,
    /// Its write-ahead log, in bytes; 0 if there is none.
    pub wal: u64,
    /// The part of the database file that nothing uses, in bytes.
    pub unused: u64,
}

/// How often one name of the dictionary occurs in one scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frequency {
    /// The scene.
    pub scene: Scene,
    /// The name of the label.
    pub name: String,
    /// The wider category.
    pub first_category: String,
    /// The narrower category.
    pub second_category: String,
    /// The number of contents that have the label.
    pub contents: u64,
    /// The sum of its confidences.
    pub confidence: u64,
}
