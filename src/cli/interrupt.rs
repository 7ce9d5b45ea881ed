//! Signals, for commands that write a file: the first one is told, a second one ends the program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;

/// SIGXFSZ, for which tokio has no name; it is this number on Linux, macOS and the BSDs.
const FILE_TOO_LARGE: i32 = 25;

/// From now on a file that reaches the limit of its size (`ulimit -f`) is an error like a full disk; by
/// default the system kills the program.
pub(super) fn survive_file_limit() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // Once it is watched it stays so, to the end of the process.
    signal(SignalKind::from_raw(FILE_TOO_LARGE)).map(drop)
}

/// Whether SIGINT or SIGTERM has come.
#[derive(Debug)]
pub(super) struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Watches from now on, to the end of the process, on a thread of its own.
    pub(super) fn watch() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut interrupts, mut terminations) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let came = Arc::new(AtomicU8::new(0));
        let tell = Arc::clone(&came);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async move {
                loop {
                    let exit = tokio::select! {
                        _ = interrupts.recv() => Exit::Interrupted,
                        _ = terminations.recv() => Exit::Terminated,
                    };
                    if tell.swap(exit.code(), Ordering::Relaxed) != 0 {
                        std::process::exit(exit.code().into());
                    }
                }
            });
        })?;
        Ok(Self(came))
    }

    /// How to end, once a signal has come.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            143 => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
}
