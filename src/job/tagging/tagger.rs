//! One call, and what all calls share: pace, budget, gate, breaker and outages.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::activity::{Activity, Counted};
use super::breaker::{Breaker, Tripped};
use super::budget::Budget;
use super::failure::add_failure;
use crate::cos::{self, Answer, Target};
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::gate::Gate;
use crate::job::service::client::{Recognised, Service};
use crate::job::service::outage::{Call, Kind, Outage};
use crate::job::service::pace::{Pace, PaceChange, warn_of_faults};
use crate::job::verdict::{GiveUp, Operation, Verdict, verdict};
use crate::job::writer::{Record, Writer};
use crate::scene::Scenes;
use crate::store::model::{CallOutcome, RANK_MAX};
use crate::store::turn::{CallRow, Key, Settled};
use crate::time::UnixMillis;

/// If single calls are throttled for longer than this, the pace is not the cause.
const PERSISTENT: Duration = Duration::from_millis(1500);

/// What the calls of a run share.
#[derive(Debug)]
pub(super) struct Tagger {
    pub(super) service: Arc<Service>,
    pub(super) writer: Writer,
    pub(super) pace: Pace,
    pub(super) budget: Arc<Budget>,
    pub(super) gate: Gate,
    pub(super) breaker: Breaker,
    /// The earliest retry of the images that were put back, from `Retry-After`. Absent if the service gave none.
    pub(super) not_before: Mutex<Option<Instant>>,
    /// Whether an image was put back since the last pause because its calls failed, not because they were throttled.
    pub(super) needs_pause: AtomicBool,
    /// Tells an outage of the service from images that fail one by one.
    pub(super) outage: Outage,
    /// The number of images that are claimed and wait for a worker.
    pub(super) waiting: AtomicUsize,
    pub(super) activity: Activity,
    /// Whether keys are URLs.
    pub(super) urls: bool,
    /// Whether a call was answered before this invocation. If so, an image whose bytes are refused does not indicate a
    /// wrong setting.
    pub(super) was_answered_before: bool,
}

/// The image of a call.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) content_id: i64,
    pub(super) key: &'a Key,
    pub(super) scenes: Scenes,
    /// Whether the call probes whether an outage is over.
    pub(super) is_probe: bool,
    /// Whether the content was called before.
    pub(super) is_repeated: bool,
}

/// A call that was sent, or that failed before it was sent.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) call: Call,
    pub(super) begun: Instant,
    /// When it ended, by this machine's own clock.
    pub(super) at: UnixMillis,
    pub(super) row: CallRow,
    pub(super) result: Result<Answer, cos::Error>,
}

impl Tagger {
    /// Returns whether the run waits for the service, so that only a probe may call.
    fn is_held_back(&self, is_probe: bool) -> bool {
        self.outage.is_waiting() && !is_probe
    }

    /// Makes one call, at the pace and within the budget. Returns `None` if nothing was sent because the run stops or
    /// waits for the service, or if the call was aborted.
    pub(super) async fn call(&self, subject: &Subject<'_>) -> Option<Ended> {
        if !self.may_call(subject).await {
            return None;
        }
        // Nothing is awaited between the permit and the call, so no call follows the one that began an outage.
        let service = &self.service;
        let key = &subject.key.key;
        let target = if self.urls { Target::Url(key) } else { Target::Key(key) };
        let begun = Instant::now();
        service.stats.call_begins();
        let call = self.outage.call_begins();
        let result = tokio::select! {
            result = service.client.detect_label(target, subject.scenes) => Some(result),
            () = service.control.aborting().cancelled() => None,
        };
        service.stats.call_ends();
        self.activity.ended.fetch_add(1, Ordering::Relaxed);
        self.outage.call_ends(call);
        let at = service.client.clock().local_millis();
        // A call that was not sent is given back to the budget instead, by the caller.
        if !matches!(&result, Some(Err(error)) if !error.was_sent()) {
            self.budget.ended(at);
        }
        let mut row = self.row(subject, begun, at);
        match result {
            // An aborted call may have been paid, but it does not count as an attempt.
            None => {
                let _ = self.writer.ask(|committed| Record::Call { row, committed }).await;
                None
            }
            Some(result) => {
                match &result {
                    Ok(_) => row.outcome = CallOutcome::Answered,
                    Err(error) => {
                        let has_succeeded = service.patience.has_succeeded();
                        let verdict = verdict(Operation::Label, has_succeeded, error);
                        add_failure(&mut row, error, verdict);
                    }
                }
                Some(Ended { call, begun, at, row, result })
            }
        }
    }

    /// Waits until pace, budget and confirmation permit a call, and takes it from the budget. Returns `false` if the run
    /// stops or waits for the service.
    async fn may_call(&self, subject: &Subject<'_>) -> bool {
        let service = &self.service;
        let stopping = service.control.stopping();
        if self.is_held_back(subject.is_probe) || !service.pause_ends().await {
            return false;
        }
        loop {
            let outage = self.outage.begins();
            // The limits come first: nobody should be asked to confirm a call that a limit forbids.
            match self.budget.units_with(subject.scenes) {
                Ok(units) if self.gate.wait_for(units, stopping).await => {}
                Ok(_) => return false,
                Err(reason) => {
                    service.control.stop(reason);
                    return false;
                }
            }
            let waits = Counted::in_(&self.activity.at_pace);
            tokio::select! {
                biased;
                () = stopping.cancelled() => return false,
                () = self.pace.permit() => {}
                // A call that waits for a permit must not delay the probe of an outage.
                () = outage, if !subject.is_probe => return false,
            }
            drop(waits);
            if self.is_held_back(subject.is_probe) {
                return false;
            }
            // The budget is taken after the permit: a call that waits must not hold what another call could use.
            match self.budget.take(subject.scenes) {
                Ok(units) if self.gate.is_open_for(units) => return true,
                // Other calls were made meanwhile, and this one exceeds what was confirmed.
                Ok(_) => self.budget.give_back(subject.scenes),
                Err(reason) => {
                    service.control.stop(reason);
                    return false;
                }
            }
        }
    }

    /// The ledger row of a call that has ended `at` this time, without what its answer says.
    fn row(&self, subject: &Subject<'_>, begun: Instant, at: UnixMillis) -> CallRow {
        let (ended_at, clock_offset) = self.service.client.clock().corrected(at);
        CallRow {
            content_id: subject.content_id,
            object_id: subject.key.object_id,
            scenes: subject.scenes,
            ended_at,
            clock_offset,
            duration_ms: i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX),
            outcome: CallOutcome::Unknown,
            retry: subject.is_repeated,
            http_status: None,
            code: None,
            request_id: None,
        }
    }

    /// Takes the labels out of an answer.
    pub(super) async fn answered(
        &self,
        key: &Key,
        is_probe: bool,
        answer: Answer,
    ) -> Result<Settled, Error> {
        let service = &self.service;
        match service.recognise(answer.emulated) {
            Recognised::Same => {}
            Recognised::First(recogniser) => {
                self.writer.send(Record::Recogniser { recogniser }).await?;
            }
            Recognised::Other => return Ok(Settled::Released),
        }
        if answer.legacy {
            service.warn_of_legacy();
        }
        service.clock_repair.accepted();
        service.patience.succeeded();
        self.service_answered(is_probe).await?;
        self.breaker.succeeded();
        self.note_pace(self.pace.answered()).await?;
        let mut labels = answer.labels;
        let cut = labels.cut(RANK_MAX);
        if cut > 0 {
            warn!(key = %key.key.escape_debug(), cut, kept = labels.len(),
                "an answer has more than {RANK_MAX} labels in a scene: the ones after that are not stored");
        }
        Ok(Settled::Labels(labels))
    }

    /// Notes that the service answered, even if with an error. This ends an outage.
    pub(super) async fn service_answered(&self, is_probe: bool) -> Result<(), Error> {
        if let Some(kind) = self.outage.answered(is_probe) {
            info!("the service answers again");
            self.note_pace(self.pace.resume(kind == Kind::Throttles)).await?;
        }
        Ok(())
    }

    /// Ends the wait for the service without an answer, because no image is left to probe with.
    pub(super) fn give_up_waiting(&self) {
        self.outage.give_up();
        self.pace.resume(false);
    }

    /// Logs once that every call is throttled, after single calls were throttled for a while. If only the pace was too
    /// high, they would be answered sooner.
    pub(super) fn warn_of_throttles(&self) {
        let lasts =
            self.service.patience.trouble().is_some_and(|(since, _)| since.elapsed() >= PERSISTENT);
        if lasts && self.outage.tells_of_throttles() {
            warn!(
                "every call is throttled, even at the lowest pace; until one is answered, only one call at a time is made"
            );
        }
    }

    /// Logs what an answer has changed about the pace, and stores a limit that was found.
    pub(super) async fn note_pace(&self, change: Option<PaceChange>) -> Result<(), Error> {
        let Some(PaceChange { rate, faults, found }) = change else { return Ok(()) };
        if let Some(rate) = rate {
            info!(rate, "pace");
            self.service.stats.set_pace(self.pace.changed_rate());
        }
        if let Some(share) = faults {
            warn_of_faults("calls", share);
        }
        match found {
            Some(rate) => self.writer.send(Record::Limit { rate }).await,
            None => Ok(()),
        }
    }

    /// Returns whether the bucket has lost this key. The look-up is free. If it fails, the key counts as present.
    pub(super) async fn is_deleted(&self, key: &str) -> bool {
        match self.service.client.look_up(key, true).await {
            Ok(_) => false,
            Err(error) => {
                let verdict = verdict(Operation::Head, true, &error);
                matches!(verdict, Verdict::GiveUp(GiveUp::Gone))
            }
        }
    }

    /// Stops the run, or pauses it before a probe, if the breaker says so.
    pub(super) fn stop_if(&self, tripped: Tripped) {
        match tripped {
            Tripped::No => {}
            Tripped::Probe => {
                warn!(
                    "too many failures: waiting a moment, then a few calls show whether they fail too"
                );
                self.service.patience.pause();
            }
            Tripped::Stop(what, code) => {
                let reason = match code.as_deref() {
                    // If every image is denied, a permission is missing.
                    Some("AccessDenied") => {
                        let source = self.service.client.provider().source();
                        StopReason::Denied(format!("{what}; the credentials came from {source}"))
                    }
                    _ if self.breaker.has_only_bad_images() => StopReason::BadImages(what),
                    _ => StopReason::Breaker(what),
                };
                self.service.control.stop(reason);
            }
        }
    }

    /// Delays all images that were put back by at least this time.
    pub(super) fn delay_put_back(&self, delay: Duration) {
        let moment = Instant::now() + delay;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = (*not_before).max(Some(moment));
    }

    /// How long the images that were put back have to wait at least.
    pub(super) fn wait_of_put_back(&self) -> Duration {
        let not_before = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.map_or(Duration::ZERO, |moment| moment.saturating_duration_since(Instant::now()))
    }
}
