//! Is told when a run begins and how it ended, and reports both.

use std::io::{IsTerminal as _, stderr};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;

use super::line;
use super::log_file;
use super::metrics::{self, Rewriter};
use super::notify::Notifier;
use super::ping::{Ping, Signal};
use super::summary::{Beginning, Summary};
use crate::cli::answer;
use crate::cli::exit::Exit;
use crate::cli::fault::chain;
use crate::cli::suggest;
use crate::config::Settings;
use crate::job::Report;
use crate::store::Reader;
use crate::store::read::FailureCode;
use crate::visible::{Notation, visible};

/// How many codes of failures a summary has.
const CODES: u32 = 8;

/// Reports the start and the end of an invocation.
#[derive(Debug)]
pub(crate) struct Reporter {
    json: bool,
    beginning: Beginning,
    ping: Option<Ping>,
    /// The ping of the start, which nothing waits for before the end.
    start: Option<JoinHandle<()>>,
    rewriter: Option<Rewriter>,
    notifier: Option<Notifier>,
    /// Whether the receivers of pings and notifications were read from the settings. Nobody is told about the end before
    /// that.
    tells: bool,
    /// Whether the command works on several profiles, so that an error has to say in which it is.
    is_one_of_many: bool,
}

impl Reporter {
    /// A reporter of a command that begins now. With `json`, the summary is written to stdout at the end.
    pub(crate) fn new(command: &'static str, json: bool) -> Self {
        let settings = Settings::default();
        let beginning = Beginning { command, at: Timestamp::now(), settings, source: None };
        Self {
            json,
            beginning,
            ping: None,
            start: None,
            rewriter: None,
            notifier: None,
            tells: false,
            is_one_of_many: false,
        }
    }

    /// The reporter of one of several profiles.
    pub(crate) fn of_profile(mut self, name: &str) -> Self {
        self.beginning.settings.profile = Some(name.to_owned());
        self.is_one_of_many = true;
        self
    }

    /// Says that the command begins, as soon as its settings and its source are known.
    pub(crate) fn begins(&mut self, settings: &Settings, source: &str) {
        self.beginning.settings = settings.clone();
        self.beginning.source = Some(source.to_owned());
        let line = line::start(&self.beginning);
        if is_log() {
            say!("{line}");
        }
        self.find_receivers();
        log_file::append(settings, &line);
    }

    /// Reads from `settings` who is told about the end of a command that has failed before it could begin. At a terminal
    /// nobody is told, because a person sees the error there.
    pub(crate) fn failed_to_begin(&mut self, settings: impl FnOnce() -> Settings) {
        if self.beginning.source.is_some() || !is_log() {
            return;
        }
        let profile = self.beginning.settings.profile.take();
        self.beginning.settings = settings();
        if self.is_one_of_many {
            self.beginning.settings.profile = profile;
        }
        self.find_receivers();
    }

    fn find_receivers(&mut self) {
        self.tells = true;
        self.ping = Ping::find(&self.beginning.settings);
        self.notifier = Notifier::find(&self.beginning.settings);
    }

    /// Tells monitors that the run works. Nobody else uses the database now.
    pub(crate) fn works(&mut self) {
        self.rewriter = Rewriter::start(&self.beginning);
        if let Some(ping) = self.ping.clone() {
            let send = move || ping.send(Signal::Start, String::new());
            self.start = thread::Builder::new().name("ping".to_owned()).spawn(send).ok();
        }
    }

    /// Says how the command ended, and returns its exit code. An error is shown here, and becomes its exit code. A summary
    /// that cannot be written to stdout is an error that hides no worse one.
    pub(crate) fn ends(mut self, result: anyhow::Result<(Exit, Option<Report>)>) -> Exit {
        let (exit, report, fault) = match result {
            Ok((exit, report)) => (exit, report, None),
            Err(error) => {
                let fault = chain(error.as_ref());
                match self.beginning.profile().filter(|_| self.is_one_of_many) {
                    Some(name) => say!("error: profile {}: {fault}", visible(name)),
                    None => say!("error: {fault}"),
                }
                if let Some((text, command)) = suggest::remedy(&error, self.leaves_a_run()) {
                    say!("{text}\n{command}");
                }
                (Exit::of(&error), None, Some(fault))
            }
        };
        let codes = report.as_ref().map(|report| self.failure_codes(report)).unwrap_or_default();
        let summary = self.beginning.ends(exit, fault, report.as_ref(), codes);
        if self.beginning.source.is_some() {
            let line = line::end(&summary);
            if is_log() {
                say!("{line}");
            }
            log_file::append(&self.beginning.settings, &line);
        }
        drop(self.rewriter.take());
        // If another run uses the database, monitors hear from that run.
        if self.tells && exit != Exit::Locked {
            metrics::write(&self.beginning, Some(exit), true);
            self.ping_end(&summary);
            if let Some(notifier) = &self.notifier {
                notifier.tell(&summary, exit, self.leaves_a_run());
            }
        }
        if self.json {
            // A summary consists of texts and numbers, so it always becomes JSON.
            let text = serde_json::to_string(&summary).unwrap_or_default() + "\n";
            return answer::write("the summary", &text, Notation::Json, exit);
        }
        exit
    }

    /// Whether the database has a run that can be continued. It may be one that this command began.
    fn leaves_a_run(&self) -> bool {
        Reader::open(&self.beginning.settings.db)
            .and_then(|reader| reader.unfinished_run())
            .is_ok_and(|run| run.is_some())
    }

    fn ping_end(&mut self, summary: &Summary) {
        // The pings must arrive in their order.
        if let Some(start) = self.start.take() {
            let _ = start.join();
        }
        if let Some(ping) = &self.ping {
            let body = serde_json::to_string(summary).unwrap_or_default();
            ping.send(Signal::End { is_success: summary.success }, body);
        }
    }

    /// The codes of the run's failures. The summary is also worth having without them, so an error is not reported.
    fn failure_codes(&self, report: &Report) -> Vec<FailureCode> {
        Reader::open(&self.beginning.settings.db)
            .and_then(|reader| reader.failure_codes_of(report.run_id, CODES))
            .unwrap_or_default()
    }
}

/// Whether stderr is kept as a log, so that it needs dates. A person at a terminal knows when the command began, and sees
/// what to do next in the last line.
fn is_log() -> bool {
    !stderr().is_terminal()
}
