//! The events of a Windows console.

use std::io;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
    ctrl_logoff, ctrl_shutdown,
};

use crate::cli::exit::Exit;

/// Nothing to do: the size of files has no limit here.
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(in crate::cli) fn survive_file_limit() -> io::Result<()> {
    Ok(())
}

/// Ctrl-C, Ctrl-Break, and the ends of the window, of the session and of the system. After the last three, Windows ends the
/// program a few seconds later.
#[derive(Debug)]
pub(super) struct Sources {
    interrupt: CtrlC,
    quit: CtrlBreak,
    close: CtrlClose,
    log_off: CtrlLogoff,
    shut_down: CtrlShutdown,
}

impl Sources {
    /// Starts to watch. Must be called within a runtime.
    pub(super) fn watch() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            quit: ctrl_break()?,
            close: ctrl_close()?,
            log_off: ctrl_logoff()?,
            shut_down: ctrl_shutdown()?,
        })
    }

    /// Waits for the next event, and returns the exit code that it asks for.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.quit.recv() => Exit::Quit,
            _ = self.close.recv() => Exit::HungUp,
            _ = self.log_off.recv() => Exit::HungUp,
            _ = self.shut_down.recv() => Exit::Terminated,
        }
    }
}

/// Never: a program in a console is not stopped.
#[derive(Debug)]
pub(in crate::cli) struct Continued;

impl Continued {
    /// Does nothing.
    pub(in crate::cli) fn watch() -> Self {
        Self
    }

    /// Never ends.
    pub(in crate::cli) async fn next(&mut self) {
        std::future::pending().await
    }
}
