//! Errors of calls as the store keeps them: in the ledger, and with an image that failed.

use crate::cos;
use crate::job::service::outage::Fault;
use crate::job::verdict::{GiveUp, Verdict, stored_code};
use crate::store::model::CallOutcome;
use crate::store::turn::{CallRow, ErrorRow};

/// The error that is stored with an image. `temporary` says that a new run tries the image again.
pub(super) fn error_row(error: &cos::Error, verdict: Verdict, temporary: bool) -> ErrorRow {
    ErrorRow {
        verdict: verdict.stored(),
        temporary,
        code: stored_code(error),
        status: error.status(),
        message: error.message(),
        request_id: error.request_id().map(str::to_owned),
    }
}

/// Returns whether a new run tries an image again that was given up for this reason.
pub(super) fn is_temporary(reason: GiveUp) -> bool {
    matches!(reason, GiveUp::Denied | GiveUp::Gone | GiveUp::Source)
}

/// Completes the ledger row of a call that failed.
pub(super) fn add_failure(row: &mut CallRow, error: &cos::Error, verdict: Verdict) {
    row.outcome = match error {
        _ if verdict == Verdict::Throttle => CallOutcome::Throttled,
        cos::Error::Service(_) => CallOutcome::Failed,
        _ => CallOutcome::ThrownAway,
    };
    row.http_status = error.status();
    row.code = Some(stored_code(error));
    row.request_id = error.request_id().map(str::to_owned);
}

/// How a call failed, for the count of faults in a row.
pub(super) fn fault(error: &cos::Error) -> Fault {
    match error {
        cos::Error::Foreign { .. } => Fault::Foreign,
        cos::Error::Service(_) | cos::Error::Unusable { .. } => Fault::Answer,
        _ => Fault::Transport,
    }
}
