//! Services that refuse calls at any pace.

use rstest::rstest;

use super::world::{Faulty, World, figures, seconds_for, simulate, simulate_run};
use crate::config::Rate;

#[rstest]
fn throttle_answers_that_are_faults_do_not_lower_the_pace(
    #[values(12.0, 60.0, 400.0, 3000.0)] limit: f64,
    #[values(0.01, 0.0033)] noise: f64,
) {
    let world = World { limits: &[(0, limit)], noise: &[(0, noise)], ..World::new(Rate::Auto) };
    let history = simulate(world, 600);
    let (passed, throttled) = figures(&history[60..]);
    let used = passed / limit;
    eprintln!("{limit} noise {noise}: used {used:.3}, throttled {throttled:.4}");
    assert!(used >= 0.8, "{used:.3} of {limit} used, {throttled:.4} throttled");
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
    let history = simulate(world, 2 * u64::from(seconds));
    let good = rate * (1.0 - noise);
    // Work of six seconds consists only of the first seconds, in which nothing is known.
    for work in [f64::from(seconds), 6.0] {
        let took = seconds_for(&history, good * work);
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
    let history =
        simulate(World { noise: &[(0, noise)], ..World::new(Rate::PerSecond(rate)) }, 600);
    let (passed, _) = figures(&history);
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
    let history = simulate(world, 360);
    // Calls that fail by a fault do not count for the limit.
    let (passed, throttled) = figures(&history[120..]);
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
    let history = simulate(World { noise: &noises, ..World::new(Rate::PerSecond(rate)) }, 360);
    let least = if rate < 100.0 { 0.5 } else { 0.75 };
    for (from, noise) in noises {
        let from = usize::try_from(from).unwrap();
        let (passed, _) = figures(&history[from..from + 60]);
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
    let history = simulate(world, 360);
    for (from, limit) in limits {
        let from = usize::try_from(from).unwrap();
        let (passed, throttled) = figures(&history[from + 60..from + 120]);
        let used = passed / limit;
        eprintln!("{rate:?} noise {noise} {limit}: used {used:.3}, throttled {throttled:.4}");
        assert!(used >= 0.4, "{used:.3} of {limit} used");
        assert!(throttled < 0.25, "{throttled:.4} of the calls throttled");
    }
}

/// Listings are like this: a few requests at a time, far below the allowed rate.
#[rstest]
fn faults_do_not_slow_down_requests_that_do_not_use_the_whole_pace(
    #[values(0.03, 0.1, 0.3)] noise: f64,
) {
    let few = World { noise: &[(0, noise)], workers: 4, latency: 100, ..World::new(Rate::Auto) };
    let history = simulate(World { rate: Rate::PerSecond(100.0), ..few }, 120);
    let took = seconds_for(&history, 40.0 * (1.0 - noise) * 60.0);
    eprintln!("{noise}: a minute's work in {took:.1?} s");
    assert!(took.is_some_and(|took| took <= 90.0), "{took:.1?}");
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
        let history = simulate(World { found, seed: 100 + seed, ..world }, 60);
        let took = seconds_for(&history, 30.0 * most);
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
