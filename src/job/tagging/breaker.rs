//! Stops a run that only fails: a row of identical failures before the first success, or a share of
//! failures later on. Before it gives up for the night, it lets a few calls through as a probe.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::FailureLimit;

/// Calls in a row, before the first success, that failed in the same way and stop the run.
const IDENTICAL: u32 = 20;
/// Images that the share of failures is taken over.
const WINDOW: usize = 1000;
/// Images that must be settled before a share means anything.
const ENOUGH: usize = 100;
/// Calls of the probe that must all fail.
const PROBES: u32 = 3;

/// What a failure came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tripped {
    /// Not yet.
    No,
    /// Too many: wait a moment, then let the probe decide.
    Probe,
    /// The run is to stop; says why, and the code if all failures had the same.
    Stop(String, Option<String>),
}

/// Counts how images are settled in this invocation.
#[derive(Debug)]
pub(crate) struct Breaker {
    limit: FailureLimit,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    succeeded: bool,
    /// The last failures' code, and how many in a row had it.
    row: Option<(String, u32)>,
    failed: u64,
    window: VecDeque<bool>,
    failed_in_window: usize,
    /// Only calls begun later are the probe's; and how many of those may still fail.
    probe: Option<(Instant, u32)>,
}

impl Breaker {
    /// A breaker with this limit for failures after the first success.
    pub(crate) fn new(limit: FailureLimit) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// An image was labelled.
    pub(crate) fn succeeded(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.succeeded = true;
        state.row = None;
        if state.probe.take().is_some() {
            state.window.clear();
            state.failed_in_window = 0;
        }
        state.settled(false);
    }

    /// A call failed in a way that would be the same for every image, though its image may be tried again.
    pub(crate) fn call_failed(&self, code: &str) -> Tripped {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).identical(code)
    }

    /// An image was given up, by a call begun at `begun`. `suspicious`: nothing says that it is this
    /// image's own fault.
    pub(crate) fn failed(&self, code: &str, suspicious: bool, begun: Instant) -> Tripped {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed += 1;
        state.settled(true);
        if suspicious && let stop @ Tripped::Stop(..) = state.identical(code) {
            return stop;
        }
        match self.limit {
            FailureLimit::Count(limit) if state.failed >= limit.get() => Tripped::Stop(
                format!("{} images failed (--max-failures {limit})", state.failed),
                None,
            ),
            FailureLimit::Unlimited | FailureLimit::Count(_) => Tripped::No,
            FailureLimit::Percent(percent) => state.share(percent, begun),
        }
    }
}

/// Look-ups that failed one after another with the same code.
#[derive(Debug, Default)]
pub(crate) struct Row(Mutex<(String, u32)>);

impl Row {
    /// A look-up was answered: the row is over.
    pub(crate) fn ended(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = 0;
    }

    /// A look-up failed with this code. Returns how many did in a row, once they are too many.
    pub(crate) fn failed(&self, code: &str) -> Option<u32> {
        let mut row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if row.0 != code {
            *row = (code.to_owned(), 0);
        }
        row.1 += 1;
        (row.1 >= IDENTICAL).then_some(row.1)
    }
}

impl State {
    /// Counts equal failures before the first success.
    fn identical(&mut self, code: &str) -> Tripped {
        if self.succeeded {
            return Tripped::No;
        }
        let count = match &self.row {
            Some((last, count)) if last == code => count + 1,
            _ => 1,
        };
        self.row = Some((code.to_owned(), count));
        if count < IDENTICAL {
            return Tripped::No;
        }
        let what = format!("{count} calls in a row failed with {code}, none succeeded");
        Tripped::Stop(what, Some(code.to_owned()))
    }

    fn settled(&mut self, failed: bool) {
        if self.window.len() == WINDOW && self.window.pop_front() == Some(true) {
            self.failed_in_window -= 1;
        }
        self.window.push_back(failed);
        self.failed_in_window += usize::from(failed);
    }

    fn share(&mut self, percent: f64, begun: Instant) -> Tripped {
        if let Some((since, left)) = &mut self.probe {
            if begun < *since {
                return Tripped::No;
            }
            // Calls that were begun with the probe's still end after it has decided.
            *left = left.saturating_sub(1);
            if *left > 0 {
                return Tripped::No;
            }
        }
        let (failed, settled) = (self.failed_in_window, self.window.len());
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
        let share = failed as f64 / settled as f64 * 100.0;
        if settled < ENOUGH || share <= percent {
            self.probe = None;
            return Tripped::No;
        }
        if self.probe.is_some() {
            let what =
                format!("{failed} of the last {settled} images failed (--max-failures {percent}%)");
            return Tripped::Stop(what, None);
        }
        self.probe = Some((Instant::now(), PROBES));
        Tripped::Probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_identical_failures_before_any_success() {
        let breaker = Breaker::new(FailureLimit::Unlimited);
        let now = Instant::now();
        for _ in 0..19 {
            assert_eq!(breaker.failed("A", true, now), Tripped::No);
        }
        assert_eq!(breaker.failed("B", true, now), Tripped::No, "another code begins anew");
        for _ in 0..19 {
            assert_eq!(breaker.failed("A", true, now), Tripped::No);
        }
        assert!(
            matches!(breaker.failed("A", true, now), Tripped::Stop(_, Some(code)) if code == "A")
        );
        let breaker = Breaker::new(FailureLimit::Unlimited);
        breaker.succeeded();
        for _ in 0..50 {
            assert_eq!(breaker.failed("A", true, now), Tripped::No);
        }
    }

    #[test]
    fn bad_images_are_no_reason_to_stop() {
        let breaker = Breaker::new(FailureLimit::Unlimited);
        for _ in 0..50 {
            assert_eq!(breaker.failed("InvalidImageFormat", false, Instant::now()), Tripped::No);
        }
    }

    #[test]
    fn a_share_of_failures_stops_after_a_probe_that_fails() {
        let breaker = Breaker::new(FailureLimit::Percent(50.0));
        let before = Instant::now();
        for _ in 0..60 {
            breaker.succeeded();
        }
        let mut last = Tripped::No;
        for _ in 0..61 {
            assert_eq!(last, Tripped::No);
            last = breaker.failed("X", false, before);
        }
        assert_eq!(last, Tripped::Probe);
        assert_eq!(breaker.failed("X", false, before), Tripped::No, "begun before the probe");
        let after = Instant::now();
        assert_eq!(breaker.failed("X", false, after), Tripped::No);
        assert_eq!(breaker.failed("X", false, after), Tripped::No);
        for _ in 0..3 {
            assert!(matches!(breaker.failed("X", false, after), Tripped::Stop(..)));
        }
    }

    #[test]
    fn a_probe_that_succeeds_begins_a_new_count() {
        let breaker = Breaker::new(FailureLimit::Percent(50.0));
        for _ in 0..100 {
            breaker.failed("X", false, Instant::now());
        }
        breaker.succeeded();
        for _ in 0..50 {
            assert_eq!(breaker.failed("X", false, Instant::now()), Tripped::No);
        }
    }

    #[test]
    fn a_count_is_a_count() {
        let breaker = Breaker::new(FailureLimit::Count(3.try_into().unwrap()));
        breaker.succeeded();
        assert_eq!(breaker.failed("X", false, Instant::now()), Tripped::No);
        assert_eq!(breaker.failed("Y", false, Instant::now()), Tripped::No);
        assert!(matches!(breaker.failed("Z", false, Instant::now()), Tripped::Stop(..)));
    }
}
