//! The pace as the service sees it: `cargo bench --bench pace [-- SCENARIO…]`.
//!
//! Needs a machine with nothing else to do: what a busy one holds up comes in a heap afterwards.

use std::thread;
use std::time::Duration;

mod common;

use common::{Server, calling, costag, number, row, run_of, scenarios};

/// A rate that was asked for, over 30 seconds.
fn pace() {
    for rate in [1_u32, 20, 200, 1000, 5000] {
        let objects = (rate * 30).to_string();
        let server = Server::start(&["--objects", &objects]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let qps = rate.to_string();
        // Enough of them that 5,000 a second go on while a commit waits for the disk.
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

/// A limit that nobody tells, and that changes after two minutes.
fn auto() {
    const MINUTE: Duration = Duration::from_mins(1);
    for (limit, then) in [(200_u32, 120_u32), (100, 300)] {
        let qps_limit = limit.to_string();
        let server = Server::start(&[
            "--objects",
            "1000000",
            "--latency-ms",
            "50",
            "--qps-limit",
            &qps_limit,
        ]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = run_of(&server, folder.path(), &["--qps", "auto", "--workers", "256"])
            .spawn()
            .expect("costag starts");
        let counts = || {
            let statistics = server.statistics();
            ["calls", "answered_ok", "throttled"].map(|name| number(&statistics, name))
        };
        for (limit, what) in [(limit, "found"), (then, "followed")] {
            if what == "followed" {
                server.change(&format!("{{\"qps_limit\": {limit}}}"));
            }
            thread::sleep(MINUTE);
            let before = counts();
            thread::sleep(MINUTE);
            let after = counts();
            let [calls, answered, throttled] = [0, 1, 2].map(|n| after[n] - before[n]);
            row(
                &format!("--qps auto, limit {limit} {what}"),
                &format!(
                    "in the second minute {:.1} % of the limit used, {:.2} % of the calls throttled",
                    answered / MINUTE.as_secs_f64() / f64::from(limit) * 100.0,
                    throttled / calls * 100.0
                ),
            );
        }
        child.kill().expect("it is running");
        child.wait().expect("it has ended");
    }
}

fn main() {
    scenarios(&[("pace", pace), ("auto", auto)]);
}
