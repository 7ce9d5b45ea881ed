//! How a run is stopped: one reason, the first one; two tokens that every stage listens to.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::trial::Trial;
use super::verdict;
use crate::cos;

/// Why a run ended before its work was done.
#[derive(Debug, Clone)]
pub enum StopReason {
    /// SIGINT, SIGTERM, SIGQUIT or SIGHUP, by number.
    Signal(i32),
    /// A budget of calls, cost or images is used up; says which.
    Budget(String),
    /// All images of the run's scope are settled, and others may be wanted.
    Trial(Trial),
    /// The time for calls is over; says which limit.
    Window(String),
    /// Every image was denied: a permission is missing.
    Denied(String),
    /// Every key of a list that was looked up was denied: a permission is missing.
    LookUpsDenied(String),
    /// Too many failures; says which.
    Breaker(String),
    /// The service said something that no other image would change.
    Refused(verdict::Stop, verdict::Operation, Arc<cos::Error>),
    /// Network or service were in trouble for longer than patience lasts; the last error.
    Unavailable(Arc<cos::Error>),
    /// The service asks for a longer wait than patience allows.
    AskedToWait {
        /// When to come back.
        until: jiff::Timestamp,
        /// How long that is.
        wait: Duration,
        /// What it said.
        error: Arc<cos::Error>,
    },
    /// Another recogniser answers than the one whose labels are in the database.
    Recogniser {
        /// Who answered before.
        stored: String,
        /// Who answers now.
        now: &'static str,
    },
    /// Nothing stopped the run, and yet images that it wants wait for their call.
    Remains,
    /// All lines that the store has of a list are done, and the list was not read to its end; with the option that names
    /// the list.
    Unread(String),
    /// The store or a stage failed; the run returns that error itself.
    Internal,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(1) => f.write_str("hung up (SIGHUP)"),
            Self::Signal(3) => f.write_str("quit (SIGQUIT)"),
            Self::Signal(2) => f.write_str("interrupted (SIGINT)"),
            Self::Signal(15) => f.write_str("terminated (SIGTERM)"),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::Budget(what) => write!(f, "budget: {what}"),
            Self::Trial(trial) => f.write_str(&trial.name()),
            Self::Window(what) => write!(f, "window: {what}"),
            Self::Denied(what) | Self::LookUpsDenied(what) => write!(f, "permission: {what}"),
            Self::Breaker(what) => write!(f, "breaker: {what}"),
            Self::Refused(_, _, error) => write!(f, "refused: {error}"),
            Self::AskedToWait { until, wait, error } => {
                let until = until.to_zoned(jiff::tz::TimeZone::system());
                let wait = jiff::SignedDuration::from_secs(wait.as_secs().cast_signed());
                write!(
                    f,
                    "the service asks for a wait of {wait:#}, which is longer than --patience allows: come back \
                     at {} ({error})",
                    until.strftime("%Y-%m-%d %H:%M:%S %:z")
                )
            }
            Self::Unavailable(error) => write!(f, "no success for too long: {error}"),
            Self::Recogniser { stored, now } => {
                write!(f, "the database holds labels of {stored}, and {now} answers")
            }
            Self::Remains => f.write_str("images that this run wants still wait for their call"),
            Self::Unread(option) => {
                write!(
                    f,
                    "the list of {option} was not read to its end; the lines of it that the database has are done"
                )
            }
            Self::Internal => f.write_str("error"),
        }
    }
}

/// Shared by all stages of a run.
#[derive(Debug, Clone, Default)]
pub struct Control {
    stop: CancellationToken,
    abort: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Control {
    /// Stops the run: no new pages, claims or calls; calls in flight finish. The first reason stays.
    pub fn stop(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.stop.cancel();
    }

    /// Cuts calls in flight short.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// Cancelled once nothing new is to be begun.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Cancelled once calls in flight are to end.
    pub fn aborting(&self) -> &CancellationToken {
        &self.abort
    }

    /// Whether nothing new is to be begun.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Why the run stops, if it does.
    pub fn reason(&self) -> Option<&StopReason> {
        self.reason.get()
    }
}
