//! The file to which runs append the dated lines of their start and their end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::cli::fault::chain;
use crate::config::Settings;
use crate::visible::visible;

/// Appends a line to the log file, if the settings name one. A failure is a warning, and never ends a run.
pub(super) fn append(settings: &Settings, line: &str) {
    let Some(path) = &settings.watching.log_file else { return };
    if let Err(error) = write(path, &settings.db, line) {
        say!("warning: the log file is not written: {}", chain(error.as_ref()));
    }
}

fn write(path: &Path, database: &Path, line: &str) -> anyhow::Result<()> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    anyhow::ensure!(real(path) != real(database), "log_file names the database");
    let shown = || format!("cannot append to {}", visible(&path.display().to_string()));
    let mut file = OpenOptions::new().append(true).create(true).open(path).with_context(shown)?;
    // One write, so that lines of several profiles that run at once do not mix.
    file.write_all(format!("{line}\n").as_bytes()).with_context(shown)
}
