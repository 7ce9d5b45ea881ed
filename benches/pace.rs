//! Measures the pace as the service sees it: `cargo bench --bench pace [-- SCENARIO…]`.
//!
//! Needs a machine with nothing else to do. A busy machine delays calls, and then they come all at once.

use std::thread;
use std::time::{Duration, Instant};

mod common;

use common::{Server, calling, costag, number, row, run_of, scenarios};

/// Compares the configured rate with the measured one, over 30 seconds.
fn pace() {
    for rate in [1_u32, 20, 200, 1000, 5000] {
        let objects = (rate * 30).to_string();
        let server = Server::start(&["--objects", &objects]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let qps = rate.to_string();
        // Enough workers for 5,000 calls a second while a commit waits for the disk.
        costag(&server, folder.path(), &["--qps", &qps, "--workers", "512"]);
        let statistics = server.statistics();
        let mean = (number(&statistics, "calls") - 1.0) / calling(&statistics);
        row(
            &format!("--qps {rate}"),
            &format!(
                "mean {mean:.2}/s ({:+.2} %), most in a sliding second {} (bound {})",
                (mean / f64::from(rate) - 1.0) * 100.0,
                number(&statistics, "peak_per_second"),
                1.05 * f64::from(rate) + 2.0
            ),
        );
    }
}

/// Random throttle answers that do not depend on the pace: 30 seconds of work at 200 calls a second.
fn noise() {
    for share in ["0.01", "0.03", "0.1", "0.3"] {
        let fault = format!("slow_down={share}");
        let server = Server::start(&["--objects", "6000", "--latency-ms", "50", "--fault", &fault]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        costag(&server, folder.path(), &["--qps", "200", "--workers", "64"]);
        let statistics = server.statistics();
        let (calls, took) = (number(&statistics, "calls"), calling(&statistics));
        row(
            &format!("--qps 200, {share} of the calls refused at random"),
            &format!(
                "{took:.1} s for {calls} calls: {:.2} times what they need at that pace",
                took / (calls / 200.0)
            ),
        );
    }
}

/// The same with a limit of 200 calls a second, which `auto` has found before.
fn auto_noise() {
    for share in ["0.03", "0.1", "0.3"] {
        let fault = format!("slow_down={share}");
        let (latency, limit) = (["--latency-ms", "50"], ["--qps-limit", "200"]);
        let objects = ["--objects", "9000", "--fault", &fault];
        let server = Server::start(&[&objects[..], &latency, &limit].concat());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let calls = || {
            let statistics = server.statistics();
            number(&statistics, "calls") - number(&statistics, "throttled")
        };
        costag(&server, folder.path(), &["--qps", "auto", "--limit", "2500"]);
        let before = calls();
        let took = costag(&server, folder.path(), &["--qps", "auto", "--limit", "4000"]).wall;
        let (took, calls) = (took.as_secs_f64(), calls() - before);
        row(
            &format!("--qps auto, limit 200, {share} of the calls refused at random"),
            &format!(
                "{took:.1} s for {calls} calls: {:.2} times what they need at that pace",
                took / (calls / 200.0)
            ),
        );
    }
}

/// Default options against a service that takes 2 s for a call.
fn slow() {
    let server =
        Server::start(&["--objects", "6000", "--latency-ms", "1500", "--jitter-ms", "1000"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = run_of(&server, folder.path(), &["--qps", "200"]).spawn().expect("it starts");
    let answered = || number(&server.statistics(), "answered_ok");
    let begun = Instant::now();
    let mut last = 0.0;
    let mut reached = None;
    while child.try_wait().expect("it can be waited for").is_none() {
        thread::sleep(Duration::from_secs(1));
        let now = answered();
        // The second in which the last calls end is not a whole one.
        if reached.is_none() && now - last >= 180.0 {
            reached = Some(begun.elapsed());
        }
        last = now;
    }
    let statistics = server.statistics();
    row(
        "--qps 200, 2 s a call, default workers",
        &format!(
            "180/s after {:.0} s, mean {:.1}/s over all",
            reached.unwrap_or_default().as_secs_f64(),
            number(&statistics, "calls") / calling(&statistics)
        ),
    );
}

/// The default number of workers against fixed ones, without a pace and without latency.
fn workers() {
    let rate = |options: &[&str]| {
        let server = Server::start(&["--objects", "100000"]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        costag(&server, folder.path(), &[&["--qps", "0"], options].concat());
        let statistics = server.statistics();
        number(&statistics, "calls") / calling(&statistics)
    };
    let numbers = ["auto", "16", "64", "256", "1024"];
    let mut best = [0.0_f64; 5];
    // The machine is noisy, so the best of interleaved runs counts.
    for _ in 0..3 {
        for (best, workers) in best.iter_mut().zip(numbers) {
            *best = best.max(rate(&["--workers", workers]));
        }
    }
    let figures: Vec<_> =
        numbers.iter().zip(best).map(|(number, rate)| format!("{number}: {rate:.0}/s")).collect();
    row("workers, no pace and no latency", &figures.join(", "));
}

/// A listing in which a tenth of the pages is refused at random.
fn list_noise() {
    for qps in ["0", "50"] {
        let took = ["0", "0.1"].map(|share| {
            let fault = format!("list_slow_down={share}");
            let server = Server::start(&["--objects", "500000", "--fault", &fault]);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let options = ["--list-qps", qps, "--exclude", "**"];
            costag(&server, folder.path(), &options).wall.as_secs_f64()
        });
        row(
            &format!("500 pages, --list-qps {qps}, 0.1 of them refused at random"),
            &format!("{:.1} s, {:.1} s with none refused", took[1], took[0]),
        );
    }
}

/// For each limit in turn: how much of it is used, and how many calls are throttled, in its second minute.
fn keep_to_limits(pace: &str, limits: &[u32]) {
    const MINUTE: Duration = Duration::from_mins(1);
    let first = limits[0].to_string();
    let server =
        Server::start(&["--objects", "1000000", "--latency-ms", "50", "--qps-limit", &first]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = run_of(&server, folder.path(), &["--qps", pace, "--workers", "256"])
        .spawn()
        .expect("costag starts");
    let counts = || {
        let statistics = server.statistics();
        ["calls", "answered_ok", "throttled"].map(|name| number(&statistics, name))
    };
    for limit in limits {
        server.change(&format!("{{\"qps_limit\": {limit}}}"));
        thread::sleep(MINUTE);
        let before = counts();
        thread::sleep(MINUTE);
        let after = counts();
        let [calls, answered, throttled] = [0, 1, 2].map(|n| after[n] - before[n]);
        row(
            &format!("--qps {pace}, limit {limit}"),
            &format!(
                "in the second minute {:.1} % of the limit used, {:.2} % of the calls throttled",
                answered / MINUTE.as_secs_f64() / f64::from(*limit) * 100.0,
                throttled / calls * 100.0
            ),
        );
    }
    child.kill().expect("it is running");
    child.wait().expect("it has ended");
}

/// `--qps auto` with an unknown limit that changes after two minutes.
fn auto() {
    keep_to_limits("auto", &[200, 120]);
    keep_to_limits("auto", &[100, 300]);
}

/// A `--qps` above the service's limit.
fn cap() {
    keep_to_limits("500", &[200]);
}

fn main() {
    scenarios(&[
        ("pace", pace),
        ("noise", noise),
        ("auto-noise", auto_noise),
        ("slow", slow),
        ("workers", workers),
        ("list-noise", list_noise),
        ("cap", cap),
        ("auto", auto),
    ]);
}
