//! `costag backup`: copies the database consistently.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::progress;
use crate::cli::signals::Interrupt;
use crate::store::Reader;
use crate::telemetry::screen;
use crate::visible::visible;

/// How often the bar is drawn.
const FRAME: Duration = Duration::from_millis(250);

/// Copy the database, even while a run is in progress
///
/// The copy shows the database at one moment. It gets its name when it is complete, and never replaces an existing file.
/// It is a database in one file, which commands can read even on a read-only disk (`costag --db FILE …`). Calls made after
/// the copy are not in it: a run that continues from an old copy pays for them again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write; it must not exist
    file: PathBuf,
}

impl Args {
    /// Makes the copy, and reports its size on stderr.
    ///
    /// # Errors
    /// The database is unusable, or the copy cannot be written (exit code 4).
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        let reader = Reader::open(&settings.db)?;
        let interrupt = Interrupt::watch()?;
        let mut shown = Instant::now();
        let made = reader.backup(&self.file, |copied, all| {
            if shown.elapsed() >= FRAME {
                shown = Instant::now();
                progress::show_share(&settings.logging, "copied", copied, all);
            }
            interrupt.exit().is_none()
        });
        screen::clear();
        if !made? {
            say!("interrupted: no copy was made");
            return Ok(interrupt.exit().unwrap_or(Exit::Interrupted));
        }
        let bytes = std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        say!("{bytes} bytes copied to {}", visible(&self.file.display().to_string()));
        Ok(Exit::Complete)
    }
}
