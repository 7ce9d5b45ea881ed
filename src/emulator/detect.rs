//! Answers `detect-label` for an object or a URL.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, Dropped, Stamp, cut_short, dripped, endless, xml};
use super::catalogue::Catalogue;
use super::closable::Closes;
use super::faults::{Fault, Request};
use super::misbehave::{archived, no_such_key, pause, plain_fault, slow_down};
use super::scenes::{self, SceneSet};
use super::state::{Asked, State};
use super::{hash, percent};

/// Counts a request and answers it. Refused requests count too. `refused` returns the answer to a wrong signature.
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

/// Returns the answer, and whether a client can use it.
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
        Some(Fault::Close) => {
            let mut answer = xml(200, scenes::render(&labels));
            answer.extensions_mut().insert(Closes);
            (answer, true)
        }
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

fn not_an_image(stamp: &Stamp) -> Answer {
    stamp.error(400, "InvalidImageFormat", "Image format is not supported.")
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
    let object = state.object(&asked.key).await.ok_or_else(|| Box::new(no_such_key(stamp)))?;
    if object.is_archived() {
        return Err(Box::new(archived(stamp)));
    }
    if matches!(state.catalogue, Catalogue::Synthetic { .. }) {
        return state.labels_of(&object, scenes).ok_or_else(|| Box::new(not_an_image(stamp)));
    }
    let shared = Arc::clone(state);
    let read = tokio::task::spawn_blocking(move || shared.labels_of(&object, scenes)).await;
    read.ok().flatten().ok_or_else(|| Box::new(not_an_image(stamp)))
}

/// Returns labels that are chosen by the text of a URL. A URL with `missing` in its path counts as one that cannot be
/// fetched.
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
