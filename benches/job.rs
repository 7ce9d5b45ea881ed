//! Measures a run from outside: `cargo bench --bench job [-- SCENARIO…]`.
//!
//! Each scenario starts the real emulator and the real costag as processes of their own, on this machine, and
//! prints one row. CPU is the user and system time of costag alone, memory is its peak resident set. Rates come
//! from the emulator's statistics. `COSTAG_BENCH_REPEAT` (default 3) repeats, and the median row is shown.

use std::fs;

mod common;

use common::{Server, calling, costag, median, number, per, row, scenarios, wrk};

/// The CPU time of an image, everything included and durable, with a service that answers at once. Compared with wrk.
fn tagging() {
    // The first key that the emulator computes.
    const KEY: &str = "albums/2024/01/01/IMG_00000000_51111e.jpg";
    let images = 20_000;
    let mut bare = Vec::new();
    let (cost, statistics) = median(|| {
        let (server, url) = Server::start_with_url(&["--objects", "20000"], KEY);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cost = costag(
            &server,
            folder.path(),
            &["--qps", "0", "--workers", "256", "--scenes", "web,camera"],
        );
        let statistics = server.statistics();
        bare.extend(wrk(folder.path(), &url));
        (cost, statistics)
    });
    assert_eq!(statistics["answered_ok"], 20_000);
    row(
        "20,000 images, no latency",
        &format!(
            "{:.1} µs CPU an image, {:.0} images/s, peak {:.1} MB",
            per(cost.cpu, images),
            20_000.0 / calling(&statistics),
            cost.peak_mb
        ),
    );
    bare.sort_by_key(|(cpu, _)| *cpu);
    match bare.get(bare.len() / 2) {
        Some((cpu, per_second)) => row(
            "the same URL by wrk",
            &format!(
                "{:.2} µs CPU a request, {per_second:.0} requests/s: an image takes {:.1} times as much",
                cpu.as_secs_f64() * 1e6,
                per(cost.cpu, images) / (cpu.as_secs_f64() * 1e6)
            ),
        ),
        None => row("the same URL by wrk", "skipped: there is no wrk"),
    }
}

/// The rate as a share of workers ÷ latency, which is the most that is possible.
fn latency() {
    for (workers, objects) in [(256_u32, "60000"), (600, "120000")] {
        let (cost, statistics) = median(|| {
            let server = Server::start(&["--objects", objects, "--latency-ms", "50"]);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let workers = workers.to_string();
            let arguments = ["--qps", "0", "--workers", &workers, "--scenes", "web,camera"];
            let cost = costag(&server, folder.path(), &arguments);
            (cost, server.statistics())
        });
        let rate = number(&statistics, "answered_ok") / calling(&statistics);
        let ideal = f64::from(workers) / 0.050;
        row(
            &format!("50 ms latency, {workers} workers"),
            &format!(
                "{rate:.0} calls/s, {:.1} % of workers ÷ latency, peak {:.1} MB",
                rate / ideal * 100.0,
                cost.peak_mb
            ),
        );
    }
}

/// The peak memory for a small and a large bucket: it must not grow with the bucket.
fn memory() {
    for objects in ["20000", "500000"] {
        let server = Server::start(&["--objects", objects]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cost = costag(
            &server,
            folder.path(),
            &["--qps", "0", "--workers", "256", "--scenes", "web,camera"],
        );
        let size = fs::metadata(folder.path().join("bench.db")).map_or(0, |file| file.len());
        row(
            &format!("{objects} objects tagged"),
            &format!(
                "peak {:.1} MB resident, {:.1} s, {} bytes of database an object",
                cost.peak_mb,
                cost.wall.as_secs_f64(),
                size / objects.parse::<u64>().expect("a number")
            ),
        );
    }
}

fn main() {
    scenarios(&[("tagging", tagging), ("latency", latency), ("memory", memory)]);
}
