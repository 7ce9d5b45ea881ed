//! Downloads: every image of a search as CSV or JSON lines, streamed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use url::form_urlencoded;

use super::answer::{self, Answer};
use super::state::State;
use crate::export::{self, Dialect};
use crate::store::Reader;
use crate::store::read::{Found, ImageState};
use crate::view::query::Query;

/// How many images are read at a time.
const BATCH: usize = 500;

/// How long a browser may take to accept a part. Then the download is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// The form of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A line for each image, with a header.
    Csv,
    /// An object for each image.
    JsonLines,
}

/// The columns, and the members of each object.
const COLUMNS: [&str; 5] = ["bucket", "key", "state", "labels", "code"];

#[derive(Serialize)]
struct Row<'a> {
    bucket: &'a str,
    key: &'a str,
    state: &'static str,
    labels: Vec<Label<'a>>,
    code: Option<&'a str>,
}

#[derive(Serialize)]
struct Label<'a> {
    name: &'a str,
    confidence: u8,
}

/// Begins a download of the images that an address asks for.
pub(super) fn begin(state: &Arc<State>, query: &str, form: Form) -> Answer {
    let query = match Query::of(form_urlencoded::parse(query.as_bytes())) {
        Ok(query) => query,
        Err(error) => return answer::line(400, &error.to_string()),
    };
    let reader = match Reader::open(&state.site.database) {
        Ok(reader) => reader,
        Err(error) => return answer::line(503, &error.to_string()),
    };
    let Ok(permit) = Arc::clone(&state.streams).try_acquire_owned() else {
        return answer::line(503, "Too many downloads. Wait until one of them has ended.");
    };
    let (parts, received) = mpsc::channel::<io::Result<Bytes>>(2);
    let (state, runtime) = (Arc::clone(state), Handle::current());
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let send = |part| {
            let sent = runtime.block_on(tokio::time::timeout(PATIENCE, parts.send(part)));
            matches!(sent, Ok(Ok(()))) && state.goes_on()
        };
        if let Err(error) = write(&reader, &query, form, &send) {
            // The browser sees that the file is not complete.
            tracing::warn!(error = %error, "a download ended early");
            let _ = send(Err(io::Error::other(error)));
        }
    });
    let body = stream::unfold(received, |mut received| async move {
        let part = received.recv().await?;
        Some((part.map(Frame::data), received))
    });
    let (kind, name) = match form {
        Form::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"images.csv\""),
        Form::JsonLines => ("application/jsonl", "attachment; filename=\"images.jsonl\""),
    };
    let mut answer = answer::with_body(200, kind, StreamBody::new(body).boxed_unsync());
    answer.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    answer
}

/// Writes everything, as long as `send` accepts it.
fn write(
    reader: &Reader,
    query: &Query,
    form: Form,
    send: &impl Fn(io::Result<Bytes>) -> bool,
) -> Result<(), crate::store::Error> {
    let mut buffer = Vec::new();
    if form == Form::Csv {
        export::header(&COLUMNS, Dialect::Plain, &mut buffer);
    }
    let mut after = None;
    loop {
        let page = reader.pictures(&query.pick, after, BATCH, None, || true)?;
        for image in &page.images {
            line(image, form, &mut buffer);
        }
        if !send(Ok(std::mem::take(&mut buffer).into())) {
            return Ok(());
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn line(image: &Found, form: Form, into: &mut Vec<u8>) {
    let state = match image.state {
        ImageState::Labelled => "labelled",
        ImageState::Unlabelled => "unlabelled",
        ImageState::Failed => "failed",
        ImageState::Waiting => "waiting",
    };
    let (bucket, key) = (&*image.sample.bucket, &*image.sample.key);
    let code = image.code.as_deref();
    match form {
        Form::Csv => {
            let labels =
                image.labels.iter().map(|(name, confidence)| format!("{name}:{confidence}"));
            let labels = labels.collect::<Vec<_>>().join(";");
            let cells = [bucket, key, state, &labels, code.unwrap_or_default()].map(str::to_owned);
            export::line(&cells, Dialect::Plain, into);
        }
        Form::JsonLines => {
            let labels = image.labels.iter();
            let labels =
                labels.map(|(name, confidence)| Label { name, confidence: *confidence }).collect();
            let row = Row { bucket, key, state, labels, code };
            if serde_json::to_writer(&mut *into, &row).is_ok() {
                into.push(b'\n');
            }
        }
    }
}
