//! Measures exports, searches and starts: `cargo bench --bench read [-- SCENARIO…]`.
//!
//! The database has `COSTAG_BENCH_IMAGES` (default 1,000,000) images with ten labels each. It is created for each run,
//! or kept for the next one if `COSTAG_BENCH_DATABASE` names a file.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

mod common;

use costag::store::Reader;
use costag::store::read::{ImageState, Pick};

use common::filled::{RARE, fill};
use common::{BINARY, BUCKET, Cost, measured, row, scenarios};

/// The query of a long export, as somebody would write it in a SQL shell. It does not sort, which favours the shell.
const JOIN: &str = "SELECT * FROM labels";

fn images() -> u32 {
    std::env::var("COSTAG_BENCH_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

fn database() -> &'static Path {
    static DATABASE: OnceLock<(PathBuf, Option<tempfile::TempDir>)> = OnceLock::new();
    let (path, _folder) = DATABASE.get_or_init(|| {
        if let Some(path) = std::env::var_os("COSTAG_BENCH_DATABASE").map(PathBuf::from) {
            if !path.exists() {
                fill(&path, images());
            }
            return (path, None);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("read.db");
        fill(&path, images());
        (path, Some(folder))
    });
    path
}

fn costag(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).arg("--no-config").arg("--db").arg(database());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The least of several repetitions, because other work on the machine can only add time.
fn least(times: u32, mut measure: impl FnMut() -> Cost) -> Cost {
    let all: Vec<Cost> = (0..times).map(|_| measure()).collect();
    all.into_iter().min_by_key(|cost| cost.cpu).expect("at least one")
}

/// Compares exports with `sqlite3 -csv`, by rows for each second of CPU time.
fn export() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = folder.path().join("export");
    let target = output.to_str().expect("UTF-8");
    let shell = Command::new("sqlite3").arg("--version").output().is_ok().then(|| {
        measured(
            Command::new("sqlite3")
                .arg("-readonly")
                .arg("-csv")
                .arg(database())
                .arg(JOIN)
                .stdout(fs::File::create(folder.path().join("shell")).expect("a file")),
        )
    });
    if shell.is_none() {
        row("sqlite3 -csv", "left out: there is no sqlite3 here");
    }
    let mut long = None;
    for (name, layout, format) in [
        ("export, long CSV", "long", "csv"),
        ("export, wide CSV", "wide", "csv"),
        ("export, long JSON lines", "long", "jsonl"),
        ("export, wide JSON lines", "wide", "jsonl"),
    ] {
        let cost = least(2, || {
            measured(&mut costag(&["export", "-o", target, "--layout", layout, "--format", format]))
        });
        let long = long.get_or_insert_with(|| cost.clone());
        let rows = 10.0 * f64::from(images());
        let mut figures = format!(
            "{:.0} labels/s of CPU, {:.2} s, peak {:.1} MB, {:.2} times as fast as long CSV",
            rows / cost.cpu.as_secs_f64(),
            cost.wall.as_secs_f64(),
            cost.peak_mb,
            long.cpu.as_secs_f64() / cost.cpu.as_secs_f64(),
        );
        if let Some(shell) = &shell {
            let ratio = shell.cpu.as_secs_f64() / cost.cpu.as_secs_f64();
            let _ = write!(figures, ", {ratio:.2} times as sqlite3 -csv");
        }
        row(name, &figures);
    }
}

/// Finds a label that one image in a thousand has.
fn find() {
    let cost = least(5, || measured(&mut costag(&["find", "--label", RARE])));
    row(
        &format!("find, {} of {} images", images() / 1000, images()),
        &format!("{} ms of CPU, {:.1} ms", cost.cpu.as_millis(), cost.wall.as_secs_f64() * 1000.0),
    );
}

/// Counts labels, and finds and exports those of a label that two images in a thousand have.
fn counts() {
    for (name, arguments) in [
        ("stats", &["stats"][..]),
        ("stats, of at least 60", &["stats", "--min-confidence", "60"]),
        ("stats --include-gone", &["stats", "--include-gone"]),
        ("export of the rare label", &["export", "-o", "-", "--label", RARE]),
        ("find without labels", &["find", "--no-labels"]),
        ("find below a prefix", &["find", "--since", "1970-01-01", "--prefix", "photos/2026/000/"]),
        ("retag of the rare label, dry", &["retag", "--label", RARE, "--dry-run"]),
        ("retag below a prefix, dry", &["retag", "--prefix", "photos/2026/000/0001/", "--dry-run"]),
    ] {
        let cost = least(3, || measured(&mut costag(arguments)));
        row(
            &format!("{name}, {} images", images()),
            &format!(
                "{} ms of CPU, {:.1} ms, peak {:.1} MB",
                cost.cpu.as_millis(),
                cost.wall.as_secs_f64() * 1000.0,
                cost.peak_mb
            ),
        );
    }
}

/// The questions of a page: what is behind each choice, and the first pictures of a filter.
fn explore() {
    let reader = Reader::open(database()).expect("it was made");
    let pick = |name: &str| Pick { all: vec![name.to_owned()], ..Pick::default() };
    let below = Pick { prefix: "photos/2026/000/".to_owned(), ..Pick::default() };
    let failed = Pick { state: Some(ImageState::Failed), ..Pick::default() };
    for (name, pick) in [
        ("nothing", Pick::default()),
        ("a rare label", pick(RARE)),
        ("a frequent label", pick("标签0002")),
        ("a prefix", below),
        ("failed", failed),
    ] {
        let first = (0..5).map(|_| {
            let begun = Instant::now();
            let page = reader.pictures(&pick, None, 100, Some(2), || true).expect("a page");
            assert!(page.images.len() <= 100);
            begun.elapsed()
        });
        let first = first.min().expect("five of them");
        let begun = Instant::now();
        let facets =
            reader.facets(&pick, || begun.elapsed() < Duration::from_millis(50)).expect("numbers");
        row(
            &format!("first 100 pictures of {name}, {} images", images()),
            &format!(
                "{:.1} ms; numbers {:.1} ms, complete: {}",
                first.as_secs_f64() * 1e3,
                begun.elapsed().as_secs_f64() * 1e3,
                facets.complete
            ),
        );
    }
}

/// Writes a report, which counts every object and every label.
fn report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = folder.path().join("report.html");
    let target = output.to_str().expect("UTF-8");
    let cost = least(3, || measured(&mut costag(&["report", "-o", target])));
    let size = fs::metadata(&output).map_or(0, |file| file.len());
    row(
        &format!("report, {} images", images()),
        &format!(
            "{:.2} s of CPU, {:.2} s, peak {:.1} MB, {} kB",
            cost.cpu.as_secs_f64(),
            cost.wall.as_secs_f64(),
            cost.peak_mb,
            size / 1_000
        ),
    );
}

/// The time until a run sends its first request, and until the help is printed.
fn start() {
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1000.0
    };
    let help = (0..21)
        .map(|_| {
            let begun = Instant::now();
            let help = Command::new(BINARY).arg("--help").output().expect("it starts");
            assert!(help.status.success());
            begun.elapsed()
        })
        .collect();
    row("costag --help", &format!("{:.1} ms", median(help)));
    let first = (0..11)
        .map(|_| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
            let begun = Instant::now();
            let mut child = Command::new(BINARY)
                .args(["run", BUCKET, "--no-config", "--endpoint", &endpoint, "--db"])
                .arg(database())
                .env("COSTAG_SECRET_ID", "AKIDEMULATOR")
                .env("COSTAG_SECRET_KEY", "emulator-secret-key")
                .stderr(Stdio::null())
                .spawn()
                .expect("costag starts");
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            let took = begun.elapsed();
            child.kill().expect("it is running");
            child.wait().expect("it has ended");
            took
        })
        .collect();
    row(
        &format!("run on {} objects, first request", images()),
        &format!("after {:.1} ms", median(first)),
    );
    let size = fs::metadata(BINARY).map_or(0, |file| file.len());
    #[expect(clippy::cast_precision_loss, reason = "a figure to show")]
    row("the binary", &format!("{:.1} MB", size as f64 / 1e6));
}

/// The bytes of an object in the database, everything included.
fn size() {
    let size = fs::metadata(database()).map_or(0, |file| file.len());
    row("database", &format!("{} bytes an object", size / u64::from(images())));
}

fn main() {
    scenarios(&[
        ("size", size),
        ("export", export),
        ("find", find),
        ("counts", counts),
        ("explore", explore),
        ("report", report),
        ("start", start),
    ]);
}
