//! The paths under `/.costag/`, which need no signature: statistics, the expected result of a run, and changes of settings
//! and objects.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Method, Request};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::answer::{Answer, Cut, answer, json, streamed};
use super::catalogue::Catalogue;
use super::faults::Change;
use super::object::Object;
use super::scenes::{SCENES, SceneSet};
use super::state::State;
use super::{clock, percent};

/// The longest body that is accepted, in bytes.
const MAX_BODY: usize = 64 << 20;
/// The number of objects whose rows are sent together.
const ROWS_TOGETHER: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Objects {
    #[serde(default)]
    put: Vec<Put>,
    #[serde(default)]
    delete: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    key: String,
    #[serde(default)]
    content: String,
    size: Option<u64>,
    last_modified: Option<i64>,
    storage_class: Option<String>,
}

#[derive(Serialize)]
struct KeyCalls<'a> {
    key: std::borrow::Cow<'a, str>,
    calls: u32,
}

/// Answers `/.costag/<path>`.
pub(super) async fn respond(state: &Arc<State>, path: &str, request: Request<Incoming>) -> Answer {
    // A web page can make a browser send requests here, under the name of its own host or under a name that it has
    // pointed to this machine.
    if let Some(foreign) = foreign(request.headers()) {
        let text = format!(
            "{foreign:?} does not name this machine: control paths are for programs on it, \
             with a host such as localhost or 127.0.0.1\n"
        );
        return answer(403, "text/plain", text);
    }
    let query = percent::parse_query(request.uri().query().unwrap_or_default());
    match (request.method().clone(), path) {
        (Method::GET, "stats") => match serde_json::to_string(&state.stats.read()) {
            Ok(text) => json(200, text),
            Err(error) => wrong(&error),
        },
        (Method::GET, "keys") => keys(Arc::clone(state)),
        (Method::GET, "expected") => {
            let text = percent::find(&query, "scenes").unwrap_or(b"camera");
            match SceneSet::parse(&String::from_utf8_lossy(text)) {
                Some(scenes) => expected(Arc::clone(state), scenes),
                None => wrong(&"unknown scenes"),
            }
        }
        (Method::GET, "faults") => settings(state),
        (Method::POST, "faults") => change_faults(state, request).await,
        (Method::POST, "objects") => change_objects(state, request).await,
        (Method::POST, "reset") => {
            state.stats.reset();
            json(200, "{}".to_owned())
        }
        _ => answer(404, "text/plain", "no such control path\n"),
    }
}

/// Returns the `Host` or `Origin` of a request if it names another machine; `None` if both name this one.
fn foreign(headers: &HeaderMap) -> Option<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let host = headers.get(HOST).map(text).unwrap_or_default();
    if !is_loopback(&host) {
        return Some(host);
    }
    headers.get_all(ORIGIN).iter().map(text).find(|origin| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        !host.is_some_and(is_loopback)
    })
}

/// Returns `true` if a host, with or without a port, is a name or address of the loopback interface.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn wrong(error: &dyn std::fmt::Display) -> Answer {
    json(400, serde_json::json!({ "error": error.to_string() }).to_string())
}

fn settings(state: &State) -> Answer {
    match serde_json::to_string(&**state.settings()) {
        Ok(text) => json(200, text),
        Err(error) => wrong(&error),
    }
}

async fn read<T: for<'de> Deserialize<'de>>(request: Request<Incoming>) -> Result<T, String> {
    let body = Limited::new(request.into_body(), MAX_BODY);
    let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

async fn change_faults(state: &State, request: Request<Incoming>) -> Answer {
    let change: Change = match read(request).await {
        Ok(change) => change,
        Err(error) => return wrong(&error),
    };
    {
        let mut settings = state.settings.write().unwrap_or_else(PoisonError::into_inner);
        match settings.changed(change) {
            Ok(new) => *settings = Arc::new(new),
            Err(error) => return wrong(&error),
        }
    }
    settings(state)
}

async fn change_objects(state: &State, request: Request<Incoming>) -> Answer {
    let Objects { put, delete } = match read(request).await {
        Ok(objects) => objects,
        Err(error) => return wrong(&error),
    };
    let now = clock::now(state.settings().clock_offset_seconds);
    let put = put
        .into_iter()
        .map(|put| {
            let time = put.last_modified.unwrap_or(now);
            Object::put(put.key, &put.content, put.size, time, put.storage_class)
        })
        .collect();
    let delete = delete.into_iter().map(String::into_bytes).collect();
    if state.catalogue.change(put, delete) {
        json(200, "{}".to_owned())
    } else {
        wrong(&"the bucket is a folder: change its files instead")
    }
}

/// Returns an answer with the parts that `write` sends. `write` runs on a thread that may block, and waits while the
/// client does not read.
fn written(
    content_type: &'static str,
    write: impl FnOnce(&mut dyn FnMut(Vec<u8>) -> bool) + Send + 'static,
) -> Answer {
    let (parts, received) = mpsc::channel::<Bytes>(4);
    tokio::task::spawn_blocking(move || {
        write(&mut |part| part.is_empty() || parts.blocking_send(Bytes::from(part)).is_ok());
    });
    streamed(
        content_type,
        stream::unfold(received, |mut received| async move {
            let part = received.recv().await?;
            Some((Ok::<_, Cut>(part), received))
        }),
    )
}

/// Answers with a line `{"key":…,"calls":n}` for each key: computed objects in key order, then the others in key order.
fn keys(state: Arc<State>) -> Answer {
    written("application/x-ndjson", move |send| {
        let line = |out: &mut Vec<u8>, key: &[u8], calls| {
            let row = KeyCalls { key: String::from_utf8_lossy(key), calls };
            if serde_json::to_writer(&mut *out, &row).is_ok() {
                out.push(b'\n');
            }
        };
        if let Catalogue::Synthetic { bucket, .. } = &state.catalogue {
            let mut first = 0;
            loop {
                let found = state.stats.calls_by_key.computed(first, ROWS_TOGETHER);
                let Some((last, _)) = found.last() else { break };
                first = last + 1;
                let mut out = Vec::new();
                for (index, calls) in found {
                    line(&mut out, bucket.key(index).as_bytes(), calls);
                }
                if !send(out) {
                    return;
                }
            }
        }
        let mut out = Vec::new();
        for (key, calls) in state.stats.calls_by_key.other() {
            line(&mut out, &key, calls);
        }
        send(out);
    })
}

/// Answers with the labels of every object that can be read, as CSV. Ranks count from 1 in each scene.
fn expected(state: Arc<State>, scenes: SceneSet) -> Answer {
    written("text/csv", move |send| {
        let header = "key,scene,rank,name,first_category,second_category,confidence,etag,size,last_modified\n";
        let mut open = send(header.as_bytes().to_vec());
        let view = state.catalogue.view();
        let mut objects = view.walk(b"", false).filter(|object| !object.is_archived()).peekable();
        while open && objects.peek().is_some() {
            let mut rows = csv::Writer::from_writer(Vec::new());
            for object in objects.by_ref().take(ROWS_TOGETHER) {
                if write_rows(&mut rows, &state, &object, scenes).is_err() {
                    return;
                }
            }
            open = rows.into_inner().is_ok_and(&mut *send);
        }
    })
}

fn write_rows(
    rows: &mut csv::Writer<Vec<u8>>,
    state: &State,
    object: &Object,
    scenes: SceneSet,
) -> csv::Result<()> {
    let (size, time) = (object.size.to_string(), object.last_modified.to_string());
    for (scene, labels) in state.labels_of(object, scenes).unwrap_or_default() {
        for (rank, label) in (1_u32..).zip(&labels) {
            let (rank, confidence) = (rank.to_string(), label.confidence.to_string());
            rows.write_record([
                &object.key[..],
                SCENES[scene].0.as_bytes(),
                rank.as_bytes(),
                label.name.as_bytes(),
                label.first_category.as_bytes(),
                label.second_category.as_bytes(),
                confidence.as_bytes(),
                object.etag.as_bytes(),
                size.as_bytes(),
                time.as_bytes(),
            ])?;
        }
    }
    Ok(())
}
