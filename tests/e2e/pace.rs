//! The pace that was asked for, as the service sees it.

use costag::emulator::{Settings, Statistics, Synthetic};
use rstest::rstest;

use crate::support::Site;

fn paced(rate: u32, seconds: u32) -> Statistics {
    let bucket = Synthetic { objects: u64::from(rate * seconds), ..Synthetic::default() };
    let site = Site::new(bucket, Settings { latency_ms: 20, ..Settings::default() });
    site.run(&["--qps", &rate.to_string()]).with(0);
    site.emulator.statistics()
}

#[rstest]
#[case(20, 3)]
#[case(200, 3)]
fn no_second_holds_more_calls_than_were_asked_for(#[case] rate: u32, #[case] seconds: u32) {
    let seen = paced(rate, seconds);
    assert_eq!(seen.calls, u64::from(rate * seconds));
    let most = f64::from(rate) * 1.05 + 2.0;
    assert!(f64::from(u32::try_from(seen.peak_per_second).unwrap()) <= most, "{seen:?}");
    let took = seen.last_call_ms - seen.first_call_ms;
    assert!(took + 200 >= u64::from(seconds - 1) * 1000, "{took} ms");
}

#[rstest]
#[case(20, 10)]
#[case(200, 10)]
#[ignore = "needs a machine with nothing else to do"]
fn the_average_is_the_rate(#[case] rate: u32, #[case] seconds: u32) {
    let seen = paced(rate, seconds);
    let took = f64::from(u32::try_from(seen.last_call_ms - seen.first_call_ms).unwrap()) / 1000.0;
    let average = f64::from(rate * seconds - 1) / took;
    eprintln!(
        "{rate}/s asked for, {average:.2}/s on average, at most {} in a second",
        seen.peak_per_second
    );
    assert!((average / f64::from(rate) - 1.0).abs() <= 0.02, "{average}");
}
