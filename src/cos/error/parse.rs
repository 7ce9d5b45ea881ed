//! Reads answers that are no success: status, headers and a body in any form ("Error Codes").

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

use super::service::ServiceError;
use crate::cos::foreign;
use crate::cos::text::{bounded, one_line, shorten};
use crate::cos::xml::{Document, Step};
use crate::time::UnixSeconds;

/// The most bytes of an error body that are read.
pub const BODY_MAX: usize = 64 * 1024;

/// The longest `Retry-After` that is returned. A longer one counts as this: no run waits that long, and it can be added
/// to a time without an overflow.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(30 * 24);

/// Codes of the table that the "403 Forbidden" guide shows as the message of an `AccessDenied`.
const TOKENS: [&str; 6] = [
    "InvalidAccessKeyId",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "InvalidObjectState",
    "AccessForbidden",
    "ExpiredToken",
];

/// Reads an answer without success. The body may be XML, JSON, HTML, plain text or empty.
///
/// This never fails: the headers and the status replace what the body does not contain.
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
            u64::try_from(at.duration_since(date.unwrap_or_else(UnixSeconds::now)).as_secs()).ok()
        });
        Some(Duration::from_secs(seconds?).min(RETRY_AFTER_MAX))
    });
    error.location = location(headers);
    error.message = one_line(&error.message);
    if error.code == "AccessDenied"
        && let Some(token) = TOKENS.iter().find(|token| error.message.trim() == **token)
    {
        (*token).clone_into(&mut error.code);
    }
    error
}

/// Reads a number of seconds. A number that is too large for `u64` counts as `u64::MAX`.
fn whole_seconds(value: &str) -> Option<u64> {
    let digits = value.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Returns the target of a redirect, without its query, which may repeat a signature, and without user and password.
pub(in crate::cos) fn location(headers: &HeaderMap) -> Option<String> {
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

/// Returns the id of the request: the one of COS, or else the one of Cloud Infinite.
pub(in crate::cos) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-cos-request-id", "x-ci-request-id"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
        .filter(|id| !id.is_empty())
        .map(bounded)
}

/// Reads an HTTP date (RFC 9110 section 5.6.7).
pub(in crate::cos) fn parse_date(text: &str) -> Option<UnixSeconds> {
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text.trim()).ok()?;
    Some(zoned.timestamp().into())
}

/// Reads an XML document with the root `Error`. Returns `None` if the root is another one. If the document is cut, the
/// result has what came before the cut.
pub(in crate::cos) fn parse_xml(text: &str) -> Option<ServiceError> {
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
                        error.server_time = time.ok().map(UnixSeconds::from);
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

/// Reads `{"code": …, "message": …, "request_id": …}`, the form of some answers of Cloud Infinite.
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

/// Returns the message for a body that is neither XML nor JSON: the title of an HTML page, or else the text.
fn describe(text: &str) -> String {
    foreign::html(text).unwrap_or_else(|| text.trim().to_owned())
}
