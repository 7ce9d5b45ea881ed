//! Values with which the tests of the store begin.

use super::ident::fingerprint;
use super::model::SourceKind;
use super::run::{BegunRun, NewRun, RangeProgress, RunContext, Span};
use super::turn::Candidate;
use crate::object::{ETag, StorageClass};
use crate::scene::Scene;
use crate::time::{UnixMillis, UnixSeconds};

/// The bucket of every sample.
pub(in crate::store) const BUCKET: &str = "photos-1250000000";

/// A run over the keys of [`BUCKET`] that start with `prefix`, listed in these spans.
pub(in crate::store) fn new_run(prefix: &str, spans: Vec<Span>) -> NewRun {
    NewRun {
        bucket: BUCKET.to_owned(),
        source: SourceKind::Bucket,
        prefix: prefix.to_owned(),
        eligibility: 1,
        settings: "{}".to_owned(),
        plan: false,
        started_at: UnixSeconds(100),
        spans,
    }
}

/// The whole key space, in two spans that meet at `m`.
pub(in crate::store) fn two_spans() -> Vec<Span> {
    vec![
        Span { start_after: String::new(), stop_at: Some("m".to_owned()) },
        Span { start_after: "m".to_owned(), stop_at: None },
    ]
}

/// The context of a run that was made by [`new_run`]. It wants the scene `camera`.
pub(in crate::store) fn context(begun: BegunRun, prefix: &str) -> RunContext {
    let BegunRun { id, bucket_id, journals } = begun;
    RunContext {
        id,
        bucket_id,
        bucket: BUCKET.to_owned(),
        prefix: prefix.to_owned(),
        scenes: Scene::Camera.into(),
        dedupe: true,
        list: false,
        urls: false,
        journals,
        plan: false,
    }
}

/// A wanted key whose bytes are identified by `etag`.
pub(in crate::store) fn candidate(key: &str, etag: &str) -> Candidate {
    let etag = ETag::new(etag);
    Candidate {
        key: key.to_owned(),
        fingerprint: fingerprint(etag.as_ref(), Some(5), "STANDARD", Some(UnixMillis(1_000))),
        etag,
        size: Some(5),
        last_modified: Some(UnixMillis(1_000)),
        storage_class: StorageClass::Standard,
        skip: None,
    }
}

/// The progress of a listing that has reached this key.
pub(in crate::store) fn up_to(key: &str) -> RangeProgress {
    RangeProgress::Span { up_to: key.to_owned() }
}
