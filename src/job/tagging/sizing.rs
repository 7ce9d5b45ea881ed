//! Decides how many workers a run needs, from what it sees of them. Reads no clock and starts nothing.
//!
//! With a pace, the calls in flight are the pace multiplied by the time that a call takes (Little's law). That number is
//! observed rather than computed: if every worker is in use, there are too few, and the number grows at once. If fewer
//! than that were in use for a while, it shrinks to the most that were, with a reserve.
//!
//! Without a pace, the number doubles as long as that raises the number of calls a second.

use std::ops::RangeInclusive;

use crate::config::Workers;

/// The fewest workers of `auto`.
const FEWEST: usize = 16;
/// The number of workers at the start of `auto` is enough for calls that take this many seconds. Without a pace it is
/// [`FIRST_AT_MOST`].
const FIRST_LATENCY: f64 = 0.25;
/// The most workers at the start of `auto`.
const FIRST_AT_MOST: usize = 64;
/// The number grows to this multiple while every worker is in use.
const GROWTH: f64 = 1.5;
/// The number shrinks to this multiple of those that were in use.
const RESERVE: f64 = 1.25;
/// A number that exceeds what is needed by less than this factor does not shrink.
const IDLE: f64 = 1.5;
/// How many seconds are looked back on before the number shrinks.
const LOOK_BACK: f64 = 5.0;
/// If no call has ended for this number of seconds, more calls would not help: the service is probably hanging.
const SILENCE: f64 = 3.0;
/// A number is reported as too low if its workers were all in use for this number of seconds.
const BOUND: f64 = 10.0;
/// The shortest time in which calls are counted to compare two numbers of workers, in seconds.
const SHORTEST: f64 = 0.1;
/// Without a pace, a larger number must raise the calls a second by this factor.
const GAIN: f64 = 1.05;
/// The seconds until a larger number is tried again. The time doubles with each try that does not help.
const FIRST_TRY: f64 = 5.0;
/// The longest time until a larger number is tried again, in seconds.
const LAST_TRY: f64 = 80.0;

/// What was seen of the workers since the last look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The seconds since the last look.
    pub(super) seconds: f64,
    /// The pace in calls a second. Infinite if there is none.
    pub(super) rate: f64,
    /// The number of workers that the work at this moment needs: those that call, and as many as the results need that
    /// wait for their commit.
    pub(super) in_use: usize,
    /// Whether calls wait only for a permit of the pace.
    pub(super) waits_for_pace: bool,
    /// The number of calls that have ended.
    pub(super) ended: u32,
}

/// The number of workers of a run.
#[derive(Debug)]
pub(super) struct Sizing {
    bounds: RangeInclusive<usize>,
    now: usize,
    /// The most workers that were in use, in the present period of [`LOOK_BACK`] and in the one before.
    peaks: (usize, usize),
    /// The seconds of the present period.
    period: f64,
    /// The seconds since a call ended.
    silent: f64,
    bound: Bound,
    climb: Climb,
}

/// The time in which the workers were the bound, and the calls that ended in it.
#[derive(Debug, Default)]
struct Bound {
    seconds: f64,
    ended: f64,
    told: bool,
}

/// The search for the number of workers without a pace.
#[derive(Debug)]
struct Climb {
    /// The calls and seconds at the present number.
    ended: f64,
    seconds: f64,
    /// Whether the calls of the number before have ended, so that the count can begin.
    settled: bool,
    /// The smaller number that the present one is compared with, and its calls a second. Absent while no larger number
    /// is tried.
    smaller: Option<(usize, f64)>,
    /// Seconds until a larger number is tried, and the last such time.
    until_try: f64,
    pause: f64,
}

impl Climb {
    fn count_anew(&mut self) {
        (self.ended, self.seconds, self.settled) = (0.0, 0.0, false);
    }
}

impl Sizing {
    /// The number for the start of a run with this pace in calls a second. `open` is how many connections the system
    /// allows; `auto` stays below that.
    pub(super) fn new(workers: Workers, rate: f64, open: usize) -> Self {
        let (bounds, now) = match workers {
            Workers::Most(number) => (number.get()..=number.get(), number.get()),
            Workers::Auto => {
                let bounds = FEWEST..=Workers::MOST_OF_AUTO.min(open).max(FEWEST);
                let first = whole(rate * FIRST_LATENCY).clamp(FEWEST, FIRST_AT_MOST);
                (bounds.clone(), first.min(*bounds.end()))
            }
        };
        Self {
            bounds,
            now,
            peaks: (0, 0),
            period: 0.0,
            silent: 0.0,
            bound: Bound::default(),
            climb: Climb {
                ended: 0.0,
                seconds: 0.0,
                settled: false,
                smaller: None,
                until_try: 0.0,
                pause: FIRST_TRY,
            },
        }
    }

    /// The number of workers.
    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// Sets the number after a look. Returns how many workers the pace would need, once, if the number may not grow to
    /// that.
    pub(super) fn look(&mut self, look: &Look) -> Option<usize> {
        self.silent = if look.ended > 0 { 0.0 } else { self.silent + look.seconds };
        let is_bound = look.in_use >= self.now && !look.waits_for_pace;
        if self.bounds.start() < self.bounds.end() {
            if look.rate.is_finite() {
                self.follow(look, is_bound);
            } else {
                self.climb(look, is_bound);
            }
        }
        self.note_bound(look, is_bound)
    }

    /// Follows the number of workers that a pace needs.
    fn follow(&mut self, look: &Look, is_bound: bool) {
        self.peaks.0 = self.peaks.0.max(look.in_use);
        self.period += look.seconds;
        if is_bound {
            if self.silent < SILENCE {
                self.set(whole(GROWTH * float(self.now)));
            }
            return;
        }
        if self.period < LOOK_BACK {
            return;
        }
        let needed = RESERVE * float(self.peaks.0.max(self.peaks.1)) + 2.0;
        (self.peaks, self.period) = ((0, self.peaks.0), 0.0);
        if IDLE * needed < float(self.now) {
            self.set(whole(needed));
        }
    }

    /// Looks for the number from which on more workers do not help.
    fn climb(&mut self, look: &Look, is_bound: bool) {
        let climb = &mut self.climb;
        climb.seconds += look.seconds;
        climb.ended += f64::from(look.ended);
        climb.until_try -= look.seconds;
        if !climb.settled && climb.ended < float(self.now) {
            return;
        }
        if !std::mem::replace(&mut climb.settled, true) {
            (climb.ended, climb.seconds) = (0.0, 0.0);
            return;
        }
        if climb.seconds < SHORTEST || climb.ended < 2.0 * float(self.now) {
            return;
        }
        let per_second = climb.ended / climb.seconds;
        climb.count_anew();
        match climb.smaller.take() {
            Some((smaller, before)) if per_second < GAIN * before => {
                climb.until_try = climb.pause;
                climb.pause = (2.0 * climb.pause).min(LAST_TRY);
                self.set(smaller);
            }
            last if is_bound && (last.is_some() || climb.until_try <= 0.0) => {
                if last.is_some() {
                    climb.pause = FIRST_TRY;
                }
                if self.now < *self.bounds.end() {
                    climb.smaller = Some((self.now, per_second));
                    self.set(2 * self.now);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, number: usize) {
        self.now = number.clamp(*self.bounds.start(), *self.bounds.end());
    }

    /// Returns how many workers the pace would need, once the workers have been the bound for a while.
    fn note_bound(&mut self, look: &Look, is_bound: bool) -> Option<usize> {
        let bound = &mut self.bound;
        if !is_bound || self.now < *self.bounds.end() || !look.rate.is_finite() {
            (bound.seconds, bound.ended) = (0.0, 0.0);
            return None;
        }
        bound.seconds += look.seconds;
        bound.ended += f64::from(look.ended);
        if bound.told || bound.seconds < BOUND || bound.ended < float(self.now) {
            return None;
        }
        let needed = RESERVE * look.rate * float(self.now) * bound.seconds / bound.ended;
        (needed > RESERVE * float(self.now)).then(|| {
            bound.told = true;
            rounded_up(needed)
        })
    }
}

/// Rounds up to two digits.
fn rounded_up(number: f64) -> usize {
    let unit = 10_f64.powf((number.log10().floor() - 1.0).max(0.0));
    whole((number / unit).ceil() * unit)
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn float(number: usize) -> f64 {
    number as f64
}

/// Rounds up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates")]
fn whole(number: f64) -> usize {
    number.ceil() as usize
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    use std::num::NonZeroUsize;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const UNLIMITED: f64 = f64::INFINITY;

    /// A service, and the pace of the calls to it.
    #[derive(Debug, Clone, Copy)]
    struct World {
        rate: f64,
        /// The time that a call takes in seconds, and how much longer or shorter some calls take.
        latency: (f64, f64),
        /// The most calls that the service and this machine can do in a second.
        capacity: f64,
    }

    /// What was seen in a second.
    #[derive(Debug, Clone, Copy, Default, PartialEq)]
    struct Second {
        calls: u32,
        workers: usize,
        needed: Option<usize>,
    }

    /// Simulates endless work in steps of a millisecond.
    fn simulate(world: World, workers: Workers, seconds: u64) -> Vec<Second> {
        let World { rate, latency: (mean, spread), capacity } = world;
        let mut sizing = Sizing::new(workers, rate, 4096);
        let mut calls = BinaryHeap::new();
        let (mut permits, mut ended, mut last_end, mut random) = (0.0, 0, 0.0_f64, 1_u64);
        let mut told = Vec::new();
        for now in 0..seconds * 1000 {
            if now % 1000 == 0 {
                told.push(Second::default());
            }
            let told: &mut Second = told.last_mut().unwrap();
            let time = float(usize::try_from(now).unwrap()) / 1000.0;
            while calls.peek().is_some_and(|Reverse(end)| *end <= now) {
                calls.pop();
                ended += 1;
                told.calls += 1;
            }
            permits = f64::min(permits + rate / 1000.0, (rate / 100.0).clamp(2.0, 1000.0));
            while calls.len() < sizing.now() && permits >= 1.0 {
                permits -= 1.0;
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let unit = f64::from(u32::try_from(random >> 33).unwrap()) / 2_f64.powi(30) - 1.0;
                last_end = (last_end + 1.0 / capacity).max(time);
                let end = (time + mean + spread * unit).max(last_end);
                calls.push(Reverse(u64::try_from(whole(end * 1000.0)).unwrap().max(now + 1)));
                if rate.is_infinite() {
                    permits = 2.0;
                }
            }
            if now % 50 == 49 {
                let needed = sizing.look(&Look {
                    seconds: 0.05,
                    rate,
                    in_use: calls.len(),
                    waits_for_pace: calls.len() < sizing.now(),
                    ended: std::mem::take(&mut ended),
                });
                told.needed = told.needed.or(needed);
            }
            told.workers = sizing.now();
        }
        told
    }

    fn most(number: usize) -> Workers {
        Workers::Most(NonZeroUsize::new(number).unwrap())
    }

    #[rstest]
    #[case(200.0, (2.0, 0.5))]
    #[case(200.0, (0.05, 0.01))]
    #[case(10.0, (2.0, 0.5))]
    #[case(10.0, (0.3, 0.1))]
    #[case(400.0, (2.0, 1.0))]
    #[case(4000.0, (0.05, 0.02))]
    #[case(1.0, (10.0, 5.0))]
    fn a_pace_is_reached_within_seconds(#[case] rate: f64, #[case] latency: (f64, f64)) {
        let world = World { rate, latency, capacity: UNLIMITED };
        let told = simulate(world, Workers::Auto, 60);
        let after = whole(latency.0 + latency.1) + 1;
        for ten in [&told[after..after + 10], &told[50..]] {
            let calls: u32 = ten.iter().map(|second| second.calls).sum();
            assert!(f64::from(calls) >= 9.5 * rate - 4.0, "{calls} in ten seconds: {told:?}");
        }
        let needed = rate * latency.0;
        let used = float(told[59].workers);
        assert!(used <= 2.0 * needed + 20.0, "{used} workers where {needed} are in use");
        assert!(told.iter().all(|second| second.needed.is_none()), "{told:?}");
    }

    #[test]
    fn a_number_that_is_too_low_is_said_once_with_one_that_would_do() {
        let world = World { rate: 200.0, latency: (2.0, 0.5), capacity: UNLIMITED };
        let told = |workers| {
            let told = simulate(world, workers, 60);
            told.iter().filter_map(|second| second.needed).collect::<Vec<_>>()
        };
        let needed = told(most(64));
        assert!(matches!(needed[..], [420..=600]), "{needed:?}");
        assert!(told(most(needed[0])).is_empty(), "it does");
        assert!(matches!(simulate(world, most(64), 60)[59].workers, 64), "a number stays");
    }

    #[test]
    fn a_service_that_hangs_does_not_get_more_and_more_calls() {
        let world = World { rate: 200.0, latency: (600.0, 0.0), capacity: UNLIMITED };
        let told = simulate(world, Workers::Auto, 60);
        assert!(told[59].workers <= 900, "{}", told[59].workers);
        assert_eq!(told[59].workers, told[5].workers);
    }

    /// The best fixed number gets the capacity, or else as many calls as 1,024 workers can make.
    #[rstest]
    #[case((0.001, 0.0), 20_000.0)]
    #[case((0.05, 0.01), 5_000.0)]
    #[case((0.05, 0.01), UNLIMITED)]
    #[case((0.5, 0.1), 300.0)]
    #[case((2.0, 0.5), UNLIMITED)]
    fn without_a_pace_the_number_grows_as_long_as_that_helps(
        #[case] latency: (f64, f64),
        #[case] capacity: f64,
    ) {
        let world = World { rate: UNLIMITED, latency, capacity };
        let told = simulate(world, Workers::Auto, 60);
        let best = simulate(world, most(1024), 60);
        let calls = |told: &[Second]| told[40..].iter().map(|second| second.calls).sum::<u32>();
        let (calls, best) = (calls(&told), calls(&best));
        assert!(20 * calls >= 19 * best, "{calls} of {best}");
        let enough = if capacity.is_finite() { 4.0 * latency.0 * capacity } else { 1024.0 };
        assert!(float(told[59].workers) <= enough.max(64.0), "{} workers", told[59].workers);
    }

    proptest! {
        #![proptest_config(crate::property::with_cases(256))]
        #[test]
        fn the_number_stays_within_its_bounds(
            rate in prop_oneof![Just(UNLIMITED), 0.001_f64..1e6],
            open in 0_usize..5000,
            looks in proptest::collection::vec((0.001_f64..100.0, 0_usize..5000, any::<bool>(), 0_u32..9999), 1..99),
        ) {
            let mut sizing = Sizing::new(Workers::Auto, rate, open);
            for (seconds, in_use, waits_for_pace, ended) in looks {
                sizing.look(&Look { seconds, rate, in_use, waits_for_pace, ended });
                prop_assert!((16..=open.clamp(16, 1024)).contains(&sizing.now()), "{sizing:?}");
            }
        }
    }
}
