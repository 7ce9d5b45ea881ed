//! One line of a list: how it ends, according to the store or to a look-up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::{info, warn};

use super::stage::Discovery;
use crate::cos;
use crate::job::verdict::{GiveUp, Operation, Verdict, stored_code, verdict};
use crate::object::{ETag, StorageClass};
use crate::store::compare::{Known, KnownLine};
use crate::store::ident;
use crate::store::model::{ContentState, SkipReason};
use crate::store::turn::{Candidate, Difference, LineFacts, LineFailure, UNUSABLE_LINE};

/// How a line of a list ends. Each line is counted as one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its image is labelled already, or will be called.
    Wanted,
    /// Its image is not called, for this reason.
    Skipped(SkipReason),
    /// The key cannot be looked up, or no request can carry the line.
    Failed,
    /// The bucket has no such key.
    Missing,
}

/// A line that has ended, and what has to be stored of it.
#[derive(Debug)]
pub(super) struct EndedLine {
    /// `list_item.seq`.
    pub(super) seq: i64,
    pub(super) end: End,
    /// How its object differs from the store. Absent if it does not.
    pub(super) difference: Option<Difference>,
    /// Why it failed or is missing. Absent otherwise.
    pub(super) failure: Option<LineFailure>,
    /// The key, if it was looked up and found. Absent otherwise.
    pub(super) found: Option<String>,
}

impl EndedLine {
    fn new(seq: i64, end: End, difference: Option<Difference>) -> Self {
        Self { seq, end, difference, failure: None, found: None }
    }

    /// Ends a line whose object is `candidate`.
    fn of(seq: i64, known: Option<&Known>, candidate: Candidate) -> Self {
        let end = candidate.skip.map_or(End::Wanted, End::Skipped);
        Self::new(seq, end, Some(difference(known, candidate)))
    }
}

/// Finds out about the lines of a list, one by one.
#[derive(Debug)]
pub(super) struct Lines {
    stage: Discovery,
    /// Whether the lines are URLs instead of keys.
    is_urls: bool,
    /// Whether a key was found in this invocation: then the bucket exists.
    found: AtomicBool,
    /// Keys that could not be looked up in this invocation.
    failed: AtomicU64,
}

impl Lines {
    pub(super) fn new(stage: Discovery, is_urls: bool) -> Self {
        Self { stage, is_urls, found: AtomicBool::new(false), failed: AtomicU64::new(0) }
    }

    pub(super) fn stage(&self) -> &Discovery {
        &self.stage
    }

    /// Returns whether a key was found in this invocation.
    pub(super) fn has_found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }

    /// Says how many keys could not be looked up, if there were several.
    pub(super) fn warn_of_failures(&self) {
        let keys = self.failed.load(Ordering::Relaxed);
        if keys > 1 {
            warn!(keys, "keys that could not be looked up");
        }
    }

    /// Ends a line without a look-up. Returns `None` if it needs one.
    pub(super) fn without_asking(&self, line: &KnownLine) -> Option<EndedLine> {
        let KnownLine { seq, item, fault, known, looked_up, facts, has_these_bytes } = line;
        if let Some(fault) = fault {
            let failure = LineFailure {
                seq: *seq,
                item: item.clone(),
                is_missing: false,
                code: UNUSABLE_LINE.to_owned(),
                status: None,
                message: fault.clone(),
                request_id: None,
            };
            let ended = EndedLine::new(*seq, End::Failed, None);
            return Some(EndedLine { failure: Some(failure), ..ended });
        }
        let present = known.as_ref().filter(|known| !known.gone);
        // Where the inventory and the store disagree, either of them can be the older one.
        if facts.is_some() && known.is_some() && !(*has_these_bytes && present.is_some()) {
            return None;
        }
        if let Some(ended) = present.and_then(|known| self.as_known(*seq, known, *looked_up)) {
            return Some(ended);
        }
        if self.is_urls {
            return Some(EndedLine::of(*seq, known.as_ref(), url_candidate(item.clone())));
        }
        if !cos::addressable(item) {
            let entry = cos::ObjectEntry { key: item.clone(), ..Default::default() };
            return Some(EndedLine::of(*seq, known.as_ref(), self.stage.filter.candidate(entry)));
        }
        let facts = facts.as_ref()?;
        let ended = match known {
            // The store has the bytes of the inventory, and its own fingerprint of the object.
            Some(known) => {
                let skip = known.skip_reason.as_deref().and_then(SkipReason::from_name);
                let (object_id, content_id) = (known.object_id, known.content_id?);
                if !skip.is_none_or(is_by_settings) {
                    return None;
                }
                let named = Difference::Named { object_id, content_id };
                EndedLine::new(*seq, End::Wanted, Some(named))
            }
            None => EndedLine::of(*seq, None, self.stage.filter.candidate(listed(item, facts))),
        };
        // Only keys that count as looked up are called.
        Some(EndedLine { found: Some(item.clone()), ..ended })
    }

    /// Ends a line by what the store knows of its object, if that is reliable: for a URL, for a key that needs no call,
    /// and for a key that this run has looked up already.
    fn as_known(&self, seq: i64, known: &Known, looked_up: bool) -> Option<EndedLine> {
        let (content_id, standing) = known.content_id.zip(known.standing)?;
        // Settings that make a listing skip an object do not apply to lists. Other reasons may have passed.
        let skip = known.skip_reason.as_deref().and_then(SkipReason::from_name);
        if !skip.is_none_or(is_by_settings) {
            return None;
        }
        let missing =
            !self.stage.comparison.scenes.without(standing.done).union(standing.redo).is_empty();
        let needs_call = match standing.state {
            // Only a look-up tells whether the key still has the bytes that failed.
            ContentState::Failed => true,
            ContentState::Done | ContentState::Pending | ContentState::InFlight => missing,
        };
        let own = standing.run_id == Some(self.stage.comparison.run_id);
        if needs_call && !self.is_urls && !(own && looked_up) {
            return None;
        }
        let object_id = known.object_id;
        let news = skip.is_some() || self.stage.comparison.needs(standing);
        let listed = news.then_some(Difference::Named { object_id, content_id });
        Some(EndedLine::new(seq, End::Wanted, listed))
    }

    /// Looks a key up. Returns `None` if the run stops.
    pub(super) async fn ask(&self, line: KnownLine) -> Option<EndedLine> {
        let KnownLine { seq, item, known, .. } = line;
        let client = &self.stage.service.client;
        let answer = self
            .stage
            .service
            .ask(Operation::Head, &self.stage.pace, async || {
                client.look_up(&item, self.has_found()).await
            })
            .await?;
        let error = match answer {
            Ok(entry) => {
                self.found.store(true, Ordering::Relaxed);
                let ended = EndedLine::of(seq, known.as_ref(), self.stage.filter.candidate(entry));
                return Some(EndedLine { found: Some(item), ..ended });
            }
            Err(error) => error,
        };
        let is_missing = self.is_missing(&error);
        let mut failure = LineFailure {
            seq,
            item: item.clone(),
            is_missing,
            code: stored_code(&error),
            status: error.status(),
            message: self.stage.service.message_of(&error),
            request_id: error.request_id().map(str::to_owned),
        };
        if !is_missing {
            if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
                warn!(key = %item.escape_debug(), error = %failure.message,
                    "a key cannot be looked up; further such keys are only counted");
            } else {
                info!(key = %item.escape_debug(), error = %failure.message, "a key cannot be looked up");
            }
            let ended = EndedLine::new(seq, End::Failed, None);
            return Some(EndedLine { failure: Some(failure), ..ended });
        }
        info!(key = %item.escape_debug(), "the bucket has no such key");
        // An answer to HEAD has no body, so it says this only by its status.
        if error.code().is_none() {
            "NoSuchKey".clone_into(&mut failure.code);
            "the bucket has no such key".clone_into(&mut failure.message);
        }
        let difference = match known {
            Some(Known { object_id, content_id, gone: false, .. }) => {
                Some(Difference::Gone { object_id, content_id })
            }
            Some(_) => None,
            None => Some(Difference::Missing { key: item }),
        };
        let ended = EndedLine::new(seq, End::Missing, difference);
        Some(EndedLine { failure: Some(failure), ..ended })
    }

    /// Returns whether the error says that the bucket has no such key. A status 404 without a code can also mean that
    /// there is no such bucket, unless another key was found in it.
    fn is_missing(&self, error: &cos::Error) -> bool {
        let verdict = verdict(Operation::Head, true, error);
        matches!(verdict, Verdict::GiveUp(GiveUp::Gone))
            && (error.code().is_some() || self.has_found())
    }
}

/// Returns whether an object was skipped because of the filter.
fn is_by_settings(reason: SkipReason) -> bool {
    use SkipReason::{Excluded, NotIncluded, Suffix, TooLarge, TooSmall};
    matches!(reason, Excluded | NotIncluded | Suffix | TooLarge | TooSmall)
}

/// Compares an object with the store.
fn difference(known: Option<&Known>, candidate: Candidate) -> Difference {
    match known {
        None => Difference::New(candidate),
        Some(&Known { object_id, content_id, gone, fingerprint, .. }) => {
            if gone || fingerprint != candidate.fingerprint {
                Difference::Changed { object_id, content_id, returned: gone, candidate }
            } else {
                Difference::Reconsider { object_id, content_id, candidate }
            }
        }
    }
}

/// A key as a trusted inventory has it.
fn listed(key: &str, facts: &LineFacts) -> cos::ObjectEntry {
    let LineFacts { etag, size, last_modified, storage_class } = facts;
    cos::ObjectEntry {
        key: key.to_owned(),
        etag: ETag::new(etag),
        size: Some(*size),
        last_modified: *last_modified,
        storage_class: storage_class.as_deref().and_then(StorageClass::new),
        ..Default::default()
    }
}

/// The candidate for a URL. Nothing else is known of its image.
fn url_candidate(url: String) -> Candidate {
    Candidate {
        key: url,
        etag: None,
        size: None,
        last_modified: None,
        storage_class: StorageClass::Standard,
        skip: None,
        fingerprint: ident::fingerprint(None, Some(0), "", None),
    }
}
