//! Settlements: how the call for a content ended.

use crate::label::Labels;
use crate::scene::Scenes;
use crate::store::model::{CallOutcome, ErrorVerdict};
use crate::time::UnixMillis;

/// A row of the ledger: one call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    /// `content.id`.
    pub content_id: i64,
    /// The key that was called, by `object.id`.
    pub object_id: i64,
    /// The scenes that were asked for.
    pub scenes: Scenes,
    /// When the call ended, by the corrected clock.
    pub ended_at: UnixMillis,
    /// The correction that is part of `ended_at`, in seconds. The ledger's time has the correction that is stored.
    pub clock_offset: i64,
    /// Milliseconds from sending the request to the end of the answer.
    pub duration_ms: i64,
    /// How the call ended.
    pub outcome: CallOutcome,
    /// True if an earlier call of this run for the same content had failed.
    pub retry: bool,
    /// The HTTP status; `None` if no answer came. 200 is not stored.
    pub http_status: Option<u16>,
    /// The error code of the service, or the program's own; `None` if the call was answered.
    pub code: Option<String>,
    /// The request id of a call that failed; `None` if there was none or the call was answered.
    pub request_id: Option<String>,
}

/// The last error of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRow {
    /// What the error means.
    pub verdict: ErrorVerdict,
    /// True if the next run tries the content again, once.
    pub temporary: bool,
    /// The error code of the service, or the program's own.
    pub code: String,
    /// The HTTP status; `None` if no answer came.
    pub status: Option<u16>,
    /// The message of the service.
    pub message: String,
    /// The request id of the answer; `None` if there was none.
    pub request_id: Option<String>,
}

/// How a claimed content ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The call was answered, with labels or without any.
    Labels(Labels),
    /// The content is given up until a new run, new bytes or `costag retry` brings it back.
    GivenUp {
        /// Attempts used in this run.
        attempts: u32,
        /// The reason.
        error: ErrorRow,
    },
    /// The call failed, and a later pass of this run tries again.
    PutBack {
        /// Attempts used in this run.
        attempts: u32,
        /// The pass in which the content waits.
        pass: u32,
        /// The reason.
        error: ErrorRow,
    },
    /// No call was made, or it was cut short: the content goes back to the queue as it was.
    Released,
}

/// The settlement of a content in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// `content.id`.
    pub content_id: i64,
    /// The scenes that were asked for.
    pub scenes: Scenes,
    /// The scenes among `scenes` that have labels already.
    pub again: Scenes,
    /// The ledger row of the last call; `None` if no call was made, or its row is written already.
    pub call: Option<CallRow>,
    /// How it ended.
    pub settled: Settled,
}
