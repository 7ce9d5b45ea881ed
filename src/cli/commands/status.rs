//! `costag status`: shows runs, progress, failures, and what to do next.

mod advice;
mod model;
mod text;

use std::io::Write as _;
use std::path::Path;

use crate::cli::answer;
use crate::cli::check::{Answer, Known, Limits};
use crate::cli::exit::Exit;
use crate::cli::fault::Usage;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfPrices, SettingOptions};
use crate::cli::price::Price;
use crate::cli::progress;
use crate::cli::suggest::{Again, Suggestion};
use crate::config::{Budget, read_duration, read_failure_limit};
use crate::export::{self, Dialect, Output, iso_seconds};
use crate::job::RunSettings;
use crate::store::model::SourceKind;
use crate::store::read::{ContentCounts, Failure, RunRow, RunStanding};
use crate::store::{self, Reader};
use crate::time::UnixSeconds;
use crate::visible::Notation;
use model::{RunStatus, Status};

/// How many error codes are shown.
const CODES: u32 = 10;

/// Show runs, progress, and which images failed and why
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct Args {
    /// List every failed object with its last error
    #[arg(long)]
    failures: bool,
    /// Print JSON; with --failures, one object per line
    #[arg(long, conflicts_with_all = ["csv", "excel"])]
    json: bool,
    /// Print the failures as CSV
    #[arg(long, requires = "failures")]
    csv: bool,
    /// Print the failures as CSV for spreadsheets
    #[arg(long, requires = "failures")]
    excel: bool,
    /// Answer with one line whether a run has succeeded lately, for monitors such as Nagios. The exit code is 0 if all is
    /// well, 1 if the last success is too old or too many images failed, 2 if no run has succeeded, 3 if it is not known
    #[arg(long, conflicts_with_all = ["failures", "json", "csv", "excel", "runs"])]
    check: bool,
    /// Show the run at work, from another terminal, until it ends
    #[arg(long, conflicts_with_all = ["failures", "json", "csv", "excel", "runs", "check"])]
    watch: bool,
    /// With --check: how old the last success may be [default: 26h]
    #[arg(long, value_name = "DURATION", requires = "check")]
    max_age: Option<String>,
    /// With --check: how many images may have failed, as a number or a share such as 1%
    #[arg(long, value_name = "N", requires = "check")]
    max_failed: Option<String>,
    /// How many runs to show, the newest first
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: u32,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
}

impl Args {
    /// Prints the state of the database.
    ///
    /// # Errors
    /// The database is unusable, or stdout cannot be written.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        if self.check {
            return Ok(self.check(global));
        }
        let settings = global.settings(|options| self.price.give(options))?;
        let reader = Reader::open(&settings.db)?;
        if self.watch && !progress::watch(&reader, &settings)? {
            say!("no run is at work");
        }
        let notation = match (self.json, self.csv || self.excel) {
            (true, _) => Notation::Json,
            (false, true) => Notation::Csv,
            (false, false) => Notation::Text,
        };
        let mut output = Output::open_in(Path::new("-"), notation)?;
        if self.failures {
            self.failures(&reader, &mut output)?;
        } else {
            let status = Status::read(&reader, self.runs.max(1), &settings.budget)?;
            reader.unchanged()?;
            let text = if self.json {
                serde_json::to_string_pretty(&status)? + "\n"
            } else {
                text::status(&status)
            };
            output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
        }
        output.commit()?;
        Ok(Exit::Complete)
    }

    /// Prints one line that says whether a run has succeeded lately. An error is an answer, too.
    fn check(&self, global: &GlobalOptions) -> Exit {
        let answer = self.answer(global).unwrap_or_else(|error| Answer::unknown(&error));
        let exit = answer.exit();
        let told = answer::write("the answer", &answer.line(), Notation::Text, Exit::Complete);
        match (exit, told) {
            // The monitor does not see the line, so the state is not known.
            (Exit::Complete, Exit::Local) => Answer::UNKNOWN,
            _ => exit,
        }
    }

    fn answer(&self, global: &GlobalOptions) -> anyhow::Result<Answer> {
        let wrong = |option: &str, reason| Usage(format!("{option}: {reason}"));
        let limits = Limits {
            age: read_duration(self.max_age.as_deref().unwrap_or("26h"))
                .map_err(|reason| wrong("--max-age", reason))?,
            failed: read_failure_limit(self.max_failed.as_deref().unwrap_or("0"))
                .map_err(|reason| wrong("--max-failed", reason))?,
        };
        let settings = global.settings(|options| self.price.give(options))?;
        let reader = Reader::open(&settings.db)?;
        let is_running = reader.is_running();
        let known = Known {
            now: UnixSeconds::now(),
            success: reader.last_success()?,
            last: reader.runs(100)?.into_iter().find(|run| !run.plan),
            is_running,
            contents: reader.content_counts()?,
        };
        reader.unchanged()?;
        Ok(known.answer(limits))
    }

    fn failures(&self, reader: &Reader, output: &mut Output) -> Result<(), export::Error> {
        const COLUMNS: [&str; 8] =
            ["bucket", "key", "code", "http_status", "message", "request_id", "attempts", "run_id"];
        // A person does not read more than this.
        const SHOWN: usize = 1_000;
        let mut rows = 0_usize;
        let mut line = Vec::new();
        let csv = match self {
            Self { excel: true, .. } => Some(Dialect::Excel),
            Self { csv: true, .. } => Some(Dialect::Plain),
            _ => None,
        };
        if let Some(dialect) = csv {
            export::header(&COLUMNS, dialect, &mut line);
        }
        reader.failures(|failure| {
            rows += 1;
            if self.json {
                line.extend(serde_json::to_vec(failure).expect("texts and numbers, into memory"));
                line.push(b'\n');
            } else if let Some(dialect) = csv {
                export::line(&cells(failure), dialect, &mut line);
            } else if rows <= SHOWN {
                text::failure(failure, &mut line);
            }
            let written = output.write_all(&line).map_err(|source| output.error(source));
            line.clear();
            written
        })?;
        if !self.json && csv.is_none() {
            if rows == 0 {
                let _ = writeln!(line, "nothing failed");
            }
            if rows > SHOWN {
                let _ = writeln!(line, "and {} more: --csv or --json list them all", rows - SHOWN);
            }
        }
        output.write_all(&line).map_err(|source| output.error(source))
    }
}

fn cells(failure: &Failure) -> [String; 8] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
    [
        failure.bucket.clone(),
        failure.key.clone(),
        text(&failure.code),
        number(failure.http_status),
        text(&failure.message),
        text(&failure.request_id),
        failure.attempts.to_string(),
        number(failure.run_id),
    ]
}

impl Status {
    fn read(reader: &Reader, runs: u32, budget: &Budget) -> Result<Self, store::Error> {
        // Asked before the runs are read: otherwise a run that starts in between would look killed.
        let running = reader.is_running();
        let runs = reader
            .runs(runs)?
            .into_iter()
            .enumerate()
            .map(|(index, run)| {
                RunStatus::of(reader, run, running && index == 0, Price::of(budget))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let contents = reader.content_counts()?;
        let last = runs.iter().find(|run| run.import.is_none());
        let Next(next, command) = next(reader, last, contents)?;
        Ok(Self {
            database: reader.location().to_string(),
            size: reader.size(),
            contents,
            failure_codes: reader.failure_codes(CODES)?,
            next,
            next_command: command.map(|command| command.shown()),
            advice: advice::of(reader)?,
            currency: budget.currency.clone(),
            runs,
        })
    }
}

impl RunStatus {
    /// Whether lines of the run's list failed, or keys of it are missing.
    fn has_failed_lines(&self) -> bool {
        self.counts.lines_failed + self.counts.missing > 0
    }

    fn of(reader: &Reader, run: RunRow, at_work: bool, price: Price) -> Result<Self, store::Error> {
        let ranges = reader.ranges(run.id)?;
        let state = run.standing(at_work);
        let end = if at_work { Some(UnixSeconds::now()) } else { run.ended_at };
        let list = if run.source == SourceKind::Bucket {
            String::new()
        } else {
            format!(" ({})", run.source)
        };
        Ok(Self {
            id: run.id,
            source: match &run.import {
                Some(file) => format!("labels of {file} for cos://{}/", run.bucket),
                None => format!("cos://{}/{}{list}", run.bucket, run.prefix),
            },
            state,
            stop_reason: run.stop_reason,
            plan: run.plan && run.import.is_none(),
            import: run.import,
            tool_version: run.tool_version,
            started_at: time(run.started_at),
            ended_at: run.ended_at.map(time),
            seconds: run
                .ended_at
                .or(end)
                .map(|end| end.duration_since(run.started_at).as_secs().max(0)),
            listed_to_the_end: run.listed_at.is_some() && ranges.done == ranges.total,
            ranges_done: ranges.done,
            ranges: ranges.total,
            cost: price.cost(run.counts.calls, run.counts.scenes_asked),
            exit_code: run.exit_code,
            counts: run.counts,
        })
    }
}

/// What to do next: a text, and the command that does it if there is one.
struct Next(&'static str, Option<Suggestion>);

/// Says what to do next.
fn next(
    reader: &Reader,
    last: Option<&RunStatus>,
    contents: ContentCounts,
) -> Result<Next, store::Error> {
    let unfinished = reader.unfinished_run()?;
    let like_last = || {
        let settings = last.map_or(Ok(None), |last| reader.settings_of(last.id))?;
        let run = settings.and_then(|settings| RunSettings::stored(&settings).ok());
        Ok::<_, store::Error>(run.map(|run| Again::like(&run)))
    };
    let is_plan = last.is_some_and(|run| run.plan);
    Ok(match last.map(|run| run.state) {
        // An older run over another list can be unfinished although the last run is complete; a trial can be, too.
        Some(RunStanding::Complete) if !is_plan && unfinished.is_some() => {
            Next("continue the earlier run that is unfinished", Some(Suggestion::here(["resume"])))
        }
        Some(state)
            if is_plan
                && state != RunStanding::Running
                && (state != RunStanding::Complete
                    || last.is_some_and(|run| run.counts.pending() > 0)) =>
        {
            Next("call for what the plan found", like_last()?)
        }
        None => Next(
            "start the first run; its help shows how",
            Some(Suggestion::plain(["run", "--help"])),
        ),
        Some(RunStanding::Running) => {
            Next("watch the run that is at work", Some(Suggestion::here(["status", "--watch"])))
        }
        Some(state) if state.can_resume() => {
            Next("continue the last run", Some(Suggestion::here(["resume"])))
        }
        // A complete run with a reason was a trial.
        Some(RunStanding::Complete)
            if contents.pending > 0 && last.is_some_and(|run| run.stop_reason.is_some()) =>
        {
            Next("label the rest, without the limit of the last run", like_last()?)
        }
        Some(_) if contents.failed > 0 || last.is_some_and(RunStatus::has_failed_lines) => {
            Next("see what failed, and why", Some(Suggestion::here(["status", "--failures"])))
        }
        Some(_) => {
            Next("write the labels to a file", Some(Suggestion::here(["export", "-o", "tags.csv"])))
        }
    })
}

fn time(moment: UnixSeconds) -> String {
    let mut text = Vec::new();
    iso_seconds(moment, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_run_without_a_process_is_shown_as_killed_with_what_to_do_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let store = Store::open(&path).unwrap();
        let reader = store.reader().unwrap();
        let budget = crate::config::Settings::default().budget;
        let none = Status::read(&reader, 5, &budget).unwrap();
        assert_eq!(none.next_command.as_deref(), Some("costag run --help"));
        store.sql(
                "INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys');
                 INSERT INTO run (id, bucket_id, source, prefix, eligibility, state, stop_reason,
                                  settings, journals, tool_version, started_at, ended_at, counts)
                 VALUES (1, 1, 'bucket', '', 0, 'stopped', 'max_calls', '{}', 0, '0.1.0',
                         1773476130, 1773480000, '{\"listed\": 7, \"skipped\": {\"suffix\": 2}}'),
                        (2, 1, 'keys', '', 0, 'running', NULL, '{}', 0, '0.1.0', 1773490000,
                         NULL, '{\"calls\": 3, \"done\": 2}');
                 INSERT INTO content (scenes_wanted, state, run_id) VALUES (2, 3, 2), (2, 2, 2);
                 INSERT INTO error (content_id, verdict, code, status, message, request_id) VALUES (1, 'gone', 'NoSuchKey', 404, '', NULL);",
            );
        assert_eq!(Status::read(&reader, 5, &budget).unwrap().runs[0].state, RunStanding::Running);
        drop(store);
        let status = Status::read(&reader, 5, &budget).unwrap();
        assert_eq!((status.runs[0].state, status.runs[0].seconds), (RunStanding::Killed, None));
        insta::with_settings!({filters => vec![(r"database .*", "database [FILE]"), (r"size  .*", "size      [SIZE]")]}, {
            insta::assert_snapshot!(text::status(&status));
        });
    }
}
