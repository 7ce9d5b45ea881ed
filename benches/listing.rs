//! Measures listing and comparing: `cargo bench --bench listing [-- SCENARIO…]`.
//!
//! Measures a first listing, a night without changes, and how much parallel listers gain.

use std::path::Path;
use std::time::Duration;

mod common;

use common::{Cost, Server, costag, execute, median, per, row, run_of, scenarios};

/// A database with every object of the bucket, all labelled. A run lists the bucket, and SQL marks everything as labelled.
fn fill(server: &Server, folder: &Path) {
    let mut child = run_of(server, folder, &["--list-qps", "0", "--qps", "1", "--workers", "1"])
        .spawn()
        .expect("costag starts");
    let path = folder.join("bench.db");
    let is_listed = || {
        let database = rusqlite::Connection::open(&path).ok()?;
        database.busy_timeout(Duration::from_secs(30)).ok()?;
        let listed = "SELECT listed_at IS NOT NULL FROM run";
        database.query_row(listed, [], |row| row.get::<_, bool>(0)).ok()
    };
    while is_listed() != Some(true) {
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().expect("it is running");
    child.wait().expect("it has ended");
    let database = rusqlite::Connection::open(&path).expect("a database");
    database
        .execute_batch(
            "UPDATE content SET state = 2, scenes_done = scenes_wanted, run_id = NULL;
             UPDATE run SET state = 'complete';
             PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .expect("it is nobody else's");
}

fn objects() -> u64 {
    let objects = std::env::var("COSTAG_BENCH_OBJECTS").ok().and_then(|n| n.parse().ok());
    objects.unwrap_or(1_000_000)
}

/// A night without changes. `COSTAG_BENCH_OBJECTS` (default 1000000) sets how many objects.
fn unchanged() {
    let objects = objects();
    let server = Server::start(&["--objects", &objects.to_string()]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    fill(&server, folder.path());
    let size = || std::fs::metadata(folder.path().join("bench.db")).map_or(0, |file| file.len());
    let before = size();
    let (cost, _) =
        median(|| (costag(&server, folder.path(), &["--list-qps", "0"]), serde_json::Value::Null));
    row(
        &format!("{objects} objects, unchanged"),
        &format!(
            "{:.2} µs CPU an object, {:.2} s, peak {:.1} MB, the file {} KB larger",
            per(cost.cpu, objects),
            cost.wall.as_secs_f64(),
            cost.peak_mb,
            size().saturating_sub(before) / 1024
        ),
    );
}

/// A plan of a bucket whose objects are all new. `COSTAG_BENCH_OBJECTS` (default 1000000) sets how many.
fn first() {
    let objects = objects();
    let server = Server::start(&["--objects", &objects.to_string()]);
    let (cost, _) = median(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cost = execute("plan", &server, folder.path(), &["--list-qps", "0"]);
        (cost, serde_json::Value::Null)
    });
    #[expect(clippy::cast_precision_loss, reason = "a figure to show")]
    let written = cost.written as f64 / 1000.0 / objects as f64;
    row(
        &format!("{objects} objects, all new"),
        &format!(
            "{:.2} µs CPU and {written:.2} kB written an object, {:.2} s, peak {:.1} MB",
            per(cost.cpu, objects),
            cost.wall.as_secs_f64(),
            cost.peak_mb
        ),
    );
}

/// A million keys at 30 ms a page: one lister, and sixteen.
fn discovery() {
    let server = Server::start(&["--objects", "1000000", "--list-latency-ms", "30"]);
    let list = |command: &str, folder: &Path, workers: &str| {
        execute(command, &server, folder, &["--list-qps", "0", "--list-workers", workers])
    };
    let figures = |one: &Cost, many: &Cost| {
        let (one, many) = (one.wall.as_secs_f64(), many.wall.as_secs_f64());
        format!("{one:.1} s with 1 lister, {many:.1} s with 16: {:.1} times as fast", one / many)
    };
    let fresh = || tempfile::tempdir().expect("a temporary folder");
    let first = |workers| list("plan", fresh().path(), workers);
    row("first listing, 30 ms a page", &figures(&first("1"), &first("16")));

    let folder = fresh();
    fill(&server, folder.path());
    let one = list("run", folder.path(), "1");
    let (many, _) = median(|| (list("run", folder.path(), "16"), serde_json::Value::Null));
    row("later listing, 30 ms a page", &figures(&one, &many));
}

fn main() {
    scenarios(&[("first", first), ("unchanged", unchanged), ("discovery", discovery)]);
}
