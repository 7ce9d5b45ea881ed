//! The exit codes: their numbers and meanings, which the help and the manual print, the code of each error, and what is
//! said at the end of a run.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::fault::{LocalFault, UnknownWord, UnwritableFolder, Usage, chain};
use super::suggest::{Again, Then};
use super::terminal;
use crate::job::verdict::{GiveUp, Operation, Stop, Verdict, advice, verdict};
use crate::job::{End, Report, StopReason};
use crate::numbers::counted;
use crate::store::model::Counts;
use crate::visible::visible;
use crate::{config, cos, export, job, store};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything is done.
    Complete = 0,
    /// An error that should not occur.
    Unexpected = 1,
    /// The command or its settings are wrong and have to be changed.
    Usage = 2,
    /// Everything was called, but images failed in this run.
    ImagesFailed = 3,
    /// A disk or an output of this machine cannot be written or read.
    Local = 4,
    /// The network or the service failed for a temporary reason.
    Temporary = 5,
    /// The service does not allow this account to do it.
    Credentials = 6,
    /// The database cannot be used.
    State = 7,
    /// A budget is used up, and work remains.
    Budget = 8,
    /// Too many images failed.
    Failures = 9,
    /// The time window ended, and work remains.
    Window = 10,
    /// Another run uses the database.
    Locked = 11,
    /// SIGHUP: the terminal was closed.
    HungUp = 129,
    /// SIGINT, as Ctrl-C sends it.
    Interrupted = 130,
    /// SIGQUIT, as Ctrl-\\ sends it.
    Quit = 131,
    /// SIGTERM, as `kill` sends it.
    Terminated = 143,
}

impl Exit {
    /// Every exit code, ascending.
    pub const ALL: [Self; 16] = [
        Self::Complete,
        Self::Unexpected,
        Self::Usage,
        Self::ImagesFailed,
        Self::Local,
        Self::Temporary,
        Self::Credentials,
        Self::State,
        Self::Budget,
        Self::Failures,
        Self::Window,
        Self::Locked,
        Self::HungUp,
        Self::Interrupted,
        Self::Quit,
        Self::Terminated,
    ];

    /// The codes of commands that do several things, the worst first. A signal is not among them, because it ends the
    /// command.
    const WORST_FIRST: [Self; 12] = [
        Self::Unexpected,
        Self::State,
        Self::Local,
        Self::Usage,
        Self::Credentials,
        Self::Failures,
        Self::Temporary,
        Self::Locked,
        Self::ImagesFailed,
        Self::Budget,
        Self::Window,
        Self::Complete,
    ];

    /// The worse of two codes. A signal is worse than any other code.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        let place = |exit: &Self| Self::WORST_FIRST.iter().position(|one| one == exit);
        // `None`, a signal, is less than any place.
        if place(&other) < place(&self) { other } else { self }
    }

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The number of the signal that this code stands for, if it stands for one.
    pub const fn signal(self) -> Option<i32> {
        match self {
            Self::HungUp => Some(1),
            Self::Interrupted => Some(2),
            Self::Quit => Some(3),
            Self::Terminated => Some(15),
            _ => None,
        }
    }

    /// What the code means and what to do, as the manual says it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Unexpected => "unexpected error",
            Self::Usage => "wrong command or configuration; wrong bucket, region or endpoint",
            Self::ImagesFailed => {
                "complete, but images failed or keys of a list are missing (costag status --failures)"
            }
            Self::Local => "a local file or output cannot be written or read, such as a full disk",
            Self::Temporary => "network or service failed for a temporary reason: run again later",
            Self::Credentials => {
                "credentials are missing or wrong, permission denied, service not activated, arrears"
            }
            Self::State => "the database is damaged, not costag's, or newer than this program",
            Self::Budget => "a budget is reached; work remains: costag resume",
            Self::Failures => "too many images failed (--max-failures, or the first twenty calls)",
            Self::Window => "the time window ended; work remains: costag resume",
            Self::Locked => "another run uses the database",
            Self::HungUp => "the terminal was closed (SIGHUP); progress is saved: costag resume",
            Self::Quit => "quit (SIGQUIT); progress is saved: costag resume",
            Self::Interrupted => "interrupted (SIGINT, Ctrl-C); progress is saved: costag resume",
            Self::Terminated => "terminated (SIGTERM); progress is saved: costag resume",
        }
    }

    /// The table of all codes, for the help.
    pub fn table() -> String {
        let mut text = "Exit codes:\n".to_owned();
        for exit in Self::ALL {
            let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
        }
        text
    }

    /// The exit code of an error: the code of the first cause that has one.
    pub fn of(error: &anyhow::Error) -> Self {
        // `anyhow` finds a context only in the error as a whole, not in its chain.
        if error.is::<LocalFault>() || error.is::<UnwritableFolder>() {
            return Self::Local;
        }
        Self::of_causes(error.chain())
    }

    /// The code of the first of these causes that has one.
    fn of_causes<'e>(
        mut causes: impl Iterator<Item = &'e (dyn std::error::Error + 'static)>,
    ) -> Self {
        // A new module with its own error type adds a line here.
        causes
            .find_map(|cause| {
                None.or_else(|| cause.downcast_ref::<store::Error>().map(Self::from))
                    .or_else(|| cause.downcast_ref::<export::Error>().map(Self::from))
                    .or_else(|| cause.downcast_ref::<config::Error>().map(Self::from))
                    .or_else(|| cause.downcast_ref::<cos::credentials::Error>().map(Self::from))
                    .or_else(|| cause.downcast_ref::<job::Error>().and_then(Self::of_job))
                    .or_else(|| cause.is::<Usage>().then_some(Self::Usage))
                    .or_else(|| cause.is::<UnknownWord>().then_some(Self::Usage))
                    .or_else(|| cause.is::<job::ListError>().then_some(Self::Usage))
                    .or_else(|| cause.is::<crate::import::Error>().then_some(Self::Usage))
                    .or_else(|| cause.is::<crate::glob::GlobError>().then_some(Self::Usage))
                    .or_else(|| cause.is::<cos::endpoint::Error>().then_some(Self::Usage))
                    .or_else(|| cause.is::<cos::client::BuildError>().then_some(Self::Usage))
            })
            .unwrap_or(Self::Unexpected)
    }
}

impl Exit {
    /// The exit code of a job's result, as it is stored with the run.
    pub(super) fn of_result(result: Result<&Report, &job::Error>) -> Self {
        match result {
            Ok(report) => Self::of_report(report),
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = error;
                Self::of_causes(std::iter::successors(Some(error), |error| error.source()))
            }
        }
    }

    /// The exit code of a run that ended without an error.
    pub(super) fn of_report(report: &Report) -> Self {
        match &report.end {
            End::Complete | End::Trial(_) if report.fails() => Self::ImagesFailed,
            End::Complete | End::Trial(_) => Self::Complete,
            End::Stopped(reason) => of_reason(reason).0,
        }
    }

    /// The exit code of a job's error. `None` leaves it to the causes of the error.
    fn of_job(error: &job::Error) -> Option<Self> {
        match error {
            job::Error::Store(error) => Some(Self::from(error)),
            job::Error::List(_) | job::Error::Glob(_) => Some(Self::Usage),
            job::Error::Settings { .. } => Some(Self::State),
            job::Error::Thread(_) => Some(Self::Local),
            job::Error::WriterGone | job::Error::Panicked | job::Error::UnstorableSettings(_) => {
                None
            }
        }
    }
}

impl From<&cos::credentials::Error> for Exit {
    fn from(_: &cos::credentials::Error) -> Self {
        Self::Credentials
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&config::Error> for Exit {
    fn from(_: &config::Error) -> Self {
        Self::Usage
    }
}

impl From<&store::Error> for Exit {
    fn from(error: &store::Error) -> Self {
        use store::Error;
        match error {
            Error::Missing { .. } | Error::NoBackup { .. } => Self::Usage,
            Error::Locked { .. } | Error::Linked { .. } | Error::ChangedMeanwhile { .. } => {
                Self::Locked
            }
            Error::Foreign { .. }
            | Error::Newer { .. }
            | Error::Older { .. }
            | Error::Corrupt { .. }
            | Error::Altered { .. }
            | Error::Unsound { .. }
            | Error::Migration { .. } => Self::State,
            Error::Open { .. }
            | Error::Files { .. }
            | Error::TakenAway { .. }
            | Error::Restored { .. }
            | Error::Unread { .. }
            | Error::Copy { .. }
            | Error::Disk { .. }
            | Error::Busy { .. }
            | Error::ReadOnly { .. } => Self::Local,
            Error::Undone | Error::Statement { .. } => Self::Unexpected,
        }
    }
}

impl From<&export::Error> for Exit {
    fn from(error: &export::Error) -> Self {
        use export::Error;
        match error {
            Error::Store(error) => Self::from(error),
            Error::Open { .. } | Error::Folder { .. } | Error::Write { .. } => Self::Local,
            Error::There { .. } | Error::TooMany { .. } => Self::Usage,
            // `costag export | head` has done what was asked of it.
            Error::Closed { .. } => Self::Complete,
            Error::Interrupted => Self::Interrupted,
        }
    }
}

/// Once this run is complete, says on stderr which run over another list is unfinished.
fn tell_of_other_lists(report: &Report, again: &Again) {
    let (End::Complete, Some(list)) = (&report.end, &report.list) else { return };
    if let Some(run) = list.unfinished.last() {
        say!(
            "run {run} over another list is unfinished; to continue it:\n{}",
            again.then(Then::ResumeAnother)
        );
    }
}

/// Says on stderr how the run ended and what to do about it, and returns the exit code. `again` is the present command.
pub(super) fn explain_end(report: &Report, again: &Again) -> Exit {
    tell_of_other_lists(report, again);
    let reason = match &report.end {
        End::Complete | End::Trial(_) if report.fails() => {
            if terminal::is_quiet() {
                // With --quiet there was no summary, which names the failures.
                say!("error: {}", failures(report));
            }
            say!("to see what failed or is missing, and why:\n{}", again.then(Then::Failures));
            return Exit::ImagesFailed;
        }
        End::Complete | End::Trial(_) => return Exit::Complete,
        End::Stopped(reason) => reason,
    };
    let (exit, steps) = of_reason(reason);
    match reason {
        // The summary has named the signal already, unless there was none because of --quiet.
        StopReason::Signal(_) if !terminal::is_quiet() => {}
        StopReason::Refused(_, operation, error) => {
            let message = chain(&**error);
            say!("error: {message}");
            if let Some(advice) = advice(*operation, error) {
                say!("{advice}");
            }
        }
        StopReason::Throttled(error) => {
            say!("error: the service throttled every request for too long: {}", chain(&**error));
        }
        StopReason::Unavailable(error) => {
            say!("error: the service gave no usable answer for too long: {}", chain(&**error));
            if let Some(advice) = advice(Operation::List, error) {
                say!("{advice}");
            }
        }
        _ => say!("stopped: {}", visible(&reason.to_string())),
    }
    if !again.can_be_continued() && steps.iter().any(|(_, then)| *then == Then::Resume) {
        say!("to begin again:\n{}", again.then(Then::Again));
        return exit;
    }
    for (text, then) in steps {
        say!("{text}\n{}", again.then(*then));
    }
    match reason {
        StopReason::Recogniser { .. } => {
            say!("use another --db: a rehearsal must not mix with real results");
        }
        StopReason::Unread(list) => {
            let (option, file) = list.split_once(' ').unwrap_or((list, ""));
            let command = again.then(Then::Resume).with([option, file]);
            say!(
                "a list that only the database names is not opened. If it is yours, give it again to continue:\n{command}"
            );
        }
        _ => {}
    }
    exit
}

/// What failed in a complete run, in words.
fn failures(report: &Report) -> String {
    let Counts { failed, lines_failed, missing, .. } = report.snapshot.counts;
    let fails_if_missing = report.list.as_ref().is_some_and(|list| list.fails_if_missing);
    let missing = if fails_if_missing { missing } else { 0 };
    let are = if missing == 1 { "is" } else { "are" };
    let told = [
        (failed, format!("{} failed", counted(failed, "image"))),
        (lines_failed, format!("{} of the list failed", counted(lines_failed, "line"))),
        (missing, format!("{} of the list {are} missing", counted(missing, "key"))),
    ];
    let told: Vec<_> =
        told.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    told.join(", ")
}

/// What to do in turn: a text that ends with a colon, and the command that follows it.
type Steps = &'static [(&'static str, Then)];

const RESUME: Steps = &[("everything so far is saved; to continue:", Then::Resume)];

fn of_reason(reason: &StopReason) -> (Exit, Steps) {
    match reason {
        StopReason::Signal(number) => (of_signal(*number), RESUME),
        StopReason::Budget(_) => (Exit::Budget, RESUME),
        StopReason::Window(_) => (Exit::Window, RESUME),
        StopReason::Breaker(_) => (
            Exit::Failures,
            &[
                ("to see what failed, and why:", Then::Failures),
                ("once the cause is gone, to put the failed images back:", Then::Retry),
                ("and then to continue:", Then::Resume),
            ],
        ),
        StopReason::BadImages(_) => (
            Exit::Failures,
            &[
                (
                    "the service refused these images for their format, size or content, and has labelled none yet. An \
                     older page of the API names PNG and JPEG, up to 3 MB, and more than 50 x 50 pixels: \
                     --suffixes png,jpg,jpeg and --max-size 3M leave other images out. To see the refused ones:",
                    Then::Failures,
                ),
                ("to continue with the images after them:", Then::Again),
                ("to have the refused ones called again by the next run:", Then::Retry),
            ],
        ),
        StopReason::Denied(_) => (
            Exit::Credentials,
            &[(
                "the policy of these credentials must allow ci:CreateDetectLabelJob and cos:GetObject on the bucket; \
                 then, to continue:",
                Then::Resume,
            )],
        ),
        StopReason::LookUpsDenied(_) => (
            Exit::Credentials,
            &[(
                "the policy of these credentials must allow cos:HeadObject and cos:GetObject on the bucket; then, to \
                 continue:",
                Then::Resume,
            )],
        ),
        StopReason::Refused(Stop::Configuration, ..)
        | StopReason::Recogniser { .. }
        | StopReason::Unread(_) => (Exit::Usage, &[]),
        StopReason::Refused(stop, _, _) => (of_stop(*stop), RESUME),
        StopReason::AskedToWait { .. } | StopReason::Unavailable(_) | StopReason::Remains => {
            (Exit::Temporary, RESUME)
        }
        StopReason::Throttled(_) => (
            Exit::Temporary,
            &[(
                "another program may use up the limit of this account, so wait a while. Everything so far is saved; to \
                 continue:",
                Then::Resume,
            )],
        ),
        // A trial whose images are all settled is complete: see `End::Trial`.
        StopReason::Trial(_) => (Exit::Complete, &[]),
        StopReason::Internal => (Exit::Unexpected, &[]),
    }
}

fn of_signal(number: i32) -> Exit {
    let of_number = |exit: &Exit| exit.signal() == Some(number);
    Exit::ALL.into_iter().find(of_number).unwrap_or(Exit::Interrupted)
}

fn of_stop(stop: Stop) -> Exit {
    match stop {
        Stop::Configuration => Exit::Usage,
        Stop::Protocol => Exit::Temporary,
        Stop::Limit => Exit::Local,
        Stop::Credentials | Stop::Permission | Stop::NotActivated | Stop::Arrears | Stop::Clock => {
            Exit::Credentials
        }
    }
}

/// The exit code for a request that failed and is not retried.
pub(super) fn of_request(operation: Operation, error: &cos::Error) -> Exit {
    match verdict(operation, false, error).unrepaired() {
        Verdict::Stop(stop) => of_stop(stop),
        Verdict::GiveUp(GiveUp::Denied) => Exit::Credentials,
        Verdict::GiveUp(_) => Exit::ImagesFailed,
        _ => Exit::Temporary,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_table_of_exit_codes_is_as_agreed() {
        insta::assert_snapshot!(Exit::table());
    }

    #[test]
    fn the_worst_code_is_found_in_any_order() {
        let order = [1, 7, 4, 2, 6, 9, 5, 11, 3, 8, 10, 0];
        assert_eq!(Exit::WORST_FIRST.map(Exit::code), order);
        for (at, worse) in Exit::WORST_FIRST.into_iter().enumerate() {
            for other in &Exit::WORST_FIRST[at..] {
                assert_eq!((worse.or_worse(*other), other.or_worse(worse)), (worse, worse));
            }
            assert_eq!(Exit::Terminated.or_worse(worse), Exit::Terminated);
        }
    }

    #[test]
    fn the_exit_code_of_an_error_is_found_in_any_of_its_causes() {
        let missing = || store::Error::Missing { location: "a.db".into() };
        let deep = Err::<(), _>(export::Error::Store(missing())).context("exporting").unwrap_err();
        assert_eq!(Exit::of(&deep), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("what?")), Exit::Unexpected);
        let locked = anyhow::Error::from(store::Error::Locked { location: "a.db".into() });
        assert_eq!(Exit::of(&locked.context("opening")), Exit::Locked);
    }
}
