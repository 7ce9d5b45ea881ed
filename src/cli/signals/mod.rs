//! The signals that end the program. The first one lets it end in order, a later one ends it at once.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use self::unix::{Continued, survive_file_limit};
#[cfg(windows)]
pub(super) use self::windows::{Continued, survive_file_limit};

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(unix)]
use self::unix::Sources;
#[cfg(windows)]
use self::windows::Sources;
use super::exit::Exit;
use crate::system::no_file;
use crate::telemetry::screen;

/// A second signal within this time is ignored: `timeout` and service managers send two signals at once.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// How many files the runtime opens for signals and timers. It panics if it cannot open them.
const SPARE_FILES: usize = 8;

/// Checks that the process can open a few more files.
///
/// # Errors
/// The system's error if it cannot.
pub(super) fn spare_files() -> io::Result<()> {
    let open = |_| std::fs::File::open(no_file());
    (0..SPARE_FILES).map(open).collect::<io::Result<Vec<_>>>().map(drop)
}

/// Watches the signals that end the program, until the end of the process.
#[derive(Debug)]
pub(super) struct Signals {
    sources: Sources,
    first: Option<Instant>,
}

impl Signals {
    /// Starts to watch. Must be called within a runtime.
    pub(super) fn watch() -> io::Result<Self> {
        Ok(Self { sources: Sources::watch()?, first: None })
    }

    /// Waits for the first signal, and returns the exit code that it asks for. If it is called again, it ends the program at
    /// the next signal that arrives more than a second after the first, and never returns.
    pub(super) async fn next(&mut self) -> Exit {
        loop {
            let exit = self.sources.next().await;
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
