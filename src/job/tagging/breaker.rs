//! Stops a run that only fails: after a number of permanent failures before the first success, or because of the share
//! or the number of failed images later on. Before it stops a run because of the share, a few calls probe whether they
//! fail too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::FailureLimit;
use crate::numbers::counted;

/// The number of permanent failures before the first success that stops the run. Their codes do not matter.
const FAILURES_BEFORE_SUCCESS: u32 = 20;
/// The share of failures is the share among this number of images, counted back from the last one.
const WINDOW: usize = 1000;
/// The number of settled images from which on the share of failures counts.
const IMAGES_FOR_SHARE: usize = 100;
/// The number of calls in a probe. The run stops if all of them fail.
const PROBES: u32 = 3;

/// What a failure means for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tripped {
    /// Nothing: there were not too many failures.
    No,
    /// There were too many failures: wait a moment, and let a probe decide.
    Probe,
    /// Stop the run. Says why, and gives the code if all failures had the same one.
    Stop(String, Option<String>),
}

/// Counts the images that are settled in this invocation, and the failures among them.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: FailureLimit,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    succeeded: bool,
    /// The permanent failures before the first success, by code.
    row: BTreeMap<String, u32>,
    /// Whether one of them was not about the image's format, size or content.
    has_other_failures: bool,
    /// Images that failed.
    failed: u64,
    /// The last images, oldest first: whether each has failed.
    window: VecDeque<bool>,
    failed_in_window: usize,
    /// When the probe began, and how many of its calls may still fail. Only calls that began later belong to it. Absent
    /// if there is no probe.
    probe: Option<(Instant, u32)>,
}

impl Breaker {
    /// A breaker with this limit of failed images.
    pub(super) fn new(limit: FailureLimit) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Notes that an image was labelled.
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

    /// Returns whether an image was labelled in this invocation. From then on, permanent failures do not stop the run
    /// by their number alone.
    pub(super) fn has_succeeded(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).succeeded
    }

    /// Notes that a call failed permanently. Before the first success, the account or a setting may be the cause, even
    /// if the code is about the image. `is_bad_image` says whether the code is about its format, size or content.
    pub(super) fn call_failed(&self, code: &str, is_bad_image: bool) -> Tripped {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_other_failures |= !is_bad_image;
        state.failed_permanently(code)
    }

    /// Returns whether nothing was labelled yet, and all permanent failures were about the format, size or content of
    /// images.
    pub(super) fn has_only_bad_images(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        !state.succeeded && !state.row.is_empty() && !state.has_other_failures
    }

    /// Notes that an image was given up, after a call that began at `begun`.
    pub(super) fn failed(&self, begun: Instant) -> Tripped {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed += 1;
        state.settled(true);
        match self.limit {
            FailureLimit::Count(limit) if state.failed >= limit.get() => Tripped::Stop(
                format!("{} failed (--max-failures {limit})", counted(state.failed, "image")),
                None,
            ),
            FailureLimit::Unlimited | FailureLimit::Count(_) => Tripped::No,
            FailureLimit::Percent(percent) => state.share(percent, begun),
        }
    }
}

impl State {
    /// Counts a permanent failure before the first success. The codes may differ, since a wrong account or endpoint can
    /// cause several.
    fn failed_permanently(&mut self, code: &str) -> Tripped {
        if self.succeeded {
            return Tripped::No;
        }
        *self.row.entry(code.to_owned()).or_default() += 1;
        let count = self.row.values().sum::<u32>();
        if count < FAILURES_BEFORE_SUCCESS {
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

    /// Compares the share of failures with the limit.
    fn share(&mut self, percent: f64, begun: Instant) -> Tripped {
        if let Some((since, left)) = &mut self.probe {
            if begun < *since {
                return Tripped::No;
            }
            // More calls than those of the probe may have begun, and end after it has decided.
            *left = left.saturating_sub(1);
            if *left > 0 {
                return Tripped::No;
            }
        }
        let (failed, settled) = (self.failed_in_window, self.window.len());
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
        let share = failed as f64 / settled as f64 * 100.0;
        if settled < IMAGES_FOR_SHARE || share <= percent {
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
    fn twenty_equal_permanent_failures_before_the_first_success_stop_the_run() {
        let breaker = Breaker::new(FailureLimit::Unlimited);
        for _ in 0..19 {
            assert_eq!(breaker.call_failed("A", false), Tripped::No);
        }
        let told = "20 calls in a row failed with A, none succeeded".to_owned();
        assert_eq!(breaker.call_failed("A", false), Tripped::Stop(told, Some("A".to_owned())));
    }

    #[test]
    fn twenty_permanent_failures_with_different_codes_before_the_first_success_stop_the_run() {
        let breaker = Breaker::new(FailureLimit::Unlimited);
        for code in ["A", "B", "B"].into_iter().cycle().take(19) {
            assert_eq!(breaker.call_failed(code, false), Tripped::No);
        }
        let told = "20 calls in a row failed, 13 with B, 7 with A, none succeeded".to_owned();
        assert_eq!(breaker.call_failed("B", false), Tripped::Stop(told, None));
    }

    #[test]
    fn after_a_success_permanent_failures_do_not_stop_the_run() {
        let breaker = Breaker::new(FailureLimit::Unlimited);
        breaker.call_failed("A", false);
        breaker.succeeded();
        for _ in 0..50 {
            assert_eq!(breaker.call_failed("A", false), Tripped::No);
            assert_eq!(breaker.failed(Instant::now()), Tripped::No);
        }
    }

    #[test]
    fn a_share_of_failures_stops_the_run_after_a_failed_probe() {
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
    fn a_successful_probe_resets_the_share_of_failures() {
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
    fn a_number_of_failures_stops_the_run() {
        let breaker = Breaker::new(FailureLimit::Count(3.try_into().unwrap()));
        breaker.succeeded();
        assert_eq!(breaker.failed(Instant::now()), Tripped::No);
        assert_eq!(breaker.failed(Instant::now()), Tripped::No);
        assert!(matches!(breaker.failed(Instant::now()), Tripped::Stop(..)));
    }
}
