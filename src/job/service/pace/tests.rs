use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::*;

/// Takes all permits for `seconds`. Returns the moments at which they were granted, in microseconds.
fn take(pace: &Pace<FakeRelativeClock>, clock: &FakeRelativeClock, seconds: u64) -> Vec<u64> {
    let mut taken = Vec::new();
    for moment in (0..seconds * 1_000_000).step_by(500) {
        while pace.try_permit().is_ok() {
            taken.push(moment);
        }
        clock.advance(Duration::from_micros(500));
    }
    taken
}

fn most_in_a_second(taken: &[u64]) -> usize {
    let mut start = 0;
    let mut most = 0;
    for (end, moment) in taken.iter().enumerate() {
        while moment - taken[start] >= 1_000_000 {
            start += 1;
        }
        most = most.max(end + 1 - start);
    }
    most
}

#[test]
fn no_sliding_second_has_more_permits_than_rate_and_burst() {
    for rate in [0.5, 1.0, 20.0, 200.0, 1500.0, 5000.0] {
        let clock = FakeRelativeClock::default();
        let pace = Pace::with_clock(Rate::PerSecond(rate), None, clock.clone());
        let taken = take(&pace, &clock, 10);
        let burst = (rate / 100.0).max(2.0);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (most, all) = (most_in_a_second(&taken) as f64, taken.len() as f64);
        assert!(most <= rate + burst, "{rate}/s: {most} in a second");
        assert!((all - 10.0 * rate).abs() <= burst + 1.0, "{rate}/s: {all} in ten seconds");
    }
}

#[test]
fn throttling_lowers_the_rate_once_a_second_and_it_rises_again() {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(Rate::PerSecond(100.0), None, clock.clone());
    for _ in 0..100 {
        assert_eq!(pace.throttled(), None);
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(pace.throttled().and_then(|change| change.rate), Some(50.0));
    assert_eq!(pace.throttled(), None, "at most once a second");
    assert_eq!(pace.changed_rate(), Some(50.0));
    for _ in 0..60 {
        for _ in 0..100 {
            let _ = pace.try_permit();
            clock.advance(Duration::from_millis(10));
        }
        for _ in 0..50 {
            pace.answered();
        }
    }
    assert_eq!(pace.rate().to_bits(), 100_f64.to_bits(), "up to the cap and not above");
    assert_eq!(pace.changed_rate(), None);
}

#[test]
fn a_few_throttles_among_many_answers_do_not_lower_the_rate() {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(Rate::PerSecond(100.0), None, clock.clone());
    for _ in 0..95 {
        pace.answered();
    }
    pace.throttled();
    clock.advance(Duration::from_secs(1));
    assert_eq!(pace.answered(), None);
}

#[test]
fn without_a_cap_throttling_limits_the_rate_to_what_was_measured() {
    let clock = FakeRelativeClock::default();
    let pace = Pace::with_clock(Rate::Unlimited, None, clock.clone());
    for _ in 0..401 {
        pace.try_permit().unwrap();
    }
    for _ in 0..300 {
        pace.answered();
    }
    for _ in 0..100 {
        pace.throttled();
    }
    clock.advance(Duration::from_secs(1));
    pace.throttled();
    assert!((pace.rate() - 300.0).abs() < 10.0, "{}", pace.rate());
}

#[test]
fn auto_begins_at_the_stored_limit_if_that_is_a_usable_rate() {
    for (found, begins) in [(180.0, 180.0), (f64::NAN, 10.0), (-3.0, 10.0), (1e300, 1e9)] {
        let pace = Pace::near(Rate::Auto, Some(found));
        assert_eq!(pace.rate().to_bits(), f64::to_bits(begins), "{found}");
    }
    let pace = Pace::near(Rate::PerSecond(20.0), Some(180.0));
    assert_eq!(
        pace.rate().to_bits(),
        20_f64.to_bits(),
        "a rate in the settings wins over the stored limit"
    );
}

/// What a job may do to a pace in half a second.
#[derive(Debug, Clone)]
struct Turn {
    /// The most permits that are taken. A pause leaves a burst for later.
    asked: u32,
    throttled: u32,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (prop_oneof![Just(0_u32), 1_u32..40, Just(u32::MAX)], 0_u32..60)
        .prop_map(|(asked, throttled)| Turn { asked, throttled });
    proptest::collection::vec(turn, 4..40)
}

proptest! {
    #![proptest_config(crate::property::with_cases(48))]
    /// Holds for any rates, whenever they change.
    #[test]
    fn no_sliding_second_has_more_permits_when_the_rate_changes(
        asked_for in prop_oneof![
            Just(Rate::Auto), Just(Rate::PerSecond(3.0)), Just(Rate::PerSecond(700.0))
        ],
        turns in turns(),
    ) {
        let clock = FakeRelativeClock::default();
        let pace = Pace::with_clock(asked_for, None, clock.clone());
        let mut taken = Vec::new();
        let mut rates = Vec::new();
        let mut now = 0_u64;
        for Turn { mut asked, throttled } in turns {
            for step in 0..100 {
                while asked > 0 && pace.try_permit().is_ok() {
                    taken.push(now);
                    asked -= 1;
                    pace.answered();
                }
                if step < throttled {
                    pace.throttled();
                }
                rates.push((now, pace.rate()));
                clock.advance(Duration::from_millis(5));
                now += 5_000;
            }
        }
        let mut last = 0;
        for (first, from) in taken.iter().enumerate() {
            while last < taken.len() && taken[last] < from + 1_000_000 {
                last += 1;
            }
            let within = |(at, _): &&(u64, f64)| (from.saturating_sub(5_000)..from + 1_000_000).contains(at);
            let highest = rates.iter().filter(within).map(|(_, rate)| *rate).fold(0.0, f64::max);
            let bound = highest + (highest / 100.0).max(2.0);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let most = (last - first) as f64;
            prop_assert!(most <= bound, "{most} in the second from {from}, {highest}/s at most");
        }
    }

    #[test]
    fn the_rate_stays_between_floor_and_cap(
        answers in proptest::collection::vec((0_u32..50, 0_u32..50), 1..120)
    ) {
        let clock = FakeRelativeClock::default();
        let pace = Pace::with_clock(Rate::PerSecond(40.0), None, clock.clone());
        for (good, bad) in answers {
            for _ in 0..good { pace.answered(); }
            for _ in 0..bad { pace.throttled(); }
            clock.advance(Duration::from_secs(1));
            let rate = pace.rate();
            prop_assert!((0.5..=40.0).contains(&rate), "{rate}");
        }
    }
}
