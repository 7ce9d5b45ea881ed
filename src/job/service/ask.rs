//! Requests that are free: listings and look-ups. Sends each until it is answered, or until the run gives up on it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::{info, warn};

use super::client::{LookupFailures, Repaired, Repairs, Service, throttle_delays};
use super::outage::{Fault, Kind};
use super::pace::{Pace, PaceChange, warn_of_faults};
use crate::cos;
use crate::job::stats::{Wait, wall};
use crate::job::verdict::{Operation, Verdict, verdict};

/// The longest delay between two tries of a listing.
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// The longest delay between two tries of the one request that is sent during an outage.
const LONGEST_DELAY_OF_TURN: Duration = Duration::from_secs(5);
/// The longest delay between two look-ups of the same key.
const LONGEST_DELAY_OF_KEY: Duration = Duration::from_secs(2);
/// The number of tries after which a look-up fails, if others were answered in the meantime.
const TRIES_OF_KEY: u32 = 9;
/// The number of throttle answers after which a look-up fails, if others were answered in the meantime.
const THROTTLES_OF_KEY: u32 = 30;
/// How often a page is requested again that does not answer the request. One node of the service, or a cache on the
/// way, may have sent it.
const UNPROVEN_PAGES: u32 = 3;
/// Observers are not told of a wait that is shorter than this.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// Delays between the tries of a request, with jitter. They never end: patience ends the tries.
fn delays(longest: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

impl Service {
    /// Sends a listing or a look-up until it is answered, or until patience ends.
    ///
    /// A look-up also fails after nine tries, if others were answered in the meantime, so that one key cannot delay the
    /// whole list.
    ///
    /// Returns `None` if the run stops, and an error only if it is about this key.
    pub(crate) async fn ask<T>(
        &self,
        operation: Operation,
        pace: &Pace,
        request: impl AsyncFn() -> Result<T, cos::Error>,
    ) -> Option<Result<T, cos::Error>> {
        let patience = &self.list_patience;
        let of_key = operation == Operation::Head;
        let mut delays = delays(if of_key { LONGEST_DELAY_OF_KEY } else { LONGEST_DELAY });
        let mut throttle_delays = throttle_delays();
        let mut repairs = Repairs::default();
        let (mut tries, mut throttles, mut unproven) = (0, 0, 0);
        let answers = self.answers();
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        loop {
            let turn = tokio::select! {
                turn = self.turns.wait() => turn,
                () = self.control.stopping().cancelled() => return None,
            };
            tokio::select! {
                () = pace.permit() => {}
                () = self.control.stopping().cancelled() => return None,
            }
            let answer = tokio::select! {
                answer = request() => answer,
                () = self.control.stopping().cancelled() => return None,
            };
            let error = match answer {
                Ok(answer) => {
                    self.clock_repair.accepted();
                    patience.succeeded();
                    self.stats.listing_waits(None);
                    note_list_pace(pace.answered());
                    self.listing_answered(pace);
                    return Some(Ok(answer));
                }
                Err(error) => error,
            };
            let verdict =
                self.softened(verdict(operation, patience.has_succeeded(), &error), &error);
            log_failure(operation, verdict, &error, &self.lookup_failures);
            match verdict {
                Verdict::GiveUp(_) => {
                    patience.answered();
                    self.listing_answered(pace);
                    return Some(Err(error));
                }
                Verdict::Stop(stop) => {
                    if error.is_unproven_page() && unproven < UNPROVEN_PAGES {
                        unproven += 1;
                        self.sleep(delays.next().unwrap_or_default()).await;
                        continue;
                    }
                    self.refuse(stop, operation, error);
                    return None;
                }
                Verdict::FixClock | Verdict::RefreshCredentials => {
                    let delay = delays.next().unwrap_or_default();
                    let repaired =
                        self.repair(verdict, operation, error, delay, &mut repairs).await;
                    match repaired {
                        Repaired::SendAgain(wait) if self.sleep(wait).await => continue,
                        Repaired::SendAgain(_) | Repaired::Stopped => return None,
                    }
                }
                Verdict::Throttle => {
                    note_list_pace(pace.throttled());
                    throttles += 1;
                }
                Verdict::Retry | Verdict::Unreachable | Verdict::Foreign => tries += 1,
            }
            let fault =
                if verdict == Verdict::Throttle { Fault::Throttle } else { Fault::Transport };
            self.listing_failed(number, fault, &error, pace);
            let after = error.retry_after().unwrap_or_default();
            let is_too_often = tries >= TRIES_OF_KEY || throttles >= THROTTLES_OF_KEY;
            if of_key && self.is_fault_of_key(fault, is_too_often, after, answers).await {
                return Some(Err(error));
            }
            if !patience.allows(after) {
                self.asked_to_wait(after, error);
                return None;
            }
            let message = error.message();
            self.trouble(patience, fault, error);
            let next =
                if verdict == Verdict::Throttle { throttle_delays.next() } else { delays.next() };
            let next = next.unwrap_or_default();
            // All other listings and look-ups wait for this one.
            let next = if turn.is_some() { next.min(LONGEST_DELAY_OF_TURN) } else { next };
            let delay = next.max(after);
            self.tell_listing_waits(&message, delay);
            if !self.sleep(delay).await {
                return None;
            }
        }
    }

    /// Returns whether a look-up that is not answered fails by itself. There were `answers` answers when it was begun,
    /// and the service asks for a wait of `after`.
    async fn is_fault_of_key(
        &self,
        fault: Fault,
        is_too_often: bool,
        after: Duration,
        answers: u64,
    ) -> bool {
        let patience = &self.list_patience;
        // Many requests in a row fail like this one, so the service is at fault, and no key fails because of it.
        let is_general = self.turns.fails_for_several()
            && (fault == Fault::Throttle || !patience.has_succeeded());
        let is_asked_to_wait = !patience.allows(after);
        if (is_too_often || is_asked_to_wait) && self.answers_others(answers, is_general).await {
            return true;
        }
        // Patience has ended, but the service answers: only this key fails, and it must not delay the others.
        let is_alone = !is_asked_to_wait && !is_general;
        let fails = is_alone && patience.failed(fault) && self.client.is_reachable().await;
        if fails {
            patience.answered();
        }
        fails
    }

    /// Tells observers that the listing waits, unless the wait is short.
    fn tell_listing_waits(&self, message: &str, delay: Duration) {
        if let Some((since, gives_up)) = self.list_patience.trouble()
            && (delay >= WORTH_A_WORD || since.elapsed() >= WORTH_A_WORD)
        {
            self.stats.listing_waits(Some(Wait {
                what: format!("the listing was not answered ({message})"),
                since: wall(since),
                until: wall(tokio::time::Instant::now() + delay),
                gives_up: Some(wall(gives_up)),
            }));
        }
    }

    /// Notes that a listing or look-up failed in a way that may pass, which may be an outage.
    fn listing_failed(&self, request: u64, fault: Fault, error: &cos::Error, pace: &Pace) {
        if self.turns.fault(request, fault) {
            warn!(error = %error.message(),
                "listings and look-ups are not answered: one at a time looks whether the service is back");
            pace.suspend();
        }
    }

    /// Notes that a listing or look-up was answered, which ends an outage.
    fn listing_answered(&self, pace: &Pace) {
        if let Some(kind) = self.turns.answered() {
            info!("listings and look-ups are answered again");
            note_list_pace(pace.resume(kind == Kind::Throttles));
        }
    }

    /// Returns how often the service has answered anything in this invocation.
    fn answers(&self) -> u64 {
        self.patience.answers() + self.list_patience.answers()
    }

    /// Returns whether the service has answered since there were `before` answers, or answers now. Then a request that
    /// is not answered fails by itself. If many requests in a row fail, it is not asked for an answer to something
    /// else.
    async fn answers_others(&self, before: u64, is_general: bool) -> bool {
        self.answers() > before || (!is_general && self.client.is_reachable().await)
    }
}

/// Logs a request that failed. A refused key is only worth an information: there may be many, and each is reported with
/// its line. Of the look-ups that are tried again, only the first is a warning.
fn log_failure(
    operation: Operation,
    verdict: Verdict,
    error: &cos::Error,
    failures: &LookupFailures,
) {
    let is_lookup = operation == Operation::Head;
    if is_lookup && matches!(verdict, Verdict::GiveUp(_)) {
        info!(?verdict, error = %error.message(), code = error.code(),
            request_id = error.request_id(), "look-up refused");
    } else if !is_lookup || !verdict.is_passing() {
        warn!(?operation, ?verdict, error = %error.message(), code = error.code(),
            request_id = error.request_id(), "request failed");
    } else if failures.is_first(verdict) {
        warn!(?verdict, error = %error.message(), code = error.code(), request_id = error.request_id(),
            "a look-up failed and is tried again; further ones are counted");
    } else {
        info!(?verdict, error = %error.message(), code = error.code(),
            request_id = error.request_id(), "look-up failed");
    }
}

/// Logs what an answer has changed about the pace of listings and look-ups.
fn note_list_pace(change: Option<PaceChange>) {
    let Some(PaceChange { rate, faults, .. }) = change else { return };
    if let Some(rate) = rate {
        info!(rate, "pace of listings");
    }
    if let Some(share) = faults {
        warn_of_faults("list requests", share);
    }
}
