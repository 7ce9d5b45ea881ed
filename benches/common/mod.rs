//! Helpers of the benchmarks: starting the real emulator and the real costag as processes, and measuring them.

#![allow(dead_code, reason = "each benchmark uses its part")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) mod filled;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_costag");
pub(crate) const BUCKET: &str = "cos://demo-1250000000";

/// The resources that one process used.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) peak_mb: f64,
    /// The bytes that the system wrote to disk for the process.
    pub(crate) written: u64,
}

/// A running emulator. It is ended when this value is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) endpoint: String,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(arguments, Stdio::null())
    }

    fn spawn(arguments: &[&str], stdout: Stdio) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ready = folder.path().join("ready");
        let child = Command::new(BINARY)
            .arg("emulator")
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready)
            .stdout(stdout)
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

    /// Does the same as [`Server::start`], and also returns a signed URL of `detect-label` for `key`.
    pub(crate) fn start_with_url(arguments: &[&str], key: &str) -> (Self, String) {
        use std::io::{BufRead as _, BufReader};
        let mut arguments = arguments.to_vec();
        arguments.extend(["--print-url", key]);
        let mut server = Self::spawn(&arguments, Stdio::piped());
        let stdout = server.child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let url = lines.find(|line| line.contains("ci-process=detect-label"));
        (server, url.expect("the emulator prints the URL"))
    }

    pub(crate) fn statistics(&self) -> serde_json::Value {
        let body = request(&self.endpoint, "GET", "/.costag/stats", "");
        serde_json::from_str(&body).expect("statistics are JSON")
    }

    /// Changes faults and limits while the emulator runs.
    pub(crate) fn change(&self, settings: &str) {
        let body = request(&self.endpoint, "POST", "/.costag/faults", settings);
        assert!(!body.contains("error"), "{body}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a plain HTTP request and returns the body of the answer.
fn request(endpoint: &str, method: &str, path: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let host = endpoint.strip_prefix("http://").expect("plain http");
    let mut stream = std::net::TcpStream::connect(host).expect("the emulator listens");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
}

/// The command for a run against the server, with its database in the folder.
pub(crate) fn run_of(server: &Server, folder: &Path, arguments: &[&str]) -> Command {
    command_of("run", server, folder, arguments)
}

/// Does the same as [`run_of`] for another command that takes a source.
fn command_of(name: &str, server: &Server, folder: &Path, arguments: &[&str]) -> Command {
    complete(Command::new(BINARY), name, server, folder, arguments)
}

/// Adds to the program the arguments and the environment of a command that takes a source.
pub(crate) fn complete(
    mut command: Command,
    name: &str,
    server: &Server,
    folder: &Path,
    arguments: &[&str],
) -> Command {
    command
        .args([name, BUCKET, "--no-config", "--endpoint", &server.endpoint, "--db"])
        .arg(folder.join("bench.db"))
        .args(arguments)
        .env("COSTAG_SECRET_ID", "AKIDEMULATOR")
        .env("COSTAG_SECRET_KEY", "emulator-secret-key")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Runs costag to its end and measures it.
pub(crate) fn costag(server: &Server, folder: &Path, arguments: &[&str]) -> Cost {
    measured(&mut run_of(server, folder, arguments))
}

/// Does the same as [`costag`] for another command that takes a source.
pub(crate) fn execute(name: &str, server: &Server, folder: &Path, arguments: &[&str]) -> Cost {
    measured(&mut command_of(name, server, folder, arguments))
}

/// The CPU time of a request for `url` by wrk, and how many requests it makes a second. `None` if there is no wrk.
pub(crate) fn wrk(folder: &Path, url: &str) -> Option<(Duration, f64)> {
    let told = folder.join("wrk.txt");
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c256", "-d3s", url]).stderr(Stdio::null());
    command.stdout(fs::File::create(&told).expect("a file"));
    if Command::new("wrk").arg("-v").output().is_err() {
        return None;
    }
    let cost = measured(&mut command);
    let told = fs::read_to_string(&told).expect("what it told");
    assert!(!told.contains("Non-2xx"), "{told}");
    let requests = told.lines().find_map(|line| line.trim().split_once(" requests in"));
    let requests: u32 = requests.and_then(|(n, _)| n.parse().ok()).expect("a number of requests");
    Some((cost.cpu / requests, f64::from(requests) / cost.wall.as_secs_f64()))
}

/// Runs a process to its end and measures it.
pub(crate) fn measured(command: &mut Command) -> Cost {
    let begun = Instant::now();
    let mut child = command.spawn().expect("it starts");
    let process = format!("/proc/{}", child.id());
    let mut highest_kb = 0;
    // The times of a process that has ended can be read until it is waited for.
    let (cpu, wall) = loop {
        let times = fs::read_to_string(format!("{process}/stat")).expect("it is not reaped yet");
        let fields: Vec<&str> =
            times.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
        if fields[0] == "Z" {
            let ticks = |n: usize| fields[n].parse::<u64>().expect("ticks");
            // The fields utime and stime, which Linux counts in hundredths of a second.
            let cpu = Duration::from_millis(10 * (ticks(11) + ticks(12)));
            break (cpu, begun.elapsed());
        }
        let memory = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let high = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kb) = high.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        {
            highest_kb = kb.max(highest_kb);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let told = fs::read_to_string(format!("{process}/io")).unwrap_or_default();
    let written = told.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
    let status = child.wait().expect("it has ended");
    assert!(matches!(status.code(), Some(0 | 8 | 10)), "it ended with {status}");
    #[expect(clippy::cast_precision_loss, reason = "a figure to show")]
    let peak_mb = highest_kb as f64 / 1024.0;
    Cost { cpu, wall, peak_mb, written: written.unwrap_or_default() }
}

/// How often each measurement is repeated.
pub(crate) fn repeat() -> usize {
    std::env::var("COSTAG_BENCH_REPEAT").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

/// The median of the repetitions, by CPU.
pub(crate) fn median(
    mut measure: impl FnMut() -> (Cost, serde_json::Value),
) -> (Cost, serde_json::Value) {
    let mut all: Vec<_> = (0..repeat()).map(|_| measure()).collect();
    all.sort_by_key(|(cost, _)| cost.cpu);
    all.swap_remove(all.len() / 2)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to show")]
pub(crate) fn per(total: Duration, count: u64) -> f64 {
    total.as_secs_f64() * 1e6 / count as f64
}

pub(crate) fn number(statistics: &serde_json::Value, name: &str) -> f64 {
    statistics[name].as_f64().unwrap_or_else(|| panic!("no {name} in {statistics}"))
}

/// The seconds between the first and the last call.
pub(crate) fn calling(statistics: &serde_json::Value) -> f64 {
    (number(statistics, "last_call_ms") - number(statistics, "first_call_ms")) / 1000.0
}

#[expect(clippy::print_stdout, reason = "the rows are the output")]
pub(crate) fn row(name: &str, figures: &str) {
    println!("{name:<34} {figures}");
}

/// Runs the scenarios named on the command line, or all of them.
pub(crate) fn scenarios(all: &[(&str, fn())]) {
    // Cargo passes `--bench` to the program.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    for (name, run) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run();
        }
    }
}
