//! One line of a list: what it comes to, by what the store knows or by asking the service.

use std::sync::atomic::Ordering;

use tracing::{info, warn};

use super::lookup::Lookup;
use super::source::Source;
use crate::cos;
use crate::job::verdict::{GiveUp, Operation, Verdict, stored_code, verdict};
use crate::store::ident;
use crate::store::model::{ContentState, SkipReason};
use crate::store::read::{Known, ListedLine};
use crate::store::turn::{Candidate, Difference, LineFailure};

/// What is counted of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its image is labelled, or will be called.
    Wanted,
    /// Its image is not called, for this reason.
    Skipped(SkipReason),
    /// It cannot be looked up, or no request can carry it.
    Failed,
    /// The bucket has no such key.
    Missing,
}

/// A line that needs no more work of the look-up.
#[derive(Debug)]
pub(super) struct EndedLine {
    pub(super) seq: i64,
    pub(super) end: End,
    /// What is new about its object.
    pub(super) difference: Option<Difference>,
    pub(super) failure: Option<LineFailure>,
    /// The key, if it was looked up and found.
    pub(super) found: Option<String>,
}

impl EndedLine {
    fn new(seq: i64, end: End, difference: Option<Difference>) -> Self {
        Self { seq, end, difference, failure: None, found: None }
    }

    /// A line whose object is this candidate.
    fn of(seq: i64, known: Option<&Known>, candidate: Candidate) -> Self {
        let end = candidate.skip.map_or(End::Wanted, End::Skipped);
        Self::new(seq, end, Some(difference(known, candidate)))
    }
}

impl Lookup {
    /// What the line comes to without asking the service; `None` if it has to be asked.
    pub(super) fn without_asking(&self, line: &ListedLine) -> Option<EndedLine> {
        let ListedLine { seq, item, fault, known, looked_up } = line;
        if let Some(fault) = fault {
            let failure = LineFailure {
                seq: *seq,
                item: item.clone(),
                is_missing: false,
                code: "UnusableLine".to_owned(),
                status: None,
                message: fault.clone(),
                request_id: None,
            };
            let ended = EndedLine::new(*seq, End::Failed, None);
            return Some(EndedLine { failure: Some(failure), ..ended });
        }
        let present = known.as_ref().filter(|known| !known.gone);
        if let Some(ended) = present.and_then(|known| self.as_known(*seq, known, *looked_up)) {
            return Some(ended);
        }
        if matches!(self.source, Source::Urls(_)) {
            return Some(EndedLine::of(*seq, known.as_ref(), url_candidate(item.clone())));
        }
        if !cos::addressable(item) {
            let entry = cos::ObjectEntry { key: item.clone(), ..Default::default() };
            return Some(EndedLine::of(*seq, known.as_ref(), self.stage.filter.candidate(entry)));
        }
        None
    }

    /// What a line with a known, present object comes to, if that is certain enough: a URL, a key that needs no call,
    /// or one that this run has looked up already.
    fn as_known(&self, seq: i64, known: &Known, looked_up: bool) -> Option<EndedLine> {
        let (content_id, standing) = known.content_id.zip(known.standing)?;
        // What a listing skips by its settings is no matter here; the rest is looked at again.
        let skip = known.skip_reason.as_deref().and_then(SkipReason::from_name);
        if !skip.is_none_or(is_by_settings) {
            return None;
        }
        let missing =
            !self.stage.comparison.scenes.without(standing.done).union(standing.redo).is_empty();
        let needs_call = match standing.state {
            // Of what was given up only a look-up tells whether the bytes are still those.
            ContentState::Failed => true,
            ContentState::Done | ContentState::Pending | ContentState::InFlight => missing,
        };
        let own = standing.run_id == Some(self.stage.comparison.run_id);
        let is_url = matches!(self.source, Source::Urls(_));
        if needs_call && !is_url && !(own && looked_up) {
            return None;
        }
        let object_id = known.object_id;
        let news = skip.is_some() || self.stage.comparison.needs(standing);
        let listed = news.then_some(Difference::Listed { object_id, content_id });
        Some(EndedLine::new(seq, End::Wanted, listed))
    }

    /// Asks the service about a key; `None` if the run stops.
    pub(super) async fn ask(&self, line: ListedLine) -> Option<EndedLine> {
        let ListedLine { seq, item, known, .. } = line;
        let client = &self.stage.service.client;
        let answer = self
            .stage
            .service
            .ask(Operation::Head, &self.stage.pace, async || {
                client.look_up(&item, self.found.load(Ordering::Relaxed)).await
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
            warn!(key = %item.escape_debug(), error = %failure.message, "cannot be looked up");
            let ended = EndedLine::new(seq, End::Failed, None);
            return Some(EndedLine { failure: Some(failure), ..ended });
        }
        info!(key = %item.escape_debug(), "the bucket has no such key");
        // HEAD does not say so in words.
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

    /// Whether the error says that the key is not there. Without a code, "not found" can mean the bucket, unless a key
    /// of it was found.
    fn is_missing(&self, error: &cos::Error) -> bool {
        let verdict = verdict(Operation::Head, true, error);
        matches!(verdict, Verdict::GiveUp(GiveUp::Gone))
            && (error.code().is_some() || self.found.load(Ordering::Relaxed))
    }
}

fn is_by_settings(reason: SkipReason) -> bool {
    use SkipReason::{Excluded, NotIncluded, Suffix, TooLarge, TooSmall};
    matches!(reason, Excluded | NotIncluded | Suffix | TooLarge | TooSmall)
}

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

/// A URL is all that is known of its image.
fn url_candidate(url: String) -> Candidate {
    Candidate {
        key: url,
        etag: String::new(),
        size: None,
        last_modified: None,
        storage_class: String::new(),
        skip: None,
        fingerprint: ident::fingerprint("", Some(0), "", None),
    }
}
