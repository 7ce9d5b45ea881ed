//! What the service says when it refuses.

use std::sync::Arc;
use std::time::Duration;

use super::display::{Id, Source, To, sep};
use crate::cos::clock::{self, Complaint};
use crate::cos::credentials::Credentials;

/// An answer that is no success, whatever form its body had ("Error Codes").
#[derive(Debug, Clone, Default, thiserror::Error)]
#[error("HTTP {status}{}{code}{}{message}{}{}{}", sep(" ", .code), sep(": ", .message), To(.location.as_deref()), Id(.request_id.as_deref()), Source(.signed_from.as_deref()))]
pub struct ServiceError {
    /// The HTTP status.
    pub status: u16,
    /// The code, empty if none was given; an `AccessDenied` whose message is a known code has that one.
    pub code: String,
    /// The message in one line, without signatures, cut at 4 KiB.
    pub message: String,
    /// The request's id: what Tencent's support asks for.
    pub request_id: Option<String>,
    /// The trace's id.
    pub trace_id: Option<String>,
    /// The server's time from the body, Unix seconds.
    pub server_time: Option<i64>,
    /// The server's time from the header `Date`, Unix seconds.
    pub date: Option<i64>,
    /// How long to wait, at most thirty days.
    pub retry_after: Option<Duration>,
    /// Where a redirect leads, without its query.
    pub location: Option<String>,
    /// Whether temporary credentials had signed: then new ones may help.
    pub temporary: bool,
    /// Where the credentials came from, if the status is 403: a place, never a value.
    pub signed_from: Option<String>,
    /// What the request was signed with.
    pub signed: Option<SignedWith>,
}

/// What a failed request was signed with, so that a repair already made by another request is seen.
#[derive(Debug, Clone)]
pub struct SignedWith {
    pub(in crate::cos) offset: i64,
    pub(in crate::cos) credentials: Arc<Credentials>,
}

impl ServiceError {
    /// Whether the time of the answer and this machine's time, corrected as when the request was signed, agree.
    pub fn agrees_on_time(&self) -> bool {
        let offset = self.signed.as_ref().map_or(0, |signed| signed.offset);
        let ours = clock::local().saturating_add(offset);
        self.date.or(self.server_time).is_some_and(|theirs| theirs.abs_diff(ours) < 60)
    }

    /// Whether this is a refusal that another request, one whose answer has a body, would explain.
    ///
    /// A status that says "later" needs no explanation, and neither does "not found" in a bucket that is known to exist.
    pub(in crate::cos) fn hides_its_code(&self, bucket_is_known: bool) -> bool {
        let explains_itself = match self.status {
            404 => bucket_is_known,
            408 | 429 => true,
            status => !(300..500).contains(&status),
        };
        self.code.is_empty() && !explains_itself
    }

    /// Whether it is the request's time that the service refuses ("403 Forbidden" guide).
    ///
    /// The one place where a message counts: some answers have no code of their own for it.
    pub fn complains_of_time(&self) -> bool {
        match self.code.as_str() {
            "RequestTimeTooSkewed" | "RequestHasExpired" | "Request has expired" => true,
            "AccessDenied" => self.message.to_ascii_lowercase().contains("request has expired"),
            _ => false,
        }
    }

    /// What the service says of the time of the request, if it refuses that.
    pub fn complaint_about_time(&self) -> Option<Complaint> {
        self.complains_of_time().then(|| Complaint {
            signed_offset: self.signed.as_ref().map(|signed| signed.offset),
            date: self.date,
            server_time: self.server_time,
        })
    }

    /// Whether the answer has a request id or a code, as only the service's own have.
    pub(in crate::cos) fn is_from_service(&self) -> bool {
        self.request_id.is_some() || !self.code.is_empty()
    }
}
