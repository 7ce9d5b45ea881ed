//! Signals that end the program politely: the first one is told, a later one ends the program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;

/// SIGXFSZ, for which tokio has no name; it is this number on Linux, macOS and the BSDs.
const FILE_TOO_LARGE: i32 = 25;

/// A second signal within this time is the same wish as the first one: `timeout` and service managers send two.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Files that the machinery behind signals and timers needs. It panics where it gets none.
const SPARE_FILES: usize = 8;

/// Checks that some files can be opened yet.
///
/// # Errors
/// What the system says if not.
pub(super) fn spare_files() -> io::Result<()> {
    let open = |_| std::fs::File::open("/dev/null");
    (0..SPARE_FILES).map(open).collect::<io::Result<Vec<_>>>().map(drop)
}

/// From now on a file that reaches the limit of its size (`ulimit -f`) is an error like a full disk; by
/// default the system kills the program.
pub(super) fn survive_file_limit() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // Once it is watched it stays so, to the end of the process.
    signal(SignalKind::from_raw(FILE_TOO_LARGE)).map(drop)
}

/// SIGINT, SIGTERM, SIGQUIT and SIGHUP, watched from when this is made to the end of the process.
///
/// SIGHUP is left alone if it was ignored when the program started, as `nohup` has it.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hang_up: Option<Signal>,
    first: Option<Instant>,
}

impl Signals {
    /// Watches from now on. Must be called within a runtime.
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

    /// Returns at the first signal, with how the program is to end. Called again, it ends the program at the next
    /// signal that does not come within a second of the first, and returns never.
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
                Some(first) if first.elapsed() < SAME_WISH => {}
                Some(_) => std::process::exit(exit.code().into()),
            }
        }
    }
}

/// Whether SIGHUP is to end the program: it is not if it was ignored at the start. Where the system does not tell,
/// the signal is left as it is.
fn hang_up_ends() -> bool {
    static ENDS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ENDS.get_or_init(|| {
        std::fs::read_to_string("/proc/self/status")
            .is_ok_and(|status| ignored_signals(&status).is_some_and(|mask| mask & 1 == 0))
    })
}

/// The mask of ignored signals in a process's status; bit 0 is signal 1, SIGHUP.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Whether a signal has come, for commands that do not wait in a runtime.
#[derive(Debug)]
pub(super) struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Watches from now on, to the end of the process, on a thread of its own.
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

    /// How to end, once a signal has come.
    pub(super) fn exit(&self) -> Option<Exit> {
        let code = self.0.load(Ordering::Relaxed);
        Exit::ALL.into_iter().find(|exit| exit.code() == code).filter(|_| code != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_read_from_the_status() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t{mask}\n");
        assert_eq!(ignored_signals(&status("0000000000001001")), Some(0x1001));
        assert_eq!(ignored_signals(&status("0000000000001000")).map(|mask| mask & 1), Some(0));
        assert_eq!(ignored_signals("Name:\tx\n"), None);
    }
}
