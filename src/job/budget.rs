//! What stops a run before the call that would be too much: calls, cost, a day's calls, time, images.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use tokio::time::Instant;

use super::control::StopReason;
use crate::config;

/// The limits of one invocation.
#[derive(Debug)]
pub(super) struct Budget {
    /// The most calls, and the words that say which limit it is.
    calls: Option<(u64, String)>,
    daily: Option<u64>,
    /// The most images, and the words that say which limit it is.
    images: Option<(u64, String)>,
    /// When calling ends, and the words that say which limit it is.
    window: Option<(Instant, String)>,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    calls: u64,
    images: u64,
    day: Date,
    today: u64,
}

impl Budget {
    /// The limits of the settings; `today` are the ledger's calls of this day, unknown ones too.
    pub(super) fn new(settings: &config::Budget, today: u64, now: &Zoned) -> Self {
        let by_count = settings.max_calls.map(|calls| (calls, format!("--max-calls {calls}")));
        let by_cost = settings.max_cost.zip(settings.price_per_1000_calls).map(|(cost, price)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "floored on purpose; a float saturates"
            )]
            let calls = (cost / price * 1000.0) as u64;
            (calls, format!("--max-cost {cost} {}, {calls} calls", settings.currency))
        });
        let calls = by_count.into_iter().chain(by_cost).min_by_key(|(calls, _)| *calls);
        let ends = |duration: Duration, what: String| {
            Instant::now().checked_add(duration).map(|end| (end, what))
        };
        let by_duration = settings.max_duration.and_then(|duration| {
            let shown = jiff::SignedDuration::try_from(duration).unwrap_or_default();
            ends(duration, format!("--max-duration {shown:#}"))
        });
        let by_clock = settings.until.and_then(|until| {
            let end = until.after(now.timestamp(), now.time_zone());
            ends(left(now.timestamp(), end), format!("--until {until}"))
        });
        let window = by_duration.into_iter().chain(by_clock).min_by_key(|(end, _)| *end);
        let by_limit = settings.limit.map(|images| (images, format!("--limit {images}")));
        let by_sample = settings.sample.map(|images| (images, format!("--sample {images}")));
        let images = by_limit.into_iter().chain(by_sample).min_by_key(|(images, _)| *images);
        let used = Used { calls: 0, images: 0, day: now.date(), today };
        Self { calls, daily: settings.daily_calls, images, window, used: Mutex::new(used) }
    }

    /// Takes one call out of the budget, and tells its number from 1.
    ///
    /// # Errors
    /// The limit that the call would exceed.
    pub(super) fn take(&self) -> Result<u64, StopReason> {
        if let Some((end, what)) = &self.window
            && *end <= Instant::now()
        {
            return Err(StopReason::Window(what.clone()));
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((limit, what)) = &self.calls
            && used.calls >= *limit
        {
            return Err(StopReason::Budget(what.clone()));
        }
        if let Some(limit) = self.daily {
            let today = Zoned::now().date();
            if used.day != today {
                (used.day, used.today) = (today, 0);
            }
            if used.today >= limit {
                return Err(StopReason::Budget(format!("--daily-calls {limit}")));
            }
        }
        used.calls += 1;
        used.today += 1;
        Ok(used.calls)
    }

    /// Calls taken so far.
    pub(super) fn calls(&self) -> u64 {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).calls
    }

    /// Puts a call back that was taken and not made.
    pub(super) fn give_back(&self) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.calls = used.calls.saturating_sub(1);
        used.today = used.today.saturating_sub(1);
    }

    /// How many of `wanted` further images may be claimed.
    ///
    /// # Errors
    /// The limit, if it is none.
    pub(super) fn images(&self, wanted: usize) -> Result<usize, StopReason> {
        let Some((limit, what)) = &self.images else { return Ok(wanted) };
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match limit.saturating_sub(used.images) {
            0 => Err(StopReason::Budget(what.clone())),
            left => Ok(wanted.min(usize::try_from(left).unwrap_or(usize::MAX))),
        }
    }

    /// Counts images that were claimed for the first time in this invocation.
    pub(super) fn claimed(&self, images: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.images += images;
    }

    /// When calling ends, and why, if it does.
    pub(super) fn window(&self) -> Option<(Instant, StopReason)> {
        let (end, what) = self.window.as_ref()?;
        Some((*end, StopReason::Window(what.clone())))
    }
}

/// The time between two moments; none if `end` is past.
fn left(now: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn settings(change: impl FnOnce(&mut config::Budget)) -> config::Budget {
        let mut budget = Settings::default().budget;
        change(&mut budget);
        budget
    }

    #[test]
    fn calls_cost_and_day_each_stop_before_the_call_too_much() {
        let now = Zoned::now();
        let count = Budget::new(&settings(|b| b.max_calls = Some(2)), 0, &now);
        assert!(count.take().is_ok() && count.take().is_ok());
        assert!(
            matches!(count.take(), Err(StopReason::Budget(what)) if what.contains("max-calls"))
        );
        count.give_back();
        assert!(count.take().is_ok());

        let cost = settings(|b| {
            b.max_cost = Some(0.005);
            b.price_per_1000_calls = Some(2.0);
        });
        let cost = Budget::new(&cost, 0, &now);
        assert!(cost.take().is_ok() && cost.take().is_ok());
        assert!(matches!(cost.take(), Err(StopReason::Budget(what)) if what.contains("max-cost")));

        let daily = Budget::new(&settings(|b| b.daily_calls = Some(10)), 9, &now);
        assert!(daily.take().is_ok());
        assert!(matches!(daily.take(), Err(StopReason::Budget(what)) if what.contains("daily")));
    }

    #[test]
    fn time_and_images_end_too() {
        let now = Zoned::now();
        let none = Budget::new(&settings(|b| b.max_duration = Some(Duration::ZERO)), 0, &now);
        assert!(matches!(none.take(), Err(StopReason::Window(_))));
        let images = Budget::new(&settings(|b| b.limit = Some(3)), 0, &now);
        assert_eq!(images.images(10).ok(), Some(3));
        images.claimed(3);
        assert!(matches!(images.images(1), Err(StopReason::Budget(what)) if what == "--limit 3"));
        let both = settings(|b| (b.limit, b.sample) = (Some(3), Some(2)));
        let both = Budget::new(&both, 0, &now);
        assert_eq!(both.images(10).ok(), Some(2));
        both.claimed(2);
        assert!(matches!(both.images(1), Err(StopReason::Budget(what)) if what == "--sample 2"));
    }
}
