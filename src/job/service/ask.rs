//! Requests that are free: listings and look-ups. Sends each until it is answered, or until the run gives up on it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use super::client::{LookupFailures, Repaired, Repairs, Service};
use super::delays::Delays;
use super::outage::{Fault, Kind};
use super::pace::{Pace, PaceChange, warn_of_faults};
use crate::cos;
use crate::job::stats::{Wait, wall};
use crate::job::verdict::{Operation, Verdict, verdict};

/// The delay before the second try, without the jitter. Each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(250);
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

/// One listing or look-up between its tries.
struct Request<'a> {
    service: &'a Service,
    operation: Operation,
    pace: &'a Pace,
    /// Tells the request from the others in a row of faults.
    number: u64,
    /// The number of answers of the service when the request was begun.
    answers_before: u64,
    /// Tries that failed, without throttle answers.
    tries: u32,
    /// Throttle answers.
    throttles: u32,
    /// Pages that do not answer the request.
    unproven: u32,
    delays: Delays,
    repairs: Repairs,
}

/// What to do after a try that failed.
enum Next {
    /// Send the request again.
    SendAgain,
    /// Fail with this error, which is about the key of the request.
    Fail(cos::Error),
    /// Nothing: the run stops.
    Stop,
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
        send: impl AsyncFn() -> Result<T, cos::Error>,
    ) -> Option<Result<T, cos::Error>> {
        let mut request = Request::new(self, operation, pace);
        loop {
            // During an outage, all other requests wait while this one has the turn, its delay included.
            let turn = self.unless_stopped(self.turns.wait()).await?;
            self.unless_stopped(pace.permit()).await?;
            let error = match self.unless_stopped(send()).await? {
                Ok(answer) => {
                    request.answered();
                    return Some(Ok(answer));
                }
                Err(error) => error,
            };
            match request.failed(error, turn.is_some()).await {
                Next::SendAgain => {}
                Next::Fail(error) => return Some(Err(error)),
                Next::Stop => return None,
            }
        }
    }

    /// Waits for the end of `work`. Returns `None` if the run stops meanwhile.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            result = work => Some(result),
            () = self.control.stopping().cancelled() => None,
        }
    }

    /// Notes that a listing or look-up failed in a way that may pass, which may be an outage.
    fn listing_failed(&self, request: u64, fault: Fault, error: &cos::Error, pace: &Pace) {
        if self.turns.fault(request, fault) {
            warn!(error = %error.message(),
                "listings and look-ups are not answered; until one is, only one at a time is sent");
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
}

impl<'a> Request<'a> {
    fn new(service: &'a Service, operation: Operation, pace: &'a Pace) -> Self {
        let longest = match operation {
            Operation::Head => LONGEST_DELAY_OF_KEY,
            Operation::List | Operation::Label => LONGEST_DELAY,
        };
        Self {
            service,
            operation,
            pace,
            number: service.requests.fetch_add(1, Ordering::Relaxed),
            answers_before: service.answers(),
            tries: 0,
            throttles: 0,
            unproven: 0,
            delays: Delays::new(FIRST_DELAY, longest),
            repairs: Repairs::default(),
        }
    }

    fn answered(&self) {
        self.service.clock_repair.accepted();
        self.service.list_patience.succeeded();
        self.service.stats.listing_waits(None);
        note_list_pace(self.pace.answered());
        self.service.listing_answered(self.pace);
    }

    /// Decides after a try that failed, and waits if the request is sent again. `has_turn` says that all other requests
    /// wait for this one.
    async fn failed(&mut self, error: cos::Error, has_turn: bool) -> Next {
        let (service, operation) = (self.service, self.operation);
        let has_succeeded = service.list_patience.has_succeeded();
        let verdict = service.softened(verdict(operation, has_succeeded, &error), &error);
        log_failure(operation, verdict, &error, &service.lookup_failures);
        match verdict {
            Verdict::GiveUp(_) => {
                service.list_patience.answered();
                service.listing_answered(self.pace);
                Next::Fail(error)
            }
            Verdict::Stop(_) if error.is_unproven_page() && self.unproven < UNPROVEN_PAGES => {
                self.unproven += 1;
                let delay = self.delays.next(verdict);
                self.send_after(delay).await
            }
            Verdict::Stop(stop) => {
                service.refuse(stop, operation, error);
                Next::Stop
            }
            Verdict::FixClock | Verdict::RefreshCredentials => {
                let delay = self.delays.next(verdict);
                let repairs = &mut self.repairs;
                match service.repair(verdict, operation, error, delay, repairs).await {
                    Repaired::SendAgain(wait) => self.send_after(wait).await,
                    Repaired::Stopped => Next::Stop,
                }
            }
            Verdict::Throttle => {
                note_list_pace(self.pace.throttled());
                self.throttles += 1;
                self.not_answered(verdict, error, has_turn).await
            }
            Verdict::Retry | Verdict::Unreachable | Verdict::Foreign => {
                self.tries += 1;
                self.not_answered(verdict, error, has_turn).await
            }
        }
    }

    /// Decides after a fault of the service or the network, or a throttle answer.
    async fn not_answered(&mut self, verdict: Verdict, error: cos::Error, has_turn: bool) -> Next {
        let service = self.service;
        let patience = &service.list_patience;
        let fault = if verdict == Verdict::Throttle { Fault::Throttle } else { Fault::Transport };
        service.listing_failed(self.number, fault, &error, self.pace);
        let asked_wait = error.retry_after().unwrap_or_default();
        if self.operation == Operation::Head && self.is_fault_of_key(fault, asked_wait).await {
            return Next::Fail(error);
        }
        if !patience.allows(asked_wait) {
            service.asked_to_wait(asked_wait, error);
            return Next::Stop;
        }
        let message = error.message();
        service.trouble(patience, fault, error);
        let longest = if has_turn { LONGEST_DELAY_OF_TURN } else { Duration::MAX };
        let delay = self.delays.next(verdict).min(longest).max(asked_wait);
        self.tell_wait(&message, delay);
        self.send_after(delay).await
    }

    /// Waits, unless the run stops meanwhile.
    async fn send_after(&self, delay: Duration) -> Next {
        if self.service.sleep(delay).await { Next::SendAgain } else { Next::Stop }
    }

    /// Returns whether a look-up that is not answered fails by itself, so that the others can go on without it. The
    /// service asks for a wait of `asked_wait`.
    async fn is_fault_of_key(&self, fault: Fault, asked_wait: Duration) -> bool {
        let service = self.service;
        let patience = &service.list_patience;
        // Many requests in a row fail like this one, so the service is at fault, and no key fails because of it.
        let is_general = service.turns.fails_for_several()
            && (fault == Fault::Throttle || !patience.has_succeeded());
        let is_too_often = self.tries >= TRIES_OF_KEY || self.throttles >= THROTTLES_OF_KEY;
        let is_asked_to_wait = !patience.allows(asked_wait);
        if (is_too_often || is_asked_to_wait) && self.others_are_answered(is_general).await {
            return true;
        }
        // Patience has ended, but the service answers: only this key fails, and it must not delay the others.
        let is_alone = !is_asked_to_wait && !is_general;
        let fails = is_alone && patience.failed(fault) && service.client.is_reachable().await;
        if fails {
            patience.answered();
        }
        fails
    }

    /// Returns whether the service has answered anything since the request was begun, or answers now. If many requests
    /// in a row fail, it is not asked for an answer now.
    async fn others_are_answered(&self, is_general: bool) -> bool {
        let service = self.service;
        service.answers() > self.answers_before
            || (!is_general && service.client.is_reachable().await)
    }

    /// Tells observers that the listing or the look-ups wait, unless the wait is short.
    fn tell_wait(&self, message: &str, delay: Duration) {
        let what = if self.operation == Operation::Head { "a look-up" } else { "the listing" };
        if let Some((since, gives_up)) = self.service.list_patience.trouble()
            && (delay >= WORTH_A_WORD || since.elapsed() >= WORTH_A_WORD)
        {
            self.service.stats.listing_waits(Some(Wait {
                what: format!("{what} was not answered ({message})"),
                since: wall(since),
                until: wall(tokio::time::Instant::now() + delay),
                gives_up: Some(wall(gives_up)),
            }));
        }
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
            "a look-up failed and is tried again; further failures are only counted");
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
