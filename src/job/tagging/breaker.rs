//! Stops a run that only fails: a row of calls that failed for good before the first success, or a share of
//! failures later on. Before it gives up for the night, it lets a few calls through as a probe.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::FailureLimit;

/// Calls in a row that failed for good before the first success and stop the run, whatever their codes.
const ROW: u32 = 20;
/// Images that the share of failures is taken over.
const WINDOW: usize = 1000;
/// Images that must be settled before a share means anything.
const ENOUGH: usize = 100;
/// Calls of the probe that must all fail.
const PROBES: u32 = 3;

/// What a failure came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tripped {
    /// Not yet.
    No,
    /// Too many: wait a moment, then let the probe decide.
    Probe,
    /// The run is to stop; says why, and the code if all failures had the same.
    Stop(String, Option<String>),
}

/// Counts how images are settled in this invocation.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: FailureLimit,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    succeeded: bool,
    /// How many calls had failed for good before the first success, by code.
    row: BTreeMap<String, u32>,
    failed: u64,
    window: VecDeque<bool>,
    failed_in_window: usize,
    /// Only calls begun later are the probe's; and how many of those may still fail.
    probe: Option<(Instant, u32)>,
}

impl Breaker {
    /// A breaker with this limit for failures after the first success.
    pub(super) fn new(limit: FailureLimit) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// An image was labelled.
    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.succeeded = true;
        state.row.clear();
        if state.probe.take().is_some() {
            state.window.clear();
            state.failed_in_window = 0;
        }
        state.settled(false);
    }

    /// Whether an image was labelled in this invocation: from then on no row of failures stops the run.
    pub(super) fn has_succeeded(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).succeeded
    }

    /// A call failed in a way that waiting does not help. Before the first success, that may be the fault of the
    /// account or of a setting, even if the code speaks of the image.
    pub(super) fn call_failed(&self, code: &str) -> Tripped {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).fails_for_good(code)
    }

    /// An image was given up, by a call begun at `begun`.
    pub(super) fn failed(&self, begun: Instant) -> Tripped {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed += 1;
        state.settled(true);
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

impl State {
    /// Counts failures before the first success. Their codes may differ: what is wrong with an account or an endpoint
    /// can show in several ways.
    fn fails_for_good(&mut self, code: &str) -> Tripped {
        if self.succeeded {
            return Tripped::No;
        }
        *self.row.entry(code.to_owned()).or_default() += 1;
        let count = self.row.values().sum::<u32>();
        if count < ROW {
            return Tripped::No;
        }
        if self.row.len() == 1 {
            let what = format!("{count} calls in a row failed with {code}, none succeeded");
            return Tripped::Stop(what, Some(code.to_owned()));
        }
        let mut codes: Vec<_> = self.row.iter().collect();
        codes.sort_by_key(|(_, calls)| std::cmp::Reverse(**calls));
        let codes: Vec<_> =
            codes.iter().map(|(code, calls)| format!("{calls} with {code}")).collect();
        let codes = codes.join(", ");
        Tripped::Stop(format!("{count} calls in a row failed, {codes}, none succeeded"), None)
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
        for _ in 0..19 {
            assert_eq!(breaker.call_failed("A"), Tripped::No);
        }
        let told = "20 calls in a row failed with A, none succeeded".to_owned();
        assert_eq!(breaker.call_failed("A"), Tripped::Stop(told, Some("A".to_owned())));
    }

    #[test]
    fn twenty_failures_with_different_codes_before_any_success() {
        let breaker = Breaker::new(FailureLimit::Unlimited);
        for code in ["A", "B", "B"].into_iter().cycle().take(19) {
            assert_eq!(breaker.call_failed(code), Tripped::No);
        }
        let told = "20 calls in a row failed, 13 with B, 7 with A, none succeeded".to_owned();
        assert_eq!(breaker.call_failed("B"), Tripped::Stop(told, None));
    }

    #[test]
    fn after_a_success_no_row_of_failures_is_a_reason_to_stop() {
        let breaker = Breaker::new(FailureLimit::Unlimited);
        breaker.call_failed("A");
        breaker.succeeded();
        for _ in 0..50 {
            assert_eq!(breaker.call_failed("A"), Tripped::No);
            assert_eq!(breaker.failed(Instant::now()), Tripped::No);
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
            last = breaker.failed(before);
        }
        assert_eq!(last, Tripped::Probe);
        assert_eq!(breaker.failed(before), Tripped::No, "begun before the probe");
        let after = Instant::now();
        assert_eq!(breaker.failed(after), Tripped::No);
        assert_eq!(breaker.failed(after), Tripped::No);
        for _ in 0..3 {
            assert!(matches!(breaker.failed(after), Tripped::Stop(..)));
        }
    }

    #[test]
    fn a_probe_that_succeeds_begins_a_new_count() {
        let breaker = Breaker::new(FailureLimit::Percent(50.0));
        for _ in 0..100 {
            breaker.failed(Instant::now());
        }
        breaker.succeeded();
        for _ in 0..50 {
            assert_eq!(breaker.failed(Instant::now()), Tripped::No);
        }
    }

    #[test]
    fn a_count_is_a_count() {
        let breaker = Breaker::new(FailureLimit::Count(3.try_into().unwrap()));
        breaker.succeeded();
        assert_eq!(breaker.failed(Instant::now()), Tripped::No);
        assert_eq!(breaker.failed(Instant::now()), Tripped::No);
        assert!(matches!(breaker.failed(Instant::now()), Tripped::Stop(..)));
    }
}
