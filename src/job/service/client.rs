//! What every stage that talks to the service shares: the client, patience, repairs, and who answers.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::outage::Fault;
use super::patience::Patience;
use super::repair::{ClockRepair, HostLookups, Refused};
use super::turn::Turns;
use crate::cos::{self, Client};
use crate::job::control::{Control, StopReason};
use crate::job::stats::{Stats, Wait, wall};
use crate::job::verdict::{Operation, Stop, Verdict};
use crate::job::writer::Writer;
use crate::store::model::Recogniser;

/// The longest delay before a request is sent again because one node of the service has a wrong clock.
const LONGEST_DELAY_OF_NODE: Duration = Duration::from_secs(1);

/// The service, as one run uses it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) client: Client,
    /// The patience with calls.
    pub(crate) patience: Patience,
    /// The patience with listings and look-ups. It is apart, because pages that arrive must not hide calls that fail.
    pub(super) list_patience: Patience,
    pub(crate) control: Control,
    pub(crate) stats: Arc<Stats>,
    pub(crate) clock_repair: ClockRepair,
    /// Who answered the calls in this database so far. Empty if there was no answer yet.
    recogniser: OnceLock<Recogniser>,
    host_lookups: HostLookups,
    /// Whether a warning was logged that answers have no scenes.
    legacy: AtomicBool,
    /// The turns of listings and look-ups in an outage.
    pub(super) turns: Turns,
    /// The number of listings and look-ups so far.
    pub(super) requests: AtomicU64,
    pub(super) lookup_failures: LookupFailures,
}

/// Who has answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recognised {
    /// The same recogniser as before.
    Same,
    /// A recogniser that gives the first answer in this database.
    First(Recogniser),
    /// Another recogniser than before. The run stops, and the answer must not be stored.
    Other,
}

/// Counts the look-ups that failed and are tried again. A list has many keys, so only the first failure of each kind is a
/// warning.
#[derive(Debug, Default)]
pub(super) struct LookupFailures {
    throttled: AtomicU64,
    others: AtomicU64,
}

impl LookupFailures {
    /// Counts a failure. Returns whether it is the first of its kind.
    pub(super) fn is_first(&self, verdict: Verdict) -> bool {
        let count = if verdict == Verdict::Throttle { &self.throttled } else { &self.others };
        count.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Logs how many look-ups failed and were tried again, if there were several.
    fn warn(&self) {
        let throttled = self.throttled.load(Ordering::Relaxed);
        let others = self.others.load(Ordering::Relaxed);
        if throttled > 1 || others > 1 {
            warn!(throttled, others, "look-ups that failed and were tried again");
        }
    }
}

/// The repairs that were made for one request.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// How often the service complained about the time of the request.
    pub(crate) complaints: u32,
    /// Whether the credentials were renewed for it.
    is_renewed: bool,
}

/// What to do after a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repaired {
    /// Send the request again after this delay.
    SendAgain(Duration),
    /// Nothing: the run stops.
    Stopped,
}

impl Service {
    /// A service with which the run is patient for as long as `patience`. `recogniser` is who answered the calls in this
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
            clock_repair: ClockRepair::default(),
            recogniser: recogniser.map_or_else(OnceLock::new, OnceLock::from),
            host_lookups: HostLookups::default(),
            legacy: AtomicBool::new(false),
            turns: Turns::default(),
            requests: AtomicU64::new(0),
            lookup_failures: LookupFailures::default(),
        }
    }

    /// Logs once that answers have no scenes.
    pub(crate) fn warn_of_legacy(&self) {
        if !self.legacy.swap(true, Ordering::Relaxed) {
            warn!(
                "the service answers without scenes: all labels of an answer are kept under one scene"
            );
        }
    }

    /// Repairs what a refusal with the verdict [`Verdict::FixClock`] or [`Verdict::RefreshCredentials`] is about, or stops
    /// the run if that is impossible. The credentials are renewed once for each request. `delay` is how long to wait if
    /// one node of the service has a wrong clock.
    pub(crate) async fn repair(
        &self,
        verdict: Verdict,
        operation: Operation,
        error: cos::Error,
        delay: Duration,
        repairs: &mut Repairs,
    ) -> Repaired {
        if verdict == Verdict::FixClock {
            repairs.complaints += 1;
            return match self.clock_repair.correct(&self.client, &error) {
                Refused::SignAgain => Repaired::SendAgain(Duration::ZERO),
                Refused::Node => Repaired::SendAgain(delay.min(LONGEST_DELAY_OF_NODE)),
                Refused::Stop => {
                    self.refuse(Stop::Clock, operation, error);
                    Repaired::Stopped
                }
            };
        }
        let error = match self.client.refresh_credentials(&error).await {
            Ok(()) if !std::mem::replace(&mut repairs.is_renewed, true) => {
                info!("credentials renewed");
                return Repaired::SendAgain(Duration::ZERO);
            }
            Ok(()) => error,
            Err(error) => error,
        };
        self.refuse(Stop::Credentials, operation, error);
        Repaired::Stopped
    }

    /// Stores each correction of the clock, so that the next run begins with it.
    pub(crate) async fn store_clock_corrections(&self, writer: Writer) -> Infallible {
        self.clock_repair.store(&self.client, writer).await
    }

    /// Softens the verdict about a host that does not exist: before the first success it is looked up three times until
    /// that is believed, and afterwards for as long as patience lasts.
    pub(crate) fn softened(&self, verdict: Verdict, error: &cos::Error) -> Verdict {
        if !matches!(error, cos::Error::NoSuchHost { .. }) {
            return verdict;
        }
        let has_succeeded = self.patience.has_succeeded() || self.list_patience.has_succeeded();
        if has_succeeded || !self.host_lookups.failed() { Verdict::Unreachable } else { verdict }
    }

    /// Compares who answers now with who answered before.
    ///
    /// Stops the run if the labels in the database come from another recogniser, so that a rehearsal against the emulator
    /// cannot mix its labels with real ones.
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

    /// Waits until the pause that all calls share is over. Returns `false` if the run stops meanwhile.
    pub(crate) async fn pause_ends(&self) -> bool {
        loop {
            // Registered before the clock is read: otherwise a pause that ends in between would be waited out.
            let resumed = self.patience.resumed();
            let Some((until, why)) = self.patience.paused_until() else { break };
            let (since, gives_up) = self.patience.trouble().unzip();
            self.stats.begins_to_wait(Wait {
                what: why.text().to_owned(),
                since: wall(since.unwrap_or_else(Instant::now)),
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

    /// The message that is stored of an error about one image or key. For a refusal it names the source of the
    /// credentials.
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

    /// Sleeps. Returns `false` if the run stops meanwhile.
    pub(crate) async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => !self.control.is_stopping(),
            () = self.control.stopping().cancelled() => false,
        }
    }

    /// Logs how many look-ups failed and were tried again, if there were several.
    pub(crate) fn warn_of_lookups(&self) {
        self.lookup_failures.warn();
    }

    /// Notes that a request was not answered, and stops the run if patience is over.
    pub(crate) fn trouble(&self, patience: &Patience, fault: Fault, error: cos::Error) {
        if patience.failed(fault) {
            let error = Arc::new(error);
            self.control.stop(if patience.is_throttled_only() {
                StopReason::Throttled(error)
            } else {
                StopReason::Unavailable(error)
            });
        }
    }

    /// Stops the run because the service asks for a longer wait than patience allows.
    pub(crate) fn asked_to_wait(&self, wait: Duration, error: cos::Error) {
        let until = wall(Instant::now() + wait);
        self.control.stop(StopReason::AskedToWait { until, wait, error: Arc::new(error) });
    }

    /// Stops the run for an error that every other image would meet too.
    pub(crate) fn refuse(&self, stop: Stop, operation: Operation, error: cos::Error) {
        self.control.stop(StopReason::Refused(stop, operation, Arc::new(error)));
    }
}
