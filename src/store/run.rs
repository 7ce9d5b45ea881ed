//! Runs: the values that are stored when a run begins, and those that are read when it is resumed.

use crate::scene::Scenes;
use crate::store::model::SourceKind;
use crate::time::UnixSeconds;

/// A slice of the key space: the keys after `start_after`, up to and including `stop_at`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// The key before the first one; empty if the span begins with the first key of the scope.
    pub start_after: String,
    /// The last key; `None` if the span ends with the scope.
    pub stop_at: Option<String>,
}

/// A run about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// The name of the bucket.
    pub bucket: String,
    /// What the run reads its work from.
    pub source: SourceKind,
    /// The scope of a listing; empty for lists.
    pub prefix: String,
    /// A hash of the settings that decide what is wanted.
    pub eligibility: i64,
    /// The settings as JSON, stored as they are.
    pub settings: String,
    /// True if the run is a plan: nothing is called, and what it does is undone at its end.
    pub plan: bool,
    /// When the run began.
    pub started_at: UnixSeconds,
    /// The first ranges of the run. They cover its scope without gaps or overlaps.
    pub spans: Vec<Span>,
}

/// An import that is about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImport {
    /// `bucket.id`.
    pub bucket_id: i64,
    /// The name of the file, for people.
    pub file: String,
    /// When the import began.
    pub started_at: UnixSeconds,
}

/// A run that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunRun {
    /// `run.id`.
    pub id: i64,
    /// `run.bucket_id`.
    pub bucket_id: i64,
    /// True if the run writes differences into the journal: its scope was listed to the end before.
    pub journals: bool,
}

/// `range.seq` of the range that says how far a run has read its list.
pub const READING: i64 = 0;
/// `range.seq` of the range that says how far a run has looked up the lines of its list.
pub const LOOKING_UP: i64 = 1;

/// How far a range has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeProgress {
    /// A range of a listing.
    Span {
        /// Every key of the span up to and including this one is in the store. At the beginning, it is the key before the
        /// first one.
        up_to: String,
    },
    /// The reading of a list.
    Reading {
        /// The number of lines that were read, including lines that repeat others.
        lines: u64,
    },
    /// The look-up of the lines of a list.
    LookingUp {
        /// The number of the last line before which all have ended, that line included. 0 at the beginning.
        line: i64,
    },
}

/// A range and its progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRow {
    /// `range.seq`.
    pub seq: i64,
    /// The keys that the range covers.
    pub span: Span,
    /// How far the range has come.
    pub progress: RangeProgress,
    /// True if the range was listed to its end.
    pub done: bool,
}

/// A run that was interrupted, stopped or killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRun {
    /// `run.id`.
    pub id: i64,
    /// `run.bucket_id`.
    pub bucket_id: i64,
    /// The name of the bucket.
    pub bucket: String,
    /// What the run reads its work from.
    pub source: SourceKind,
    /// The scope of a listing; empty for lists.
    pub prefix: String,
    /// A hash of the settings that decide what is wanted.
    pub eligibility: i64,
    /// The settings as JSON, as they were stored.
    pub settings: String,
    /// True if every range is done, and nothing happened since that makes the run list again.
    pub listed: bool,
    /// True if the run has listed its scope to the end at least once.
    pub was_listed: bool,
    /// True if the run writes differences into the journal.
    pub journals: bool,
    /// When the run began.
    pub started_at: UnixSeconds,
}

/// How far the list of a run was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListProgress {
    /// Lines read so far, including lines that repeat others.
    pub read: u64,
    /// True if the list was read to its end.
    pub whole: bool,
    /// A hash of the lines read; `None` if a version that made no hash read them.
    pub hash: Option<i64>,
}

/// The settings of a run that the store needs to apply its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "settings that do not depend on one another")]
pub struct RunContext {
    /// `run.id`.
    pub id: i64,
    /// `run.bucket_id`.
    pub bucket_id: i64,
    /// The name of the bucket. It is part of the identity of a content without an `ETag`.
    pub bucket: String,
    /// The scope: keys that start with this; every key if it is empty.
    pub prefix: String,
    /// The scenes that each wanted content needs.
    pub scenes: Scenes,
    /// True if objects with equal `ETag` and size share one content.
    pub dedupe: bool,
    /// True if the source is a list of keys or URLs.
    pub list: bool,
    /// True if the objects are URLs.
    pub urls: bool,
    /// True if differences are written into the journal.
    pub journals: bool,
    /// True if the run is a plan: nothing is called, and what it does is undone at its end.
    pub plan: bool,
}

impl RunContext {
    /// Returns true if only keys that this run has looked up may be called.
    pub(in crate::store) fn calls_looked_up_keys(&self) -> bool {
        self.list && !self.urls
    }
}
