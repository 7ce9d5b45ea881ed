//! The file to which runs append the dated lines of their start and their end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::fault::chain;
use crate::config::Settings;
use crate::system;
use crate::visible::visible;

/// Appends a line to the log file, if the settings name one. A failure is a warning, and never ends a run.
pub(super) fn append(settings: &Settings, line: &str) {
    let Some(path) = &settings.watching.log_file else { return };
    if let Err(error) = write(path, &settings.db, line) {
        say!("warning: the log file is not written: {}", chain(error.as_ref()));
    }
}

fn write(path: &Path, database: &Path, line: &str) -> anyhow::Result<()> {
    refuse_database("log_file", path, database)?;
    let shown = || format!("cannot append to {}", visible(&path.display().to_string()));
    // A pipe that nobody reads must not hold up the run.
    let mut options = OpenOptions::new();
    let options = system::never_wait(options.append(true).create(true));
    let mut file = options.open(path).with_context(shown)?;
    // One write, so that lines of several profiles that run at once do not mix.
    file.write_all(format!("{line}\n").as_bytes()).with_context(shown)
}

/// Refuses a setting that names the database, whether the files exist already or not.
pub(super) fn refuse_database(setting: &str, path: &Path, database: &Path) -> anyhow::Result<()> {
    let real = |path: &Path| -> std::io::Result<PathBuf> {
        let path = std::path::absolute(path)?;
        Ok(path.canonicalize().unwrap_or(path))
    };
    anyhow::ensure!(
        real(path)? != real(database)?,
        "{setting} names the database: name another file"
    );
    Ok(())
}
