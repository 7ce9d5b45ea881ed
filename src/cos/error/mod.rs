//! What can go wrong with a request, told apart by what the caller can do about it.
//!
//! Takes status, headers and body of an answer that is no success, or what the transport says; gives
//! an [`Error`]. What to do about it (retry, stop, give up) is not decided here.

mod display;
mod parse;
mod service;

use std::error::Error as StdError;
use std::time::Duration;

pub use parse::{BODY_MAX, parse};
pub(super) use parse::{location, parse_date, parse_xml, request_id};
pub use service::{ServiceError, SignedWith};

use super::clock::Complaint;
use super::credentials;
use super::list::{StuckListing, Unproven};
use super::resolve;
use super::transport::{self, Cause};
use display::{Between, Id, Nearest};

/// Why a request gave nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service answered, and said no.
    #[error(transparent)]
    Service(Box<ServiceError>),
    /// The service answered with success, and the body cannot be used: the call may have been paid.
    #[error("HTTP {status} with a body that cannot be used: {reason}{}", Id(.request_id.as_deref()))]
    Unusable {
        /// What is wrong with the body.
        reason: String,
        /// The HTTP status, 200 to 299.
        status: u16,
        /// The request's id, if the service gave one.
        request_id: Option<String>,
    },
    /// The answer does not come from the service but from something in between: a proxy, a captive portal, a gateway.
    /// It says nothing about the image, the key or the account. Whether the service got the request is not known.
    #[error("{}", Between { host, status: *status, what, location: location.as_deref() })]
    Foreign {
        /// Host and port that were asked.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What the body is, such as "an HTML page: TITLE".
        what: String,
        /// Where a redirect leads, without its query.
        location: Option<String>,
    },
    /// No connection: name not found, refused, timed out before anything was sent.
    #[error("cannot connect to {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the transport says.
        #[source]
        cause: Cause,
    },
    /// No connection, because there is no host of this name: of the service, or of a proxy.
    #[error("there is no host {name}{}", Nearest(name))]
    NoSuchHost {
        /// The name.
        name: String,
        /// What the transport says.
        #[source]
        cause: Cause,
    },
    /// No connection, because the server's certificate is not trusted: waiting does not help.
    #[error("the certificate of {host} is not trusted")]
    Certificate {
        /// Host and port.
        host: String,
        /// Whether it is not valid yet, or has not been for years: then this machine's clock may be wrong.
        is_about_time: bool,
        /// What the transport says.
        #[source]
        cause: Cause,
    },
    /// The connection broke after the request was sent: the call may have been paid.
    #[error("the connection to {host} broke before the answer was whole")]
    Interrupted {
        /// Host and port.
        host: String,
        /// What the transport says.
        #[source]
        cause: Cause,
    },
    /// The answer did not come in time: the call may have been paid.
    #[error("no whole answer from {host} in time")]
    Timeout {
        /// Host and port.
        host: String,
        /// What the transport says.
        #[source]
        cause: Cause,
    },
    /// There are no credentials to sign with; nothing was sent.
    #[error("no credentials to sign with")]
    Credentials(#[from] credentials::Error),
    /// The listing does not advance.
    #[error(transparent)]
    StuckListing(#[from] StuckListing),
    /// The page is no answer to what was asked.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// A request for this key would reach the bucket instead; nothing was sent.
    #[error("the key {key:?} cannot be named in a request")]
    UnaddressableKey {
        /// The key.
        key: String,
    },
}

impl Error {
    /// Whether a page is no answer to what was asked, and the next one may be. One of another bucket stays so.
    pub fn is_unproven_page(&self) -> bool {
        matches!(self, Self::Unproven(unproven) if !matches!(unproven, Unproven::Bucket { .. }))
    }

    /// Whether the request was, or may have been, sent: then the call may have been paid.
    pub fn was_sent(&self) -> bool {
        match self {
            Self::Service(_)
            | Self::Unusable { .. }
            | Self::Foreign { .. }
            | Self::Interrupted { .. }
            | Self::Timeout { .. }
            | Self::StuckListing(_)
            | Self::Unproven(_) => true,
            Self::Connect { .. }
            | Self::NoSuchHost { .. }
            | Self::Certificate { .. }
            | Self::Credentials(_)
            | Self::UnaddressableKey { .. } => false,
        }
    }

    /// What the service said, if it said anything.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(error) => Some(error),
            _ => None,
        }
    }

    /// The service's code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.service().map(|error| error.code.as_str()).filter(|code| !code.is_empty())
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Service(error) => Some(error.status),
            Self::Unusable { status, .. } | Self::Foreign { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The request's id, if the service gave one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Service(error) => error.request_id.as_deref(),
            Self::Unusable { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }

    /// What to show and to keep of it: the service's message, or this error and its causes in one line.
    pub fn message(&self) -> String {
        if let Some(error) = self.service().filter(|error| !error.message.is_empty()) {
            return error.message.clone();
        }
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message
    }

    /// How long the service asks to wait, at most thirty days.
    pub fn retry_after(&self) -> Option<Duration> {
        self.service().and_then(|error| error.retry_after)
    }

    /// Sorts what the transport says by whether the request was sent. The URL is taken off.
    pub(super) fn from_transport(host: &str, error: reqwest::Error) -> Self {
        let (host, connect, timeout) = (host.to_owned(), error.is_connect(), error.is_timeout());
        let unsent = connect || error.is_builder();
        let untrusted = if connect { transport::certificate(&error) } else { None };
        let unknown = if connect { resolve::no_such_host(&error) } else { None };
        let cause = transport::without_url(error);
        if let Some(is_about_time) = untrusted {
            return Self::Certificate { host, is_about_time, cause };
        }
        if let Some(name) = unknown {
            return Self::NoSuchHost { name, cause };
        }
        match (unsent, timeout) {
            (true, _) => Self::Connect { host, cause },
            (false, true) => Self::Timeout { host, cause },
            (false, false) => Self::Interrupted { host, cause },
        }
    }
}

impl Error {
    /// Whether there is no connection because this process has reached its limit of open files.
    pub fn is_limit_of_files(&self) -> bool {
        matches!(self, Self::Connect { cause, .. } if transport::is_limit_of_files(cause.as_ref()))
    }

    /// What the service says of the time of the request, if it refuses that.
    pub fn complaint_about_time(&self) -> Option<Complaint> {
        self.service().and_then(ServiceError::complaint_about_time)
    }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::Service(Box::new(error))
    }
}

#[cfg(test)]
mod tests;
