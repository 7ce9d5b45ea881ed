//! Answers HEAD Object, and GET Object with a range, which return the properties of an object without labels.
//!
//! An answer to HEAD has no body, so the reason of a refusal is unknown. The answer to GET has it.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED};

use super::answer::{Answer, Body, Dropped, answer};
use super::catalogue::Catalogue;
use super::clock;
use super::faults::{Fault, Request};
use super::misbehave::{no_such_key, plain_fault};
use super::object::Object;
use super::state::{Asked, State};
use super::stats::Counted;

/// Answers HEAD Object.
pub(super) async fn head(state: &Arc<State>, asked: &Asked) -> Result<Answer, Dropped> {
    state.stats.headed();
    let attempt = if asked.settings.has_faults(Request::Object) {
        state.stats.heads_by_key.add(Counted::Other(&asked.key))
    } else {
        0
    };
    let object = match found(state, asked, attempt).await? {
        Found::Object(object) => object,
        Found::Refused(refused) => return Ok(refused),
        Found::WithoutLength(object) => {
            let mut answer = described(200, &object);
            // The length of this body is not known in advance, so the answer is sent without `Content-Length`.
            *answer.body_mut() = Body::Parts(Box::pin(futures::stream::pending()));
            return Ok(answer);
        }
    };
    let mut answer = described(200, &object);
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(object.size));
    Ok(answer)
}

/// Answers GET Object with the header `Range`. The answer has the first byte, even if another range is requested.
pub(super) async fn get(state: &Arc<State>, asked: &Asked) -> Result<Answer, Dropped> {
    state.stats.got();
    // The attempt is that of the HEAD request before it, so both have the same fault.
    let attempt = state.stats.heads_by_key.of_other(&asked.key).max(1);
    let object = match found(state, asked, attempt).await? {
        Found::Object(object) | Found::WithoutLength(object) => object,
        Found::Refused(refused) => return Ok(refused),
    };
    let first = match &state.catalogue {
        Catalogue::Folder(folder) => folder.first_byte(&object.key),
        // A computed picture has no bytes. Every JPEG file begins with this one.
        Catalogue::Synthetic { .. } => (object.size > 0).then_some(0xff),
    };
    let Some(first) = first else {
        let mut answer =
            asked.stamp.error(416, "InvalidRange", "The requested range cannot be satisfied.");
        answer.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_static("bytes */0"));
        return Ok(answer);
    };
    let mut answer = described(206, &object);
    *answer.body_mut() = Body::Whole(Bytes::from(vec![first]));
    let range = format!("bytes 0-0/{}", object.size);
    answer.headers_mut().extend(HeaderValue::from_str(&range).map(|range| (CONTENT_RANGE, range)));
    Ok(answer)
}

/// The result of a request for one object.
pub(super) enum Found {
    Object(Object),
    /// The request is refused with this answer.
    Refused(Answer),
    /// The object, whose length is left out of the answer.
    WithoutLength(Object),
}

pub(super) async fn found(
    state: &Arc<State>,
    asked: &Asked,
    attempt: u32,
) -> Result<Found, Dropped> {
    let (stamp, settings) = (&asked.stamp, &asked.settings);
    if let Some(fail) = settings.object_failure(&asked.key) {
        let message = if fail.message.is_empty() { &fail.code } else { &fail.message };
        return Ok(Found::Refused(stamp.error(fail.status, &fail.code, message)));
    }
    let fault = if settings.has_faults(Request::Object) {
        settings.draw(state.seed, &asked.key, attempt, Request::Object)
    } else {
        None
    };
    if let Some(fault) = fault
        && let Some(refused) = plain_fault(stamp, fault).await?
    {
        return Ok(Found::Refused(refused));
    }
    Ok(match state.object(&asked.key).await {
        None => Found::Refused(no_such_key(stamp)),
        Some(object) if fault == Some(Fault::NoLength) => Found::WithoutLength(object),
        Some(object) => Found::Object(object),
    })
}

/// Returns an answer with the properties of the object, without its length and content.
pub(super) fn described(status: u16, object: &Object) -> Answer {
    let mut answer = answer(status, "application/octet-stream", "");
    let mut headers = HeaderMap::new();
    let texts = [
        (ETAG, format!("\"{}\"", object.etag)),
        (LAST_MODIFIED, clock::http_date(object.last_modified)),
    ];
    for (name, text) in texts {
        headers.extend(HeaderValue::from_str(&text).map(|value| (name, value)));
    }
    if let Ok(class) = HeaderValue::from_str(&object.storage_class) {
        headers.insert("x-cos-storage-class", class);
    }
    answer.headers_mut().extend(headers);
    answer
}
