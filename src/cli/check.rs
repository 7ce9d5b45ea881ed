//! `costag status --check`: whether a run has succeeded lately, as one line and an exit code for monitors.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::SignedDuration;

use super::exit::Exit;
use super::fault::chain;
use crate::config::FailureLimit;
use crate::numbers::{counted, duration, grouped};
use crate::store::read::{ContentCounts, RunRow, Success};
use crate::time::UnixSeconds;
use crate::visible::visible;

/// How old the last success may be, and how many images may have failed, for the answer that all is well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How old the last success may be.
    pub(super) age: Duration,
    /// How many images may have failed.
    pub(super) failed: FailureLimit,
}

/// What the database says about its runs.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The present time.
    pub(super) now: UnixSeconds,
    pub(super) success: Option<Success>,
    /// The newest run that is not a plan.
    pub(super) last: Option<RunRow>,
    /// Whether a process works on the database now.
    pub(super) is_running: bool,
    pub(super) contents: ContentCounts,
}

/// The states that monitors such as Nagios know. The numbers are their exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fine,
    Late,
    Never,
    Unknown,
}

/// The answer to a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    state: State,
    text: String,
}

impl Answer {
    /// The exit code if the state is not known.
    pub(super) const UNKNOWN: Exit = Exit::ImagesFailed;

    /// The answer if an error keeps costag from knowing.
    pub(super) fn unknown(error: &anyhow::Error) -> Self {
        Self { state: State::Unknown, text: chain(error.as_ref()) }
    }

    /// The one line, with its line break.
    pub(super) fn line(&self) -> String {
        let word = match self.state {
            State::Fine => "OK",
            State::Late => "WARNING",
            State::Never => "CRITICAL",
            State::Unknown => "UNKNOWN",
        };
        format!("{word}: {}\n", self.text)
    }

    /// The exit code of the state. Only its number counts here, not what it means for other commands.
    pub(super) fn exit(&self) -> Exit {
        match self.state {
            State::Fine => Exit::Complete,
            State::Late => Exit::Unexpected,
            State::Never => Exit::Usage,
            State::Unknown => Self::UNKNOWN,
        }
    }
}

/// Whether a command line that cannot be parsed asks for a check: then its exit code is that of an unknown state.
pub(super) fn is_asked(arguments: &[OsString]) -> bool {
    ["status", "--check"].iter().all(|word| arguments.iter().any(|argument| argument == word))
}

impl Known {
    /// Compares what is known with the limits.
    pub(super) fn answer(&self, limits: Limits) -> Answer {
        let Some(success) = self.success else {
            let text = match &self.last {
                None => "no run has begun yet".to_owned(),
                Some(last) => format!("no run has succeeded yet; {}", self.describe(last)),
            };
            return Answer { state: State::Never, text };
        };
        let age =
            self.now.duration_since(success.at).max(SignedDuration::ZERO).unsigned_abs().as_secs();
        let ContentCounts { done, failed, .. } = self.contents;
        let is_old = age > limits.age.as_secs();
        let is_bad = match limits.failed {
            FailureLimit::Unlimited => false,
            FailureLimit::Count(most) => failed > most.get(),
            FailureLimit::Percent(most) => percent(failed, done + failed) > most,
        };
        let mut text = format!("the last success was run {}, {} ago", success.run_id, ago(age));
        if is_old {
            let _ = write!(text, ", more than {}", ago(limits.age.as_secs()));
        }
        let _ = write!(
            text,
            "; {} done, {} failed ({:.2}%)",
            counted(done, "image"),
            grouped(failed),
            percent(failed, done + failed)
        );
        if is_bad {
            text.push_str(", which is more than --max-failed allows");
        }
        if let Some(last) = &self.last
            && (last.id != success.run_id || last.ended_at != Some(success.at))
        {
            let _ = write!(text, "; {}", self.describe(last));
        }
        let state = if is_old || is_bad { State::Late } else { State::Fine };
        Answer { state, text }
    }

    /// The state of the newest run, in words.
    fn describe(&self, last: &RunRow) -> String {
        let RunRow { id, ended_at, exit_code, stop_reason, .. } = last;
        let reason = stop_reason.as_deref().map(|reason| format!(": {}", visible(reason)));
        let reason = reason.unwrap_or_default();
        match (ended_at, exit_code) {
            (None, _) if self.is_running => format!("run {id} is under way"),
            (None, _) => format!("run {id} was killed"),
            (Some(_), Some(code)) => format!("run {id} ended with exit code {code}{reason}"),
            (Some(_), None) => format!("run {id} ended{reason}"),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share to show")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "a duration to show")]
fn ago(seconds: u64) -> String {
    duration(seconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    fn known() -> Known {
        Known {
            now: UnixSeconds(100 * HOUR),
            success: Some(Success { run_id: 4, at: UnixSeconds(95 * HOUR) }),
            last: None,
            is_running: false,
            contents: ContentCounts { done: 990, failed: 10, ..ContentCounts::default() },
        }
    }

    fn limits(hours: u64, failed: FailureLimit) -> Limits {
        Limits { age: Duration::from_hours(hours), failed }
    }

    #[test]
    fn a_success_is_fine_until_it_is_too_old_or_too_many_images_failed() {
        let code = |limits| known().answer(limits).exit().code();
        assert_eq!(code(limits(5, FailureLimit::Percent(1.0))), 0);
        assert_eq!(code(limits(4, FailureLimit::Unlimited)), 1);
        assert_eq!(code(limits(5, FailureLimit::Percent(0.9))), 1);
        assert_eq!(
            known().answer(limits(26, FailureLimit::Unlimited)).line(),
            "OK: the last success was run 4, 5 h 0 min ago; 990 images done, 10 failed (1.00%)\n"
        );
        let never = Known { success: None, ..known() }.answer(limits(26, FailureLimit::Unlimited));
        assert_eq!(
            (never.exit().code(), never.line()),
            (2, "CRITICAL: no run has begun yet\n".to_owned())
        );
        let unknown = Answer::unknown(&anyhow::anyhow!("no database"));
        assert_eq!(
            (unknown.exit().code(), unknown.line()),
            (3, "UNKNOWN: no database\n".to_owned())
        );
    }

    #[test]
    fn a_wrong_command_line_of_a_check_is_recognised() {
        let asked = |line: &str| is_asked(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(asked("costag status --check --max-ago 26h") && !asked("costag status --json"));
    }
}
