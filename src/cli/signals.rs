//! The signals that end the program. The first one lets it end in order, a later one ends it at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use crate::telemetry::screen;

/// The number of SIGXFSZ on Linux, macOS and the BSDs. tokio has no name for it.
const FILE_TOO_LARGE: i32 = 25;

/// A second signal within this time is ignored: `timeout` and service managers send two signals at once.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// How many files the runtime opens for signals and timers. It panics if it cannot open them.
const SPARE_FILES: usize = 8;

/// Checks that the process can open a few more files.
///
/// # Errors
/// The system's error if it cannot.
pub(super) fn spare_files() -> io::Result<()> {
    let open = |_| std::fs::File::open("/dev/null");
    (0..SPARE_FILES).map(open).collect::<io::Result<Vec<_>>>().map(drop)
}

/// Makes a file that reaches its size limit (`ulimit -f`) an error, as a full disk is. By default the system kills the
/// program.
pub(super) fn survive_file_limit() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // tokio keeps watching the signal until the end of the process.
    signal(SignalKind::from_raw(FILE_TOO_LARGE)).map(drop)
}

/// Watches SIGINT, SIGTERM, SIGQUIT and SIGHUP until the end of the process.
///
/// SIGHUP stays ignored if it was ignored when the program started, as `nohup` does.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hang_up: Option<Signal>,
    first: Option<Instant>,
}

impl Signals {
    /// Starts to watch. Must be called within a runtime.
    pub(super) fn watch() -> io::Result<Self> {
        let hang_up = hang_up_ends().then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hang_up,
            first: None,
        })
    }

    /// Waits for the first signal, and returns the exit code that it asks for. If it is called again, it ends the program at
    /// the next signal that arrives more than a second after the first, and never returns.
    pub(super) async fn next(&mut self) -> Exit {
        loop {
            let hang_up = async {
                match &mut self.hang_up {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            let exit = tokio::select! {
                _ = self.interrupt.recv() => Exit::Interrupted,
                _ = self.terminate.recv() => Exit::Terminated,
                _ = self.quit.recv() => Exit::Quit,
                _ = hang_up => Exit::HungUp,
            };
            match self.first {
                None => {
                    self.first = Some(Instant::now());
                    return exit;
                }
                Some(first) if first.elapsed() < SAME_REQUEST => {}
                Some(_) => {
                    screen::clear();
                    std::process::exit(exit.code().into())
                }
            }
        }
    }
}

/// Whether SIGHUP should end the program. Returns `false` if it was ignored at the start, or if the system does not say.
fn hang_up_ends() -> bool {
    static ENDS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ENDS.get_or_init(|| {
        std::fs::read_to_string("/proc/self/status")
            .is_ok_and(|status| ignored_signals(&status).is_some_and(|mask| mask & 1 == 0))
    })
}

/// The mask of ignored signals in the text of `/proc/self/status`. Bit 0 is signal 1, SIGHUP.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Tells whether a signal has arrived, for commands that do not wait in a runtime.
#[derive(Debug)]
pub(super) struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Starts a thread that watches until the end of the process.
    pub(super) fn watch() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            Signals::watch()?
        };
        let came = Arc::new(AtomicU8::new(0));
        let tell = Arc::clone(&came);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async move {
                loop {
                    let exit = signals.next().await;
                    tell.store(exit.code(), Ordering::Relaxed);
                }
            });
        })?;
        Ok(Self(came))
    }

    /// The exit code that a signal has asked for; `None` if no signal has arrived.
    pub(super) fn exit(&self) -> Option<Exit> {
        let code = self.0.load(Ordering::Relaxed);
        Exit::ALL.into_iter().find(|exit| exit.code() == code).filter(|_| code != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t{mask}\n");
        assert_eq!(ignored_signals(&status("0000000000001001")), Some(0x1001));
        assert_eq!(ignored_signals(&status("0000000000001000")).map(|mask| mask & 1), Some(0));
        assert_eq!(ignored_signals("Name:\tx\n"), None);
    }
}
