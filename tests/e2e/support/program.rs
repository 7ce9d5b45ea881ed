//! Starting the program, waiting for it, and reading its output.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::suggested::Start;
use super::{LONGEST, Site};

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
    start: Start,
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
    let start = Start::of(&command);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = Stream::read(child.stdout.take().unwrap());
    let stderr = Stream::read(child.stderr.take().unwrap());
    Running { child, stdout, stderr, start }
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
    pub(crate) fn end(self) -> Ended {
        let (ended, start) = self.end_unchecked();
        start.check(&ended.stderr, ended.code);
        start.check(&ended.stdout, ended.code);
        ended
    }

    /// Like [`Running::end`], but does not try the commands that the output suggests, because the test has made them fail.
    #[track_caller]
    pub(crate) fn end_untried(self) -> Ended {
        self.end_unchecked().0
    }

    #[track_caller]
    fn end_unchecked(mut self) -> (Ended, Start) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < LONGEST, "it does not end:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(3));
        };
        let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
        (Ended { code: status.code(), stdout, stderr }, self.start.clone())
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

/// Starts the program on a terminal made by `script` of util-linux, with the environment that `set_up` gives.
/// Everything that the program writes is in stdout. Returns `None` if that tool is missing.
pub(crate) fn on_a_terminal(set_up: impl FnOnce(&mut Command), arguments: &str) -> Option<Running> {
    on_a_terminal_of(80, set_up, arguments)
}

/// As [`on_a_terminal`], with a terminal of this many columns.
pub(crate) fn on_a_terminal_of(
    columns: usize,
    set_up: impl FnOnce(&mut Command),
    arguments: &str,
) -> Option<Running> {
    let version = Command::new("script").arg("--version").output();
    let has_tool =
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"));
    if !has_tool {
        let required = std::env::var_os("COSTAG_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!required, "`script` of util-linux is missing");
        eprintln!("left out: there is no `script` of util-linux here");
        return None;
    }
    let mut command = Command::new("script");
    set_up(&mut command);
    if !command.get_envs().any(|(name, _)| name == "TERM") {
        command.env("TERM", "xterm");
    }
    let size = format!("stty cols {columns} rows 24");
    let line = format!("{size}; echo $$ >pid; exec '{}' {arguments}", env!("CARGO_BIN_EXE_costag"));
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::piped());
    command.env("SHELL", "/bin/sh");
    Some(start(command))
}

impl Site {
    /// See [`on_a_terminal`], with the environment of [`Site::set_up`].
    pub(crate) fn start_on_a_terminal(&self, arguments: &str) -> Option<Running> {
        on_a_terminal(|command| self.set_up(command), arguments)
    }

    /// The process id of the program that [`Site::start_on_a_terminal`] has started.
    pub(crate) fn pid_on_the_terminal(&self) -> String {
        let pid = || std::fs::read_to_string(self.path("pid"));
        wait_until("the process id", || pid().is_ok_and(|pid| pid.ends_with('\n')));
        pid().unwrap().trim().to_owned()
    }
}
