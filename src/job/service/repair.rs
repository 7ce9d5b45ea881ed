//! Repairs after which a refused request is sent again: the clock, and the name of a host that does not exist yet.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use crate::cos::{self, Client, Correction};
use crate::job::writer::{Record, Writer};

/// The number of complaints in a row about the time of requests that stops the run. A complaint about a request that
/// was signed before the clock was corrected does not count.
const COMPLAINTS: u32 = 20;
/// The number of look-ups of a host before the first success after which the host counts as non-existent.
const LOOKUPS: u32 = 3;
/// Look-ups within this time count as one, because many requests make them at the same moment.
const SAME_LOOKUP: Duration = Duration::from_millis(200);

/// What to do after the service has refused a request because of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The clock is corrected: sign the request again.
    SignAgain,
    /// The clock agrees with the answer, so one node of the service is wrong: sign the request again a little later.
    Node,
    /// There were too many complaints in a row: stop the run.
    Stop,
}

/// The clock of requests, which follows the time of the service.
#[derive(Debug, Default)]
pub(crate) struct ClockRepair {
    /// Notified when the service has confirmed another offset.
    corrected: Notify,
    /// Complaints about the time of requests since the service last accepted one.
    complaints: AtomicU32,
}

impl ClockRepair {
    /// Corrects the clock after a complaint about the time of a request.
    pub(super) fn correct(&self, client: &Client, error: &cos::Error) -> Refused {
        let correction = client.correct_clock(error);
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
            self.corrected.notify_one();
        }
        if correction == Correction::Outdated {
            return Refused::SignAgain;
        }
        if self.complaints.fetch_add(1, Ordering::Relaxed) + 1 >= COMPLAINTS {
            return Refused::Stop;
        }
        if correction == Correction::Unfounded { Refused::Node } else { Refused::SignAgain }
    }

    /// Notes that the service has accepted the time of a request.
    pub(crate) fn accepted(&self) {
        if self.complaints.load(Ordering::Relaxed) > 0 {
            self.complaints.store(0, Ordering::Relaxed);
        }
    }

    /// Stores each correction of the clock, so that the next run begins with it.
    pub(super) async fn store(&self, client: &Client, writer: Writer) -> Infallible {
        loop {
            self.corrected.notified().await;
            let seconds = client.clock().offset();
            if writer.send(Record::ClockOffset { seconds }).await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

/// Counts how often the name of the host did not exist.
#[derive(Debug, Default)]
pub(super) struct HostLookups(Mutex<(u32, Option<Instant>)>);

impl HostLookups {
    /// Notes that a look-up did not find the host. Returns whether the host counts as non-existent now.
    pub(super) fn failed(&self) -> bool {
        let now = Instant::now();
        let mut lookups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lookups.1.is_none_or(|last| now - last >= SAME_LOOKUP) {
            *lookups = (lookups.0 + 1, Some(now));
        }
        lookups.0 >= LOOKUPS
    }
}
