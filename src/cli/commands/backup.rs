//! `costag backup`: copies the database consistently.

use std::path::PathBuf;

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::progress;
use crate::cli::signals::Interrupt;
use crate::numbers::counted;
use crate::store::Reader;
use crate::visible::visible;

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
        let bar = progress::bar(&settings.logging, "copied");
        let made = reader.backup(&self.file, |copied, all| {
            bar.set_length(all);
            bar.set_position(copied);
            interrupt.exit().is_none()
        });
        bar.finish_and_clear();
        if !made? {
            say!("interrupted: no copy was made");
            return Ok(interrupt.exit().unwrap_or(Exit::Interrupted));
        }
        let bytes = std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        let file = self.file.display().to_string();
        say!("{} copied to {}", counted(bytes, "byte"), visible(&file));
        Ok(Exit::Complete)
    }
}
