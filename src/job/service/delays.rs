//! The delays before a request is sent again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::job::verdict::Verdict;

/// The delays between the tries of one request, with jitter. They never end: patience, or a number of tries, ends the
/// tries.
#[derive(Debug)]
pub(crate) struct Delays {
    after_failures: ExponentialBackoff,
    after_throttles: ExponentialBackoff,
}

impl Delays {
    /// Delays after failures, from `first` to `longest`. Those after throttle answers begin lower, because the pace that
    /// all requests share takes the load off the service.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            after_failures: exponential(first, longest),
            after_throttles: exponential(Duration::from_millis(25), Duration::from_secs(2)),
        }
    }

    /// The next delay after a try that ended with this verdict.
    pub(crate) fn next(&mut self, verdict: Verdict) -> Duration {
        let delays = match verdict {
            Verdict::Throttle => &mut self.after_throttles,
            _ => &mut self.after_failures,
        };
        delays.next().unwrap_or_default()
    }
}

fn exponential(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}
