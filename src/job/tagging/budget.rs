//! What stops a run before the call that would be too much: calls, cost, a day's calls, time, images.

mod day;
pub(crate) mod forecast;
pub(crate) mod window;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::{self, Billing};
use crate::cos::Clock;
use crate::job::control::StopReason;
use crate::job::trial::Trial;
use crate::scene::Scenes;
use day::{Day, Earlier};
use forecast::{Limit, Room};
use window::Window;

/// How often a window is looked at. By the monotonic clock alone it would end too late after the machine was asleep.
const LOOK: Duration = Duration::from_secs(1);

/// The limits of one invocation.
#[derive(Debug)]
pub(crate) struct Budget {
    clock: Arc<Clock>,
    /// The most calls, and the words that say which limit it is.
    calls: Option<(u64, String)>,
    /// The most units of billing, and the words that say which limit it is.
    units: Option<(u64, String)>,
    billing: Billing,
    /// What the run is limited to; nothing in it is a limit of calls.
    trial: OnceLock<Trial>,
    window: Mutex<Window>,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    calls: u64,
    units: u64,
    images: u64,
    day: Option<Day>,
}

impl Budget {
    /// The limits of the settings, for an invocation that begins now. `earlier` counts the ledger's calls of before it,
    /// unknown ones too.
    pub(crate) fn new(
        settings: &config::Budget,
        clock: Arc<Clock>,
        zone: &TimeZone,
        earlier: Earlier,
    ) -> Self {
        let billing = settings.billing;
        let calls = settings.max_calls.map(|calls| (calls, format!("--max-calls {calls}")));
        let units = settings.max_cost.zip(settings.units_for_cost()).map(|(cost, units)| {
            let of = if billing == Billing::Scene { " of one scene" } else { "" };
            (units, format!("--max-cost {cost} {}, {units} calls{of}", settings.currency))
        });
        let day = settings.daily_calls.map(|limit| Day::new(limit, zone.clone(), earlier));
        let window = Mutex::new(Window::new(settings, &clock, zone.clone()));
        let used = Mutex::new(Used { calls: 0, units: 0, images: 0, day });
        Self { clock, calls, units, billing, trial: OnceLock::new(), window, used }
    }

    /// Limits the run to a trial, of which so many images are settled.
    pub(crate) fn limit_to(&self, trial: Trial, settled: u64) {
        let _ = self.trial.set(trial);
        self.used().images = settled;
    }

    /// Takes one call for these scenes out of the budget. Returns the units of billing used so far, this call's
    /// included. The call is on the wire until [`Budget::ended`] or [`Budget::give_back`].
    ///
    /// # Errors
    /// The limit that the call would exceed.
    pub(crate) fn take(&self, scenes: Scenes) -> Result<u64, StopReason> {
        if let Some(what) = self.window().over(&self.clock) {
            return Err(StopReason::Window(what));
        }
        let mut used = self.used();
        self.fits(&used, scenes)?;
        if let Some(day) = &mut used.day {
            match day.take(&self.clock) {
                Ok(true) => {}
                Ok(false) => return Err(StopReason::Budget(day.describe())),
                Err(error) => {
                    let error =
                        format!("{}, and today's calls cannot be counted: {error}", day.describe());
                    return Err(StopReason::Budget(error));
                }
            }
        }
        used.calls += 1;
        used.units += self.billing.units(scenes);
        Ok(used.units)
    }

    /// The units of billing that would be used if this call were made now.
    ///
    /// # Errors
    /// The limit of calls, of a day's calls or of their cost that the call would exceed.
    pub(crate) fn units_with(&self, scenes: Scenes) -> Result<u64, StopReason> {
        let mut used = self.used();
        self.fits(&used, scenes)?;
        // A day that cannot be counted is told of when the call is taken.
        if let Some(day) = &mut used.day
            && day.left(&self.clock).is_ok_and(|left| left == 0)
        {
            return Err(StopReason::Budget(day.describe()));
        }
        Ok(used.units + self.billing.units(scenes))
    }

    /// What each limit leaves at this moment; an image that was claimed is no longer part of what a trial leaves.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        let mut used = self.used();
        let mut limits = Vec::new();
        let mut limit = |name: String, room: Room| limits.push(Limit { name, room });
        if let Some(trial) = self.trial.get() {
            let calls = trial.images().saturating_sub(used.images);
            limit(trial.name(), Room { calls, ..Room::ALL });
        }
        if let Some((most, name)) = &self.calls {
            limit(name.clone(), Room { calls: most.saturating_sub(used.calls), ..Room::ALL });
        }
        if let Some((most, name)) = &self.units {
            limit(name.clone(), Room { units: most.saturating_sub(used.units), ..Room::ALL });
        }
        if let Some(day) = &mut used.day {
            // A day that cannot be counted lets nothing through.
            let calls = day.left(&self.clock).unwrap_or(0);
            limit(day.describe(), Room { calls, ..Room::ALL });
        }
        limits
    }

    /// As [`Budget::limits`], without the number of images.
    pub(crate) fn limits_of_calls(&self) -> Vec<Limit> {
        let mut limits = self.limits();
        limits.drain(..usize::from(self.trial.get().is_some()));
        limits
    }

    /// The calls made so far, with those on the wire, and their units of billing.
    pub(crate) fn used_so_far(&self) -> (u64, u64) {
        let used = self.used();
        (used.calls, used.units)
    }

    fn fits(&self, used: &Used, scenes: Scenes) -> Result<(), StopReason> {
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
        Ok(())
    }

    /// A call that was taken and sent has ended, at this moment by the machine's own clock in Unix milliseconds.
    pub(crate) fn ended(&self, local: i64) {
        if let Some(day) = &mut self.used().day {
            day.ended(local);
        }
    }

    /// Puts a call for these scenes back that was taken and not made.
    pub(crate) fn give_back(&self, scenes: Scenes) {
        let mut used = self.used();
        used.calls = used.calls.saturating_sub(1);
        used.units = used.units.saturating_sub(self.billing.units(scenes));
        if let Some(day) = &mut used.day {
            day.give_back();
        }
    }

    /// Whether only so many images are called.
    pub(crate) fn limits_images(&self) -> bool {
        self.trial.get().is_some()
    }

    /// How many of `wanted` further images may be claimed.
    ///
    /// # Errors
    /// The trial, if all of its images are claimed.
    pub(crate) fn images(&self, wanted: usize) -> Result<usize, Trial> {
        let Some(trial) = self.trial.get().copied() else { return Ok(wanted) };
        let used = self.used();
        match trial.images().saturating_sub(used.images) {
            0 => Err(trial),
            left => Ok(wanted.min(usize::try_from(left).unwrap_or(usize::MAX))),
        }
    }

    /// Counts images that were claimed for the first time in this invocation.
    pub(crate) fn claimed(&self, images: u64) {
        self.used().images += images;
    }

    /// Takes back an image that was counted and is to be claimed for the first time once more.
    pub(crate) fn unclaimed(&self) {
        let mut used = self.used();
        used.images = used.images.saturating_sub(1);
    }

    /// When nothing is in flight: takes so many images as settled, whatever was claimed. An answer that turned out
    /// to be of other bytes settles none. Returns whether all of the trial are settled.
    pub(crate) fn settled(&self, images: u64) -> bool {
        self.used().images = images;
        self.trial.get().is_some_and(|trial| images >= trial.images())
    }

    /// When calling ends, with the limit that says so, for people.
    pub(crate) fn describe_window(&self) -> Option<String> {
        self.window().describe()
    }

    /// Returns with the reason once the window is over; never if there is none.
    pub(crate) async fn window_ends(&self) -> StopReason {
        if !self.window().ends() {
            std::future::pending::<()>().await;
        }
        loop {
            if let Some(what) = self.window().over(&self.clock) {
                return StopReason::Window(what);
            }
            let left = self.window().left();
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// The window, computed anew if the clock was corrected.
    fn window(&self) -> MutexGuard<'_, Window> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.follow(&self.clock)
            && let Some(end) = window.describe()
        {
            tracing::warn!("the clock was corrected, and calls end at {end}");
        }
        window
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    fn budget(settings: &config::Budget) -> Budget {
        Budget::new(settings, Arc::default(), &TimeZone::UTC, Box::new(|_| Ok(9)))
    }

    fn one() -> Scenes {
        Scene::Web.into()
    }

    #[test]
    fn a_scene_is_a_unit_of_billing_unless_the_settings_say_otherwise() {
        let two: Scenes = [Scene::Web, Scene::News].into_iter().collect();
        let billed = |billing| {
            let settings = settings(|b| {
                b.max_cost = Some(0.3);
                b.price_per_1000_calls = Some(100.0);
                b.billing = billing;
            });
            self::budget(&settings)
        };
        let scenes = billed(Billing::Scene);
        assert_eq!((scenes.units_with(two).ok(), scenes.take(two).ok()), (Some(2), Some(2)));
        // The one that would exceed it is not made; a smaller one would not exceed it.
        assert!(scenes.units_with(two).is_err() && scenes.take(two).is_err());
        assert_eq!(scenes.take(one()).ok(), Some(3));
        scenes.give_back(two);
        assert_eq!(scenes.take(two).ok(), Some(3));
        let calls = billed(Billing::Call);
        assert_eq!([two; 4].map(|two| calls.take(two).ok()), [Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn calls_cost_and_day_each_stop_before_the_call_too_much() {
        let count = budget(&settings(|b| b.max_calls = Some(2)));
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
        let cost = budget(&cost);
        assert!(cost.take(one()).is_ok() && cost.take(one()).is_ok());
        assert!(
            matches!(cost.take(one()), Err(StopReason::Budget(what)) if what.contains("max-cost"))
        );

        let daily = budget(&settings(|b| b.daily_calls = Some(10)));
        assert!(daily.take(one()).is_ok());
        assert!(
            matches!(daily.take(one()), Err(StopReason::Budget(what)) if what.contains("daily"))
        );
    }

    #[test]
    fn time_and_images_end_too() {
        let none = budget(&settings(|b| b.max_duration = Some(Duration::ZERO)));
        assert!(matches!(none.take(one()), Err(StopReason::Window(_))));
        let trial = Trial { limit: Some(3), ..Trial::default() };
        let images = budget(&settings(|_| ()));
        assert_eq!(images.images(10).ok(), Some(10));
        images.limit_to(trial, 1);
        assert_eq!(images.images(10).ok(), Some(2), "one is settled");
        images.claimed(2);
        assert_eq!(images.images(1), Err(trial));
        assert!(!images.settled(2));
        assert_eq!(images.images(10).ok(), Some(1), "one of them was discarded");
        assert!(images.settled(3));
    }
}
