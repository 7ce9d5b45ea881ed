//! The pace of requests: permits a second. The rate is lowered when the service throttles, and raised again later.
//!
//! `governor` grants the permits. A new rate means a new limiter, whose burst is spent at once. Thus in any sliding
//! second at most rate + burst permits are granted, even if the rate has just changed. [`search`] decides how the rate
//! follows the limit of the service.

mod evidence;
mod search;
#[cfg(test)]
mod simulation;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tracing::warn;

use crate::config::Rate;
use evidence::Counts;
use search::{AUTO_START, Interval, LimitSearch};

/// [`Pace::is_throttled`] needs a larger share of throttle answers than this, beyond the known share of faults.
const TOLERATED: f64 = 0.1;
/// The lowest rate, in calls a second. It is below one, because a limit of one a second refuses half of the calls that
/// come once a second.
const FLOOR: f64 = 0.5;
/// After a shorter wait than this, the calls that were let through before it still indicate the limit.
const SHORT: Duration = Duration::from_secs(4);

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

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
    second: C::Instant,
    permits: u32,
    answers: u32,
    throttled: u32,
    /// Calls a second that were let through, in each of the last 60 intervals, the latest last.
    held: VecDeque<f64>,
    /// Whether so large a share of the answers are throttles that they are not about one image.
    is_throttled: bool,
    /// Throttle answers since the last other answer.
    in_a_row: u32,
    /// Whether faults were reported.
    told: bool,
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
                let rate = limit.clamp(FLOOR, HIGHEST);
                (rate, f64::INFINITY, LimitSearch::near(rate))
            }
        };
        let state = State {
            limiter: limiter(rate, clock.clone()),
            rate,
            cap,
            search,
            second: clock.now(),
            permits: 0,
            answers: 0,
            throttled: 0,
            held: VecDeque::with_capacity(60),
            is_throttled: false,
            in_a_row: 0,
            told: false,
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
        let let_through = state.let_through(Duration::from(now.duration_since(state.second)));
        state.suspended = Some((now, let_through));
    }

    /// Resumes the pace after a wait. If every call was throttled during the wait, the rate begins low and doubles
    /// quickly: at half of what was let through before, or lower if the wait was long. Otherwise the former rate goes
    /// on.
    pub fn resume(&self, every_call_was_throttled: bool) -> Option<PaceChange> {
        let now = self.clock.now();
        let mut state = self.lock();
        let (since, let_through) = state.suspended.take()?;
        state.second = now;
        (state.permits, state.answers, state.throttled, state.in_a_row) = (0, 0, 0, 0);
        if !every_call_was_throttled {
            return None;
        }
        let is_short = Duration::from(now.duration_since(since)) < SHORT;
        let LetThrough { calls, is_whole } = let_through;
        // The rate was already lowered before it was known that every call is throttled.
        let former = state.held.iter().copied().fold(state.rate, f64::max);
        let (begins, aim) = match (is_short, is_whole) {
            (true, true) if calls > 0.0 => (calls / 2.0, calls),
            // The limit of a whole second may be higher than what was measured.
            (true, _) => (AUTO_START.max(calls / 2.0), former),
            (false, _) => (AUTO_START, former),
        };
        let rate = begins.max(FLOOR).min(former);
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
        let tolerated = TOLERATED + state.search.faults();
        state.is_throttled = f64::from(state.throttled) > f64::from(state.answers) * tolerated;
        let elapsed = Duration::from(now.duration_since(state.second));
        if elapsed < Duration::from_secs(1) || state.suspended.is_some() {
            return None;
        }
        let interval = state.interval(elapsed);
        if !state.search.can_judge(state.rate, &interval) {
            return None;
        }
        let change = state.second_ends(&interval);
        state.second = now;
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
        let before = self.held.back();
        let calls = seen.good() + (1.0 - seconds) * before.copied().unwrap_or_default();
        LetThrough { calls, is_whole: before.is_some() }
    }

    /// Judges an interval that has just ended, and sets the next rate.
    fn second_ends(&mut self, interval: &Interval) -> PaceChange {
        if self.held.len() == 60 {
            self.held.pop_front();
        }
        self.held.push_back(interval.seen.good() / interval.seconds);
        let best = self.held.iter().copied().fold(0.0, f64::max);
        let found = self.search.found();
        let before = self.rate;
        self.rate = self.search.next(before, interval);
        // A bad moment must not lower the rate to a small part of what was let through in the last minute. A trial may,
        // because it is short.
        let least = if self.search.is_trying() { 0.0 } else { best / 10.0 };
        self.rate = self.rate.max(FLOOR.max(least).min(self.cap));
        let has_changed = self.rate.to_bits() != before.to_bits();
        let faults = self.search.faults();
        let is_news = faults > 0.0 && !self.told;
        self.told |= is_news;
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

/// The highest rate that a limiter can have: the time between permits must be at least a nanosecond.
const HIGHEST: f64 = 1e9;

/// A limiter of `rate` permits a second, or `None` if the rate is infinite. Bursts are the permits of 10 ms, and at
/// least 2: timers tick in milliseconds, and with a burst of 1 a late timer would lose permits.
fn limiter<C: Clock>(rate: f64, clock: C) -> Option<Limiter<C>> {
    if rate.is_infinite() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float saturates, and the rate is positive"
    )]
    let burst = NonZeroU32::new((rate / 100.0) as u32).unwrap_or(NonZeroU32::MIN).max(TWO);
    // If the rate is so low that the time between permits overflows, it is a year.
    let period = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::from_hours(365 * 24));
    let period = period.clamp(Duration::from_nanos(1), Duration::from_hours(365 * 24));
    let quota = Quota::with_period(period).expect("the period is not zero").allow_burst(burst);
    let limiter = RateLimiter::direct_with_clock(quota, clock);
    let spent = limiter.check_n(burst);
    debug_assert!(matches!(spent, Ok(Ok(()))), "a new limiter has its burst");
    Some(limiter)
}

const TWO: NonZeroU32 = NonZeroU32::new(2).expect("two is not zero");

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    /// Takes all permits for `seconds`. Returns the moments at which they were granted, in microseconds.
    fn take(pace: &Pace<FakeRelativeClock>, clock: &FakeRelativeClock, seconds: u64) -> Vec<u64> {
        let mut taken = Vec::new();
        for moment in (0..seconds * 1_000_000).step_by(500) {
            while pace.try_permit().is_ok() {
                taken.push(moment);
            }
            clock.advance(Duration::from_micros(500));
        }
        taken
    }

    fn most_in_a_second(taken: &[u64]) -> usize {
        let mut start = 0;
        let mut most = 0;
        for (end, moment) in taken.iter().enumerate() {
            while moment - taken[start] >= 1_000_000 {
                start += 1;
            }
            most = most.max(end + 1 - start);
        }
        most
    }

    #[test]
    fn no_sliding_second_has_more_permits_than_rate_and_burst() {
        for rate in [0.5, 1.0, 20.0, 200.0, 1500.0, 5000.0] {
            let clock = FakeRelativeClock::default();
            let pace = Pace::with_clock(Rate::PerSecond(rate), None, clock.clone());
            let taken = take(&pace, &clock, 10);
            let burst = (rate / 100.0).max(2.0);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let (most, all) = (most_in_a_second(&taken) as f64, taken.len() as f64);
            assert!(most <= rate + burst, "{rate}/s: {most} in a second");
            assert!((all - 10.0 * rate).abs() <= burst + 1.0, "{rate}/s: {all} in ten seconds");
        }
    }

    #[test]
    fn throttling_lowers_the_rate_once_a_second_and_it_rises_again() {
        let clock = FakeRelativeClock::default();
        let pace = Pace::with_clock(Rate::PerSecond(100.0), None, clock.clone());
        for _ in 0..100 {
            assert_eq!(pace.throttled(), None);
        }
        clock.advance(Duration::from_secs(1));
        assert_eq!(pace.throttled().and_then(|change| change.rate), Some(50.0));
        assert_eq!(pace.throttled(), None, "at most once a second");
        assert_eq!(pace.changed_rate(), Some(50.0));
        for _ in 0..60 {
            for _ in 0..100 {
                let _ = pace.try_permit();
                clock.advance(Duration::from_millis(10));
            }
            for _ in 0..50 {
                pace.answered();
            }
        }
        assert_eq!(pace.rate().to_bits(), 100_f64.to_bits(), "up to the cap and not above");
        assert_eq!(pace.changed_rate(), None);
    }

    #[test]
    fn a_few_throttles_among_many_answers_do_not_lower_the_rate() {
        let clock = FakeRelativeClock::default();
        let pace = Pace::with_clock(Rate::PerSecond(100.0), None, clock.clone());
        for _ in 0..95 {
            pace.answered();
        }
        pace.throttled();
        clock.advance(Duration::from_secs(1));
        assert_eq!(pace.answered(), None);
    }

    #[test]
    fn without_a_cap_throttling_limits_the_rate_to_what_was_measured() {
        let clock = FakeRelativeClock::default();
        let pace = Pace::with_clock(Rate::Unlimited, None, clock.clone());
        for _ in 0..401 {
            pace.try_permit().unwrap();
        }
        for _ in 0..300 {
            pace.answered();
        }
        for _ in 0..100 {
            pace.throttled();
        }
        clock.advance(Duration::from_secs(1));
        pace.throttled();
        assert!((pace.rate() - 300.0).abs() < 10.0, "{}", pace.rate());
    }

    #[test]
    fn auto_begins_at_the_stored_limit_if_that_is_a_usable_rate() {
        for (found, begins) in [(180.0, 180.0), (f64::NAN, 10.0), (-3.0, 10.0), (1e300, 1e9)] {
            let pace = Pace::near(Rate::Auto, Some(found));
            assert_eq!(pace.rate().to_bits(), f64::to_bits(begins), "{found}");
        }
        let pace = Pace::near(Rate::PerSecond(20.0), Some(180.0));
        assert_eq!(
            pace.rate().to_bits(),
            20_f64.to_bits(),
            "a rate in the settings wins over the stored limit"
        );
    }

    /// What a job may do to a pace in half a second.
    #[derive(Debug, Clone)]
    struct Turn {
        /// The most permits that are taken. A pause leaves a burst for later.
        asked: u32,
        throttled: u32,
    }

    fn turns() -> impl Strategy<Value = Vec<Turn>> {
        let turn = (prop_oneof![Just(0_u32), 1_u32..40, Just(u32::MAX)], 0_u32..60)
            .prop_map(|(asked, throttled)| Turn { asked, throttled });
        proptest::collection::vec(turn, 4..40)
    }

    proptest! {
        #![proptest_config(crate::property::with_cases(48))]
        /// Holds for any rates, whenever they change.
        #[test]
        fn no_sliding_second_has_more_permits_when_the_rate_changes(
            asked_for in prop_oneof![
                Just(Rate::Auto), Just(Rate::PerSecond(3.0)), Just(Rate::PerSecond(700.0))
            ],
            turns in turns(),
        ) {
            let clock = FakeRelativeClock::default();
            let pace = Pace::with_clock(asked_for, None, clock.clone());
            let mut taken = Vec::new();
            let mut rates = Vec::new();
            let mut now = 0_u64;
            for Turn { mut asked, throttled } in turns {
                for step in 0..100 {
                    while asked > 0 && pace.try_permit().is_ok() {
                        taken.push(now);
                        asked -= 1;
                        pace.answered();
                    }
                    if step < throttled {
                        pace.throttled();
                    }
                    rates.push((now, pace.rate()));
                    clock.advance(Duration::from_millis(5));
                    now += 5_000;
                }
            }
            let mut last = 0;
            for (first, from) in taken.iter().enumerate() {
                while last < taken.len() && taken[last] < from + 1_000_000 {
                    last += 1;
                }
                let within = |(at, _): &&(u64, f64)| (from.saturating_sub(5_000)..from + 1_000_000).contains(at);
                let highest = rates.iter().filter(within).map(|(_, rate)| *rate).fold(0.0, f64::max);
                let bound = highest + (highest / 100.0).max(2.0);
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let most = (last - first) as f64;
                prop_assert!(most <= bound, "{most} in the second from {from}, {highest}/s at most");
            }
        }

        #[test]
        fn the_rate_stays_between_floor_and_cap(
            answers in proptest::collection::vec((0_u32..50, 0_u32..50), 1..120)
        ) {
            let clock = FakeRelativeClock::default();
            let pace = Pace::with_clock(Rate::PerSecond(40.0), None, clock.clone());
            for (good, bad) in answers {
                for _ in 0..good { pace.answered(); }
                for _ in 0..bad { pace.throttled(); }
                clock.advance(Duration::from_secs(1));
                let rate = pace.rate();
                prop_assert!((0.5..=40.0).contains(&rate), "{rate}");
            }
        }
    }
}
