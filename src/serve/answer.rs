//! Answers: a body, and the headers that every answer has.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// A body, whole or streamed.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer.
pub(super) type Answer = Response<Body>;

/// Headers that keep other pages from embedding an answer, whatever it is.
const ISOLATION: [(&str, &str); 2] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// An answer with a whole body.
pub(super) fn whole(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    with_body(status, kind, Full::new(body.into()).map_err(|never| match never {}).boxed_unsync())
}

/// An answer with a body that may be streamed.
pub(super) fn with_body(status: u16, kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status.try_into().unwrap_or_default();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// An answer with one line of text, for a request that no page answers.
pub(super) fn line(status: u16, text: &str) -> Answer {
    let mut answer = whole(status, "text/plain; charset=utf-8", format!("{text}\n"));
    if status == 405 {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    answer
}

/// An answer that redirects the browser to another address.
pub(super) fn redirect(status: u16, location: &str, cookie: Option<&str>) -> Answer {
    let mut answer = whole(status, "text/plain; charset=utf-8", "");
    let mut set = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
        Ok(mut value) => {
            // A link and a cookie let in whoever has them, so no log of headers may print them.
            value.set_sensitive(true);
            answer.headers_mut().insert(name, value);
        }
        Err(error) => tracing::debug!(%error, "a header cannot carry its value"),
    };
    set(LOCATION, location);
    if let Some(cookie) = cookie {
        set(SET_COOKIE, cookie);
    }
    answer
}

/// Adds the headers that every answer has. `pictures` is the host of pictures, if there is another one.
pub(super) fn finish(headers: &mut HeaderMap, pictures: Option<&str>) {
    let pictures = pictures.map_or_else(String::new, |origin| format!(" {origin}"));
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         img-src 'self'{pictures}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    let fixed = |text| HeaderValue::from_static(text);
    headers.entry(CACHE_CONTROL).or_insert(fixed("no-store"));
    headers.insert(REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(X_FRAME_OPTIONS, fixed("DENY"));
    for (name, value) in ISOLATION {
        headers.insert(HeaderName::from_static(name), fixed(value));
    }
}
