//! Measures a run from outside: `cargo bench --bench job [-- SCENARIO…]`.
//!
//! Each scenario starts the real emulator and the real costag as processes of their own, on this machine, and
//! prints one row. CPU is the user and system time of costag alone, memory is its peak resident set. Rates come
//! from the emulator's statistics. `COSTAG_BENCH_REPEAT` (default 3) repeats, and the median row is shown.
//!
//! `commits` compares with another build of costag if `COSTAG_BENCH_AGAINST` names its binary. The runs of both
//! alternate, so that the ratio does not depend on what else the machine does.

use std::fs;
use std::process::Command;

mod common;

use common::{
    BINARY, Cost, Server, calling, complete, costag, measured, median, number, per, repeat, row,
    run_of, scenarios, wrk,
};

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

/// What an image costs by pace and by number of workers: at a low pace, it is the commits that cost.
fn commits() {
    let none: [&str; 0] = [];
    for workers in ["1", "4", "64", "256"] {
        let images = if workers.len() == 1 { 3_000 } else { 20_000 };
        by_pace(&format!("{workers} workers, no latency"), images, &none, "0", workers);
    }
    by_pace("256 workers, 50 ms", 40_000, &["--latency-ms", "50"], "0", "256");
    by_pace("64 workers, 1,000 a second", 10_000, &none, "1000", "64");
    by_pace("64 workers, 100 a second", 1_500, &none, "100", "64");
}

/// The rate with a disk that takes 20 ms for each wait: the default number of workers has to reach the pace.
fn slow_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = folder.path().join("slow_sync.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/slow_sync.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(source);
    let name = "1,000 a second, a sync of 20 ms";
    if !compiler.status().is_ok_and(|status| status.success()) {
        return row(name, "skipped: there is no C compiler");
    }
    for workers in ["auto", "16"] {
        let told = folder.path().join("stderr.txt");
        let (_, statistics) = median(|| {
            let server = Server::start(&["--objects", "20000", "--latency-ms", "50"]);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let arguments = ["--qps", "1000", "--scenes", "web,camera", "--workers", workers];
            let mut command = run_of(&server, folder.path(), &arguments);
            command.env("LD_PRELOAD", &shim).env("SLOW_SYNC_MS", "20");
            command.stderr(fs::File::create(&told).expect("a file"));
            (measured(&mut command), server.statistics())
        });
        let rate = number(&statistics, "answered_ok") / calling(&statistics);
        let told = fs::read_to_string(&told).unwrap_or_default();
        let advice = told.lines().find(|line| line.contains("--workers")).unwrap_or_default();
        row(&format!("{name}, {workers} workers"), &format!("{rate:.0} calls/s {advice}"));
    }
}

/// Prints a row for this build, and one for the other build if there is one.
fn by_pace(name: &str, images: u64, service: &[&str], qps: &str, workers: &str) {
    let against = std::env::var("COSTAG_BENCH_AGAINST").ok();
    let objects = images.to_string();
    let service = [&["--objects", &objects], service].concat();
    let arguments = ["--qps", qps, "--workers", workers, "--scenes", "web,camera"];
    let run = |program: Command| {
        let server = Server::start(&service);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cost = measured(&mut complete(program, "run", &server, folder.path(), &arguments));
        let statistics = server.statistics();
        assert_eq!(statistics["answered_ok"], images);
        (cost, number(&statistics, "answered_ok") / calling(&statistics))
    };
    let builds: Vec<&str> = [BINARY].into_iter().chain(against.as_deref()).collect();
    let mut figures = vec![Vec::new(); builds.len()];
    for _ in 0..repeat() {
        for (build, figures) in builds.iter().zip(&mut figures) {
            figures.push(run(Command::new(build)));
        }
    }
    let shown: Vec<(Cost, f64)> = figures
        .into_iter()
        .map(|mut all| {
            all.sort_by_key(|(cost, _)| cost.cpu);
            all.swap_remove(all.len() / 2)
        })
        .collect();
    for ((build, (cost, rate)), which) in builds.iter().zip(&shown).zip(["", "... before"]) {
        let syncs = syncs(build, |program| {
            run(program);
        });
        let syncs = syncs.map_or("no strace".to_owned(), |n| format!("{:.3}", ratio(n, images)));
        row(
            if which.is_empty() { name } else { which },
            &format!(
                "{:.1} µs CPU, {:.2} kB written, {syncs} syncs an image, {rate:.0} images/s",
                per(cost.cpu, images),
                ratio(cost.written, images) / 1000.0
            ),
        );
    }
    if let [(now, now_rate), (before, before_rate)] = &shown[..] {
        row(
            "... now as a share of before",
            &format!(
                "{:.2} of the CPU, {:.2} of the bytes, {:.2} of the rate",
                now.cpu.as_secs_f64() / before.cpu.as_secs_f64(),
                ratio(now.written, before.written),
                now_rate / before_rate
            ),
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to show")]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// Counts how often a build waits for the disk in a run. `None` if there is no strace.
fn syncs(build: &str, run: impl FnOnce(Command)) -> Option<u64> {
    Command::new("strace").arg("-V").output().ok()?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let told = folder.path().join("strace.txt");
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o"]);
    command.arg(&told).arg(build);
    run(command);
    let told = fs::read_to_string(&told).expect("what strace told");
    Some(told.lines().filter(|line| line.contains("sync(")).count() as u64)
}

fn main() {
    scenarios(&[
        ("tagging", tagging),
        ("latency", latency),
        ("memory", memory),
        ("commits", commits),
        ("slow-disk", slow_disk),
    ]);
}
