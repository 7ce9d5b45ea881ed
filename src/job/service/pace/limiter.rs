//! Grants permits at a constant rate.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

pub(super) type Limiter<C> =
    RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The highest rate that a limiter can have: the time between permits must be at least a nanosecond.
pub(super) const HIGHEST_RATE: f64 = 1e9;

/// A limiter of `rate` permits a second, or `None` if the rate is infinite. Bursts are the permits of 10 ms, and at
/// least 2: timers tick in milliseconds, and with a burst of 1 a late timer would lose permits.
pub(super) fn limiter<C: Clock>(rate: f64, clock: C) -> Option<Limiter<C>> {
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
