//! Helpers of all modules: an emulator with a working folder, running the program in it, and inspecting the results.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use costag::emulator::{Emulator, Holdings, Options, SECRET_ID, SECRET_KEY, Settings, Synthetic};
use rusqlite::types::{FromSql, Value};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// The longest that a test waits for anything, on a slow machine too.
pub(crate) const LONGEST: Duration = Duration::from_mins(1);
/// The name of the emulator's bucket.
pub(crate) const BUCKET: &str = "cos://demo-1250000000";

/// An emulator, and the folder in which the program runs.
pub(crate) struct Site {
    pub(crate) emulator: Emulator,
    folder: TempDir,
}

/// The result of a program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, or `None` if a signal ended the program.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts the exit code. If it differs, shows the output.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr contains each of these texts.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in\n{}", self.stderr);
        }
        self
    }
}

/// A running program. It is killed when this value is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(mut from: impl std::io::Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut part) {
                into.lock().unwrap().extend_from_slice(&part[..count]);
            }
        });
        Self { text, thread: Some(thread) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn whole(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.so_far()
    }
}

/// Starts a command and collects its output.
pub(crate) fn start(mut command: Command) -> Running {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = Stream::read(child.stdout.take().unwrap());
    let stderr = Stream::read(child.stderr.take().unwrap());
    Running { child, stdout, stderr }
}

impl Running {
    pub(crate) fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Writes to its standard input, which must be a pipe.
    pub(crate) fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Kills it with SIGKILL. Returns whether it was still running.
    pub(crate) fn kill(mut self) -> bool {
        let runs = self.child.try_wait().unwrap().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        runs
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < LONGEST, "it does not end:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(3));
        };
        let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the condition holds, checking every few milliseconds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONGEST, "never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The program, with only a home and a path in its environment.
pub(crate) fn bare(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_costag"));
    clean(&mut command, folder);
    command.args(arguments);
    command
}

/// Clears the environment that a command would inherit.
pub(crate) fn clean(command: &mut Command, folder: &Path) {
    command.env_clear().current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
}

/// The fields of a row of the export.
pub(crate) type Row = Vec<String>;

impl Site {
    pub(crate) fn new(bucket: Synthetic, settings: Settings) -> Self {
        let holdings = Holdings::Objects(bucket);
        Self::with(Options { holdings, settings, ..Options::default() })
    }

    /// This many pictures with different bytes, and a service without faults.
    pub(crate) fn plain(objects: u64) -> Self {
        Self::new(Synthetic { objects, ..Synthetic::default() }, Settings::default())
    }

    /// A bucket with only these objects: the key, and a text that stands for the bytes.
    pub(crate) fn holding(objects: &[(&str, &str)]) -> Self {
        let site = Self::plain(0);
        site.put(objects);
        site
    }

    pub(crate) fn with(options: Options) -> Self {
        let threads = std::num::NonZeroUsize::new(1);
        let emulator = Emulator::start(Options { threads, ..options }).unwrap();
        Self { emulator, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        name.to_owned()
    }

    /// Sets an environment for this emulator's bucket, with short waits.
    pub(crate) fn set_up(&self, command: &mut Command) {
        clean(command, self.folder());
        command
            .env("COSTAG_SECRET_ID", SECRET_ID)
            .env("COSTAG_SECRET_KEY", SECRET_KEY)
            .env("COSTAG_ENDPOINT", self.emulator.endpoint())
            .env("COSTAG_QPS", "0")
            .env("COSTAG_WORKERS", "16")
            .env("COSTAG_COOLDOWN", "100ms");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_costag"));
        self.set_up(&mut command);
        command.args(arguments);
        command
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        start(self.command(arguments))
    }

    #[track_caller]
    pub(crate) fn costag(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end()
    }

    /// `costag run` over the whole bucket.
    #[track_caller]
    pub(crate) fn run(&self, options: &[&str]) -> Ended {
        self.costag(&[&["run", BUCKET], options].concat())
    }

    /// `costag resume` to the end, without the budget and the window that the run may have started with.
    #[track_caller]
    pub(crate) fn resume(&self) -> Ended {
        self.resume_with(&[])
    }

    /// As [`Site::resume`], with additional options.
    #[track_caller]
    pub(crate) fn resume_with(&self, options: &[&str]) -> Ended {
        let unlimited = ["--max-calls", "0", "--daily-calls", "0", "--max-cost", "0"];
        let unlimited = [&unlimited[..], &["--max-duration", "", "--until", ""]].concat();
        let given = |name: &str| options.contains(&name);
        let others = unlimited.chunks(2).filter(|pair| !given(pair[0])).flatten().copied();
        self.costag(&[&["resume"], &others.collect::<Vec<_>>()[..], options].concat())
    }

    /// Requests one of the emulator's own paths.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.emulator.address()).unwrap();
        // HTTP 1.0, because its answers are not chunked.
        let head = format!(
            "{method} /.costag/{path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200"), "{answer}");
        body.to_owned()
    }

    /// Changes how the emulator behaves.
    pub(crate) fn change(&self, settings: &str) {
        self.ask("POST", "faults", settings);
    }

    pub(crate) fn put(&self, objects: &[(&str, &str)]) {
        let put: Vec<_> = objects
            .iter()
            .map(|(key, content)| serde_json::json!({ "key": key, "content": content }))
            .collect();
        self.ask("POST", "objects", &serde_json::json!({ "put": put }).to_string());
    }

    /// As [`Site::put`], with a modification time this many seconds from now. A negative number is in the past.
    pub(crate) fn put_at(&self, key: &str, content: &str, seconds: i64) {
        let at = jiff::Timestamp::now().as_second() + seconds;
        let put = serde_json::json!({ "key": key, "content": content, "last_modified": at });
        self.ask("POST", "objects", &serde_json::json!({ "put": [put] }).to_string());
    }

    pub(crate) fn delete(&self, keys: &[&str]) {
        self.ask("POST", "objects", &serde_json::json!({ "delete": keys }).to_string());
    }

    pub(crate) fn reset(&self) {
        self.ask("POST", "reset", "");
    }

    /// The number of `detect-label` requests so far.
    pub(crate) fn calls(&self) -> u64 {
        self.emulator.statistics().calls
    }

    /// The number of `detect-label` requests for each key that had any.
    pub(crate) fn called(&self) -> BTreeMap<String, u64> {
        self.ask("GET", "keys", "")
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                (line["key"].as_str().unwrap().to_owned(), line["calls"].as_u64().unwrap())
            })
            .collect()
    }

    /// The rows that an export should have according to the emulator, without `bucket` and `tagged_at`.
    pub(crate) fn expected(&self, scenes: &str) -> Vec<Row> {
        let mut rows = rows(&self.ask("GET", &format!("expected?scenes={scenes}"), ""));
        for row in &mut rows {
            let time = jiff::Timestamp::from_second(row[9].parse().unwrap()).unwrap();
            row[9] = time.to_string();
        }
        rows
    }

    /// The rows of an export. `bucket` and `tagged_at` are checked here and left out.
    #[track_caller]
    pub(crate) fn export(&self, options: &[&str]) -> Vec<Row> {
        let text = self.costag(&[&["export"], options].concat()).with(0).stdout;
        let header = "bucket,key,scene,rank,name,first_category,second_category,confidence,etag,size,\
                      last_modified,tagged_at\n";
        assert!(text.starts_with(header));
        let whole = rows(&text).into_iter().map(|mut row| {
            assert_eq!(row.len(), 12);
            assert_eq!(row[0], BUCKET.trim_start_matches("cos://"));
            row.pop().unwrap().parse::<jiff::Timestamp>().unwrap();
            row.remove(0);
            row
        });
        whole.collect()
    }

    /// Asserts that the export has exactly the rows that the emulator expects, in the same order.
    #[track_caller]
    pub(crate) fn assert_exports(&self, scenes: &str) {
        let (expected, exported) = (self.expected(scenes), self.export(&[]));
        let first =
            expected.iter().zip(&exported).find(|(expected, exported)| expected != exported);
        assert_eq!(first, None, "the first row that differs");
        assert_eq!(expected.len(), exported.len());
        assert!(!expected.is_empty());
    }

    /// The number of distinct contents among the pictures of the bucket that have labels.
    pub(crate) fn contents(&self) -> u64 {
        let contents: BTreeSet<_> = self
            .expected("camera")
            .into_iter()
            .map(|row| (row[7].clone(), row[8].clone()))
            .collect();
        contents.len() as u64
    }

    /// The one JSON value that a command prints.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.costag(arguments).with(0).stdout).unwrap()
    }

    /// Asserts that `costag verify` finds nothing.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let ended = self.costag(&["verify"]).with(0);
        assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
        assert!(ended.stdout.contains("costag.db is sound"), "{}", ended.stdout);
    }

    /// Runs SQL statements on the database, as in a SQL shell.
    #[track_caller]
    pub(crate) fn tamper(&self, sql: &str) {
        let database = Connection::open(self.path("costag.db")).unwrap();
        database.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    }

    pub(crate) fn database(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path("costag.db"), flags).unwrap();
        connection.busy_timeout(LONGEST).unwrap();
        connection
    }

    /// The single value that a query returns.
    #[track_caller]
    pub(crate) fn one<T: FromSql>(&self, sql: &str) -> T {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The number of calls in the ledger with a known outcome, and the number with an unknown one.
    pub(crate) fn ledger(&self) -> (u64, u64) {
        (
            self.one::<i64>("SELECT count(*) FROM call WHERE outcome <> 4").cast_unsigned(),
            self.one::<i64>("SELECT count(*) FROM call WHERE outcome = 4").cast_unsigned(),
        )
    }

    /// The number of contents in each state: pending, in flight, done, failed.
    pub(crate) fn states(&self) -> [i64; 4] {
        [0, 1, 2, 3]
            .map(|state| self.one(&format!("SELECT count(*) FROM content WHERE state = {state}")))
    }

    /// All rows of every table except the named ones.
    pub(crate) fn tables(&self, without: &[&str]) -> BTreeMap<String, Vec<Vec<Value>>> {
        let database = self.database();
        let names =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
        let mut names = database.prepare(names).unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        names
            .filter(|name| !without.contains(&name.as_str()))
            .map(|name| {
                let mut rows = database.prepare(&format!("SELECT * FROM {name}")).unwrap();
                let columns = rows.column_count();
                let all = rows
                    .query_map([], |row| (0..columns).map(|at| row.get(at)).collect())
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                (name, all)
            })
            .collect()
    }
}

/// The records of a CSV text without its header.
pub(crate) fn rows(text: &str) -> Vec<Row> {
    csv::Reader::from_reader(text.as_bytes())
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

/// A loopback port on which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a server that answers every request with the same bytes, or never answers if there are none.
pub(crate) fn canned(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if !answer.is_empty() {
                let mut request = [0; 8192];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
            open.push(stream);
        }
    });
    address
}
