//! What can go wrong with a request, told apart by what the caller can do about it.
//!
//! Takes status, headers and body of an answer that is no success, or what the transport says; gives
//! an [`Error`]. What to do about it (retry, stop, give up) is not decided here.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use rustls::CertificateError;
use serde_json::Value;

use super::credentials::{self, Credentials};
use super::foreign;
use super::list::{StuckListing, Unproven};
use super::resolve;
use super::xml::{Document, Step, bounded, is_unseen, shorten};

/// A cause from below: a transport error without its URL, which may hold a signature.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// No error body that tells anything is longer; the rest is not read.
pub const BODY_MAX: usize = 64 * 1024;

/// A longer `Retry-After` counts as this much: no run waits that long, and clocks can add it without an overflow.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(30 * 24);

/// Tokens that the 403 guide prints as the message of an `AccessDenied`, and the code table as codes.
const TOKENS: [&str; 6] = [
    "InvalidAccessKeyId",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "InvalidObjectState",
    "AccessForbidden",
    "ExpiredToken",
];

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

/// The words for an answer that is not the service's.
struct Between<'a> {
    host: &'a str,
    status: u16,
    what: &'a str,
    location: Option<&'a str>,
}

impl std::fmt::Display for Between<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, status, what, location } = self;
        if *status == 407 {
            write!(f, "the proxy on the way to {host} asks for a user name and a password: ")?;
        }
        write!(f, "HTTP {status} from something in between, not from {host}: {what}")?;
        location.map_or(Ok(()), |location| write!(f, ", a redirect to {location}"))
    }
}

struct Id<'a>(Option<&'a str>);

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, " (request id {id})"))
    }
}

impl Error {
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
        let untrusted = if connect { certificate(&error) } else { None };
        let unknown = if connect { resolve::no_such_host(&error) } else { None };
        let cause: Cause = Box::new(error.without_url());
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
        let limits = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
        let limits = limits.map(rustix::io::Errno::raw_os_error);
        let Self::Connect { cause, .. } = self else { return false };
        let mut next: Option<&(dyn StdError + 'static)> = Some(cause.as_ref());
        while let Some(error) = next {
            let number = error.downcast_ref().and_then(std::io::Error::raw_os_error);
            if number.is_some_and(|number| limits.contains(&number)) {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::Service(Box::new(error))
    }
}

/// Where the credentials came from that a request was signed with.
struct Source<'a>(Option<&'a str>);

impl std::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |source| write!(f, "; the credentials came from {source}"))
    }
}

/// Where a redirect leads.
struct To<'a>(Option<&'a str>);

impl std::fmt::Display for To<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |location| write!(f, ", a redirect to {location}"))
    }
}

/// The region that was probably meant by a host that does not exist.
struct Nearest<'a>(&'a str);

impl std::fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        resolve::nearest_region(self.0)
            .map_or(Ok(()), |region| write!(f, "; the region with the nearest name is {region}"))
    }
}

/// A certificate that has ended for longer than this was hardly forgotten: rather the clock is wrong.
const YEARS: Duration = Duration::from_hours(2 * 365 * 24);

/// Whether a certificate was refused somewhere down the chain, and if so whether its time is what is wrong; an
/// `io::Error` hides its own cause.
fn certificate(error: &(dyn StdError + 'static)) -> Option<bool> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return Some(match reason {
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => true,
                CertificateError::ExpiredContext { time, not_after } => {
                    time.as_secs().saturating_sub(not_after.as_secs()) > YEARS.as_secs()
                }
                _ => false,
            });
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = inner.map_or_else(|| error.source(), |inner| Some(inner));
    }
    None
}

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
    pub(super) offset: i64,
    pub(super) credentials: Arc<Credentials>,
}

impl ServiceError {
    /// Whether the time of the answer and this machine's time, corrected as when the request was signed, agree.
    pub fn agrees_on_time(&self) -> bool {
        let offset = self.signed.as_ref().map_or(0, |signed| signed.offset);
        let ours = super::clock::local().saturating_add(offset);
        self.date.or(self.server_time).is_some_and(|theirs| theirs.abs_diff(ours) < 60)
    }

    /// Whether this is a refusal that another request, one whose answer has a body, would explain.
    ///
    /// A status that says "later" needs no explanation, and neither does "not found" in a bucket that is known to exist.
    pub(super) fn hides_its_code(&self, bucket_is_known: bool) -> bool {
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
}

fn sep<'a>(separator: &'a str, before: &str) -> &'a str {
    if before.is_empty() { "" } else { separator }
}

/// Reads an answer that is no success. XML, JSON, HTML, free text and nothing at all are understood.
///
/// Never fails: what the body does not tell, the headers and the status do.
pub fn parse(status: u16, headers: &HeaderMap, body: &[u8]) -> ServiceError {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let date = header(DATE.as_str()).and_then(parse_date);
    let body = &body[..body.len().min(BODY_MAX)];
    let text = String::from_utf8_lossy(body);
    let mut error = parse_xml(&text)
        .or_else(|| parse_json(&text))
        .unwrap_or_else(|| ServiceError { message: describe(&text), ..ServiceError::default() });
    error.status = status;
    error.date = date;
    if error.code.is_empty() {
        let code = header("x-cos-error-code").or_else(|| header("x-errno"));
        error.code = code.map(bounded).unwrap_or_default();
    }
    error.request_id = request_id(headers).or(error.request_id);
    let trace = header("x-cos-trace-id").or_else(|| header("x-ci-trace-id"));
    error.trace_id = trace.map(bounded).or(error.trace_id);
    error.retry_after = header(RETRY_AFTER.as_str()).and_then(|value| {
        let seconds = whole_seconds(value).or_else(|| {
            let at = parse_date(value)?;
            u64::try_from(at - date.unwrap_or_else(super::clock::local)).ok()
        });
        Some(Duration::from_secs(seconds?).min(RETRY_AFTER_MAX))
    });
    error.location = location(headers);
    error.message = clean(&error.message);
    if error.code == "AccessDenied"
        && let Some(token) = TOKENS.iter().find(|token| error.message.trim() == **token)
    {
        (*token).clone_into(&mut error.code);
    }
    error
}

/// A number of seconds; one with more digits than any clock can add is the largest there is.
fn whole_seconds(value: &str) -> Option<u64> {
    let digits = value.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Where a redirect leads, without its query, which may repeat a signature, and without a user and password.
pub(super) fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let target = location.split(['?', '#']).next().unwrap_or_default();
    let target = match target.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => target.to_owned(),
    };
    Some(shorten(&target))
}

/// The request's id: that of COS before that of Cloud Infinite.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-cos-request-id", "x-ci-request-id"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
        .filter(|id| !id.is_empty())
        .map(bounded)
}

/// An HTTP date (RFC 9110 section 5.6.7) in Unix seconds.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text.trim()).ok()?;
    Some(zoned.timestamp().as_second())
}

/// The document with the root `Error`, if it is one; a cut one gives what came before the cut.
pub(super) fn parse_xml(text: &str) -> Option<ServiceError> {
    let mut document = Document::new(text, str::to_owned);
    let mut error = ServiceError::default();
    let mut field = String::new();
    loop {
        match document.next() {
            Ok(Step::Open(name)) if document.depth() == 1 && name != "Error" => return None,
            Ok(Step::Open(name)) => field = name,
            Ok(Step::Close) if document.depth() == 1 => {
                let value = document.text();
                match field.as_str() {
                    "Code" => error.code = bounded(value.trim()),
                    "Message" => value.trim().clone_into(&mut error.message),
                    "RequestId" => error.request_id = Some(bounded(value.trim())),
                    "TraceId" => error.trace_id = Some(bounded(value.trim())),
                    "ServerTime" => {
                        let time = value.trim().parse::<jiff::Timestamp>();
                        error.server_time = time.ok().map(jiff::Timestamp::as_second);
                    }
                    _ => {}
                }
                field.clear();
            }
            Ok(Step::Close) => field.clear(),
            Ok(Step::End) => return Some(error),
            Err(_) => return (document.root() == "Error").then_some(error),
        }
    }
}

/// `{"code": …, "message": …, "request_id": …}`, the form of some Cloud Infinite answers.
fn parse_json(text: &str) -> Option<ServiceError> {
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return None };
    let get = |name: &str| {
        let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    Some(ServiceError {
        code: get("code").map(|code| bounded(&code)).unwrap_or_default(),
        message: get("message").unwrap_or_default(),
        request_id: get("request_id").or_else(|| get("requestid")).map(|id| bounded(&id)),
        ..ServiceError::default()
    })
}

/// A body that is neither XML nor JSON: an HTML page by its title, other text as it is.
fn describe(text: &str) -> String {
    foreign::html(text).unwrap_or_else(|| text.trim().to_owned())
}

/// One line, bounded, and cut before anything that belongs to a signature.
pub(super) fn clean(message: &str) -> String {
    let secret = ["q-sign", "q-ak=", "StringToSign", "FormatString", "HttpString"];
    let words: Vec<&str> = message.split_whitespace().collect();
    // What is unseen goes first: it could hide such a word, which would be whole again without it.
    let whole: String = words.join(" ").chars().filter(|c| !is_unseen(*c)).collect();
    let end = secret.iter().filter_map(|word| whole.find(word)).min();
    let mut line = bounded(whole[..end.unwrap_or(whole.len())].trim_end());
    if end.is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
