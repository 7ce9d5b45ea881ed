//! `costag backup`: a consistent copy of the database.

use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::signals::Interrupt;
use crate::store::Reader;
use crate::visible::visible;

/// Copy the database, also while a run goes on
///
/// The copy is of one moment, and takes its name when it is whole; an existing file is never replaced. It is a
/// database of its own, in one file that can be read where nothing can be written: `costag --db FILE …` reads it. What was called after the copy is not in it: going on from
/// an old copy pays for those calls again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The copy; must not exist
    file: PathBuf,
}

impl Args {
    /// Makes the copy, and tells its size on stderr.
    ///
    /// # Errors
    /// An unusable database, or a copy that cannot be written (exit code 4).
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|_| ())?;
        let reader = Reader::open(&settings.db)?;
        let interrupt = Interrupt::watch()?;
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("copying {bar:30} {percent}% {eta}") {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        });
        let made = reader.backup(&self.file, |copied, all| {
            if let Some(bar) = &bar {
                bar.set_length(all);
                bar.set_position(copied);
            }
            interrupt.exit().is_none()
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        if !made? {
            say!("interrupted: no copy was made");
            return Ok(interrupt.exit().unwrap_or(Exit::Interrupted));
        }
        let bytes = std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        say!("{bytes} bytes copied to {}", visible(&self.file.display().to_string()));
        Ok(Exit::Complete)
    }
}
