//! Decides what happens to an image after a call failed: it is called again, put back for a later pass, or given up.
//! Notes the failure for the breaker, the pace and the outage, which all calls share.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Image, LONGEST_WAIT, Next};
use crate::cos;
use crate::job::Error;
use crate::job::service::client::Repaired;
use crate::job::service::outage::{FAULTS, Fault, ImageHistory, Kind};
use crate::job::tagging::failure::{self, error_row, is_temporary};
use crate::job::verdict::{GiveUp, Operation, Verdict, stored_code, verdict};
use crate::job::writer::Record;
use crate::store::turn::{ErrorRow, Settled};

/// The number of tries in one pass.
const TRIES_IN_PASS: u32 = 3;
/// The number of passes of a run.
const PASSES: u32 = 3;
/// The number of throttle answers in one run after which an image is given up.
const MOST_THROTTLES: u32 = 30;
/// The service may refuse the time of an image's calls this often without using up attempts. Further refusals count as
/// failed attempts.
const MOST_COMPLAINTS: u32 = 9;
/// The most keys of a content that are tried if keys of it are gone.
const MOST_KEYS: usize = 100;

impl Image<'_> {
    /// Decides after a call that was sent and failed.
    pub(super) async fn failed(
        &mut self,
        error: cos::Error,
        begun: Instant,
    ) -> Result<Next, Error> {
        let tagger = self.tagger;
        let service = &tagger.service;
        let verdict = verdict(Operation::Label, service.patience.has_succeeded(), &error);
        info!(key = %self.key.key.escape_debug(), code = stored_code(&error), status = error.status(),
            request_id = error.request_id(), ?verdict, attempt = self.attempts + 1, "call failed");
        let delay = self.delays.next(verdict).max(error.retry_after().unwrap_or_default());
        // During an outage, an image loses at most one attempt: its first failure.
        let is_spared = self.attempts > 0 && tagger.outage.is_waiting() && verdict.is_passing();
        if !matches!(verdict, Verdict::Throttle) {
            self.attempts += u32::from(!is_spared);
            tagger.note_pace(tagger.pace.answered()).await?;
        }
        // A refusal ends an outage only if it belongs to the image, see `refused`.
        if !verdict.is_passing() && !matches!(verdict, Verdict::GiveUp(_)) {
            tagger.service_answered(self.is_probe).await?;
        }
        Ok(match verdict {
            Verdict::Throttle => self.throttled(error, delay, begun).await?,
            Verdict::Retry | Verdict::Unreachable | Verdict::Foreign => {
                self.passing(verdict, error, delay, begun)
            }
            Verdict::GiveUp(GiveUp::Source) if self.tries + 1 < TRIES_IN_PASS => {
                self.source_failed(&error, delay).await?
            }
            Verdict::GiveUp(reason) => self.refused_for_good(reason, &error, begun).await?,
            Verdict::Stop(stop) => {
                service.refuse(stop, Operation::Label, error);
                Next::Settle(self.untouched())
            }
            Verdict::FixClock | Verdict::RefreshCredentials => {
                self.unauthorised(verdict, error, delay, begun).await
            }
        })
    }

    /// Decides after a throttle answer, which uses no attempt.
    async fn throttled(
        &mut self,
        error: cos::Error,
        delay: Duration,
        begun: Instant,
    ) -> Result<Next, Error> {
        let tagger = self.tagger;
        let patience = &tagger.service.patience;
        tagger.note_pace(tagger.pace.throttled()).await?;
        self.throttles += 1;
        let row = error_row(&error, Verdict::Throttle, true);
        let wait = error.retry_after().unwrap_or_default();
        if !patience.allows(wait) {
            return Ok(self.asked_to_wait(row, wait, error, begun));
        }
        self.fault(Fault::Throttle, error);
        Ok(if tagger.outage.is_waiting() {
            self.put_back(self.pass, row)
        } else if self.throttles >= MOST_THROTTLES {
            self.give_up(row, begun)
        } else if delay > LONGEST_WAIT {
            if tagger.pace.is_throttled() {
                patience.hold(delay);
            }
            tagger.delay_put_back(delay);
            self.put_back(self.pass + 1, row)
        } else {
            self.last_error = Some(row);
            Next::Again(delay)
        })
    }

    /// Decides after the service has asked for a longer wait than patience allows. If it asks this of all calls, the
    /// run stops.
    fn asked_to_wait(
        &mut self,
        row: ErrorRow,
        wait: Duration,
        error: cos::Error,
        begun: Instant,
    ) -> Next {
        let tagger = self.tagger;
        let service = &tagger.service;
        let answers = service.patience.has_succeeded();
        let is_late = self.pass > 0;
        if is_late && answers && !self.is_probe {
            return self.give_up(row, begun);
        }
        tagger.outage.fault(self.last_call, Fault::Throttle, ImageHistory::FailedBefore);
        let others = tagger.waiting.load(Ordering::Relaxed) > 0 || service.stats.in_flight() > 0;
        let is_alone = is_late || (!answers && !others);
        if is_alone || self.is_probe || tagger.pace.is_throttled() {
            service.asked_to_wait(wait, error);
            self.last_error = Some(row);
            return Next::Settle(self.untouched());
        }
        // The answers to the other calls tell whether all of them have to wait.
        self.put_back(self.pass + 1, row)
    }

    /// Decides after a fault of the service or the network that may pass.
    fn passing(
        &mut self,
        verdict: Verdict,
        error: cos::Error,
        delay: Duration,
        begun: Instant,
    ) -> Next {
        let row = error_row(&error, verdict, true);
        let fault = failure::fault(&error);
        if matches!(error, cos::Error::Unusable { .. }) {
            // The service answers, but its answers cannot be used. Waiting does not change that.
            self.tagger.stop_if(self.tagger.breaker.call_failed(&row.code, false));
        }
        self.fault(fault, error);
        self.try_again(row, delay, begun)
    }

    /// Decides after a failure that may pass: the image is tried again, put back for the next pass, or given up.
    fn try_again(&mut self, row: ErrorRow, delay: Duration, begun: Instant) -> Next {
        self.tries += 1;
        if self.tagger.outage.is_waiting() {
            return self.put_back(self.pass, row);
        }
        let is_too_long = delay > LONGEST_WAIT;
        // Throttle answers use no attempt, but they may have taken the image to a later pass.
        let is_last = self.pass + 1 >= PASSES && self.throttles == 0;
        if self.attempts >= TRIES_IN_PASS * PASSES || (is_too_long && is_last) {
            return self.give_up(row, begun);
        }
        // The last pass makes up for the tries that earlier passes have left.
        if (self.tries >= TRIES_IN_PASS && !is_last) || is_too_long {
            self.tagger.needs_pause.store(true, Ordering::Relaxed);
            return self.put_back(self.pass + 1, row);
        }
        self.last_error = Some(row);
        Next::Again(delay)
    }

    /// Decides after the service could not fetch the image from its source. It may be able to a little later.
    async fn source_failed(&mut self, error: &cos::Error, delay: Duration) -> Result<Next, Error> {
        self.tagger.service.patience.answered();
        self.refused(GiveUp::Source, &stored_code(error)).await?;
        self.tries += 1;
        self.last_error = Some(error_row(error, Verdict::GiveUp(GiveUp::Source), true));
        // The wait was asked for by the source of the image, so it may not be long.
        Ok(Next::Again(delay.min(LONGEST_WAIT)))
    }

    /// Decides after the image was refused for good: it is given up, unless another key has the same bytes.
    async fn refused_for_good(
        &mut self,
        reason: GiveUp,
        error: &cos::Error,
        begun: Instant,
    ) -> Result<Next, Error> {
        let service = &self.tagger.service;
        service.clock_repair.accepted();
        service.patience.answered();
        let mut row = error_row(error, Verdict::GiveUp(reason), is_temporary(reason));
        row.message = service.message_of(error);
        self.refused(reason, &row.code).await?;
        let may_be_elsewhere = matches!(reason, GiveUp::Gone | GiveUp::Archived);
        if may_be_elsewhere && self.has_another_key().await? {
            // Attempts belong to the content, and a key that is gone says nothing about the content.
            self.attempts -= 1;
            return Ok(Next::Again(Duration::ZERO));
        }
        Ok(self.give_up(row, begun))
    }

    /// Takes another key of the content, if there is one. Returns whether there is.
    async fn has_another_key(&mut self) -> Result<bool, Error> {
        self.gone.push(self.key.object_id);
        if self.gone.len() >= MOST_KEYS {
            return Ok(false);
        }
        let (content_id, tried) = (self.content_id, self.gone.clone());
        let ask = |reply| Record::Another { content_id, tried, reply };
        let Some(key) = self.tagger.writer.ask(ask).await? else { return Ok(false) };
        self.key = key;
        Ok(true)
    }

    /// Notes a call that was refused for good. Before the first success, the account or a setting may be the cause.
    /// Then the refusal is counted, stops the run if there were too many, and does not end an outage.
    async fn refused(&self, reason: GiveUp, code: &str) -> Result<(), Error> {
        let tagger = self.tagger;
        let is_of_image = tagger.breaker.has_succeeded()
            || match reason {
                // A key that was deleted after it was listed says nothing about other keys.
                GiveUp::Gone => !tagger.urls && tagger.is_deleted(&self.key.key).await,
                reason => reason.is_of_bytes() && tagger.was_answered_before,
            };
        if is_of_image {
            return tagger.service_answered(self.is_probe).await;
        }
        // Further tries of the same URL say nothing new.
        if reason != GiveUp::Source || (self.is_fresh && self.calls == 1) {
            tagger.outage.refused();
            tagger.stop_if(tagger.breaker.call_failed(code, reason == GiveUp::Image));
        }
        Ok(())
    }

    /// Decides after the time or the credentials of the call were refused. A repair lets the call be sent again without
    /// using an attempt.
    async fn unauthorised(
        &mut self,
        verdict: Verdict,
        error: cos::Error,
        delay: Duration,
        begun: Instant,
    ) -> Next {
        let row = error_row(&error, verdict, true);
        let service = &self.tagger.service;
        let repairs = &mut self.repairs;
        match service.repair(verdict, Operation::Label, error, delay, repairs).await {
            Repaired::Stopped => Next::Settle(self.untouched()),
            // The calls for this image may always reach the node that is wrong.
            Repaired::SendAgain(_)
                if verdict == Verdict::FixClock && self.repairs.complaints >= MOST_COMPLAINTS =>
            {
                self.try_again(row, delay, begun)
            }
            Repaired::SendAgain(wait) => {
                self.attempts -= 1;
                Next::Again(wait)
            }
        }
    }

    fn give_up(&self, row: ErrorRow, begun: Instant) -> Next {
        self.tagger.stop_if(self.tagger.breaker.failed(begun));
        Next::Settle(Settled::GivenUp { attempts: self.attempts, error: row })
    }

    /// Notes a fault of the service or the network. The run waits once there are too many in a row.
    fn fault(&mut self, fault: Fault, error: cos::Error) {
        let tagger = self.tagger;
        let is_first = self.is_fresh && self.calls == 1;
        let history = if is_first { ImageHistory::FirstCall } else { ImageHistory::FailedBefore };
        self.answers = tagger.outage.answers();
        let patience = &tagger.service.patience;
        let begun = tagger.outage.fault(self.last_call, fault, history);
        if begun.is_some() {
            tagger.pace.suspend();
        }
        match begun {
            Some(Kind::Faults) => warn!(error = %error.message(),
                "the service does not answer; until it does, only one call at a time is made"),
            Some(Kind::Throttles) => info!(error = %error.message(),
                "{FAULTS} calls in a row were throttled; until one is answered, only one call at a time is made"),
            None => {}
        }
        if begun.is_some() || self.is_probe {
            match tagger.outage.kind() {
                Some(Kind::Throttles) => patience.pause_for_throttles(),
                _ => patience.pause(),
            }
        }
        tagger.service.trouble(patience, fault, error);
        if self.is_probe {
            tagger.warn_of_throttles();
        }
    }

    /// Decides after a call that could not be sent. It uses no attempt, and all calls pause.
    pub(super) fn unsent(&self, error: cos::Error) -> Next {
        let service = &self.tagger.service;
        let verdict = verdict(Operation::Label, service.patience.has_succeeded(), &error);
        match service.softened(verdict, &error) {
            Verdict::GiveUp(_) => {
                let error = error_row(&error, Verdict::GiveUp(GiveUp::Image), false);
                Next::Settle(Settled::GivenUp { attempts: self.attempts, error })
            }
            Verdict::Stop(stop) => {
                service.refuse(stop, Operation::Label, error);
                Next::Settle(self.untouched())
            }
            _ => {
                debug!(error = %error.message(), key = %self.key.key.escape_debug(), "not sent");
                service.trouble(&service.patience, Fault::Transport, error);
                service.patience.pause();
                Next::Again(Duration::ZERO)
            }
        }
    }
}
