//! Services with a limit, constant or changing, for one program or shared with another one.

use std::time::Duration;

use governor::clock::FakeRelativeClock;
use rstest::rstest;

use super::world::{Kind, NONE, Plan, World, figures, seconds_for, simulate};
use crate::config::Rate;
use crate::job::service::pace::{AUTO_START, Pace};

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
    let history = simulate(World { kind, limits: &[(0, limit)], latency, ..World::new(rate) }, 30);
    let took = seconds_for(&history, 6.0 * limit);
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
    let history = simulate(world, 120);
    let calls: u32 = history[60..90].iter().map(|one| one.passed + one.throttled).sum();
    let (before, _) = figures(&history[30..60]);
    let (after, _) = figures(&history[104..120]);
    eprintln!("{rate:?} {limit}: {calls} calls, {before:.0}/s before and {after:.0}/s after");
    // Calls that were let through before are in flight for 50 ms.
    assert!(f64::from(calls) <= 20.0 + 12.0 + 0.06 * before, "{calls} calls");
    assert!(after >= 0.8 * before, "{after:.0}/s instead of {before:.0}/s");
    let most = history[90..94].iter().map(|one| one.passed + one.throttled).max().unwrap();
    assert!(most <= 60, "the pace begins low: {most} in a second");
}

#[rstest]
fn at_a_low_rate_few_calls_are_made_while_every_call_is_throttled(#[values(1.0, 5.0)] cap: f64) {
    let world =
        World { limits: &[(0, NONE), (60, 0.0), (180, NONE)], ..World::new(Rate::PerSecond(cap)) };
    let history = simulate(world, 300);
    let calls: u32 = history[60..180].iter().map(|one| one.passed + one.throttled).sum();
    let (after, _) = figures(&history[220..]);
    eprintln!("{cap}/s: {calls} calls, {after:.2}/s afterwards");
    assert!(calls <= 20 + 26, "{calls} calls");
    assert!(after >= 0.9 * cap, "{after:.2}/s instead of {cap}/s");
}

fn finds(world: World<'_>, limit: f64) {
    let history = simulate(world, 240);
    let (passed, throttled) = figures(&history[60..]);
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
#[case(&[(0, 200.0), (120, 100.0), (240, 400.0), (360, 50.0)])]
#[case(&[(0, 1000.0), (120, 900.0), (240, 2000.0), (360, 1990.0)])]
#[case(&[(0, 10.0), (120, 500.0), (240, 60.0), (360, 7.0)])]
fn the_pace_follows_a_limit_that_changes(
    #[case] limits: Plan<'_>,
    #[values(20, 400)] latency: u64,
) {
    for kind in [Kind::Sliding, Kind::Bucket(0.1)] {
        let history = simulate(World { kind, limits, latency, ..World::new(Rate::Auto) }, 480);
        for (from, limit) in limits {
            let from = usize::try_from(*from).unwrap();
            let (passed, throttled) = figures(&history[from + 60..from + 120]);
            let used = passed / limit;
            eprintln!("{limit} {kind:?} {latency} ms: used {used:.3}, throttled {throttled:.4}");
            // If there are only a few calls a second, one call a minute is a large share.
            let (least, most) = if *limit < 50.0 { (0.92, 0.03) } else { (0.97, 0.015) };
            assert!(used >= least, "{used:.3} of {limit} used");
            assert!(throttled < most, "{throttled:.4} of the calls throttled");
        }
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
    let history = simulate(world, 300);
    let shared = &history[90..180];
    let calls: u32 = shared.iter().map(|one| one.passed + one.throttled).sum();
    let asked = f64::from(calls) / 90.0;
    let (passed, throttled) = figures(shared);
    let (after, _) = figures(&history[240..]);
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

#[test]
fn auto_begins_just_below_the_limit_that_was_found() {
    let world = |limits, found| World { limits, found: Some(found), ..World::new(Rate::Auto) };
    let history = simulate(world(&[(0, 200.0)], 194.0), 60);
    let (passed, throttled) = figures(&history);
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
    let history = simulate(world, 180);
    let (passed, throttled) = figures(&history[90..]);
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
    let start = AUTO_START;
    assert_eq!(
        pace.rate().to_bits(),
        start.to_bits(),
        "two calls a second do not test a higher rate"
    );
}
