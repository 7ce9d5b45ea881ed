//! Tests of the pace against simulated services whose limit it does not know, with a fake clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use rstest::rstest;

use super::{Pace, PaceChange};
use crate::config::Rate;
use crate::job::service::outage::{self, Call, Fault, Outage, Standing};

const SECOND: u64 = 1_000;

/// How a service applies its limit.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// At most this many calls in any sliding second.
    Sliding,
    /// A token bucket that holds this share of the tokens of a second, and at least two.
    Bucket(f64),
}

/// What a fault costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Faulty {
    /// It is answered at once, before the limit is checked.
    AtOnce,
    /// It uses the limit like any other call, and is answered as late as one.
    Late,
}

/// Values, each with the second from which on it holds.
type Plan<'a> = &'a [(u64, f64)];

/// A service, and the work that is done with it.
#[derive(Debug, Clone, Copy)]
struct World<'a> {
    rate: Rate,
    found: Option<f64>,
    kind: Kind,
    limits: Plan<'a>,
    /// The share of calls that are refused at any pace.
    noise: Plan<'a>,
    faulty: Faulty,
    /// The calls a second of another program with the same quota. It never slows down.
    other: Plan<'a>,
    /// The time until an answer comes, in milliseconds, give or take a tenth. Refusals come at once.
    latency: u64,
    /// The most calls in flight.
    workers: usize,
    /// The seed of the random numbers.
    seed: u64,
}

const NONE: f64 = f64::INFINITY;

impl World<'_> {
    const fn new(rate: Rate) -> Self {
        World {
            rate,
            found: None,
            kind: Kind::Sliding,
            limits: &[(0, NONE)],
            noise: &[(0, 0.0)],
            faulty: Faulty::AtOnce,
            other: &[(0, 0.0)],
            latency: 50,
            workers: usize::MAX,
            seed: 1,
        }
    }
}

#[derive(Debug)]
struct Service {
    kind: Kind,
    limit: f64,
    /// The moments in the last second at which calls were let through.
    passed: VecDeque<u64>,
    tokens: f64,
    filled: u64,
}

impl Service {
    fn admits(&mut self, now: u64) -> bool {
        match self.kind {
            _ if self.limit.is_infinite() => true,
            Kind::Sliding => {
                while self.passed.front().is_some_and(|at| at + SECOND <= now) {
                    self.passed.pop_front();
                }
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let free = (self.passed.len() as f64) < self.limit;
                if free {
                    self.passed.push_back(now);
                }
                free
            }
            Kind::Bucket(size) => {
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let elapsed = (now - self.filled) as f64 / 1000.0;
                self.filled = now;
                let size = (size * self.limit).max(2.0);
                self.tokens = (self.tokens + elapsed * self.limit).min(size);
                let free = self.tokens >= 1.0;
                if free {
                    self.tokens -= 1.0;
                }
                free
            }
        }
    }
}

impl Service {
    /// Makes the calls of the other program in one millisecond, at random.
    fn serve_other(&mut self, per_second: f64, random: &mut Random, now: u64) {
        let mut calls = per_second / 1000.0;
        while random.next() < calls {
            calls -= 1.0;
            let _ = self.admits(now);
        }
    }
}

/// The calls of one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    passed: u32,
    throttled: u32,
    faults: u32,
}

/// Pseudorandom numbers from 0 to 1. They are the same in every run of the tests.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        #[expect(clippy::cast_precision_loss, reason = "31 bits")]
        let unit = (self.0 >> 33) as f64 / 2_f64.powi(31);
        unit
    }
}

fn at(plan: Plan<'_>, second: u64) -> f64 {
    plan.iter().rev().find(|(from, _)| *from <= second).map_or(0.0, |(_, value)| *value)
}

/// A call in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wire {
    /// When the answer comes, in milliseconds since the start.
    at: u64,
    throttled: bool,
    is_probe: bool,
    call: Call,
}

/// The wait while every call is throttled: single calls, after longer and longer pauses.
#[derive(Debug, Default)]
struct Probes {
    outage: Outage,
    /// The last pause and the moment of the next call, in milliseconds.
    pause: u64,
    next: u64,
    on_the_wire: bool,
}

impl Probes {
    fn answered(
        &mut self,
        pace: &Pace<FakeRelativeClock>,
        answer: Wire,
        now: u64,
    ) -> Option<PaceChange> {
        let Wire { throttled, is_probe, call, .. } = answer;
        self.outage.call_ends(call);
        if throttled {
            let change = pace.throttled();
            let begins = self.outage.fault(call, Fault::Throttle, Standing::First).is_some();
            if begins {
                pace.suspend();
            }
            if begins || is_probe {
                self.on_the_wire = false;
                self.pause = if begins { 250 } else { (2 * self.pause).min(5 * SECOND) };
                self.next = now + self.pause;
            }
            return change;
        }
        let change = pace.answered();
        self.on_the_wire &= !is_probe;
        if let Some(kind) = self.outage.answered(is_probe) {
            pace.resume(kind == outage::Kind::Throttles);
        }
        change
    }

    fn may_call(&self, now: u64) -> bool {
        !self.outage.is_waiting() || (!self.on_the_wire && self.next <= now)
    }

    fn calls(&mut self) -> (bool, Call) {
        let is_probe = self.outage.is_waiting();
        self.on_the_wire |= is_probe;
        (is_probe, self.outage.call_begins())
    }
}

/// Simulates this many seconds of endless work.
fn simulate(world: World<'_>, seconds: u64) -> Vec<Second> {
    simulate_run(world, seconds).0
}

/// Does the same as [`simulate`], and also returns the limit that was found last.
fn simulate_run(world: World<'_>, seconds: u64) -> (Vec<Second>, Option<f64>) {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(world.rate, world.found, clock.clone());
    let mut service =
        Service { kind: world.kind, limit: 0.0, passed: VecDeque::new(), tokens: 1.0, filled: 0 };
    let mut answers = BinaryHeap::<Reverse<Wire>>::new();
    let mut told = Vec::new();
    let mut random = Random(world.seed);
    let mut probes = Probes::default();
    let mut found = None;
    for now in 0..seconds * SECOND {
        let second = now / SECOND;
        if now % SECOND == 0 {
            told.push(Second::default());
            service.limit = at(world.limits, second);
        }
        let told = told.last_mut().unwrap();
        while let Some(Reverse(answer)) = answers.peek().copied()
            && answer.at <= now
        {
            answers.pop();
            let change = probes.answered(&pace, answer, now);
            found = change.and_then(|change| change.found).or(found);
        }
        let other = at(world.other, second);
        service.serve_other(other / 2.0, &mut random, now);
        while answers.len() < world.workers && probes.may_call(now) && pace.try_permit().is_ok() {
            let (is_probe, call) = probes.calls();
            let drawn = random.next() < at(world.noise, second);
            let is_late = world.faulty == Faulty::Late;
            let admitted = (drawn && !is_late) || service.admits(now);
            let (fault, throttled) = (drawn && admitted, drawn || !admitted);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let latency = world.latency as f64 * (0.9 + 0.2 * random.next());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small positive numbers"
            )]
            let after = if !throttled || (fault && is_late) { latency as u64 } else { 2 };
            answers.push(Reverse(Wire { at: now + after, throttled, is_probe, call }));
            match (throttled, fault) {
                (true, true) => told.faults += 1,
                (true, false) => told.throttled += 1,
                (false, _) => told.passed += 1,
            }
        }
        service.serve_other(other / 2.0, &mut random, now);
        clock.advance(Duration::from_millis(1));
    }
    (told, found)
}

/// Returns the answered calls a second, and the share of calls that the limit refused.
fn figures(seconds: &[Second]) -> (f64, f64) {
    let sum = |of: fn(&Second) -> u32| seconds.iter().map(|one| f64::from(of(one))).sum::<f64>();
    let (passed, throttled) = (sum(|one| one.passed), sum(|one| one.throttled));
    let calls = passed + throttled + sum(|one| one.faults);
    let length = f64::from(u32::try_from(seconds.len()).unwrap());
    (passed / length, throttled / calls.max(1.0))
}

/// Returns the seconds until this many calls were answered.
fn seconds_for(told: &[Second], calls: f64) -> Option<f64> {
    let mut passed = 0.0;
    let mut seconds = 0.0;
    for one in told {
        let more = f64::from(one.passed);
        if passed + more >= calls {
            return Some(seconds + (calls - passed) / more);
        }
        passed += more;
        seconds += 1.0;
    }
    None
}

#[rstest]
fn auto_finds_the_limit_within_a_minute_and_stays_just_below(
    #[values(2.0, 5.0, 12.0, 50.0, 200.0, 1000.0, 5000.0)] limit: f64,
    #[values(Kind::Sliding, Kind::Bucket(1.0), Kind::Bucket(0.05))] kind: Kind,
    #[values(20, 400)] latency: u64,
) {
    finds(World { kind, limits: &[(0, limit)], latency, ..World::new(Rate::Auto) }, limit);
}

#[rstest]
fn a_cap_above_the_limit_is_as_good_as_auto(
    #[values(5.0, 50.0, 200.0)] limit: f64,
    #[values(Kind::Sliding, Kind::Bucket(0.05))] kind: Kind,
    #[values(2.5, 20.0)] cap: f64,
) {
    let rate = Rate::PerSecond(cap * limit);
    finds(World { kind, limits: &[(0, limit)], ..World::new(rate) }, limit);
}

/// In the first second, all calls are throttled once the limit is used up.
#[rstest]
fn a_cap_far_above_the_limit_is_lowered_within_seconds(
    #[values((5.0, 20.0), (50.0, 5000.0), (200.0, 500.0), (200.0, 250.0), (200.0, 10_000.0))]
    (limit, cap): (f64, f64),
    #[values(Kind::Sliding, Kind::Bucket(0.1), Kind::Bucket(1.0))] kind: Kind,
    #[values(20, 400)] latency: u64,
) {
    let rate = Rate::PerSecond(cap);
    let told = simulate(World { kind, limits: &[(0, limit)], latency, ..World::new(rate) }, 30);
    let took = seconds_for(&told, 6.0 * limit);
    eprintln!("{cap} at {limit}, {kind:?}, {latency} ms: six seconds of work took {took:.1?} s");
    assert!(took.is_some_and(|took| took <= 11.0), "{took:.1?} s");
}

/// Every call is throttled for half a minute.
#[rstest]
fn after_every_call_was_throttled_the_pace_is_soon_restored(
    #[values(20.0, 200.0, 2000.0)] limit: f64,
    #[values(Rate::Auto, Rate::PerSecond(200.0))] rate: Rate,
) {
    let world = World { limits: &[(0, limit), (60, 0.0), (90, limit)], ..World::new(rate) };
    let told = simulate(world, 120);
    let calls: u32 = told[60..90].iter().map(|one| one.passed + one.throttled).sum();
    let (before, _) = figures(&told[30..60]);
    let (after, _) = figures(&told[104..120]);
    eprintln!("{rate:?} {limit}: {calls} calls, {before:.0}/s before and {after:.0}/s after");
    // Calls that were let through before are in flight for 50 ms.
    assert!(f64::from(calls) <= 20.0 + 12.0 + 0.06 * before, "{calls} calls");
    assert!(after >= 0.8 * before, "{after:.0}/s instead of {before:.0}/s");
    let most = told[90..94].iter().map(|one| one.passed + one.throttled).max().unwrap();
    assert!(most <= 60, "the pace begins low: {most} in a second");
}

#[rstest]
fn at_a_low_rate_few_calls_are_made_while_every_call_is_throttled(#[values(1.0, 5.0)] cap: f64) {
    let world =
        World { limits: &[(0, NONE), (60, 0.0), (180, NONE)], ..World::new(Rate::PerSecond(cap)) };
    let told = simulate(world, 300);
    let calls: u32 = told[60..180].iter().map(|one| one.passed + one.throttled).sum();
    let (after, _) = figures(&told[220..]);
    eprintln!("{cap}/s: {calls} calls, {after:.2}/s afterwards");
    assert!(calls <= 20 + 26, "{calls} calls");
    assert!(after >= 0.9 * cap, "{after:.2}/s instead of {cap}/s");
}

fn finds(world: World<'_>, limit: f64) {
    let told = simulate(world, 240);
    let (passed, throttled) = figures(&told[60..]);
    let used = passed / limit;
    eprintln!("{world:?}: used {used:.3}, throttled {throttled:.4}");
    // A service that keeps tokens for a second lets more calls through for a while, and fewer in the next second.
    let (least, most) = match (limit, world.kind) {
        (200.0.., Kind::Sliding) => (0.98, 0.0035),
        (200.0.., Kind::Bucket(0.05)) => (0.985, 0.005),
        (50.0.., _) => (0.975, 0.015),
        _ => (0.92, 0.02),
    };
    assert!(used >= least, "{used:.3} of {limit} used");
    assert!(throttled <= most, "{throttled:.4} of the calls throttled");
}

#[rstest]
fn throttle_answers_that_are_faults_do_not_lower_the_pace(
    #[values(12.0, 60.0, 400.0, 3000.0)] limit: f64,
    #[values(0.01, 0.0033)] noise: f64,
) {
    let world = World { limits: &[(0, limit)], noise: &[(0, noise)], ..World::new(Rate::Auto) };
    let told = simulate(world, 600);
    let (passed, throttled) = figures(&told[60..]);
    let used = passed / limit;
    eprintln!("{limit} noise {noise}: used {used:.3}, throttled {throttled:.4}");
    assert!(used >= 0.8, "{used:.3} of {limit} used, {throttled:.4} throttled");
}

#[rstest]
#[case(&[(0, 200.0), (120, 100.0), (240, 400.0), (360, 50.0)])]
#[case(&[(0, 1000.0), (120, 900.0), (240, 2000.0), (360, 1990.0)])]
#[case(&[(0, 10.0), (120, 500.0), (240, 60.0), (360, 7.0)])]
fn the_pace_follows_a_limit_that_changes(
    #[case] limits: Plan<'_>,
    #[values(20, 400)] latency: u64,
) {
    for kind in [Kind::Sliding, Kind::Bucket(0.1)] {
        let told = simulate(World { kind, limits, latency, ..World::new(Rate::Auto) }, 480);
        for (from, limit) in limits {
            let from = usize::try_from(*from).unwrap();
            let (passed, throttled) = figures(&told[from + 60..from + 120]);
            let used = passed / limit;
            eprintln!("{limit} {kind:?} {latency} ms: used {used:.3}, throttled {throttled:.4}");
            // If there are only a few calls a second, one call a minute is a large share.
            let (least, most) = if *limit < 50.0 { (0.92, 0.03) } else { (0.97, 0.015) };
            assert!(used >= least, "{used:.3} of {limit} used");
            assert!(throttled < most, "{throttled:.4} of the calls throttled");
        }
    }
}

#[rstest]
#[case(20.0, 60)]
#[case(200.0, 60)]
#[case(2000.0, 30)]
fn faults_alone_do_not_lower_the_pace(
    #[case] rate: f64,
    #[case] seconds: u32,
    #[values(0.01, 0.03, 0.1, 0.2, 0.3)] noise: f64,
    #[values(20, 400)] latency: u64,
) {
    let world = World { noise: &[(0, noise)], latency, ..World::new(Rate::PerSecond(rate)) };
    let told = simulate(world, 2 * u64::from(seconds));
    let good = rate * (1.0 - noise);
    // Work of six seconds consists only of the first seconds, in which nothing is known.
    for work in [f64::from(seconds), 6.0] {
        let took = seconds_for(&told, good * work);
        eprintln!("{rate}/s, {noise}, {latency} ms: {work} s of work took {took:.1?} s");
        let longer = if rate < 100.0 { 1.8 } else { 1.5 };
        assert!(took.is_some_and(|took| took <= longer * work + 0.5), "{took:.1?} for {work} s");
    }
}

#[rstest]
fn faults_at_a_low_rate_do_not_stop_the_calls(
    #[values(1.0, 5.0)] rate: f64,
    #[values(0.03, 0.1, 0.3)] noise: f64,
) {
    let told = simulate(World { noise: &[(0, noise)], ..World::new(Rate::PerSecond(rate)) }, 600);
    let (passed, _) = figures(&told);
    let used = passed / rate / (1.0 - noise);
    eprintln!("{rate}/s, {noise}: {used:.2} of the pace");
    assert!(used >= 0.5, "{used:.2} of the pace");
}

#[rstest]
fn faults_are_told_from_a_limit(
    #[values(50.0, 200.0)] limit: f64,
    #[values(0.01, 0.03, 0.1, 0.3)] noise: f64,
    #[values(Rate::Auto, Rate::PerSecond(500.0))] rate: Rate,
) {
    let world = World { limits: &[(0, limit)], noise: &[(0, noise)], ..World::new(rate) };
    let told = simulate(world, 360);
    // Calls that fail by a fault do not count for the limit.
    let (passed, throttled) = figures(&told[120..]);
    let used = passed / limit;
    eprintln!("{rate:?} {limit} noise {noise}: used {used:.3}, throttled {throttled:.4}");
    assert!(used >= 0.7, "{used:.3} of {limit} used");
    assert!(throttled < 0.2, "{throttled:.4} of the calls throttled");
}

#[rstest]
fn the_pace_follows_faults_that_begin_and_end(
    #[values(20.0, 200.0)] rate: f64,
    #[values(0.03, 0.1, 0.3)] noise: f64,
) {
    let noises = [(0, 0.0), (60, noise), (120, 0.0), (180, noise / 2.0), (240, noise), (300, 0.0)];
    let told = simulate(World { noise: &noises, ..World::new(Rate::PerSecond(rate)) }, 360);
    let least = if rate < 100.0 { 0.5 } else { 0.75 };
    for (from, noise) in noises {
        let from = usize::try_from(from).unwrap();
        let (passed, _) = figures(&told[from..from + 60]);
        let used = passed / rate / (1.0 - noise);
        eprintln!("{rate}/s noise {noise} from {from}: {used:.3}");
        assert!(used >= least, "{used:.3} of the pace from {from} on");
    }
}

#[rstest]
fn the_pace_follows_a_limit_that_changes_among_faults(
    #[values(0.03, 0.1, 0.3)] noise: f64,
    #[values(Rate::Auto, Rate::PerSecond(1000.0))] rate: Rate,
) {
    let limits = [(0, 200.0), (120, 60.0), (240, 400.0)];
    let world = World { limits: &limits, noise: &[(0, noise)], ..World::new(rate) };
    let told = simulate(world, 360);
    for (from, limit) in limits {
        let from = usize::try_from(from).unwrap();
        let (passed, throttled) = figures(&told[from + 60..from + 120]);
        let used = passed / limit;
        eprintln!("{rate:?} noise {noise} {limit}: used {used:.3}, throttled {throttled:.4}");
        assert!(used >= 0.4, "{used:.3} of {limit} used");
        assert!(throttled < 0.25, "{throttled:.4} of the calls throttled");
    }
}

/// The other program calls for the whole quota, or for much more.
#[rstest]
fn a_quota_that_another_program_uses_up_counts_as_a_limit(
    #[values(1.0, 2.0, 5.0)] greed: f64,
    #[values(Kind::Sliding, Kind::Bucket(0.1))] kind: Kind,
    #[values(Rate::Auto, Rate::PerSecond(200.0), Rate::PerSecond(500.0))] rate: Rate,
) {
    let limit = 200.0;
    let other = [(0, 0.0), (60, greed * limit), (180, 0.0)];
    let world = World { kind, limits: &[(0, limit)], other: &other, ..World::new(rate) };
    let told = simulate(world, 300);
    let shared = &told[90..180];
    let calls: u32 = shared.iter().map(|one| one.passed + one.throttled).sum();
    let asked = f64::from(calls) / 90.0;
    let (passed, throttled) = figures(shared);
    let (after, _) = figures(&told[240..]);
    eprintln!(
        "{rate:?} {kind:?} greed {greed}: asks {asked:.1}/s, gets {passed:.1}/s, {throttled:.3} throttled; \
         {after:.0}/s afterwards"
    );
    assert!(asked <= 1.1 * limit, "the pace must not compete for the quota: {asked:.1}/s");
    if greed > 1.0 {
        assert!(asked <= 0.5 * limit, "{asked:.1}/s");
    }
    // From a rate close to zero, `auto` needs some minutes. A rate in the settings is reached sooner.
    let least = if rate == Rate::Auto { 0.1 } else { 0.8 };
    assert!(after >= least * limit, "{after:.1}/s once the other program has ended");
}

/// Listings are like this: a few requests at a time, far below the allowed rate.
#[rstest]
fn faults_do_not_slow_down_requests_that_do_not_use_the_whole_pace(
    #[values(0.03, 0.1, 0.3)] noise: f64,
) {
    let few = World { noise: &[(0, noise)], workers: 4, latency: 100, ..World::new(Rate::Auto) };
    let told = simulate(World { rate: Rate::PerSecond(100.0), ..few }, 120);
    let took = seconds_for(&told, 40.0 * (1.0 - noise) * 60.0);
    eprintln!("{noise}: a minute's work in {took:.1?} s");
    assert!(took.is_some_and(|took| took <= 90.0), "{took:.1?}");
}

#[test]
fn auto_begins_just_below_the_limit_that_was_found() {
    let world = |limits, found| World { limits, found: Some(found), ..World::new(Rate::Auto) };
    let told = simulate(world(&[(0, 200.0)], 194.0), 60);
    let (passed, throttled) = figures(&told);
    assert!(passed >= 0.95 * 200.0 && throttled < 0.01, "{passed}, {throttled}");
}

/// The limit has changed since, or something else was found then.
#[rstest]
#[case(200.0, 2.0)]
#[case(200.0, 30.0)]
#[case(200.0, 5000.0)]
#[case(5.0, 200.0)]
fn a_wrong_limit_of_an_earlier_run_is_soon_corrected(#[case] limit: f64, #[case] found: f64) {
    let world = World { limits: &[(0, limit)], found: Some(found), ..World::new(Rate::Auto) };
    let told = simulate(world, 180);
    let (passed, throttled) = figures(&told[90..]);
    eprintln!("{found} instead of {limit}: {passed:.1}/s, {throttled:.4}");
    assert!(passed >= 0.85 * limit && throttled < 0.03, "{passed}, {throttled}");
}

#[test]
fn a_rate_that_is_not_used_does_not_rise() {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(Rate::Auto, None, clock.clone());
    for _ in 0..600 {
        let _ = pace.try_permit();
        pace.answered();
        clock.advance(Duration::from_millis(500));
    }
    let start = super::AUTO_START;
    assert_eq!(
        pace.rate().to_bits(),
        start.to_bits(),
        "two calls a second do not test a higher rate"
    );
}

/// A run begins near the limit that an earlier one has found, and does not know the faults yet.
#[rstest]
fn auto_keeps_its_pace_among_faults_once_it_knows_the_limit(
    #[values(0.01, 0.03, 0.1, 0.3)] noise: f64,
    #[values(Faulty::AtOnce, Faulty::Late)] faulty: Faulty,
) {
    let limit = 200.0;
    let world =
        World { limits: &[(0, limit)], noise: &[(0, noise)], faulty, ..World::new(Rate::Auto) };
    let most = if faulty == Faulty::Late { limit * (1.0 - noise) } else { limit };
    for seed in 1..=6 {
        let (_, found) = simulate_run(World { seed, ..world }, 120);
        let told = simulate(World { found, seed: 100 + seed, ..world }, 60);
        let took = seconds_for(&told, 30.0 * most);
        eprintln!("noise {noise} {faulty:?}, from {found:.1?}: 30 s of work took {took:.1?} s");
        assert!(took.is_some_and(|took| took <= 1.4 * 30.0), "{took:.1?} s");
    }
}

/// Three or four throttles in the second in which the pace is judged are often an accident.
#[rstest]
fn faults_during_the_first_climb_are_not_taken_for_a_limit(
    #[values(0.03, 0.1, 0.3)] noise: f64,
    #[values(Faulty::AtOnce, Faulty::Late)] faulty: Faulty,
) {
    let world =
        World { limits: &[(0, 200.0)], noise: &[(0, noise)], faulty, ..World::new(Rate::Auto) };
    let mut found: Vec<f64> = (1..=9)
        .map(|seed| simulate_run(World { seed: 7919 * seed, ..world }, 60).1.unwrap_or(0.0))
        .collect();
    found.sort_by(f64::total_cmp);
    eprintln!("noise {noise} {faulty:?}: {found:.0?}");
    assert!(found[1] >= 120.0, "one chance in nine: {found:.0?}");
}
