//! How a run is stopped. The first reason counts; all stages listen to the same two tokens.

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
    /// A signal: SIGINT, SIGTERM, SIGQUIT or SIGHUP, by its number.
    Signal(i32),
    /// A limit of calls or of their cost is used up. The text names the limit.
    Budget(String),
    /// All images of the trial are settled. Others may be pending.
    Trial(Trial),
    /// The window for calls has ended. The text names the limit.
    Window(String),
    /// Every call was denied, so a permission is missing. The text says how many, and with which credentials.
    Denied(String),
    /// Every look-up was denied, so a permission is missing. The text says how many.
    LookUpsDenied(String),
    /// There were too many failures. The text says how many, and of which kind.
    Breaker(String),
    /// Before the first success, all failures were images refused for their format, size or content. The text says how
    /// many.
    BadImages(String),
    /// The service refused a request, and would refuse every other one too.
    Refused(verdict::Stop, verdict::Operation, Arc<cos::Error>),
    /// Nothing was answered for longer than patience lasts. Holds the last error.
    Unavailable(Arc<cos::Error>),
    /// Every request was throttled for longer than patience lasts. Holds the last answer.
    Throttled(Arc<cos::Error>),
    /// The service asks for a longer wait than patience allows.
    AskedToWait {
        /// The end of the wait.
        until: jiff::Timestamp,
        /// The length of the wait.
        wait: Duration,
        /// The answer that asked for it.
        error: Arc<cos::Error>,
    },
    /// The answers come from another recogniser than the labels in the database.
    Recogniser {
        /// The recogniser that answered before.
        stored: String,
        /// The recogniser that answers now.
        now: &'static str,
    },
    /// Nothing stopped the run, but images that it wants are still pending.
    Remains,
    /// All lines of a list that are in the store are done, but the list was not read to its end. Holds the option that
    /// names the list.
    Unread(String),
    /// The store or a stage failed. The run returns the error.
    Internal,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(1) => f.write_str("the terminal was closed"),
            Self::Signal(3) => f.write_str("quit with Ctrl-\\"),
            Self::Signal(2) => f.write_str("interrupted"),
            Self::Signal(15) => f.write_str("terminated by another program"),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::Budget(what) => write!(f, "budget: {what}"),
            Self::Trial(trial) => f.write_str(&trial.name()),
            Self::Window(what) => write!(f, "window: {what}"),
            Self::Denied(what) | Self::LookUpsDenied(what) => write!(f, "permission: {what}"),
            Self::Breaker(what) | Self::BadImages(what) => write!(f, "too many failures: {what}"),
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
            Self::Throttled(error) => {
                write!(f, "the service throttled every request for too long: {error}")
            }
            Self::Unavailable(error) => {
                write!(f, "the service gave no usable answer for too long: {error}")
            }
            Self::Recogniser { stored, now } => {
                write!(f, "the database holds labels of {stored}, but now {now} answers")
            }
            Self::Remains => f.write_str("images that this run wants are still pending"),
            Self::Unread(option) => {
                write!(
                    f,
                    "the list of {option} was not read to its end; the lines that were read are done"
                )
            }
            Self::Internal => f.write_str("error"),
        }
    }
}

/// Stops a run. All stages of a run share one control with the callers that may stop it.
#[derive(Debug, Clone, Default)]
pub struct Control {
    stop: CancellationToken,
    abort: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Control {
    /// Stops the run: no new pages, claims or calls are begun, and calls in flight finish. If the run is stopped more
    /// than once, the first reason counts.
    pub fn stop(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.stop.cancel();
    }

    /// Aborts the calls in flight.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// A token that is cancelled when the run stops.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// A token that is cancelled when calls in flight are aborted.
    pub fn aborting(&self) -> &CancellationToken {
        &self.abort
    }

    /// Returns whether the run has been stopped.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Why the run was stopped. `None` if it was not.
    pub fn reason(&self) -> Option<&StopReason> {
        self.reason.get()
    }
}
