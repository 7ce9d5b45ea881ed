//! The codes under which errors are stored and shown.

use crate::cos;
use crate::cos::error::Error;

/// The code that is stored for an error: the service's own, or one of costag's if the error is not an answer of the
/// service.
pub(in crate::job) fn stored_code(error: &cos::Error) -> String {
    match error {
        Error::Unusable { .. } => "UnusableAnswer".to_owned(),
        Error::Foreign { .. } => "NotFromService".to_owned(),
        Error::Timeout { .. } => "Timeout".to_owned(),
        Error::Interrupted { .. } => "ConnectionBroken".to_owned(),
        Error::UnaddressableKey { .. } => "UnaddressableKey".to_owned(),
        _ => match (error.code(), error.status()) {
            (Some(code), _) => code.to_owned(),
            (None, Some(status)) => format!("HTTP{status}"),
            (None, None) => "Unsent".to_owned(),
        },
    }
}
