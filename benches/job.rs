//! What a run costs, measured from outside: `cargo bench --bench job [-- SCENARIO…]`.
//!
//! Each scenario starts the real emulator and the real costag as processes of their own, on this machine, and
//! prints one row. CPU is user and system time of costag alone, memory its peak resident set; rates come
//! from the emulator's statistics. `COSTAG_BENCH_REPEAT` (default 3) repeats, and the median row is shown.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_costag");
const BUCKET: &str = "cos://demo-1250000000";

/// What one process took.
#[derive(Clone, Debug)]
struct Cost {
    cpu: Duration,
    wall: Duration,
    peak_mb: f64,
}

/// A running emulator; ends with the value.
struct Server {
    child: Child,
    endpoint: String,
    _folder: TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ready = folder.path().join("ready");
        let child = Command::new(BINARY)
            .arg("emulator")
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::null())
            .spawn()
            .expect("the emulator starts");
        let mut server = Self { child, endpoint: String::new(), _folder: folder };
        let since = Instant::now();
        while server.endpoint.is_empty() {
            assert!(since.elapsed() < Duration::from_secs(20), "the emulator is ready in time");
            std::thread::sleep(Duration::from_millis(10));
            let told = fs::read_to_string(&ready).unwrap_or_default();
            told.trim().clone_into(&mut server.endpoint);
        }
        server
    }

    fn statistics(&self) -> serde_json::Value {
        let body = get(&self.endpoint, "/.costag/stats");
        serde_json::from_str(&body).expect("statistics are JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GET of plain HTTP, the body up to the connection's end.
fn get(endpoint: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let host = endpoint.strip_prefix("http://").expect("plain http");
    let mut stream = std::net::TcpStream::connect(host).expect("the emulator listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
}

/// Runs costag to its end and measures it.
fn costag(server: &Server, folder: &Path, arguments: &[&str]) -> Cost {
    let begun = Instant::now();
    let mut child = Command::new(BINARY)
        .args(["run", BUCKET, "--no-config", "--endpoint", &server.endpoint, "--db"])
        .arg(folder.join("bench.db"))
        .args(arguments)
        .env("COSTAG_SECRET_ID", "AKIDEMULATOR")
        .env("COSTAG_SECRET_KEY", "emulator-secret-key")
        .stderr(Stdio::null())
        .spawn()
        .expect("costag starts");
    let process = format!("/proc/{}", child.id());
    let mut highest_kb = 0;
    // A process that has ended keeps its times until it is waited for.
    let (cpu, wall) = loop {
        let times = fs::read_to_string(format!("{process}/stat")).expect("it is not reaped yet");
        let fields: Vec<&str> =
            times.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
        if fields[0] == "Z" {
            let ticks = |n: usize| fields[n].parse::<u64>().expect("ticks");
            // utime and stime, in hundredths of a second on every Linux.
            break (Duration::from_millis(10 * (ticks(11) + ticks(12))), begun.elapsed());
        }
        let memory = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let high = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kb) = high.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        {
            highest_kb = kb.max(highest_kb);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let status = child.wait().expect("it has ended");
    assert!(matches!(status.code(), Some(0 | 8 | 10)), "costag ended with {status}");
    #[expect(clippy::cast_precision_loss, reason = "a figure to show")]
    let peak_mb = highest_kb as f64 / 1024.0;
    Cost { cpu, wall, peak_mb }
}

/// The median of the repetitions, by CPU.
fn median(mut measure: impl FnMut() -> (Cost, serde_json::Value)) -> (Cost, serde_json::Value) {
    let repeat =
        std::env::var("COSTAG_BENCH_REPEAT").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut all: Vec<_> = (0..repeat).map(|_| measure()).collect();
    all.sort_by_key(|(cost, _)| cost.cpu);
    all.swap_remove(all.len() / 2)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to show")]
fn per(total: Duration, count: u64) -> f64 {
    total.as_secs_f64() * 1e6 / count as f64
}

fn number(statistics: &serde_json::Value, name: &str) -> f64 {
    statistics[name].as_f64().unwrap_or_else(|| panic!("no {name} in {statistics}"))
}

/// Seconds between the first and the last call.
fn calling(statistics: &serde_json::Value) -> f64 {
    (number(statistics, "last_call_ms") - number(statistics, "first_call_ms")) / 1000.0
}

#[expect(clippy::print_stdout, reason = "the rows are the output")]
fn row(name: &str, figures: &str) {
    println!("{name:<34} {figures}");
}

/// Everything included and durable, the service costing nothing.
fn tagging() {
    let images = 20_000;
    let (cost, statistics) = median(|| {
        let server = Server::start(&["--objects", "20000"]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cost = costag(
            &server,
            folder.path(),
            &["--qps", "0", "--workers", "256", "--scenes", "web,camera"],
        );
        (cost, server.statistics())
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
}

/// How much of workers ÷ latency is used.
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

/// The pace, seen by the service.
fn pace() {
    for (rate, seconds) in [(20_u32, 15_u32), (200, 15), (1000, 10)] {
        let objects = (rate * seconds).to_string();
        let server = Server::start(&["--objects", &objects]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let qps = rate.to_string();
        costag(&server, folder.path(), &["--qps", &qps, "--workers", "64"]);
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

/// Memory must not grow with the bucket.
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

/// A night without changes.
fn unchanged() {
    let objects = 200_000;
    let count = objects.to_string();
    let server = Server::start(&["--objects", &count]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    costag(&server, folder.path(), &["--qps", "0", "--workers", "256"]);
    let (cost, _) =
        median(|| (costag(&server, folder.path(), &["--list-qps", "0"]), serde_json::Value::Null));
    row(
        &format!("{objects} objects, unchanged"),
        &format!(
            "{:.2} µs CPU an object, {:.2} s, peak {:.1} MB",
            per(cost.cpu, objects),
            cost.wall.as_secs_f64(),
            cost.peak_mb
        ),
    );
}

fn main() {
    let scenarios: [(&str, fn()); 5] = [
        ("tagging", tagging),
        ("latency", latency),
        ("pace", pace),
        ("memory", memory),
        ("unchanged", unchanged),
    ];
    // Cargo adds `--bench`.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    for (name, run) in scenarios {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run();
        }
    }
}
