//! `detect-label`: of an object, or of a URL.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, Stamp, answer, cut_short, dripped, endless, xml};
use super::catalogue::{Catalogue, Object};
use super::faults::{Fault, Request};
use super::scenes::{self, SceneSet};
use super::server::{Asked, Dropped, State};
use super::{hash, percent};

/// A stalled request is given up after this long.
const LONGEST_STALL: Duration = Duration::from_mins(2);

/// Counts the request, whatever comes of it, and answers it.
pub(super) async fn respond(
    state: &Arc<State>,
    asked: &Asked,
    refused: impl Fn() -> Option<Answer>,
) -> Result<Answer, Dropped> {
    let url = percent::find(&asked.parameters, "detect-url");
    let target = url.unwrap_or(&asked.key);
    let counted = state.counted(target);
    let (_open, call) = state.stats.call(counted);
    let settings = &asked.settings;
    let throttled = || !state.gate.admit(state.started, settings.qps_limit);
    let (answer, whole) = if let Some(refused) = refused() {
        (refused, false)
    } else if throttled() {
        state.stats.throttled();
        (slow_down(&asked.stamp), false)
    } else {
        let hash = hash::mix(hash::of_bytes(state.seed, target), u64::from(call));
        pause(settings.delay_ms(hash, false)).await;
        let fault = if settings.has_faults(Request::Detect) {
            let attempt = state.stats.attempts_by_key.add(counted);
            settings.draw(state.seed, target, attempt, Request::Detect)
        } else {
            None
        };
        match work(state, asked, url, fault).await {
            Ok((answer, whole)) => (answer, whole),
            Err(dropped) => {
                state.stats.ended(0, false);
                return Err(dropped);
            }
        }
    };
    state.stats.ended(answer.status().as_u16(), whole);
    Ok(answer)
}

/// Waits for so long on average: a timer fires with the next whole millisecond, half of one too late.
pub(super) async fn pause(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_micros(1000 * milliseconds - 500)).await;
    }
}

pub(super) fn slow_down(stamp: &Stamp) -> Answer {
    stamp.error(503, "SlowDown", "Please reduce your request rate.")
}

/// The answer, and whether it is one that a client can use.
async fn work(
    state: &Arc<State>,
    asked: &Asked,
    url: Option<&[u8]>,
    fault: Option<Fault>,
) -> Result<(Answer, bool), Dropped> {
    let stamp = &asked.stamp;
    if let Some(fail) = &asked.settings.fail_code {
        let message =
            if fail.message.is_empty() { fail.code.as_str() } else { fail.message.as_str() };
        return Ok((stamp.error(fail.status, &fail.code, message), false));
    }
    if let Some(fault) = fault
        && let Some(answer) = plain_fault(stamp, fault).await?
    {
        return Ok((answer, false));
    }
    let labels = match labels(state, asked, url).await {
        Ok(labels) => labels,
        Err(refused) => return Ok((*refused, false)),
    };
    Ok(match fault {
        None => (xml(200, scenes::render(&labels)), true),
        Some(Fault::Legacy) => (xml(200, scenes::render_legacy(&labels)), true),
        Some(Fault::Truncated) => (cut_short(&scenes::render(&labels)), false),
        Some(Fault::SlowDrip) => {
            (dripped(scenes::render(&labels), 1, Duration::from_millis(50)), true)
        }
        Some(_) => {
            let label = "<Labels><Confidence>50</Confidence><FirstCategory>c</FirstCategory>\
                         <Name>n</Name><SecondCategory>d</SecondCategory></Labels>\n";
            (endless("<RecognitionResult><WebLabels>", label), false)
        }
    })
}

/// The faults that need no right answer, for detect requests and listings; `None` for the others.
pub(super) async fn plain_fault(stamp: &Stamp, fault: Fault) -> Result<Option<Answer>, Dropped> {
    const GATEWAY: &str = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n\
                           <center><h1>502 Bad Gateway</h1></center>\n</body>\n</html>\n";
    let internal = "We encountered an internal error. Please try again.";
    Ok(Some(match fault {
        Fault::InternalError => stamp.error(500, "InternalError", internal),
        Fault::BadGateway => answer(502, "text/html", GATEWAY),
        Fault::SlowDown => slow_down(stamp),
        Fault::TooMany => stamp.error(429, "TooManyRequests", "Please reduce your request rate."),
        Fault::Reset => return Err(Dropped),
        Fault::Stall => {
            tokio::time::sleep(LONGEST_STALL).await;
            return Err(Dropped);
        }
        Fault::Garbage => xml(200, "\u{1}\u{2}this is no XML <<<>>> &&&".to_owned()),
        Fault::Empty200 => xml(200, String::new()),
        Fault::NotFound => no_such_key(stamp),
        Fault::InvalidState => archived(stamp),
        Fault::AccessDenied => stamp.timed_error("AccessDenied", "Access Denied."),
        Fault::Skewed => {
            let message =
                "The difference between the request time and the server time is too large.";
            stamp.timed_error("RequestTimeTooSkewed", message)
        }
        Fault::Error200 => xml(200, stamp.error_body("InternalError", internal, &[])),
        _ => return Ok(None),
    }))
}

pub(super) fn no_such_key(stamp: &Stamp) -> Answer {
    stamp.error(404, "NoSuchKey", "The specified key does not exist.")
}

fn archived(stamp: &Stamp) -> Answer {
    stamp.timed_error(
        "InvalidObjectState",
        "The operation is not valid for the state of the object.",
    )
}

fn not_an_image(stamp: &Stamp) -> Answer {
    stamp.error(400, "InvalidImageFormat", "Image format is not supported.")
}

/// The object as it is now; a folder is looked at on a thread that may block.
pub(super) async fn object(state: &Arc<State>, key: &[u8]) -> Option<Object> {
    if matches!(state.catalogue, Catalogue::Synthetic { .. }) {
        return state.catalogue.get(key);
    }
    let (state, key) = (Arc::clone(state), key.to_vec());
    tokio::task::spawn_blocking(move || state.catalogue.get(&key)).await.ok().flatten()
}

async fn labels(
    state: &Arc<State>,
    asked: &Asked,
    url: Option<&[u8]>,
) -> Result<scenes::Answer, Box<Answer>> {
    let stamp = &asked.stamp;
    let invalid = |message| Box::new(stamp.error(400, "InvalidArgument", message));
    let scenes = match percent::find(&asked.parameters, "scenes") {
        None => SceneSet::default_scene(),
        Some(text) => std::str::from_utf8(text)
            .ok()
            .and_then(SceneSet::parse)
            .ok_or_else(|| invalid("invalid scenes"))?,
    };
    if let Some(url) = url {
        return of_url(state, stamp, url, scenes);
    }
    if asked.key.is_empty() {
        return Err(invalid("neither a key nor detect-url is given"));
    }
    let object = object(state, &asked.key).await.ok_or_else(|| Box::new(no_such_key(stamp)))?;
    if object.is_archived() {
        return Err(Box::new(archived(stamp)));
    }
    if matches!(state.catalogue, Catalogue::Synthetic { .. }) {
        return of_object(state, &object, scenes).ok_or_else(|| Box::new(not_an_image(stamp)));
    }
    let shared = Arc::clone(state);
    let read = tokio::task::spawn_blocking(move || of_object(&shared, &object, scenes)).await;
    read.ok().flatten().ok_or_else(|| Box::new(not_an_image(stamp)))
}

/// The labels of an object that can be read; `None` if it is no picture.
pub(super) fn of_object(
    state: &State,
    object: &Object,
    scenes: SceneSet,
) -> Option<scenes::Answer> {
    match &state.catalogue {
        Catalogue::Folder(folder) => Some(folder.traits(object)?.answer(scenes)),
        Catalogue::Synthetic { bucket, .. } => object.is_image.then(|| {
            let empty = bucket.is_empty_answer(&object.etag);
            let total = if empty { 0 } else { bucket.labels_per_image };
            state.vocabulary.answer(&object.etag, scenes, total)
        }),
    }
}

/// Labels made from the text of a URL; one with `missing` in its path cannot be fetched.
fn of_url(
    state: &State,
    stamp: &Stamp,
    url: &[u8],
    scenes: SceneSet,
) -> Result<scenes::Answer, Box<Answer>> {
    let text = String::from_utf8_lossy(url);
    let (_, after) = text.split_once("://").unwrap_or_default();
    let (host, path) = after.split_once('/').unwrap_or((after, ""));
    if host.is_empty() {
        return Err(Box::new(stamp.error(400, "InvalidArgument", "detect-url is no URL")));
    }
    if path.split(['?', '#']).next().is_some_and(|path| path.contains("missing")) {
        return Err(Box::new(stamp.error(
            400,
            "ResourceDownloadFailed",
            "The resource could not be downloaded.",
        )));
    }
    let total = match &state.catalogue {
        Catalogue::Synthetic { bucket, .. } => bucket.labels_per_image,
        Catalogue::Folder(_) => 10,
    };
    Ok(state.vocabulary.answer(&text, scenes, total))
}
