//! Helpers of all modules: an emulator with a working folder, running the program in it, and inspecting the results.

mod browser;
mod dice;
mod increments;
mod inspect;
mod program;
mod screen;
mod servers;
mod suggested;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use costag::emulator::{Emulator, Holdings, Options, SECRET_ID, SECRET_KEY, Settings, Synthetic};
use tempfile::TempDir;

pub(crate) use browser::{Browser, REBOUND};
pub(crate) use dice::Dice;
pub(crate) use increments::Loaded;
pub(crate) use inspect::{Row, rows};
pub(crate) use program::{
    Ended, Running, bare, clean, on_a_terminal, on_a_terminal_of, start, wait_until,
};
pub(crate) use screen::Screen;
pub(crate) use servers::{Reserved, answering, canned, http, last_page, nobody, posted, run_at};
pub(crate) use suggested::words_of;

/// The longest that a test waits for anything, on a slow machine too.
pub(crate) const LONGEST: Duration = Duration::from_mins(1);
/// The name of the emulator's bucket.
pub(crate) const BUCKET: &str = "cos://demo-1250000000";

/// An emulator, and the folder in which the program runs.
pub(crate) struct Site {
    pub(crate) emulator: Emulator,
    folder: TempDir,
}

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
}
