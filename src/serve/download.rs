//! Downloads: every image of a search as CSV or JSON lines, streamed.
//!
//! A task reads the images and sends them in parts. It says when everything was sent. Without that word the connection
//! is cut, so that the browser reports a failed download instead of keeping a file that looks complete.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
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
use crate::view::Terms;
use crate::view::query::Query;

/// How many images are read at a time.
const BATCH: usize = 500;

/// How long a browser may take to accept a part. Then the download is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// The form of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A line for each image, with a header, for spreadsheets: people open such a file with a double click.
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

/// What the task of a download sends.
#[derive(Debug)]
enum Part {
    /// The next bytes.
    Bytes(Bytes),
    /// Everything was sent.
    End,
}

/// Begins a download of the images that an address asks for.
pub(super) async fn begin(state: &Arc<State>, query: &str, form: Form) -> Answer {
    let query = match Query::of(form_urlencoded::parse(query.as_bytes())) {
        Ok(query) => query,
        Err(error) => return answer::line(400, &error.to_string()),
    };
    let Ok(permit) = Arc::clone(&state.downloads).try_acquire_owned() else {
        return answer::line(503, "Too many downloads. Wait until one of them has ended.");
    };
    let database = state.site.database.clone();
    let reader = match tokio::task::spawn_blocking(move || Reader::open(&database)).await {
        Ok(Ok(reader)) => reader,
        Ok(Err(error)) => return answer::line(503, &error.to_string()),
        Err(_) => return answer::line(500, "The download failed."),
    };
    let (parts, received) = mpsc::channel(2);
    let terms = (state.site.terms)();
    let (state, runtime) = (Arc::clone(state), Handle::current());
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let send = |part| {
            let sent = runtime.block_on(tokio::time::timeout(PATIENCE, parts.send(part)));
            matches!(sent, Ok(Ok(()))) && state.goes_on()
        };
        let continues = || !parts.is_closed() && state.goes_on();
        match write(&reader, &query, &terms, form, &send, continues) {
            Ok(true) => {}
            Ok(false) => tracing::debug!("a download was given up"),
            Err(error) => tracing::warn!(%error, "a download ended early"),
        }
    });
    let (kind, name) = match form {
        Form::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"images.csv\""),
        Form::JsonLines => ("application/jsonl", "attachment; filename=\"images.jsonl\""),
    };
    let body = StreamBody::new(body(received)).boxed_unsync();
    let mut answer = answer::with_body(200, kind, body);
    answer.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    answer
}

/// The body of a download. It fails if the parts end without [`Part::End`]: because the database could not be read,
/// because the browser accepted nothing for too long, because the server ends, or because the task panicked.
fn body(received: mpsc::Receiver<Part>) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    stream::unfold(Some(received), |received| async move {
        let mut received = received?;
        match received.recv().await {
            Some(Part::Bytes(bytes)) => Some((Ok(Frame::data(bytes)), Some(received))),
            Some(Part::End) => None,
            None => Some((Err(io::Error::other("the download ended early")), None)),
        }
    })
}

/// Sends everything, as long as `send` accepts it and `continues` returns true. Returns whether everything was sent.
fn write(
    reader: &Reader,
    query: &Query,
    terms: &Terms,
    form: Form,
    send: &impl Fn(Part) -> bool,
    continues: impl Fn() -> bool,
) -> Result<bool, crate::store::Error> {
    let mut buffer = Vec::new();
    if form == Form::Csv {
        export::header(&COLUMNS, Dialect::Excel, &mut buffer);
    }
    let mut after = None;
    loop {
        let page = reader.pictures(&query.pick, after, BATCH, None, &continues)?;
        for image in &page.images {
            line(image, terms, form, &mut buffer);
        }
        if !send(Part::Bytes(std::mem::take(&mut buffer).into())) {
            return Ok(false);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(send(Part::End)),
        }
    }
}

fn line(image: &Found, terms: &Terms, form: Form, into: &mut Vec<u8>) {
    let state = match image.state {
        ImageState::Labelled => "labelled",
        ImageState::Unlabelled => "unlabelled",
        ImageState::Failed => "failed",
        ImageState::Waiting => "waiting",
    };
    let (bucket, key) = (&*image.sample.bucket, &*image.sample.key);
    let code = image.code.as_deref();
    let labels = image.labels.iter().map(|(name, confidence)| Label {
        name: terms.aliases.label(name),
        confidence: *confidence,
    });
    match form {
        Form::Csv => {
            let labels = labels.map(|Label { name, confidence }| format!("{name}:{confidence}"));
            let labels = labels.collect::<Vec<_>>().join(";");
            let cells = [bucket, key, state, &labels, code.unwrap_or_default()].map(str::to_owned);
            export::line(&cells, Dialect::Excel, into);
        }
        Form::JsonLines => {
            let row = Row { bucket, key, state, labels: labels.collect(), code };
            if serde_json::to_writer(&mut *into, &row).is_ok() {
                into.push(b'\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    /// The bytes of each frame of a body, or `None` for an error.
    async fn frames(sent: Vec<Part>) -> Vec<Option<Bytes>> {
        let (parts, received) = mpsc::channel(8);
        for part in sent {
            parts.send(part).await.unwrap();
        }
        // As if the task had returned or panicked.
        drop(parts);
        body(received).map(|frame| frame.ok()?.into_data().ok()).collect().await
    }

    #[tokio::test]
    async fn a_download_that_does_not_say_that_it_is_complete_fails() {
        let part = || Part::Bytes(Bytes::from_static(b"a.jpg\n"));
        let bytes = || Some(Bytes::from_static(b"a.jpg\n"));
        assert_eq!(frames(vec![part(), Part::End]).await, [bytes()]);
        assert_eq!(frames(vec![part(), part()]).await, [bytes(), bytes(), None]);
        assert_eq!(frames(vec![]).await, [None]);
    }
}
