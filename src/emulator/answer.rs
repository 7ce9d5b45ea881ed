//! The bodies, errors and headers of answers.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures::{Stream, stream};
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use super::{clock, xml};

/// The error that closes the connection in the middle of a body.
#[derive(Debug, thiserror::Error)]
#[error("the emulator cuts this answer")]
pub(super) struct Cut;

/// The error that closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the emulator drops this connection")]
pub(super) struct Dropped;

type Parts = Pin<Box<dyn Stream<Item = Result<Bytes, Cut>> + Send>>;

/// A body that is sent at once or in parts.
pub(super) enum Body {
    Whole(Bytes),
    Parts(Parts),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Parts(parts) => {
                parts.as_mut().poll_next(cx).map(|part| part.map(|part| part.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Parts(_) => SizeHint::default(),
        }
    }
}

/// Marks an answer of a proxy or gateway: it gets none of the service's headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Between;

pub(super) type Answer = Response<Body>;

/// Returns an answer with this type and body.
pub(super) fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::Whole(body.into()));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(super) fn xml(status: u16, body: String) -> Answer {
    answer(status, "application/xml", body)
}

pub(super) fn json(status: u16, body: String) -> Answer {
    answer(status, "application/json", body + "\n")
}

/// Returns an answer with the parts of a stream as its body.
pub(super) fn streamed(
    content_type: &'static str,
    parts: impl Stream<Item = Result<Bytes, Cut>> + Send + 'static,
) -> Answer {
    let mut answer = answer(200, content_type, "");
    *answer.body_mut() = Body::Parts(Box::pin(parts));
    answer
}

/// Returns an answer with the length of `body` that closes the connection after half of it.
pub(super) fn cut_short(body: &str) -> Answer {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let length = bytes.len();
    let parts = stream::unfold(Some(bytes.slice(..length / 2)), |left| async move {
        match left {
            Some(half) if !half.is_empty() => Some((Ok(half), Some(Bytes::new()))),
            Some(_) => {
                // The first half must reach the client before the connection is closed.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(Cut), None))
            }
            None => None,
        }
    });
    with_length(streamed("application/xml", parts), length)
}

/// Returns an answer that sends `body` in parts of `part` bytes, with a pause before each.
pub(super) fn dripped(body: String, part: usize, pause: Duration) -> Answer {
    let length = body.len();
    let parts = stream::unfold(Bytes::from(body), move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let size = part.min(left.len());
        let now = left.split_to(size);
        Some((Ok(now), left))
    });
    with_length(streamed("application/xml", parts), length)
}

/// Returns an answer of `start` and endless repetitions of `again`, up to 64 MiB.
pub(super) fn endless(start: &'static str, again: &str) -> Answer {
    const LIMIT: usize = 64 << 20;
    let block = Bytes::from(again.repeat((65_536 / again.len().max(1)).max(1)));
    let parts = stream::unfold((0_usize, block), move |(sent, block)| async move {
        let part = if sent == 0 { Bytes::from_static(start.as_bytes()) } else { block.clone() };
        (sent < LIMIT).then(|| (Ok(part.clone()), (sent + part.len(), block)))
    });
    streamed("application/xml", parts)
}

fn with_length(mut answer: Answer, length: usize) -> Answer {
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

/// The headers of the answer to one request.
pub(super) struct Stamp {
    /// The id of the request.
    pub(super) request_id: String,
    /// The time of the emulator's clock in Unix seconds.
    pub(super) now: i64,
    /// The difference between the header `Date` and that time, in seconds.
    pub(super) date_offset: i64,
    /// The resource in errors, `host/path`.
    pub(super) resource: String,
}

impl Stamp {
    /// Creates the stamp of the request number `count` of an emulator that was started at `started` in Unix seconds.
    pub(super) fn new(started: i64, count: u64, now: i64) -> Self {
        // The ids of the service are a time, an address and a counter in Base64.
        let text = format!("{started:08x}_{:08x}_{count:09x}", std::process::id());
        let request_id = base64::engine::general_purpose::STANDARD.encode(text);
        Self { request_id, now, date_offset: 0, resource: String::new() }
    }

    /// Adds the headers that every answer has.
    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        const REQUEST_ID: HeaderName = HeaderName::from_static("x-cos-request-id");
        const EMULATOR: HeaderName = HeaderName::from_static("x-costag-emulator");
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if let Ok(date) =
            HeaderValue::from_str(&clock::http_date(self.now.saturating_add(self.date_offset)))
        {
            headers.insert(hyper::header::DATE, date);
        }
        headers.insert(hyper::header::SERVER, HeaderValue::from_static("tencent-cos"));
        headers.insert(EMULATOR, HeaderValue::from_static("1"));
    }

    /// Returns the body of an error. The elements in `extra` follow the message.
    pub(super) fn error_body(&self, code: &str, message: &str, extra: &[(&str, &str)]) -> String {
        let mut out = String::from("<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n");
        let trace =
            base64::engine::general_purpose::STANDARD.encode(format!("trace-{}", self.request_id));
        let ends = [
            ("Resource", self.resource.as_str()),
            ("RequestId", &self.request_id),
            ("TraceId", &trace),
        ];
        let starts = [("Code", code), ("Message", message)];
        for (name, text) in starts.iter().chain(extra).chain(&ends) {
            let _ = write!(out, "\t<{name}>");
            xml::escape_into(&mut out, text.as_bytes());
            let _ = writeln!(out, "</{name}>");
        }
        out.push_str("</Error>\n");
        out
    }

    pub(super) fn error(&self, status: u16, code: &str, message: &str) -> Answer {
        xml(status, self.error_body(code, message, &[]))
    }

    /// Returns an error with status 403 that has the element `ServerTime`, as errors of permission and clock do.
    pub(super) fn timed_error(&self, code: &str, message: &str) -> Answer {
        let time = clock::iso(self.now) + "Z";
        xml(403, self.error_body(code, message, &[("ServerTime", &time)]))
    }
}
