//! A refusal of the service.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::display::{Id, Source, To, sep};
use crate::cos::clock::Complaint;
use crate::cos::credentials::Credentials;
use crate::time::UnixSeconds;

/// A refusal of the service: an answer with an error, in any form of the body ("Error Codes").
#[derive(Debug, Clone, Default, thiserror::Error)]
#[error("HTTP {status}{}{code}{}{message}{}{}{}", sep(" ", .code), sep(": ", .message), To(.location.as_deref()), Id(.request_id.as_deref()), Source(.signed_from.as_deref()))]
pub struct ServiceError {
    /// The HTTP status.
    pub status: u16,
    /// The code; empty if there is none. If the code is `AccessDenied` and the message is a known code, this is the
    /// code in the message.
    pub code: String,
    /// The message in one line, without signatures, cut at 4 KiB; empty if there is none.
    pub message: String,
    /// The id of the request, which Tencent's support asks for; `None` if the answer had none.
    pub request_id: Option<String>,
    /// The id of the trace; `None` if the answer had none.
    pub trace_id: Option<String>,
    /// The service's time from the body; `None` if the body had none.
    pub server_time: Option<UnixSeconds>,
    /// The service's time from the header `Date`; `None` if it is absent.
    pub date: Option<UnixSeconds>,
    /// How long the service asks to wait, at most thirty days; `None` if it does not ask.
    pub retry_after: Option<Duration>,
    /// The target of a redirect, without its query; `None` if it is no redirect.
    pub location: Option<String>,
    /// True if the request was signed with temporary credentials. New ones may help then.
    pub temporary: bool,
    /// The place from which the credentials came, without any value; `None` unless the status is 403.
    pub signed_from: Option<String>,
    /// The credentials and the offset of the clock that the request was signed with; `None` if this is not known.
    pub signed: Option<SignedWith>,
}

/// The credentials and the offset of the clock that a request was signed with. They show whether another request has
/// renewed or corrected them in the meantime.
#[derive(Debug, Clone)]
pub struct SignedWith {
    /// The offset of the clock in seconds.
    pub(in crate::cos) offset: i64,
    pub(in crate::cos) credentials: Arc<Credentials>,
}

impl ServiceError {
    /// Returns `true` if the time of the answer is within a minute of this machine's time, corrected by the offset that
    /// the request was signed with.
    pub fn agrees_on_time(&self) -> bool {
        let offset = self.signed.as_ref().map_or(0, |signed| signed.offset);
        let ours = UnixSeconds::now().saturating_add(SignedDuration::from_secs(offset));
        let differs = |theirs: UnixSeconds| theirs.duration_since(ours).unsigned_abs();
        self.date.or(self.server_time).is_some_and(|theirs| differs(theirs).as_secs() < 60)
    }

    /// Returns `true` if the refusal has no code, but a request whose answer has a body would get one.
    ///
    /// A status that asks to try later needs no code, and neither does "not found" in a bucket that is known to exist.
    pub(in crate::cos) fn hides_its_code(&self, bucket_is_known: bool) -> bool {
        let explains_itself = match self.status {
            404 => bucket_is_known,
            408 | 429 => true,
            status => !(300..500).contains(&status),
        };
        self.code.is_empty() && !explains_itself
    }

    /// Returns `true` if the service refuses the time of the request ("403 Forbidden" guide).
    ///
    /// This is the only check that reads a message, because some of these answers have no code of their own.
    pub fn complains_of_time(&self) -> bool {
        match self.code.as_str() {
            "RequestTimeTooSkewed" | "RequestHasExpired" | "Request has expired" => true,
            "AccessDenied" => self.message.to_ascii_lowercase().contains("request has expired"),
            _ => false,
        }
    }

    /// Returns the complaint about the time of the request; `None` if the refusal is another one.
    pub fn complaint_about_time(&self) -> Option<Complaint> {
        self.complains_of_time().then(|| Complaint {
            signed_offset: self.signed.as_ref().map(|signed| signed.offset),
            date: self.date,
            server_time: self.server_time,
        })
    }

    /// Returns `true` if the answer has a request id or a code. Only answers of the service have them.
    pub(in crate::cos) fn is_from_service(&self) -> bool {
        self.request_id.is_some() || !self.code.is_empty()
    }
}
