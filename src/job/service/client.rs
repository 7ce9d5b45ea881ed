//! What every stage that talks to the service shares: client, patience, control, and who answers.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::outage::{Fault, Kind};
use super::pace::{Change, Pace, warn_of_faults};
use super::patience::Patience;
use super::turn::Turns;
use crate::cos::{self, Client, Correction};
use crate::job::control::{Control, StopReason};
use crate::job::stats::{Stats, Wait, wall};
use crate::job::verdict::{Operation, Stop, Verdict, verdict};
use crate::store::model::Recogniser;

/// The service, as one run uses it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) client: Client,
    /// Of the calls.
    pub(crate) patience: Patience,
    /// Of listing and look-ups: pages that come must not hide calls that fail.
    list_patience: Patience,
    pub(crate) control: Control,
    pub(crate) stats: Arc<Stats>,
    /// Who answered this database's calls so far.
    recogniser: OnceLock<Recogniser>,
    /// How often the host's name did not exist, and when it was looked up last.
    lookups: Mutex<(u32, Option<tokio::time::Instant>)>,
    /// Whether it was said that answers come without scenes.
    legacy: AtomicBool,
    /// Notified when the service has confirmed another offset of the clock.
    pub(super) clock_corrected: Notify,
    /// Complaints about the time of requests since the service last accepted one.
    complaints: AtomicU32,
    /// Of listings and look-ups in an outage.
    turns: Turns,
}

/// Logs a request that failed. A key that is refused is told with its line, and there may be many.
fn log_failure(operation: Operation, verdict: Verdict, error: &cos::Error) {
    if operation == Operation::Head && matches!(verdict, Verdict::GiveUp(_)) {
        info!(?verdict, error = %error.message(), code = error.code(),
            request_id = error.request_id(), "look-up refused");
    } else {
        warn!(?operation, ?verdict, error = %error.message(), code = error.code(),
            request_id = error.request_id(), "request failed");
    }
}

/// How often a page is asked for again that is not the answer to what was asked: one node of the service, or a cache
/// on the way, may have sent it.
const UNPROVEN_PAGES: u32 = 3;

/// Delays between the tries of a listing, jittered; they end only with patience.
fn delays(longest: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

/// The longest delay between two tries of a listing.
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// The longest delay between two tries while one at a time looks whether the service is back.
const LONGEST_DELAY_OF_TURN: Duration = Duration::from_secs(5);
/// The longest delay between two tries at one key of a list.
const LONGEST_DELAY_OF_KEY: Duration = Duration::from_secs(2);
/// Tries at one key of a list while others are answered: then it is the key that fails.
const TRIES_OF_KEY: u32 = 9;
/// Throttle answers that one key of a list bears.
const THROTTLES_OF_KEY: u32 = 30;

/// Complaints in a row about the time of requests that stop the run. A request that was signed before the clock
/// was corrected is not counted.
const COMPLAINTS: u32 = 20;
/// The longest delay before a request is signed anew because of one node's fault.
pub(crate) const LONGEST_DELAY_OF_NODE: Duration = Duration::from_secs(1);

/// What to do after the service has refused a request for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Sign it anew: the clock has been corrected.
    SignAnew,
    /// Sign it anew after a moment: the clock agrees with the answer, so one node of the service is at fault.
    Node,
    /// Nothing more: there were too many complaints in a row.
    Stop,
}

/// A host's name that does not exist is looked up so often before the first success.
const LOOKUPS: u32 = 3;
/// Look-ups within this time are one.
const SAME_LOOKUP: Duration = Duration::from_millis(200);
/// A shorter wait of the listing is not told.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// Delays before a throttled request is tried again, jittered. They begin low because the pace, which all
/// requests share, is what takes the load off the service.
pub(crate) fn throttle_delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(25))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}

impl Service {
    /// A service whose trouble is borne for as long as `patience` lasts. `recogniser` is who answered the calls in this
    /// database so far.
    pub(crate) fn new(
        client: Client,
        patience: Duration,
        control: Control,
        stats: Arc<Stats>,
        recogniser: Option<Recogniser>,
    ) -> Self {
        Self {
            client,
            patience: Patience::new(patience),
            list_patience: Patience::new(patience),
            control,
            stats,
            recogniser: recogniser.map_or_else(OnceLock::new, OnceLock::from),
            lookups: Mutex::default(),
            legacy: AtomicBool::new(false),
            clock_corrected: Notify::new(),
            complaints: AtomicU32::new(0),
            turns: Turns::default(),
        }
    }

    /// Says once that answers come without scenes.
    pub(crate) fn warn_of_legacy(&self) {
        if !self.legacy.swap(true, Ordering::Relaxed) {
            warn!(
                "the service answers without scenes: all labels of an answer are kept under one scene"
            );
        }
    }

    /// Corrects the clock after a complaint about the time of a request, and says what to do.
    pub(crate) fn refused_for_time(&self, error: &cos::Error) -> Refused {
        let correction = self.client.correct_clock(error);
        if let Correction::Corrected(seconds) = correction {
            let by = seconds.unsigned_abs();
            match seconds {
                0 => warn!("clock corrected: this machine's clock agrees with the service's now"),
                1.. => warn!(
                    offset_s = seconds,
                    "clock corrected: this machine's clock is {by} s behind the service's"
                ),
                _ => warn!(
                    offset_s = seconds,
                    "clock corrected: this machine's clock is {by} s ahead of the service's"
                ),
            }
            self.clock_corrected.notify_one();
        }
        if correction == Correction::Outdated {
            return Refused::SignAnew;
        }
        if self.complaints.fetch_add(1, Ordering::Relaxed) + 1 >= COMPLAINTS {
            return Refused::Stop;
        }
        if correction == Correction::Unfounded { Refused::Node } else { Refused::SignAnew }
    }

    /// Does what a complaint about the time asks for; false if the run stops. `delay` is for one node's fault.
    async fn signs_anew(&self, operation: Operation, error: cos::Error, delay: Duration) -> bool {
        match self.refused_for_time(&error) {
            Refused::SignAnew => true,
            Refused::Node => self.sleep(delay.min(LONGEST_DELAY_OF_NODE)).await,
            Refused::Stop => {
                self.refuse(Stop::Clock, operation, error);
                false
            }
        }
    }

    /// The service has accepted the time of a request.
    pub(crate) fn accepted_time(&self) {
        if self.complaints.load(Ordering::Relaxed) > 0 {
            self.complaints.store(0, Ordering::Relaxed);
        }
    }

    /// The verdict, but a name that does not exist is looked up three times before that is believed, and for as long as
    /// patience lasts once anything was answered in this run.
    pub(crate) fn softened(&self, verdict: Verdict, error: &cos::Error) -> Verdict {
        if !matches!(error, cos::Error::NoSuchHost { .. }) {
            return verdict;
        }
        if self.patience.has_succeeded() || self.list_patience.has_succeeded() {
            return Verdict::Unreachable;
        }
        let now = tokio::time::Instant::now();
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        // What many ask for at the same moment is one look-up.
        if lookups.1.is_none_or(|last| now - last >= SAME_LOOKUP) {
            *lookups = (lookups.0 + 1, Some(now));
        }
        if lookups.0 < LOOKUPS { Verdict::Unreachable } else { verdict }
    }

    /// Checks who answers against who answered before; tells a new name through `first`.
    ///
    /// Returns false, and stops the run, if the database holds the other one's labels: a rehearsal must
    /// not poison real results.
    pub(crate) fn recognise(&self, emulated: bool) -> Recognised {
        let now = if emulated { Recogniser::Emulator } else { Recogniser::DetectLabel };
        match self.recogniser.get() {
            Some(stored) if *stored == now => Recognised::Same,
            Some(stored) => {
                let (stored, now) = (stored.name().to_owned(), now.name());
                self.control.stop(StopReason::Recogniser { stored, now });
                Recognised::Other
            }
            None => {
                let _ = self.recogniser.set(now);
                Recognised::First(now)
            }
        }
    }

    /// Waits as long as everybody waits; false if the run stops meanwhile.
    pub(crate) async fn pause_ends(&self) -> bool {
        loop {
            // Before the look at the clock: a pause that ends in between is not slept through.
            let resumed = self.patience.resumed();
            let Some((until, why)) = self.patience.paused_until() else { break };
            let (since, gives_up) = self.patience.trouble().unzip();
            self.stats.begins_to_wait(Wait {
                what: why.text().to_owned(),
                since: wall(since.unwrap_or_else(tokio::time::Instant::now)),
                until: wall(until),
                gives_up: gives_up.map(wall),
            });
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = resumed => {}
                () = self.control.stopping().cancelled() => return false,
            }
            self.stats.ends_waiting();
        }
        !self.control.is_stopping()
    }

    /// What is kept of an error about one image or key. A refusal also names where the credentials came from.
    pub(crate) fn message_of(&self, error: &cos::Error) -> String {
        let message = error.message();
        match (error, error.status()) {
            (cos::Error::Service(_), Some(403)) => {
                let source = self.client.provider().source();
                let message = if message.is_empty() { "refused" } else { &message };
                format!("{message}; the credentials came from {source}")
            }
            _ => message,
        }
    }

    /// Sleeps; false if the run stops meanwhile.
    pub(crate) async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => !self.control.is_stopping(),
            () = self.control.stopping().cancelled() => false,
        }
    }

    /// Notes trouble; stops the run if patience is over.
    pub(crate) fn trouble(&self, patience: &Patience, error: cos::Error) {
        if patience.failed() {
            self.control.stop(StopReason::Unavailable(Arc::new(error)));
        }
    }

    /// Stops the run because the service asks for a longer wait than patience allows.
    pub(crate) fn asked_to_wait(&self, wait: Duration, error: cos::Error) {
        let until = wall(tokio::time::Instant::now() + wait);
        self.control.stop(StopReason::AskedToWait { until, wait, error: Arc::new(error) });
    }

    /// Stops the run for an error that no other image would change.
    pub(crate) fn refuse(&self, stop: Stop, operation: Operation, error: cos::Error) {
        self.control.stop(StopReason::Refused(stop, operation, Arc::new(error)));
    }

    /// Tells observers that the listing waits, if the wait is worth a word.
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

    /// A listing or look-up failed in a way that may pass: there may be an outage.
    fn listing_failed(&self, verdict: Verdict, error: &cos::Error, pace: &Pace) {
        let fault = if verdict == Verdict::Throttle { Fault::Throttle } else { Fault::Transport };
        if self.turns.fault(fault) {
            warn!(error = %error.message(),
                "listings and look-ups are not answered: one at a time looks whether the service is back");
            pace.suspend();
        }
    }

    /// A listing or look-up was answered: if there was an outage, it is over.
    fn listing_answered(&self, pace: &Pace) {
        if let Some(kind) = self.turns.answered() {
            info!("listings and look-ups are answered again");
            note_list_pace(pace.resume(kind == Kind::Throttles));
        }
    }

    /// Waits so long, or until the run stops.
    async fn pause(&self, delay: Option<Duration>) {
        tokio::select! {
            () = tokio::time::sleep(delay.unwrap_or_default()) => {}
            () = self.control.stopping().cancelled() => {}
        }
    }

    /// Sends a request that is free, a listing or a look-up, until it is answered or patience ends.
    ///
    /// A look-up is also given up once it has been tried nine times while others were answered, so that one key
    /// cannot hold up the list.
    ///
    /// Returns `None` if the run stops; an error only if it is about this key.
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
        let (mut refreshed, mut tries, mut throttles, mut unproven) = (false, 0, 0, 0);
        let answers = self.answers();
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
                    self.accepted_time();
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
            log_failure(operation, verdict, &error);
            match verdict {
                Verdict::GiveUp(_) => {
                    patience.answered();
                    self.listing_answered(pace);
                    return Some(Err(error));
                }
                Verdict::Stop(stop) => {
                    if error.is_unproven_page() && unproven < UNPROVEN_PAGES {
                        unproven += 1;
                        self.pause(delays.next()).await;
                        continue;
                    }
                    self.refuse(stop, operation, error);
                    return None;
                }
                Verdict::FixClock => {
                    let delay = delays.next().unwrap_or_default();
                    if self.signs_anew(operation, error, delay).await {
                        continue;
                    }
                    return None;
                }
                Verdict::RefreshCredentials => {
                    match self.client.refresh_credentials(&error).await {
                        Ok(()) if !refreshed => refreshed = true,
                        Ok(()) => self.refuse(Stop::Credentials, operation, error),
                        Err(error) => self.refuse(Stop::Credentials, operation, error),
                    }
                    continue;
                }
                Verdict::Throttle => {
                    note_list_pace(pace.throttled());
                    throttles += 1;
                }
                Verdict::Retry | Verdict::Unreachable | Verdict::Foreign => tries += 1,
            }
            self.listing_failed(verdict, &error, pace);
            let too_often = tries >= TRIES_OF_KEY || throttles >= THROTTLES_OF_KEY;
            if of_key && too_often && self.answers_others(answers).await {
                return Some(Err(error));
            }
            let after = error.retry_after().unwrap_or_default();
            if !patience.allows(after) {
                if of_key && self.answers_others(answers).await {
                    return Some(Err(error));
                }
                self.asked_to_wait(after, error);
                return None;
            }
            // Patience has ended, but the service answers: this key's fault holds up no other.
            if of_key && patience.failed() && self.client.is_reachable().await {
                patience.answered();
                return Some(Err(error));
            }
            let message = error.message();
            self.trouble(patience, error);
            let next =
                if verdict == Verdict::Throttle { throttle_delays.next() } else { delays.next() };
            let next = next.unwrap_or_default();
            // The others wait for this one.
            let next = if turn.is_some() { next.min(LONGEST_DELAY_OF_TURN) } else { next };
            let delay = next.max(after);
            self.tell_listing_waits(&message, delay);
            if !self.sleep(delay).await {
                return None;
            }
        }
    }
}

impl Service {
    /// How often the service has answered anything in this invocation.
    fn answers(&self) -> u64 {
        self.patience.answers() + self.list_patience.answers()
    }

    /// Whether it has answered since there were `before` answers, or answers now: then what is not answered fails by
    /// itself.
    async fn answers_others(&self, before: u64) -> bool {
        self.answers() > before || self.client.is_reachable().await
    }
}

/// Tells what an answer has changed about the pace of listings and look-ups.
fn note_list_pace(change: Option<Change>) {
    let Some(Change { rate, faults, .. }) = change else { return };
    if let Some(rate) = rate {
        info!(rate, "pace of listings");
    }
    if let Some(share) = faults {
        warn_of_faults("list requests", share);
    }
}

/// What [`Service::recognise`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recognised {
    /// As before.
    Same,
    /// The first answer this database gets; the name is to be stored.
    First(Recogniser),
    /// Another one: the run stops, and the answer is not to be kept.
    Other,
}
