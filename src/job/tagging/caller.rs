//! One claimed image: its calls, until it is settled or put back for a later pass.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::breaker::{Breaker, Tripped};
use super::budget::Budget;
use crate::cos::{self, Answer, Target};
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::gate::Gate;
use crate::job::service::client::{
    LONGEST_DELAY_OF_NODE, Recognised, Refused, Service, throttle_delays,
};
use crate::job::service::outage::{Call, FAULTS, Fault, Kind, Outage, Standing};
use crate::job::service::pace::{Change, Pace, warn_of_faults};
use crate::job::verdict::{GiveUp, Operation, Stop, Verdict, stored_code, verdict};
use crate::job::writer::{Record, Writer};
use crate::scene::Scenes;
use crate::store::model::{CallOutcome, RANK_MAX};
use crate::store::turn::{CallRow, Claimed, ErrorRow, Key, Settled, Settlement};

/// Short tries in one pass.
const TRIES: u32 = 3;
/// Passes of a run.
const PASSES: u32 = 3;
/// Throttle answers one image bears in a run.
const THROTTLES: u32 = 30;
/// The longest delay between short tries.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// A worker does not sit on its slot for longer than this.
const LONGEST_WAIT: Duration = LONGEST_DELAY.saturating_mul(2);
/// Single calls that were throttled for so long are no matter of the pace.
const PERSISTENT: Duration = Duration::from_millis(1500);
/// Complaints about the time of one image's calls that use up none of its attempts.
const COMPLAINTS: u32 = 9;
/// The verdict that is stored of a throttle answer.
const THROTTLE: &str = Verdict::Throttle.name();
/// Keys of one content that are tried when they turn out to be gone.
const KEYS: usize = 100;

/// What calling one image needs; shared by all workers.
#[derive(Debug)]
pub(super) struct Tagger {
    pub(super) service: Arc<Service>,
    pub(super) writer: Writer,
    pub(super) pace: Pace,
    pub(super) budget: Arc<Budget>,
    pub(super) gate: Gate,
    pub(super) breaker: Breaker,
    /// Before this moment the service wants none of the images that were put back; it had said so.
    pub(super) not_before: Mutex<Option<Instant>>,
    /// Whether an image was put back since the last pause because its calls failed, not because they were throttled.
    pub(super) needs_pause: AtomicBool,
    /// Whether the service answers at all.
    pub(super) outage: Outage,
    /// Images that are claimed and wait for a worker.
    pub(super) waiting: AtomicUsize,
    /// Whether keys are URLs.
    pub(super) urls: bool,
    /// Whether an earlier call of the database was answered: then bytes that are refused are no sign of a wrong setting.
    pub(super) was_answered_before: bool,
}

/// The state of one image between its calls.
struct Image {
    content_id: i64,
    scenes: Scenes,
    again: Scenes,
    key: Key,
    pass: u32,
    attempts: u32,
    tries: u32,
    throttles: u32,
    calls: u32,
    tried: Vec<i64>,
    /// Complaints of the service about the time of this image's calls.
    complaints: u32,
    refreshed: bool,
    last_error: Option<ErrorRow>,
    /// Whether it had not failed before it was claimed.
    is_fresh: bool,
    /// Whether this is the one call that looks whether an outage is over.
    is_probe: bool,
    /// Answers of the service that had come when it failed last.
    answers: u64,
    /// Its last call.
    call: Call,
}

/// How a call that was sent ended.
struct Ended {
    begun: Instant,
    /// When, in Unix milliseconds by this machine's own clock.
    at: i64,
    row: CallRow,
    result: Result<Answer, cos::Error>,
}

/// What to do after a call.
enum Next {
    Settle(Settled),
    Again(Duration),
}

impl Tagger {
    /// Calls for a claimed content until it is settled; every call's ledger row is on disk before the
    /// next one is sent.
    ///
    /// # Errors
    /// Only if the writer is gone.
    pub(super) async fn tag(&self, claimed: Claimed) -> Result<Settlement, Error> {
        self.work(claimed, false).await
    }

    /// Calls once for a claimed content, to look whether an outage is over.
    ///
    /// # Errors
    /// Only if the writer is gone.
    pub(super) async fn probe(&self, claimed: Claimed) -> Result<Settlement, Error> {
        self.work(claimed, true).await
    }

    async fn work(&self, claimed: Claimed, is_probe: bool) -> Result<Settlement, Error> {
        let Claimed { content_id, key, scenes, again, attempts, throttles, pass } = claimed;
        let mut image = Image {
            content_id,
            scenes,
            again,
            key,
            pass,
            attempts,
            tries: 0,
            throttles,
            calls: attempts + throttles,
            tried: Vec::new(),
            complaints: 0,
            refreshed: false,
            last_error: None,
            is_fresh: attempts == 0 && throttles == 0 && pass == 0,
            is_probe,
            answers: 0,
            call: Call::default(),
        };
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(LONGEST_DELAY)
            .with_jitter()
            .without_max_times()
            .build();
        let mut throttle_delays = throttle_delays();
        loop {
            let Some(ended) = self.call(&mut image).await else {
                return Ok(image.settlement(None, image.untouched()));
            };
            image.calls += 1;
            let Ended { begun, at, mut row, result } = ended;
            let (row, next) = match result {
                Ok(answer) => {
                    let settled = self.answered(&image, answer).await?;
                    (row, Next::Settle(settled))
                }
                // Not sent: it costs nothing, and everybody waits.
                Err(error) if !error.was_sent() => {
                    image.calls -= 1;
                    self.budget.give_back(image.scenes);
                    match self.unsent(&mut image, error) {
                        Next::Settle(settled) => return Ok(image.settlement(None, settled)),
                        Next::Again(_) if is_probe => {
                            return Ok(image.settlement(None, image.untouched()));
                        }
                        Next::Again(_) => continue,
                    }
                }
                Err(error) => {
                    let next = self
                        .failed(&mut image, error, begun, (&mut delays, &mut throttle_delays))
                        .await?;
                    // The answer may have corrected the clock.
                    (row.ended_at, row.clock_offset) = self.service.client.clock().corrected(at);
                    (row, next)
                }
            };
            match next {
                Next::Settle(settled) => return Ok(image.settlement(Some(row), settled)),
                Next::Again(delay) => {
                    self.writer.ask(|committed| Record::Call { row, committed }).await?;
                    if !self.service.sleep(delay).await {
                        return Ok(image.settlement(None, image.untouched()));
                    }
                    if let Some(settled) = self.defer(&image) {
                        return Ok(image.settlement(None, settled));
                    }
                }
            }
        }
    }

    /// While nothing but faults comes back, images that were not tried yet go before a further try of this one.
    fn defer(&self, image: &Image) -> Option<Settled> {
        let error = image.last_error.as_ref()?;
        let others = self.waiting.load(Ordering::Relaxed) > 0;
        let may_be_all =
            error.verdict == GiveUp::Source.name() && !self.service.patience.has_succeeded();
        let defers = others
            && (may_be_all
                || self.outage.is_suspected_since(image.answers, error.verdict == THROTTLE));
        (defers && image.pass == 0 && !self.outage.is_waiting()).then(|| {
            if error.verdict != THROTTLE {
                self.needs_pause.store(true, Ordering::Relaxed);
            }
            Settled::PutBack { attempts: image.attempts, pass: 1, error: error.clone() }
        })
    }

    /// Whether the run waits for the service, and this image is not the one that looks for it.
    fn is_held_back(&self, image: &Image) -> bool {
        self.outage.is_waiting() && !image.is_probe
    }

    /// Makes one call, paced and within the budget. `None`: nothing was sent, because the run stops or waits for the
    /// service.
    async fn call(&self, image: &mut Image) -> Option<Ended> {
        let service = &self.service;
        let stopping = service.control.stopping();
        if self.is_held_back(image) || !service.pause_ends().await {
            return None;
        }
        loop {
            let outage = self.outage.begins();
            // Nobody is asked about a call that a limit does not allow anyway.
            match self.budget.units_with(image.scenes) {
                Ok(units) if self.gate.admits(units, stopping).await => {}
                Ok(_) => return None,
                Err(reason) => {
                    service.control.stop(reason);
                    return None;
                }
            }
            tokio::select! {
                biased;
                () = stopping.cancelled() => return None,
                () = self.pace.permit() => {}
                // Whoever waits for the pace must not hold up the call that looks whether the outage is over.
                () = outage, if !image.is_probe => return None,
            }
            // Nothing is awaited between here and the call: no call follows the one that began an outage.
            if self.is_held_back(image) {
                return None;
            }
            // After the permit: whoever waits for the pace must not hold what another one could call with.
            match self.budget.take(image.scenes) {
                Ok(units) if self.gate.lets(units) => break,
                // Others called meanwhile, and this one is above what was confirmed.
                Ok(_) => self.budget.give_back(image.scenes),
                Err(reason) => {
                    service.control.stop(reason);
                    return None;
                }
            }
        }
        let Key { object_id, key } = &image.key;
        let target = if self.urls { Target::Url(key) } else { Target::Key(key) };
        let begun = Instant::now();
        service.stats.call_begins();
        image.call = self.outage.call_begins();
        let result = tokio::select! {
            result = service.client.detect_label(target, image.scenes) => Some(result),
            () = service.control.aborting().cancelled() => None,
        };
        service.stats.call_ends();
        self.outage.call_ends(image.call);
        let clock = service.client.clock();
        let ended = clock.local_millis();
        // What was not sent is given back by the caller.
        if !matches!(&result, Some(Err(error)) if !error.was_sent()) {
            self.budget.ended(ended);
        }
        let (ended_at, clock_offset) = clock.corrected(ended);
        let mut row = CallRow {
            content_id: image.content_id,
            object_id: *object_id,
            scenes: image.scenes,
            ended_at,
            clock_offset,
            duration_ms: i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX),
            outcome: CallOutcome::Unknown,
            retry: image.calls > 0,
            http_status: None,
            code: None,
            request_id: None,
        };
        let Some(result) = result else {
            // Cut short: it may have been paid, and it is no attempt. The row goes with the release.
            let _ = self.writer.ask(|committed| Record::Call { row, committed }).await;
            return None;
        };
        match &result {
            Ok(_) => row.outcome = CallOutcome::Answered,
            Err(error) => {
                let throttled = matches!(
                    verdict(Operation::Label, service.patience.has_succeeded(), error),
                    Verdict::Throttle
                );
                row.outcome = match error {
                    _ if throttled => CallOutcome::Throttled,
                    cos::Error::Service(_) => CallOutcome::Failed,
                    _ => CallOutcome::ThrownAway,
                };
                row.http_status = error.status();
                row.code = Some(stored_code(error));
                row.request_id = error.request_id().map(str::to_owned);
            }
        }
        Some(Ended { begun, at: ended, row, result })
    }

    async fn answered(&self, image: &Image, answer: Answer) -> Result<Settled, Error> {
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
        service.accepted_time();
        service.patience.succeeded();
        self.service_answered(image).await?;
        self.breaker.succeeded();
        self.note_pace(self.pace.answered()).await?;
        let mut labels = answer.labels;
        let cut = labels.cut(RANK_MAX);
        if cut > 0 {
            warn!(key = %image.key.key.escape_debug(), cut, kept = labels.len(),
                "an answer of more than {RANK_MAX} labels in a scene: those behind are not kept");
        }
        Ok(Settled::Labels(labels))
    }

    /// The service answered, whatever it said: an outage is over.
    async fn service_answered(&self, image: &Image) -> Result<(), Error> {
        if let Some(kind) = self.outage.answered(image.is_probe) {
            info!("the service answers again");
            self.note_pace(self.pace.resume(kind == Kind::Throttles)).await?;
        }
        Ok(())
    }

    /// Ends a wait for the service without an answer, because nothing is left to look with.
    pub(crate) fn give_up_waiting(&self) {
        self.outage.give_up();
        self.pace.resume(false);
    }

    /// Notes a fault of the service or the network; the run waits once there are too many in a row.
    fn fault(&self, image: &mut Image, fault: Fault, error: cos::Error) {
        let is_first = image.is_fresh && image.calls == 1;
        let standing = if is_first { Standing::First } else { Standing::FailedBefore };
        image.answers = self.outage.answers();
        let patience = &self.service.patience;
        let begun = self.outage.fault(image.call, fault, standing);
        if begun.is_some() {
            self.pace.suspend();
        }
        match begun {
            Some(Kind::Faults) => warn!(error = %error.message(),
                "the service does not answer: one call at a time looks whether it is back"),
            Some(Kind::Throttles) => info!(error = %error.message(),
                "{FAULTS} calls in a row were throttled: one call at a time looks for the end of it"),
            None => {}
        }
        if begun.is_some() || image.is_probe {
            match self.outage.kind() {
                Some(Kind::Throttles) => patience.pause_for_throttles(),
                _ => patience.pause(),
            }
        }
        self.service.trouble(patience, error);
        if image.is_probe {
            self.warn_of_throttles();
        }
    }

    /// Says once that every call is throttled, when single calls have been for a while: a pace that is only too high is
    /// over sooner.
    fn warn_of_throttles(&self) {
        let lasts =
            self.service.patience.trouble().is_some_and(|(since, _)| since.elapsed() >= PERSISTENT);
        if lasts && self.outage.tells_of_throttles() {
            warn!(
                "every call is throttled, at the lowest pace too: one call at a time looks for the end of it"
            );
        }
    }

    /// Tells what an answer has changed about the pace, and keeps a limit that was found.
    async fn note_pace(&self, change: Option<Change>) -> Result<(), Error> {
        let Some(Change { rate, faults, found }) = change else { return Ok(()) };
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

    /// Nothing was sent: no attempt is used, and nobody is to send while nothing can be reached.
    fn unsent(&self, image: &mut Image, error: cos::Error) -> Next {
        let service = &self.service;
        let verdict = verdict(Operation::Label, service.patience.has_succeeded(), &error);
        match service.softened(verdict, &error) {
            Verdict::GiveUp(_) => {
                let error = error_row(&error, "image", false);
                Next::Settle(Settled::GivenUp { attempts: image.attempts, error })
            }
            Verdict::Stop(stop) => {
                service.refuse(stop, Operation::Label, error);
                Next::Settle(image.untouched())
            }
            _ => {
                debug!(error = %error.message(), key = %image.key.key.escape_debug(), "not sent");
                service.trouble(&service.patience, error);
                service.patience.pause();
                Next::Again(Duration::ZERO)
            }
        }
    }

    async fn failed(
        &self,
        image: &mut Image,
        error: cos::Error,
        begun: Instant,
        (delays, throttle_delays): (
            &mut impl Iterator<Item = Duration>,
            &mut impl Iterator<Item = Duration>,
        ),
    ) -> Result<Next, Error> {
        let service = &self.service;
        let verdict = verdict(Operation::Label, service.patience.has_succeeded(), &error);
        info!(key = %image.key.key.escape_debug(), code = stored_code(&error), status = error.status(),
            request_id = error.request_id(), ?verdict, attempt = image.attempts + 1, "call failed");
        let after = error.retry_after().unwrap_or_default();
        let next = match verdict {
            Verdict::Throttle => throttle_delays.next(),
            _ => delays.next(),
        };
        let delay = next.unwrap_or_default().max(after);
        // An outage uses at most one try of an image: the one that marks it as failed before.
        let spared = image.attempts > 0 && self.outage.is_waiting() && verdict.is_passing();
        if !matches!(verdict, Verdict::Throttle) {
            image.attempts += u32::from(!spared);
            self.note_pace(self.pace.answered()).await?;
        }
        if !verdict.is_passing() {
            self.service_answered(image).await?;
        }
        Ok(match verdict {
            Verdict::Throttle => self.throttled(image, error, delay, begun).await?,
            Verdict::Retry | Verdict::Unreachable | Verdict::Foreign => {
                self.passing(image, verdict, error, delay, begun)
            }
            Verdict::GiveUp(GiveUp::Source) if image.tries + 1 < TRIES => {
                service.patience.answered();
                self.count_refusal(image, GiveUp::Source, &stored_code(&error)).await;
                image.tries += 1;
                image.last_error = Some(error_row(&error, GiveUp::Source.name(), true));
                // Of the image's source, not of the service: nobody is to wait for it for long.
                Next::Again(delay.min(LONGEST_WAIT))
            }
            Verdict::GiveUp(reason) => {
                service.accepted_time();
                service.patience.answered();
                let mut row = error_row(&error, reason.name(), is_temporary(reason));
                row.message = service.message_of(&error);
                self.count_refusal(image, reason, &row.code).await;
                let elsewhere = matches!(reason, GiveUp::Gone | GiveUp::Archived);
                if elsewhere && self.another_key(image).await? {
                    // Attempts are of the content, and this one said nothing of it.
                    image.attempts -= 1;
                    Next::Again(Duration::ZERO)
                } else {
                    self.give_up(image, row, begun)
                }
            }
            Verdict::Stop(stop) => {
                service.refuse(stop, Operation::Label, error);
                Next::Settle(image.untouched())
            }
            Verdict::FixClock => {
                image.complaints += 1;
                match service.refused_for_time(&error) {
                    Refused::Stop => {
                        service.refuse(Stop::Clock, Operation::Label, error);
                        Next::Settle(image.untouched())
                    }
                    // It may be this image that always meets the node at fault.
                    _ if image.complaints >= COMPLAINTS => {
                        self.try_again(image, error_row(&error, "retry", true), delay, begun)
                    }
                    refused => {
                        image.attempts -= 1;
                        let node = refused == Refused::Node;
                        Next::Again(if node {
                            delay.min(LONGEST_DELAY_OF_NODE)
                        } else {
                            Duration::ZERO
                        })
                    }
                }
            }
            Verdict::RefreshCredentials => match service.client.refresh_credentials(&error).await {
                Ok(()) if !std::mem::replace(&mut image.refreshed, true) => {
                    info!("credentials renewed");
                    image.attempts -= 1;
                    Next::Again(Duration::ZERO)
                }
                Ok(()) => {
                    service.refuse(Stop::Credentials, Operation::Label, error);
                    Next::Settle(image.untouched())
                }
                Err(error) => {
                    service.refuse(Stop::Credentials, Operation::Label, error);
                    Next::Settle(image.untouched())
                }
            },
        })
    }

    /// After a throttle answer, which uses no attempt.
    async fn throttled(
        &self,
        image: &mut Image,
        error: cos::Error,
        delay: Duration,
        begun: Instant,
    ) -> Result<Next, Error> {
        let service = &self.service;
        self.note_pace(self.pace.throttled()).await?;
        image.throttles += 1;
        let row = error_row(&error, THROTTLE, true);
        let wait = error.retry_after().unwrap_or_default();
        if !service.patience.allows(wait) {
            return Ok(self.asked_to_wait(image, row, wait, error, begun));
        }
        self.fault(image, Fault::Throttle, error);
        Ok(if self.outage.is_waiting() {
            image.put_back(image.pass, row)
        } else if image.throttles >= THROTTLES {
            self.give_up(image, row, begun)
        } else if delay > LONGEST_WAIT {
            if self.pace.is_throttled() {
                service.patience.hold(delay);
            }
            self.put_back(image, row, delay)
        } else {
            image.last_error = Some(row);
            Next::Again(delay)
        })
    }

    /// After a fault of the service or the network that may pass.
    fn passing(
        &self,
        image: &mut Image,
        verdict: Verdict,
        error: cos::Error,
        delay: Duration,
        begun: Instant,
    ) -> Next {
        let row = error_row(&error, verdict.name(), true);
        let fault = match &error {
            cos::Error::Foreign { .. } => Fault::Foreign,
            cos::Error::Service(_) | cos::Error::Unusable { .. } => Fault::Answer,
            _ => Fault::Transport,
        };
        if matches!(error, cos::Error::Unusable { .. }) {
            // The service answers, and with nothing that can be used: that does not pass by waiting.
            self.stop_if(self.breaker.call_failed(&row.code));
        }
        self.fault(image, fault, error);
        self.try_again(image, row, delay, begun)
    }

    /// After a failure that may pass: a further try, a later pass, or the end.
    fn try_again(&self, image: &mut Image, row: ErrorRow, delay: Duration, begun: Instant) -> Next {
        image.tries += 1;
        if self.outage.is_waiting() {
            return image.put_back(image.pass, row);
        }
        let too_long = delay > LONGEST_WAIT;
        // Being throttled uses no attempt, though it may have taken the image to a later pass.
        let last = image.pass + 1 >= PASSES && image.throttles == 0;
        if image.attempts >= TRIES * PASSES || (too_long && last) {
            return self.give_up(image, row, begun);
        }
        // In the last pass come the tries that earlier ones have left.
        if (image.tries >= TRIES && !last) || too_long {
            self.needs_pause.store(true, Ordering::Relaxed);
            return image.put_back(image.pass + 1, row);
        }
        image.last_error = Some(row);
        Next::Again(delay)
    }

    /// The service asks for a longer wait than patience allows: of everybody, which ends the run, or of this image.
    fn asked_to_wait(
        &self,
        image: &mut Image,
        row: ErrorRow,
        wait: Duration,
        error: cos::Error,
        begun: Instant,
    ) -> Next {
        let service = &self.service;
        let answers = service.patience.has_succeeded();
        let is_late = image.pass > 0;
        if is_late && answers && !image.is_probe {
            return self.give_up(image, row, begun);
        }
        self.outage.fault(image.call, Fault::Throttle, Standing::FailedBefore);
        let others = self.waiting.load(Ordering::Relaxed) > 0 || service.stats.in_flight() > 0;
        let is_alone = is_late || (!answers && !others);
        if is_alone || image.is_probe || self.pace.is_throttled() {
            service.asked_to_wait(wait, error);
            image.last_error = Some(row);
            return Next::Settle(image.untouched());
        }
        // What the others are told decides.
        image.put_back(image.pass + 1, row)
    }

    /// For a later pass, and not before the service wants it.
    fn put_back(&self, image: &Image, row: ErrorRow, delay: Duration) -> Next {
        let moment = Instant::now() + delay;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = (*not_before).max(Some(moment));
        image.put_back(image.pass + 1, row)
    }

    /// How long the images that were put back have to wait at least.
    pub(super) fn wait_of_put_back(&self) -> Duration {
        let not_before = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.map_or(Duration::ZERO, |moment| moment.saturating_duration_since(Instant::now()))
    }

    fn give_up(&self, image: &Image, row: ErrorRow, begun: Instant) -> Next {
        self.stop_if(self.breaker.failed(begun));
        Next::Settle(Settled::GivenUp { attempts: image.attempts, error: row })
    }

    /// Counts a call that was refused for good before the first success, and stops the run if there were too many.
    async fn count_refusal(&self, image: &Image, reason: GiveUp, code: &str) {
        if self.breaker.has_succeeded() {
            return;
        }
        let counts = match reason {
            // A key that was deleted after it was listed says nothing of the others.
            GiveUp::Gone => self.urls || !self.is_deleted(&image.key.key).await,
            reason if reason.is_of_bytes() && self.was_answered_before => false,
            // Further tries of one URL say nothing new.
            GiveUp::Source => image.is_fresh && image.calls == 1,
            _ => true,
        };
        if counts {
            self.stop_if(self.breaker.call_failed(code));
        }
    }

    /// Whether the bucket does not have this key any more. Asked for free; where it is not told, the key may be there.
    async fn is_deleted(&self, key: &str) -> bool {
        match self.service.client.look_up(key, true).await {
            Ok(_) => false,
            Err(error) => {
                let verdict = verdict(Operation::Head, true, &error);
                matches!(verdict, Verdict::GiveUp(GiveUp::Gone))
            }
        }
    }

    /// Stops the run, or makes it pause, if the breaker says so.
    fn stop_if(&self, tripped: Tripped) {
        match tripped {
            Tripped::No => {}
            Tripped::Probe => {
                warn!("too many failures: waiting a moment before a probe");
                self.service.patience.pause();
            }
            Tripped::Stop(what, code) => {
                let reason = match code.as_deref() {
                    // The same refusal for every image is a missing permission.
                    Some("AccessDenied") => {
                        let source = self.service.client.provider().source();
                        StopReason::Denied(format!("{what}; the credentials came from {source}"))
                    }
                    _ => StopReason::Breaker(what),
                };
                self.service.control.stop(reason);
            }
        }
    }

    /// Looks for another key of the content; whether there is one.
    async fn another_key(&self, image: &mut Image) -> Result<bool, Error> {
        image.tried.push(image.key.object_id);
        if image.tried.len() >= KEYS {
            return Ok(false);
        }
        let (content_id, tried) = (image.content_id, image.tried.clone());
        let found = self.writer.ask(|reply| Record::Another { content_id, tried, reply }).await?;
        let Some(key) = found else { return Ok(false) };
        image.key = key;
        Ok(true)
    }
}

impl Image {
    /// Back to the queue: as it was, or with the attempts that it has used by now.
    fn untouched(&self) -> Settled {
        match &self.last_error {
            Some(error) => {
                Settled::PutBack { attempts: self.attempts, pass: self.pass, error: error.clone() }
            }
            None => Settled::Released,
        }
    }

    /// Back to the queue, for this pass of the run.
    fn put_back(&self, pass: u32, error: ErrorRow) -> Next {
        Next::Settle(Settled::PutBack { attempts: self.attempts, pass, error })
    }

    fn settlement(&self, call: Option<CallRow>, settled: Settled) -> Settlement {
        Settlement {
            content_id: self.content_id,
            scenes: self.scenes,
            again: self.again,
            call,
            settled,
        }
    }
}

/// What is stored of an error.
fn error_row(error: &cos::Error, verdict: &'static str, temporary: bool) -> ErrorRow {
    ErrorRow {
        verdict,
        temporary,
        code: stored_code(error),
        status: error.status(),
        message: error.message(),
        request_id: error.request_id().map(str::to_owned),
    }
}

/// Whether a new run is to try once more what was given up for this reason.
fn is_temporary(reason: GiveUp) -> bool {
    matches!(reason, GiveUp::Denied | GiveUp::Gone | GiveUp::Source)
}
