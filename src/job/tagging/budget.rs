//! The limits of an invocation: calls, their cost, the calls of a day, a window of time, and a number of images. They
//! stop the run before the call that would exceed them.

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
use crate::numbers::counted;
use crate::scene::Scenes;
use crate::time::UnixMillis;
use day::{Day, Earlier};
use forecast::{Limit, Room};
use window::Window;

/// How often the end of the window is checked. A single sleep until the end would last too long if the machine is
/// asleep meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// The limits of one invocation.
#[derive(Debug)]
pub(crate) struct Budget {
    clock: Arc<Clock>,
    /// The most calls, and the limit as it is typed. Absent if calls are not limited.
    calls: Option<(u64, String)>,
    /// The most billing units, and the limit in words. Absent if the cost is not limited.
    units: Option<(u64, String)>,
    billing: Billing,
    /// The number of images that the run is limited to. Empty if it takes every image that is wanted.
    trial: OnceLock<Trial>,
    window: Mutex<Window>,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    /// Calls, including those in flight.
    calls: u64,
    /// Their billing units.
    units: u64,
    /// Images of the trial that are settled or claimed.
    images: u64,
    /// Absent if the calls of a day are not limited.
    day: Option<Day>,
}

impl Budget {
    /// The limits of the settings, for an invocation that begins now. `earlier` counts the calls in the ledger before
    /// this invocation, including calls whose outcome is unknown.
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
            let calls = counted(units, "call");
            (units, format!("--max-cost {cost} {}, {calls}{of}", settings.currency))
        });
        let day = settings.daily_calls.map(|limit| Day::new(limit, zone.clone(), earlier));
        let window = Mutex::new(Window::new(settings, &clock, zone.clone()));
        let used = Mutex::new(Used { calls: 0, units: 0, images: 0, day });
        Self { clock, calls, units, billing, trial: OnceLock::new(), window, used }
    }

    /// Limits the run to a trial. `settled` of its images are settled already.
    pub(crate) fn limit_to(&self, trial: Trial, settled: u64) {
        let _ = self.trial.set(trial);
        self.used().images = settled;
    }

    /// Takes one call for these scenes out of the budget. Returns the billing units used so far, including those of
    /// this call. The call counts as in flight until [`Budget::ended`] or [`Budget::give_back`] is called.
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

    /// The billing units that would be used if this call were made now.
    ///
    /// # Errors
    /// The limit that the call would exceed: of calls, of the calls of a day, or of the cost.
    pub(crate) fn units_with(&self, scenes: Scenes) -> Result<u64, StopReason> {
        let mut used = self.used();
        self.fits(&used, scenes)?;
        // If the calls of the day cannot be counted, `take` reports it.
        if let Some(day) = &mut used.day
            && day.left(&self.clock).is_ok_and(|left| left == 0)
        {
            return Err(StopReason::Budget(day.describe()));
        }
        Ok(used.units + self.billing.units(scenes))
    }

    /// What each limit allows from now on. A trial no longer counts an image that was claimed.
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
            // If the calls of the day cannot be counted, none is allowed.
            let calls = day.left(&self.clock).unwrap_or(0);
            limit(day.describe(), Room { calls, ..Room::ALL });
        }
        limits
    }

    /// Like [`Budget::limits`], without the number of images.
    pub(crate) fn limits_of_calls(&self) -> Vec<Limit> {
        let mut limits = self.limits();
        limits.drain(..usize::from(self.trial.get().is_some()));
        limits
    }

    /// The calls made so far, including those in flight, and their billing units.
    pub(crate) fn used_so_far(&self) -> (u64, u64) {
        let used = self.used();
        (used.calls, used.units)
    }

    /// Checks a call for these scenes against the limits of calls and of their cost.
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

    /// Notes that a call that was sent has ended at `local`, by this machine's own clock.
    pub(crate) fn ended(&self, local: UnixMillis) {
        if let Some(day) = &mut self.used().day {
            day.ended(local);
        }
    }

    /// Gives back a call for these scenes that was taken and not made.
    pub(crate) fn give_back(&self, scenes: Scenes) {
        let mut used = self.used();
        used.calls = used.calls.saturating_sub(1);
        used.units = used.units.saturating_sub(self.billing.units(scenes));
        if let Some(day) = &mut used.day {
            day.give_back();
        }
    }

    /// Returns whether the run is limited to a number of images.
    pub(crate) fn limits_images(&self) -> bool {
        self.trial.get().is_some()
    }

    /// The number of further images that may be claimed, at most `wanted`.
    ///
    /// # Errors
    /// The trial, if all its images are claimed.
    pub(crate) fn images(&self, wanted: usize) -> Result<usize, Trial> {
        let Some(trial) = self.trial.get().copied() else { return Ok(wanted) };
        let used = self.used();
        match trial.images().saturating_sub(used.images) {
            0 => Err(trial),
            left => Ok(wanted.min(usize::try_from(left).unwrap_or(usize::MAX))),
        }
    }

    /// Counts images that were claimed in the first pass.
    pub(crate) fn claimed(&self, images: u64) {
        self.used().images += images;
    }

    /// Uncounts an image that was put back, and will be claimed in the first pass again.
    pub(crate) fn unclaimed(&self) {
        let mut used = self.used();
        used.images = used.images.saturating_sub(1);
    }

    /// Sets the number of images that are settled, while nothing is in flight. It can be smaller than the number that
    /// was claimed: an answer is discarded if the key was overwritten meanwhile. Returns whether all images of the
    /// trial are settled.
    pub(crate) fn settled(&self, images: u64) -> bool {
        self.used().images = images;
        self.trial.get().is_some_and(|trial| images >= trial.images())
    }

    /// The end of the window and the limit that sets it, for people. `None` if there is no end.
    pub(crate) fn describe_window(&self) -> Option<String> {
        self.window().describe()
    }

    /// The time until the window ends. `None` if it has no end.
    pub(crate) fn window_left(&self) -> Option<Duration> {
        let window = self.window();
        window.ends().then(|| window.left())
    }

    /// Waits until the window ends, and returns the reason. Never returns if the window has no end.
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

    /// The window, computed again if the clock was corrected.
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
    fn each_scene_is_a_billing_unit_unless_the_settings_bill_by_call() {
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
        // A call for two scenes would exceed the limit, a call for one does not.
        assert!(scenes.units_with(two).is_err() && scenes.take(two).is_err());
        assert_eq!(scenes.take(one()).ok(), Some(3));
        scenes.give_back(two);
        assert_eq!(scenes.take(two).ok(), Some(3));
        let calls = billed(Billing::Call);
        assert_eq!([two; 4].map(|two| calls.take(two).ok()), [Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn limits_of_calls_cost_and_a_day_stop_before_the_call_that_exceeds_them() {
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
    fn a_window_and_a_number_of_images_end_too() {
        let none = budget(&settings(|b| b.max_duration = Some(Duration::ZERO)));
        assert!(matches!(none.take(one()), Err(StopReason::Window(_))));
        let trial = Trial { limit: Some(3), ..Trial::default() };
        let images = budget(&settings(|_| ()));
        assert_eq!(images.images(10).ok(), Some(10));
        images.limit_to(trial, 1);
        assert_eq!(images.images(10).ok(), Some(2), "one of three is settled");
        images.claimed(2);
        assert_eq!(images.images(1), Err(trial));
        assert!(!images.settled(2));
        assert_eq!(images.images(10).ok(), Some(1), "one of them was discarded");
        assert!(images.settled(3));
    }
}
