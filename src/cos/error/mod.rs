//! The errors of requests, by what the caller can do about them.
//!
//! An [`Error`] is made from an answer without success (see [`parse()`]) or from an error of the transport. This module
//! does not decide whether a request is retried.

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

/// Why a request has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service has refused the request.
    #[error(transparent)]
    Service(Box<ServiceError>),
    /// The service reports success, but the body cannot be used. The call may have been paid for.
    #[error("HTTP {status} with a body that cannot be used: {reason}{}", Id(.request_id.as_deref()))]
    Unusable {
        /// What is wrong with the body.
        reason: String,
        /// The HTTP status, 200 to 299.
        status: u16,
        /// The id of the request; `None` if the answer had none.
        request_id: Option<String>,
    },
    /// The answer comes from a proxy, a captive portal or a gateway instead of the service.
    ///
    /// It says nothing about the image, the key or the account. The service may or may not have received the request.
    #[error("{}", Between { host, status: *status, what, location: location.as_deref() })]
    Foreign {
        /// The host and port of the request.
        host: String,
        /// The HTTP status.
        status: u16,
        /// A description of the body, such as "an HTML page: TITLE".
        what: String,
        /// The target of a redirect, without its query; `None` if it is no redirect.
        location: Option<String>,
    },
    /// There is no connection, so nothing was sent: it was refused, it timed out, the name cannot be resolved now, or it was
    /// closed before the request was written.
    #[error("cannot connect to {host}")]
    Connect {
        /// The host and port of the request.
        host: String,
        /// The error of the transport.
        #[source]
        cause: Cause,
    },
    /// There is no connection, because the host of the service or of a proxy does not exist.
    #[error("there is no host {name}{}", Nearest(name))]
    NoSuchHost {
        /// The name of the host.
        name: String,
        /// The error of the transport.
        #[source]
        cause: Cause,
    },
    /// There is no connection, because the server's certificate is not trusted. Waiting does not help.
    #[error("the certificate of {host} is not trusted")]
    Certificate {
        /// The host and port of the request.
        host: String,
        /// True if the certificate is not valid yet or expired years ago, so that this machine's clock may be wrong.
        is_about_time: bool,
        /// The error of the transport.
        #[source]
        cause: Cause,
    },
    /// The connection broke after the request was sent. The call may have been paid for.
    #[error("the connection to {host} broke before the answer was complete")]
    Interrupted {
        /// The host and port of the request.
        host: String,
        /// The error of the transport.
        #[source]
        cause: Cause,
    },
    /// The answer was not complete in time. The call may have been paid for.
    #[error("the answer from {host} was not complete in time")]
    Timeout {
        /// The host and port of the request.
        host: String,
        /// The error of the transport.
        #[source]
        cause: Cause,
    },
    /// There are no credentials to sign with, so nothing was sent.
    #[error("no credentials to sign with")]
    Credentials(#[from] credentials::Error),
    /// The listing does not advance.
    #[error(transparent)]
    StuckListing(#[from] StuckListing),
    /// The page does not answer the request.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// A request for this key would reach the bucket instead, so nothing was sent.
    #[error("the key {key:?} cannot be named in a request")]
    UnaddressableKey {
        /// The key.
        key: String,
    },
}

impl Error {
    /// Returns `true` if a page does not answer its request, and another try may get one that does. A page of another
    /// bucket does not count, because the endpoint serves that bucket.
    pub fn is_unproven_page(&self) -> bool {
        matches!(self, Self::Unproven(unproven) if !matches!(unproven, Unproven::Bucket { .. }))
    }

    /// Returns `true` if the request was sent or may have been sent. Such a call may have been paid for.
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

    /// Returns the refusal of the service; `None` for any other error.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the code of the service; `None` if there is none.
    pub fn code(&self) -> Option<&str> {
        self.service().map(|error| error.code.as_str()).filter(|code| !code.is_empty())
    }

    /// Returns the HTTP status; `None` if there was no answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Service(error) => Some(error.status),
            Self::Unusable { status, .. } | Self::Foreign { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns the id of the request; `None` if there is none.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Service(error) => error.request_id.as_deref(),
            Self::Unusable { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }

    /// Returns the text that is shown and stored: the message of the service, or else this error and its causes in one
    /// line.
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

    /// Returns how long the service asks to wait, at most thirty days; `None` if it does not ask.
    pub fn retry_after(&self) -> Option<Duration> {
        self.service().and_then(|error| error.retry_after)
    }

    /// Converts an error of the transport, by whether the request was sent. Its URL is removed.
    pub(super) fn from_transport(host: &str, error: reqwest::Error) -> Self {
        let (host, connect, timeout) = (host.to_owned(), error.is_connect(), error.is_timeout());
        let unsent = connect || error.is_builder() || transport::is_unwritten(&error);
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
    /// Returns `true` if there is no connection because this process has reached its limit of open files.
    pub fn is_limit_of_files(&self) -> bool {
        matches!(self, Self::Connect { cause, .. } if transport::is_limit_of_files(cause.as_ref()))
    }

    /// Returns the complaint about the time of the request; `None` if the error is another one.
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
