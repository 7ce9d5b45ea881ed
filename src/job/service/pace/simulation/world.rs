//! A simulated service whose limit the pace does not know, and endless work that is done with it, on a fake clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use governor::clock::FakeRelativeClock;

use crate::config::Rate;
use crate::job::service::outage::{self, Call, Fault, ImageHistory, Outage};
use crate::job::service::pace::{Pace, PaceChange};

const SECOND: u64 = 1_000;

/// How a service applies its limit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// At most this many calls in any sliding second.
    Sliding,
    /// A token bucket that holds this share of the tokens of a second, and at least two.
    Bucket(f64),
}

/// What a fault costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Faulty {
    /// It is answered at once, before the limit is checked.
    AtOnce,
    /// It uses the limit like any other call, and is answered as late as one.
    Late,
}

/// Values, each with the second from which on it holds.
pub(super) type Plan<'a> = &'a [(u64, f64)];

/// A service, and the work that is done with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) rate: Rate,
    pub(super) found: Option<f64>,
    pub(super) kind: Kind,
    pub(super) limits: Plan<'a>,
    /// The share of calls that are refused at any pace.
    pub(super) noise: Plan<'a>,
    pub(super) faulty: Faulty,
    /// The calls a second of another program with the same quota. It never slows down.
    pub(super) other: Plan<'a>,
    /// The time until an answer comes, in milliseconds, give or take a tenth. Refusals come at once.
    pub(super) latency: u64,
    /// The most calls in flight.
    pub(super) workers: usize,
    /// The seed of the random numbers.
    pub(super) seed: u64,
}

pub(super) const NONE: f64 = f64::INFINITY;

impl World<'_> {
    pub(super) const fn new(rate: Rate) -> Self {
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
pub(super) struct Second {
    pub(super) passed: u32,
    pub(super) throttled: u32,
    pub(super) faults: u32,
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
struct InFlight {
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
    is_probing: bool,
}

impl Probes {
    fn answered(
        &mut self,
        pace: &Pace<FakeRelativeClock>,
        answer: InFlight,
        now: u64,
    ) -> Option<PaceChange> {
        let InFlight { throttled, is_probe, call, .. } = answer;
        self.outage.call_ends(call);
        if throttled {
            let change = pace.throttled();
            let begins =
                self.outage.fault(call, Fault::Throttle, ImageHistory::FirstCall).is_some();
            if begins {
                pace.suspend();
            }
            if begins || is_probe {
                self.is_probing = false;
                self.pause = if begins { 250 } else { (2 * self.pause).min(5 * SECOND) };
                self.next = now + self.pause;
            }
            return change;
        }
        let change = pace.answered();
        self.is_probing &= !is_probe;
        if let Some(kind) = self.outage.answered(is_probe) {
            pace.resume(kind == outage::Kind::Throttles);
        }
        change
    }

    fn may_call(&self, now: u64) -> bool {
        !self.outage.is_waiting() || (!self.is_probing && self.next <= now)
    }

    fn calls(&mut self) -> (bool, Call) {
        let is_probe = self.outage.is_waiting();
        self.is_probing |= is_probe;
        (is_probe, self.outage.call_begins())
    }
}

/// Simulates this many seconds of endless work.
pub(super) fn simulate(world: World<'_>, seconds: u64) -> Vec<Second> {
    simulate_run(world, seconds).0
}

/// Does the same as [`simulate`], and also returns the limit that was found last.
pub(super) fn simulate_run(world: World<'_>, seconds: u64) -> (Vec<Second>, Option<f64>) {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(world.rate, world.found, clock.clone());
    let mut service =
        Service { kind: world.kind, limit: 0.0, passed: VecDeque::new(), tokens: 1.0, filled: 0 };
    let mut answers = BinaryHeap::<Reverse<InFlight>>::new();
    let mut history = Vec::new();
    let mut random = Random(world.seed);
    let mut probes = Probes::default();
    let mut found = None;
    for now in 0..seconds * SECOND {
        let second = now / SECOND;
        if now % SECOND == 0 {
            history.push(Second::default());
            service.limit = at(world.limits, second);
        }
        let history = history.last_mut().unwrap();
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
            answers.push(Reverse(InFlight { at: now + after, throttled, is_probe, call }));
            match (throttled, fault) {
                (true, true) => history.faults += 1,
                (true, false) => history.throttled += 1,
                (false, _) => history.passed += 1,
            }
        }
        service.serve_other(other / 2.0, &mut random, now);
        clock.advance(Duration::from_millis(1));
    }
    (history, found)
}

/// Returns the answered calls a second, and the share of calls that the limit refused.
pub(super) fn figures(seconds: &[Second]) -> (f64, f64) {
    let sum = |of: fn(&Second) -> u32| seconds.iter().map(|one| f64::from(of(one))).sum::<f64>();
    let (passed, throttled) = (sum(|one| one.passed), sum(|one| one.throttled));
    let calls = passed + throttled + sum(|one| one.faults);
    let length = f64::from(u32::try_from(seconds.len()).unwrap());
    (passed / length, throttled / calls.max(1.0))
}

/// Returns the seconds until this many calls were answered.
pub(super) fn seconds_for(history: &[Second], calls: f64) -> Option<f64> {
    let mut passed = 0.0;
    let mut seconds = 0.0;
    for one in history {
        let more = f64::from(one.passed);
        if passed + more >= calls {
            return Some(seconds + (calls - passed) / more);
        }
        passed += more;
        seconds += 1.0;
    }
    None
}
