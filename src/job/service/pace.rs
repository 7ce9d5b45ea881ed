//! The pace of requests: permits a second. The rate is lowered when the service throttles, and raised again later.
//!
//! `governor` grants the permits. A new rate means a new limiter, whose burst is spent at once. Thus in any sliding
//! second at most rate + burst permits are granted, even if the rate has just changed. [`search`] decides how the rate
//! follows the limit of the service.

mod evidence;
mod limiter;
mod search;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference};
use tracing::warn;

use crate::config::Rate;
use evidence::Counts;
use limiter::{HIGHEST_RATE, Limiter, limiter};
use search::{AUTO_START, Interval, LimitSearch};

/// [`Pace::is_throttled`] needs a larger share of throttle answers than this, beyond the known share of faults.
const TOLERATED_SHARE: f64 = 0.1;
/// The lowest rate, in calls a second. It is below one, because a limit of one a second refuses half of the calls that
/// come once a second.
const LOWEST_RATE: f64 = 0.5;
/// After a shorter wait than this, the calls that were let through before it still indicate the limit.
const SHORT_WAIT: Duration = Duration::from_secs(4);

/// The calls that were let through in the last second before the run began to wait.
#[derive(Debug, Clone, Copy)]
struct LetThrough {
    /// The number of calls a second.
    calls: f64,
    /// Whether a whole second was measured.
    is_whole: bool,
}

/// The pace of requests. Each request takes one permit, and so do retries and throttled requests.
#[derive(Debug)]
pub struct Pace<C: Clock = DefaultClock> {
    clock: C,
    state: Mutex<State<C>>,
    /// Tasks that wait for a permit queue here, so that only one at a time asks the limiter.
    queue: tokio::sync::Mutex<()>,
}

/// What an answer has changed about the pace.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PaceChange {
    /// The new rate in permits a second, infinite if there is no limit. Absent if the rate has not changed.
    pub rate: Option<f64>,
    /// The share of throttle answers that have turned out to be faults. Present only once.
    pub faults: Option<f64>,
    /// A new limit of the service that was found, in calls a second. Absent if it has not changed.
    pub found: Option<f64>,
}

#[derive(Debug)]
struct State<C: Clock> {
    /// Absent if the rate is not limited now.
    limiter: Option<Limiter<C>>,
    /// The rate in permits a second. Infinite if it is not limited.
    rate: f64,
    /// The highest rate. Infinite if there is none.
    cap: f64,
    search: LimitSearch,
    /// When the rate was judged last. The counts below begin there.
    judged_at: C::Instant,
    permits: u32,
    answers: u32,
    throttled: u32,
    /// Calls a second that were let through, in each of the last 60 intervals, the latest last.
    lately: VecDeque<f64>,
    /// Whether so large a share of the answers are throttles that they are not about one image.
    is_throttled: bool,
    /// Throttle answers since the last other answer.
    in_a_row: u32,
    /// Whether faults were reported.
    faults_told: bool,
    /// Since when the run waits for the service, and what was let through before. Absent if it does not wait.
    suspended: Option<(C::Instant, LetThrough)>,
}

impl Pace<DefaultClock> {
    /// A pace that uses the monotonic clock.
    pub fn new(rate: Rate) -> Self {
        Self::with_clock(rate, None, DefaultClock::default())
    }

    /// A pace that begins just below `limit`, which an earlier run has found, if `rate` is `auto`.
    pub fn near(rate: Rate, limit: Option<f64>) -> Self {
        Self::with_clock(rate, limit, DefaultClock::default())
    }

    /// Waits for a permit. Permits are granted in the order of the calls to this function.
    pub async fn permit(&self) {
        let _turn = self.queue.lock().await;
        while let Err(wait) = self.try_permit() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl<C: Clock + Clone> Pace<C> {
    /// A pace that uses another clock.
    pub fn with_clock(rate: Rate, limit: Option<f64>, clock: C) -> Self {
        // The limit comes from the database, which may contain any number.
        let limit = limit.filter(|limit| limit.is_finite() && *limit > 0.0);
        let (rate, cap, search) = match (rate, limit) {
            (Rate::Unlimited, _) => {
                (f64::INFINITY, f64::INFINITY, LimitSearch::below(f64::INFINITY))
            }
            (Rate::PerSecond(rate), _) => (rate, rate, LimitSearch::below(rate)),
            (Rate::Auto, None) => (AUTO_START, f64::INFINITY, LimitSearch::unknown()),
            (Rate::Auto, Some(limit)) => {
                let rate = limit.clamp(LOWEST_RATE, HIGHEST_RATE);
                (rate, f64::INFINITY, LimitSearch::near(rate))
            }
        };
        let state = State {
            limiter: limiter(rate, clock.clone()),
            rate,
            cap,
            search,
            judged_at: clock.now(),
            permits: 0,
            answers: 0,
            throttled: 0,
            lately: VecDeque::with_capacity(60),
            is_throttled: false,
            in_a_row: 0,
            faults_told: false,
            suspended: None,
        };
        Self { clock, state: Mutex::new(state), queue: tokio::sync::Mutex::default() }
    }

    /// Takes a permit, if one is available.
    ///
    /// # Errors
    /// How long to wait for a permit.
    pub fn try_permit(&self) -> Result<(), Duration> {
        let mut state = self.lock();
        if let Some(limiter) = &state.limiter {
            limiter.check().map_err(|not_until| not_until.wait_time_from(self.clock.now()))?;
        }
        state.permits += 1;
        Ok(())
    }

    /// Counts an answer that is not a throttle.
    pub fn answered(&self) -> Option<PaceChange> {
        self.count(0)
    }

    /// Counts a throttle answer.
    pub fn throttled(&self) -> Option<PaceChange> {
        self.count(1)
    }

    /// Suspends the pace while the run waits for the service. The single calls that probe it do not change the rate.
    pub fn suspend(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        let let_through = state.let_through(Duration::from(now.duration_since(state.judged_at)));
        state.suspended = Some((now, let_through));
    }

    /// Resumes the pace after a wait. If every call was throttled during the wait, the rate begins low and doubles
    /// quickly: at half of what was let through before, or lower if the wait was long. Otherwise the former rate goes
    /// on.
    pub fn resume(&self, every_call_was_throttled: bool) -> Option<PaceChange> {
        let now = self.clock.now();
        let mut state = self.lock();
        let (since, let_through) = state.suspended.take()?;
        state.judged_at = now;
        (state.permits, state.answers, state.throttled, state.in_a_row) = (0, 0, 0, 0);
        if !every_call_was_throttled {
            return None;
        }
        let is_short = Duration::from(now.duration_since(since)) < SHORT_WAIT;
        let LetThrough { calls, is_whole } = let_through;
        // The rate was already lowered before it was known that every call is throttled.
        let former = state.lately.iter().copied().fold(state.rate, f64::max);
        let (begins, aim) = match (is_short, is_whole) {
            (true, true) if calls > 0.0 => (calls / 2.0, calls),
            // The limit of a whole second may be higher than what was measured.
            (true, _) => (AUTO_START.max(calls / 2.0), former),
            (false, _) => (AUTO_START, former),
        };
        let rate = begins.max(LOWEST_RATE).min(former);
        state.search.come_back(rate, aim);
        if rate.to_bits() == state.rate.to_bits() {
            return None;
        }
        state.rate = rate;
        state.limiter = limiter(rate, self.clock.clone());
        Some(PaceChange { rate: Some(rate), ..PaceChange::default() })
    }

    /// Returns whether the service throttles calls in general, not only those for one image: several in a row were
    /// throttled, or a large share of many.
    pub fn is_throttled(&self) -> bool {
        let state = self.lock();
        state.in_a_row >= 3 || (state.is_throttled && state.answers >= 20)
    }

    /// The present rate in permits a second. Infinite if it is not limited.
    pub fn rate(&self) -> f64 {
        self.lock().rate
    }

    /// The present rate in permits a second. `None` if it is that of the settings.
    pub fn changed_rate(&self) -> Option<f64> {
        let state = self.lock();
        Some(state.rate)
            .filter(|rate| rate.is_finite() && (state.cap.is_infinite() || *rate < state.cap))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, throttled: u32) -> Option<PaceChange> {
        let now = self.clock.now();
        let mut state = self.lock();
        state.answers += 1;
        state.throttled += throttled;
        state.in_a_row = if throttled > 0 { state.in_a_row + 1 } else { 0 };
        let tolerated = TOLERATED_SHARE + state.search.faults();
        state.is_throttled = f64::from(state.throttled) > f64::from(state.answers) * tolerated;
        let elapsed = Duration::from(now.duration_since(state.judged_at));
        if elapsed < Duration::from_secs(1) || state.suspended.is_some() {
            return None;
        }
        let interval = state.interval(elapsed);
        if !state.search.can_judge(state.rate, &interval) {
            return None;
        }
        let change = state.judge(&interval);
        state.judged_at = now;
        (state.permits, state.answers, state.throttled) = (0, 0, 0);
        if let Some(rate) = change.rate {
            state.limiter = limiter(rate, self.clock.clone());
        }
        Some(change).filter(|change| *change != PaceChange::default())
    }
}

impl<C: Clock> State<C> {
    fn interval(&self, elapsed: Duration) -> Interval {
        // A throttle answer comes at once, and labels later. So calls that have no answer yet were not throttled.
        let answers = f64::from(self.answers.max(self.permits));
        Interval {
            seconds: elapsed.as_secs_f64(),
            permits: f64::from(self.permits),
            seen: Counts { answers, throttled: f64::from(self.throttled) },
        }
    }

    /// The calls that were let through in the last second. `elapsed` is the time since the rate was judged last.
    fn let_through(&self, elapsed: Duration) -> LetThrough {
        let Interval { seconds, seen, .. } = self.interval(elapsed);
        if seconds >= 1.0 {
            return LetThrough { calls: seen.good() / seconds, is_whole: true };
        }
        let before = self.lately.back();
        let calls = seen.good() + (1.0 - seconds) * before.copied().unwrap_or_default();
        LetThrough { calls, is_whole: before.is_some() }
    }

    /// Judges an interval that has just ended, and sets the next rate.
    fn judge(&mut self, interval: &Interval) -> PaceChange {
        if self.lately.len() == 60 {
            self.lately.pop_front();
        }
        self.lately.push_back(interval.seen.good() / interval.seconds);
        let best = self.lately.iter().copied().fold(0.0, f64::max);
        let found = self.search.found();
        let before = self.rate;
        self.rate = self.search.next(before, interval);
        // A bad moment must not lower the rate to a small part of what was let through in the last minute. A trial may,
        // because it is short.
        let least = if self.search.is_trying() { 0.0 } else { best / 10.0 };
        self.rate = self.rate.max(LOWEST_RATE.max(least).min(self.cap));
        let has_changed = self.rate.to_bits() != before.to_bits();
        let faults = self.search.faults();
        let is_news = faults > 0.0 && !self.faults_told;
        self.faults_told |= is_news;
        PaceChange {
            rate: Some(self.rate).filter(|_| has_changed),
            faults: Some(faults).filter(|_| is_news),
            found: self.search.found().filter(|now| found != Some(*now)),
        }
    }
}

/// Warns that the service throttles a share of `what` at any pace.
pub(crate) fn warn_of_faults(what: &str, share: f64) {
    warn!(
        "the service throttles {:.0} % of the {what} at any pace: these are faults and not its limit, so they are \
         tried again and the pace is kept",
        (share * 100.0).max(1.0)
    );
}
