//! `auto` against a service that lets through what it wants and tells nobody, by a fake clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use rstest::rstest;

use super::Pace;
use crate::config::Rate;

const SECOND: u64 = 1_000;

/// How a service keeps to its limit.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// So many in any sliding second.
    Sliding,
    /// As `Sliding`, and one call in so many is refused for another reason.
    Stray(u64),
    /// A bucket that holds this share of a second's tokens, and two at least.
    Bucket(f64),
}

#[derive(Debug)]
struct Service {
    kind: Kind,
    limit: f64,
    /// Moments in the last second at which a call was let through.
    passed: VecDeque<u64>,
    tokens: f64,
    filled: u64,
}

impl Service {
    fn admits(&mut self, now: u64) -> bool {
        match self.kind {
            Kind::Sliding | Kind::Stray(_) => {
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

/// Seconds, and the limit that holds from then on.
type Limits<'a> = &'a [(u64, f64)];

/// What a second came to.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    passed: u32,
    throttled: u32,
}

/// Endless work, `latency` milliseconds a call and a tenth more or less; refusals come at once.
fn simulate(kind: Kind, limits: Limits<'_>, latency: u64, seconds: u64) -> Vec<Second> {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(Rate::Auto, clock.clone());
    let mut service =
        Service { kind, limit: limits[0].1, passed: VecDeque::new(), tokens: 1.0, filled: 0 };
    let mut answers = BinaryHeap::new();
    let mut told = Vec::new();
    let (mut random, mut calls) = (1_u64, 0_u64);
    for now in 0..seconds * SECOND {
        if now % SECOND == 0 {
            told.push(Second::default());
            if let Some((_, limit)) = limits.iter().find(|(at, _)| at * SECOND == now) {
                service.limit = *limit;
            }
        }
        let second = told.last_mut().unwrap();
        while let Some(Reverse((at, throttled))) = answers.peek().copied()
            && at <= now
        {
            answers.pop();
            if throttled {
                pace.throttled()
            } else {
                pace.answered()
            };
        }
        while pace.try_permit().is_ok() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            calls += 1;
            let stray = matches!(kind, Kind::Stray(every) if calls % every == 0);
            let throttled = stray || !service.admits(now);
            let jitter = (random >> 33) % (latency / 5 + 1);
            let after = if throttled { 2 } else { latency - latency / 10 + jitter };
            answers.push(Reverse((now + after, throttled)));
            if throttled { second.throttled += 1 } else { second.passed += 1 }
        }
        clock.advance(Duration::from_millis(1));
    }
    told
}

/// The share of the limit that was used, and the share of calls that were throttled.
fn shares(seconds: &[Second], limit: f64) -> (f64, f64) {
    let passed: f64 = seconds.iter().map(|second| f64::from(second.passed)).sum();
    let throttled: f64 = seconds.iter().map(|second| f64::from(second.throttled)).sum();
    let length = f64::from(u32::try_from(seconds.len()).unwrap());
    (passed / length / limit, throttled / (passed + throttled))
}

#[rstest]
fn it_finds_a_limit_within_a_minute_and_keeps_just_below(
    #[values(2.0, 5.0, 12.0, 50.0, 200.0, 1000.0, 5000.0)] limit: f64,
    #[values(Kind::Sliding, Kind::Bucket(1.0), Kind::Bucket(0.05))] kind: Kind,
    #[values(20, 400)] latency: u64,
) {
    let told = simulate(kind, &[(0, limit)], latency, 240);
    let (used, throttled) = shares(&told[60..], limit);
    eprintln!("{limit} {kind:?} {latency} ms: used {used:.3}, throttled {throttled:.4}");
    assert!(used >= 0.9, "{used:.3} of {limit} used");
    assert!(throttled < 0.02, "{throttled:.4} of the calls throttled");
}

#[rstest]
fn throttling_for_other_reasons_does_not_bring_it_down(
    #[values(12.0, 60.0, 400.0, 3000.0)] limit: f64,
    #[values(100, 300)] every: u64,
) {
    let told = simulate(Kind::Stray(every), &[(0, limit)], 100, 600);
    let (used, throttled) = shares(&told[60..], limit);
    eprintln!("{limit} stray {every}: used {used:.3}, throttled {throttled:.4}");
    assert!(used >= 0.8, "{used:.3} of {limit} used, {throttled:.4} throttled");
}

#[rstest]
#[case(&[(0, 200.0), (120, 100.0), (240, 400.0), (360, 50.0)])]
#[case(&[(0, 1000.0), (120, 900.0), (240, 2000.0), (360, 1990.0)])]
#[case(&[(0, 10.0), (120, 500.0), (240, 60.0), (360, 7.0)])]
fn it_follows_a_limit_that_changes(#[case] limits: Limits<'_>, #[values(20, 400)] latency: u64) {
    for kind in [Kind::Sliding, Kind::Bucket(0.1)] {
        let told = simulate(kind, limits, latency, 480);
        for (from, limit) in limits {
            let from = usize::try_from(*from).unwrap();
            let (used, throttled) = shares(&told[from + 60..from + 120], *limit);
            eprintln!("{limit} {kind:?} {latency} ms: used {used:.3}, throttled {throttled:.4}");
            assert!(used >= 0.9, "{used:.3} of {limit} used");
            assert!(throttled < 0.02, "{throttled:.4} of the calls throttled");
        }
    }
}

#[test]
fn a_rate_that_is_not_used_does_not_rise() {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(Rate::Auto, clock.clone());
    for _ in 0..600 {
        let _ = pace.try_permit();
        pace.answered();
        clock.advance(Duration::from_millis(500));
    }
    assert_eq!(pace.rate(), Some(super::AUTO_START), "two calls a second say nothing of more");
}
