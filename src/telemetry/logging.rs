//! Log lines on stderr, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::screen;
use crate::config::{LogFormat, Logging};

/// Starts logging to stderr. Only the first call has an effect.
///
/// Lines are coloured on a terminal, unless the variable `NO_COLOR` is set and not empty.
pub fn init(logging: &Logging) {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    init_to(logging, || Stderr, io::stderr().is_terminal() && !plain);
}

/// Writes to stderr and never fails: `tracing` would report a failed write to stderr, and panic.
#[derive(Debug)]
struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // `tracing` writes each line at once.
        let text = String::from_utf8_lossy(line);
        screen::line(text.strip_suffix('\n').unwrap_or(&text));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does the same as [`init`] with another writer than stderr.
pub fn init_to<W>(logging: &Logging, writer: W, colours: bool)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The filter was checked together with the settings, so the fallback is never used.
    let filter = EnvFilter::try_new(&logging.filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours);
    let _ = match logging.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
