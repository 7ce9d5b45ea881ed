//! Follows the run that goes on: an event each second, as long as the browser listens.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use super::answer::{self, Answer};
use super::state::State;
use crate::store::{self, Reader};
use crate::view::live::Live;

/// The time between two looks.
const EACH: Duration = Duration::from_secs(1);

/// Begins to tell the figures of the run that goes on: JSON, or `null` if there is none.
pub(super) fn follow(state: &Arc<State>) -> Answer {
    let Ok(permit) = Arc::clone(&state.followers).try_acquire_owned() else {
        return answer::line(503, "Too many pages follow the run. Close one of them.");
    };
    let events =
        stream::unfold((Arc::clone(state), permit, true), |(state, permit, first)| async move {
            if !first {
                tokio::time::sleep(EACH).await;
            }
            if !state.goes_on() {
                return None;
            }
            let look = Arc::clone(&state);
            let read = tokio::task::spawn_blocking(move || event(&look)).await.ok()?;
            // If the database cannot be read, the browser is told that no run goes on.
            let text = read.unwrap_or_else(|_| "data: null\n\n".to_owned());
            Some((Ok(Frame::data(Bytes::from(text))), (state, permit, false)))
        });
    answer::with_body(200, "text/event-stream", StreamBody::new(events).boxed_unsync())
}

fn event(state: &State) -> Result<String, store::Error> {
    let terms = (state.site.terms)();
    let live = Live::read(&Reader::open(&state.site.database)?, &terms)?;
    Ok(format!("data: {}\n\n", serde_json::to_string(&live).unwrap_or_else(|_| "null".to_owned())))
}
