//! Answers GET Bucket, and has the faults of listings.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;

use super::answer::{Answer, Dropped, cut_short, dripped, endless, xml};
use super::catalogue::Catalogue;
use super::faults::{Fault, Request};
use super::hash;
use super::listing::{self, Page, Query};
use super::misbehave::{pause, plain_fault, slow_down};
use super::state::{Asked, State};
use super::stats::Counted;

pub(super) async fn respond(state: &Arc<State>, asked: &Asked) -> Result<Answer, Dropped> {
    state.stats.listed();
    let settings = &asked.settings;
    if !state.list_gate.admit(state.started, settings.list_qps_limit) {
        state.stats.throttled();
        return Ok(slow_down(&asked.stamp));
    }
    let query = match Query::parse(&asked.parameters) {
        Ok(query) => query,
        Err(message) => return Ok(asked.stamp.error(400, "InvalidArgument", message)),
    };
    let place = [&query.prefix[..], b"\0", &query.marker].concat();
    let mut fault = None;
    if settings.has_faults(Request::List) {
        let attempt = state.stats.lists_by_marker.add(Counted::Other(&place));
        fault = settings.draw(state.seed, &place, attempt, Request::List);
    }
    let hash = hash::mix(hash::of_bytes(state.seed, &place), asked.stamp.now.cast_unsigned());
    pause(settings.delay_ms(hash, true)).await;
    if let Some(fault) = fault
        && let Some(answer) = plain_fault(&asked.stamp, fault).await?
    {
        return Ok(answer);
    }
    let mut answer = right_or_wrong(state, query, fault).await;
    if let Ok(region) = HeaderValue::from_str(&state.region) {
        answer.headers_mut().insert("x-cos-bucket-region", region);
    }
    Ok(answer)
}

async fn page(state: &Arc<State>, query: &Query) -> Page {
    if matches!(state.catalogue, Catalogue::Synthetic { .. }) {
        return listing::list(&state.catalogue.view(), query);
    }
    let (state, query) = (Arc::clone(state), query.clone());
    let read = move || listing::list(&state.catalogue.view(), &query);
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

async fn right_or_wrong(state: &Arc<State>, query: Query, fault: Option<Fault>) -> Answer {
    let mut page = page(state, &query).await;
    let mut shown = query.clone();
    match fault {
        Some(Fault::Stuck) => {
            let last = page.contents.last().map(|object| object.key.clone()).unwrap_or_default();
            page.next_marker = Some(if query.marker.is_empty() { last } else { query.marker });
        }
        Some(Fault::NeverEnds) if page.next_marker.is_none() => {
            // The marker advances, so only a client that expects keys on every page notices it.
            let last = page.contents.last().map_or(&query.marker, |object| &object.key);
            page.next_marker = Some([last, &b"~"[..]].concat());
        }
        Some(Fault::OutOfOrder) => page.contents.reverse(),
        Some(Fault::WrongPrefix) => shown.prefix = b"wrong/".to_vec(),
        Some(Fault::WrongMarker) => shown.marker.extend_from_slice(b"wrong"),
        _ => {}
    }
    let text = listing::render(&page, &shown, &state.bucket);
    match fault {
        Some(Fault::Truncated) => cut_short(&text),
        Some(Fault::SlowDrip) => {
            let part = text.len().div_ceil(20);
            dripped(text, part, Duration::from_millis(250))
        }
        Some(Fault::Endless) => {
            let start = "<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult>\n";
            let object = "<Contents><Key>huge.jpg</Key><LastModified>2026-03-14T08:15:30.000Z</LastModified>\
                          <ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>9</Size>\
                          <StorageClass>STANDARD</StorageClass></Contents>\n";
            endless(start, object)
        }
        _ => xml(200, text),
    }
}
