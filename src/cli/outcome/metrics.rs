//! The metrics file for the textfile collector of Prometheus' node exporter. It is replaced as a whole, during the run and
//! at its end.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use super::summary::Beginning;
use crate::cli::exit::Exit;
use crate::cli::fault::chain;
use crate::cli::price::Price;
use crate::config::Settings;
use crate::export::Output;
use crate::store::model::Counts;
use crate::store::read::ContentCounts;
use crate::store::{Error, Reader};
use crate::time::UnixSeconds;

/// How often the file is rewritten during a run.
const EVERY: Duration = Duration::from_mins(1);

/// The numbers of the file.
#[derive(Debug, Default)]
struct Metrics {
    database: String,
    /// Empty if no profile was chosen.
    profile: String,
    last_success: UnixSeconds,
    last_completion: UnixSeconds,
    run_seconds: f64,
    exit_code: u8,
    contents: ContentCounts,
    /// The sums over all runs of the database.
    calls: Counts,
    units: u64,
}

/// Rewrites the file until it is dropped.
#[derive(Debug)]
pub(super) struct Rewriter {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rewriter {
    /// Rewrites the file now and every minute. `None` if no file is wanted.
    pub(super) fn start(beginning: &Beginning) -> Option<Self> {
        beginning.settings.watching.metrics_file.as_ref()?;
        let (stop, stopped) = mpsc::channel();
        let beginning = beginning.clone();
        let rewrite = move || {
            let mut works = true;
            loop {
                works = write(&beginning, None, works);
                if !matches!(stopped.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        };
        // Without a thread, the file is still written at the end.
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(rewrite).ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Rewriter {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes the file, if one is wanted. `ended` is how the run ended, or `None` during a run. A failure is a warning, unless
/// `warns` is false. Returns whether it was written.
pub(super) fn write(beginning: &Beginning, ended: Option<Exit>, warns: bool) -> bool {
    let Some(path) = path(&beginning.settings) else { return true };
    let written = replace(&path, beginning, ended);
    if let (Err(error), true) = (&written, warns) {
        say!("warning: the metrics are not written: {}", chain(error.as_ref()));
    }
    written.is_ok()
}

/// The file of these settings. In its name, `{profile}` stands for the name of the profile.
pub(crate) fn path(settings: &Settings) -> Option<PathBuf> {
    let path = settings.watching.metrics_file.as_ref()?;
    let name = settings.profile.as_deref().unwrap_or("default");
    Some(match path.to_str() {
        Some(text) => text.replace("{profile}", name).into(),
        None => path.clone(),
    })
}

fn replace(path: &Path, beginning: &Beginning, ended: Option<Exit>) -> anyhow::Result<()> {
    // The name "-" means a file here, and not standard output.
    let path = std::path::absolute(path)?;
    super::log_file::refuse_database("metrics_file", &path, &beginning.settings.db)?;
    let text = Metrics::read(beginning, ended)?.text();
    let mut output = Output::open(&path)?;
    output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
    output.commit()?;
    Ok(())
}

impl Metrics {
    /// Reads the numbers from the database. All of them are zero if there is none yet.
    fn read(beginning: &Beginning, ended: Option<Exit>) -> Result<Self, Error> {
        let settings = &beginning.settings;
        let now = Timestamp::now();
        let mut metrics = Self {
            database: settings.db.display().to_string(),
            profile: settings.profile.clone().unwrap_or_default(),
            run_seconds: now.duration_since(beginning.at).as_secs_f64().max(0.0),
            ..Self::default()
        };
        match Reader::open(&settings.db) {
            Ok(reader) => metrics.add(&reader, Price::of(&settings.budget))?,
            Err(Error::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(exit) = ended {
            metrics.exit_code = exit.code();
            metrics.last_completion = now.into();
        }
        Ok(metrics)
    }

    fn add(&mut self, reader: &Reader, price: Price) -> Result<(), Error> {
        self.last_success =
            reader.last_success()?.map_or_else(UnixSeconds::default, |success| success.at);
        self.contents = reader.content_counts()?;
        let runs = reader.runs(u32::MAX)?;
        for run in runs.iter().filter(|run| !run.plan) {
            let (sum, of_run) = (&mut self.calls, &run.counts);
            sum.answered += of_run.answered;
            sum.failed_calls += of_run.failed_calls;
            sum.throttled += of_run.throttled;
            sum.thrown_away += of_run.thrown_away;
            sum.unknown += of_run.unknown;
            // Runs of older versions did not count scenes: a call asks for at least one.
            let scenes = of_run.scenes_asked.max(of_run.calls);
            self.units += price.billing.units_of(of_run.calls, scenes);
            self.last_completion = self.last_completion.max(run.ended_at.unwrap_or_default());
        }
        // During a run, the exit code is that of the one before.
        let code = runs.iter().filter(|run| !run.plan).find_map(|run| run.exit_code);
        self.exit_code = code.unwrap_or_default();
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let (database, profile) = (escaped(&self.database), escaped(&self.profile));
        let mut family = |name: &str, kind: &str, help: &str, values: &[(&str, &dyn Display)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (label, value) in values {
                let _ = writeln!(
                    text,
                    "{name}{{database=\"{database}\",profile=\"{profile}\"{label}}} {value}"
                );
            }
        };
        let mut one = |name: &str, kind: &str, help: &str, value: &dyn Display| {
            family(name, kind, help, &[("", value)]);
        };
        one(
            "costag_last_success_timestamp_seconds",
            "gauge",
            "When a run last ended with a success; 0 if none has.",
            &self.last_success.0,
        );
        one(
            "costag_last_completion_timestamp_seconds",
            "gauge",
            "When a run last ended; 0 if none has.",
            &self.last_completion.0,
        );
        one(
            "costag_run_duration_seconds",
            "gauge",
            "How long the last invocation took, or has taken so far.",
            &self.run_seconds,
        );
        one(
            "costag_run_exit_code",
            "gauge",
            "The exit code of the last invocation that has ended.",
            &self.exit_code,
        );
        one("costag_units_total", "counter", "Units of billing of all calls.", &self.units);
        let ContentCounts { pending, in_flight, done, failed } = &self.contents;
        family(
            "costag_contents",
            "gauge",
            "Images with different bytes, by state.",
            &[
                (",state=\"pending\"", pending),
                (",state=\"in_flight\"", in_flight),
                (",state=\"done\"", done),
                (",state=\"failed\"", failed),
            ],
        );
        let calls = &self.calls;
        family(
            "costag_calls_total",
            "counter",
            "Calls that ended, by outcome.",
            &[
                (",outcome=\"answered\"", &calls.answered),
                (",outcome=\"failed\"", &calls.failed_calls),
                (",outcome=\"throttled\"", &calls.throttled),
                (",outcome=\"thrown_away\"", &calls.thrown_away),
                (",outcome=\"unknown\"", &calls.unknown),
            ],
        );
        text
    }
}

/// The value of a label, in which the format escapes three characters.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_without_a_run_are_zeros() {
        let metrics = Metrics { database: "a\"b.db".to_owned(), ..Metrics::default() };
        insta::assert_snapshot!(metrics.text());
    }
}
