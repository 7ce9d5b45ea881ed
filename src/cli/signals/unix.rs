//! The signals of Unix.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::exit::Exit;

/// The number of SIGXFSZ on Linux, macOS and the BSDs. tokio has no name for it.
const FILE_TOO_LARGE: i32 = 25;

/// Makes a file that reaches its size limit (`ulimit -f`) an error, as a full disk is. By default the system kills the
/// program.
pub(in crate::cli) fn survive_file_limit() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // tokio keeps watching the signal until the end of the process.
    signal(SignalKind::from_raw(FILE_TOO_LARGE)).map(drop)
}

/// SIGINT, SIGTERM, SIGQUIT and SIGHUP.
///
/// SIGHUP stays ignored if it was ignored when the program started, as `nohup` does.
#[derive(Debug)]
pub(super) struct Sources {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hang_up: Option<Signal>,
}

impl Sources {
    /// Starts to watch. Must be called within a runtime.
    pub(super) fn watch() -> io::Result<Self> {
        let hang_up = hang_up_ends().then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hang_up,
        })
    }

    /// Waits for the next signal, and returns the exit code that it asks for.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.quit.recv() => Exit::Quit,
            () = recv(&mut self.hang_up) => Exit::HungUp,
        }
    }
}

/// Waits for a signal; for ever without one.
async fn recv(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Tells when the program was stopped (Ctrl-Z) and goes on.
#[derive(Debug)]
pub(in crate::cli) struct Continued(Option<Signal>);

impl Continued {
    /// Starts to watch. Must be called within a runtime.
    pub(in crate::cli) fn watch() -> Self {
        Self(signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw())).ok())
    }

    /// Waits until the program goes on. Never ends if the system does not tell.
    pub(in crate::cli) async fn next(&mut self) {
        recv(&mut self.0).await;
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
