//! What stops a run before the call that would be too much: calls, cost, a day's calls, time, images.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use tokio::time::Instant;

use super::control::StopReason;
use crate::config::{self, Billing};
use crate::scene::Scenes;

/// The limits of one invocation.
#[derive(Debug)]
pub(super) struct Budget {
    /// The most calls, and the words that say which limit it is.
    calls: Option<(u64, String)>,
    /// The most units of billing, and the words that say which limit it is.
    units: Option<(u64, String)>,
    billing: Billing,
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
    units: u64,
    images: u64,
    day: Date,
    today: u64,
}

impl Budget {
    /// The limits of the settings; `today` are the ledger's calls of this day, unknown ones too.
    pub(super) fn new(settings: &config::Budget, today: u64, now: &Zoned) -> Self {
        let billing = settings.billing;
        let calls = settings.max_calls.map(|calls| (calls, format!("--max-calls {calls}")));
        let units = settings.max_cost.zip(settings.units_for_cost()).map(|(cost, units)| {
            let of = if billing == Billing::Scene { " of one scene" } else { "" };
            (units, format!("--max-cost {cost} {}, {units} calls{of}", settings.currency))
        });
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
        let used = Used { calls: 0, units: 0, images: 0, day: now.date(), today };
        let daily = settings.daily_calls;
        Self { calls, units, billing, daily, images, window, used: Mutex::new(used) }
    }

    /// Takes one call for these scenes out of the budget. Returns the units of billing used so far, this call's
    /// included.
    ///
    /// # Errors
    /// The limit that the call would exceed.
    pub(super) fn take(&self, scenes: Scenes) -> Result<u64, StopReason> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        self.fits(&mut used, scenes)?;
        used.calls += 1;
        used.today += 1;
        used.units += self.billing.units(scenes);
        Ok(used.units)
    }

    /// The units of billing that would be used if this call were made now.
    ///
    /// # Errors
    /// The limit that the call would exceed.
    pub(super) fn units_with(&self, scenes: Scenes) -> Result<u64, StopReason> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        self.fits(&mut used, scenes)?;
        Ok(used.units + self.billing.units(scenes))
    }

    fn fits(&self, used: &mut Used, scenes: Scenes) -> Result<(), StopReason> {
        if let Some((end, what)) = &self.window
            && *end <= Instant::now()
        {
            return Err(StopReason::Window(what.clone()));
        }
        if let Some((limit, what)) = &self.calls
            && used.calls >= *limit
        {
            return Err(StopReason::Budget(what.clone()));
        }
        if let Some((limit, what)) = &self.units
            && used.units + self.billing.units(scenes) > *limit
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
        Ok(())
    }

    /// Puts a call for these scenes back that was taken and not made.
    pub(super) fn give_back(&self, scenes: Scenes) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.calls = used.calls.saturating_sub(1);
        used.today = used.today.saturating_sub(1);
        used.units = used.units.saturating_sub(self.billing.units(scenes));
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
    use crate::scene::Scene;

    fn settings(change: impl FnOnce(&mut config::Budget)) -> config::Budget {
        let mut budget = Settings::default().budget;
        change(&mut budget);
        budget
    }

    fn one() -> Scenes {
        Scene::Web.into()
    }

    #[test]
    fn a_scene_is_a_unit_of_billing_unless_the_settings_say_otherwise() {
        let now = Zoned::now();
        let two: Scenes = [Scene::Web, Scene::News].into_iter().collect();
        let budget = |billing| {
            let settings = settings(|b| {
                b.max_cost = Some(0.3);
                b.price_per_1000_calls = Some(100.0);
                b.billing = billing;
            });
            Budget::new(&settings, 0, &now)
        };
        let scenes = budget(Billing::Scene);
        assert_eq!((scenes.units_with(two).ok(), scenes.take(two).ok()), (Some(2), Some(2)));
        // The one that would exceed it is not made; a smaller one would not exceed it.
        assert!(scenes.units_with(two).is_err() && scenes.take(two).is_err());
        assert_eq!(scenes.take(one()).ok(), Some(3));
        scenes.give_back(two);
        assert_eq!(scenes.take(two).ok(), Some(3));
        let calls = budget(Billing::Call);
        assert_eq!([two; 4].map(|two| calls.take(two).ok()), [Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn calls_cost_and_day_each_stop_before_the_call_too_much() {
        let now = Zoned::now();
        let count = Budget::new(&settings(|b| b.max_calls = Some(2)), 0, &now);
        assert!(count.take(one()).is_ok() && count.take(one()).is_ok());
        assert!(
            matches!(count.take(one()), Err(StopReason::Budget(what)) if what.contains("max-calls"))
        );
        count.give_back(one());
        assert!(count.take(one()).is_ok());

        let cost = settings(|b| {
            b.max_cost = Some(0.005);
            b.price_per_1000_calls = Some(2.0);
        });
        let cost = Budget::new(&cost, 0, &now);
        assert!(cost.take(one()).is_ok() && cost.take(one()).is_ok());
        assert!(
            matches!(cost.take(one()), Err(StopReason::Budget(what)) if what.contains("max-cost"))
        );

        let daily = Budget::new(&settings(|b| b.daily_calls = Some(10)), 9, &now);
        assert!(daily.take(one()).is_ok());
        assert!(
            matches!(daily.take(one()), Err(StopReason::Budget(what)) if what.contains("daily"))
        );
    }

    #[test]
    fn time_and_images_end_too() {
        let now = Zoned::now();
        let none = Budget::new(&settings(|b| b.max_duration = Some(Duration::ZERO)), 0, &now);
        assert!(matches!(none.take(one()), Err(StopReason::Window(_))));
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
