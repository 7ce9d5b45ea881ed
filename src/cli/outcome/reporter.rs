//! Is told when a run begins and how it ended, and reports both.

use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::line;
use super::summary::{Beginning, Summary};
use crate::cli::exit::Exit;
use crate::cli::fault::chain;
use crate::config::Settings;
use crate::export::Output;
use crate::job::Report;
use crate::store::Reader;
use crate::store::read::FailureCode;
use crate::visible::Notation;

/// How many codes of failures a summary has.
const CODES: u32 = 8;

/// Reports the start and the end of an invocation.
#[derive(Debug)]
pub(crate) struct Reporter {
    json: bool,
    beginning: Beginning,
}

impl Reporter {
    /// A reporter of a command that begins now. With `json`, the summary is written to stdout at the end.
    pub(crate) fn new(command: &'static str, json: bool) -> Self {
        let settings = Settings::default();
        let beginning = Beginning { command, at: Timestamp::now(), settings, source: None };
        Self { json, beginning }
    }

    /// Says that the command begins, as soon as its settings and its source are known.
    pub(crate) fn begins(&mut self, settings: &Settings, source: &str) {
        self.beginning.settings = settings.clone();
        self.beginning.source = Some(source.to_owned());
        say!("{}", line::start(&self.beginning));
    }

    /// Says how the command ended. An error is shown here, and becomes its exit code.
    ///
    /// # Errors
    /// The summary cannot be written to stdout.
    pub(crate) fn ends(
        self,
        result: anyhow::Result<(Exit, Option<Report>)>,
    ) -> anyhow::Result<Exit> {
        let (exit, report, fault) = match result {
            Ok((exit, report)) => (exit, report, None),
            Err(error) => (Exit::of(&error), None, Some(chain(error.as_ref()))),
        };
        if let Some(fault) = &fault {
            say!("error: {fault}");
        }
        let codes = report.as_ref().map(|report| self.failure_codes(report)).unwrap_or_default();
        let summary = self.beginning.ends(exit, fault, report.as_ref(), codes);
        if self.beginning.source.is_some() {
            say!("{}", line::end(&summary));
        }
        if self.json {
            print(&summary)?;
        }
        Ok(exit)
    }

    /// The codes of the run's failures. The summary is also worth having without them, so an error is not reported.
    fn failure_codes(&self, report: &Report) -> Vec<FailureCode> {
        Reader::open(&self.beginning.settings.db)
            .and_then(|reader| reader.failure_codes_of(report.run_id, CODES))
            .unwrap_or_default()
    }
}

/// Writes the summary to stdout, on one line.
fn print(summary: &Summary) -> anyhow::Result<()> {
    let mut output = Output::open(Path::new("-"))?.in_notation(Notation::Json);
    let text = serde_json::to_string(summary)? + "\n";
    output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
    output.commit()?;
    Ok(())
}
