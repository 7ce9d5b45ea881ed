//! What is known about an invocation when it ends. `--json` prints it; docs/json.md describes it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::cli::exit::Exit;
use crate::cli::price::Price;
use crate::config::Settings;
use crate::job::{End, Report};
use crate::store::model::Counts;
use crate::store::read::FailureCode;

/// The version of the JSON. It grows only if a field is removed or changes its meaning; fields may be added.
pub(crate) const SCHEMA: u32 = 1;

/// How an invocation of `run`, `resume` or `plan` ended. The names of its fields are those of the JSON.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    pub(super) schema: u32,
    /// `run`, `resume` or `plan`.
    pub(super) command: &'static str,
    /// The version of the program.
    pub(super) version: &'static str,
    /// The profile that was chosen; `None` if none was.
    pub(super) profile: Option<String>,
    /// The address of the source; `None` if the invocation ended before it was known.
    pub(super) source: Option<String>,
    /// `None` if no run was begun.
    pub(super) run_id: Option<i64>,
    /// Whether an unfinished run was continued.
    pub(super) resumed: bool,
    #[serde(serialize_with = "iso")]
    pub(super) started_at: Timestamp,
    #[serde(serialize_with = "iso")]
    pub(super) ended_at: Timestamp,
    /// How long the invocation took.
    pub(super) seconds: f64,
    pub(super) exit_code: u8,
    /// Whether `success_codes` has the exit code.
    pub(super) success: bool,
    /// How this invocation ended, in words.
    pub(super) reason: String,
    /// What the exit code means in general.
    pub(super) meaning: &'static str,
    pub(super) listed_to_the_end: bool,
    /// Images that still wait for a call of the run.
    pub(super) pending: u64,
    /// What this invocation did: the counts of the run without those of earlier invocations.
    pub(super) tagged: u64,
    pub(super) failed: u64,
    pub(super) calls: u64,
    /// The units of billing of these calls.
    pub(super) units: u64,
    /// What these units cost; `None` without a price.
    pub(super) cost: Option<f64>,
    pub(super) currency: String,
    /// The counts of the whole run, with its earlier invocations; `None` if no run was begun.
    pub(super) counts: Option<Counts>,
    /// The codes with which most images of the run failed.
    pub(super) failure_codes: Vec<FailureCode>,
}

/// When an invocation began, and what is known of it before it ends.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) command: &'static str,
    pub(super) at: Timestamp,
    pub(super) settings: Settings,
    pub(super) source: Option<String>,
}

impl Beginning {
    /// The profile that was chosen.
    pub(super) fn profile(&self) -> Option<&str> {
        self.settings.profile.as_deref()
    }

    /// The summary of an invocation that ends now. `fault` is the error that ended it.
    pub(super) fn ends(
        &self,
        exit: Exit,
        fault: Option<String>,
        report: Option<&Report>,
        failure_codes: Vec<FailureCode>,
    ) -> Summary {
        let now = Timestamp::now();
        let snapshot = report.map(|report| &report.snapshot);
        let none = Counts::default();
        let counts = snapshot.map_or(&none, |snapshot| &snapshot.counts);
        let before = report.map_or(&none, |report| &report.before);
        let calls = counts.calls.saturating_sub(before.calls);
        let scenes = counts.scenes_asked.saturating_sub(before.scenes_asked);
        let budget = &self.settings.budget;
        Summary {
            schema: SCHEMA,
            command: self.command,
            version: env!("CARGO_PKG_VERSION"),
            profile: self.profile().map(str::to_owned),
            source: self.source.clone(),
            run_id: report.map(|report| report.run_id),
            resumed: report.is_some_and(|report| report.resumed),
            started_at: self.at,
            ended_at: now,
            seconds: now.duration_since(self.at).as_secs_f64().max(0.0),
            exit_code: exit.code(),
            success: self.settings.watching.is_success(exit.code()),
            reason: fault
                .or_else(|| report.map(|report| reason(report, exit)))
                .unwrap_or_else(|| exit.meaning().to_owned()),
            meaning: exit.meaning(),
            listed_to_the_end: snapshot.is_some_and(|snapshot| snapshot.listed),
            pending: counts.pending(),
            tagged: counts.done.saturating_sub(before.done),
            failed: counts.failed.saturating_sub(before.failed),
            calls,
            units: budget.billing.units_of(calls, scenes),
            cost: Price::of(budget).cost(calls, scenes),
            currency: budget.currency.clone(),
            counts: snapshot.map(|snapshot| snapshot.counts.clone()),
            failure_codes,
        }
    }
}

/// A time in UTC with whole seconds, as in exports.
fn iso<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.0}"))
}

/// Why a run ended, in words.
fn reason(report: &Report, exit: Exit) -> String {
    let how = match &report.end {
        End::Complete => "complete".to_owned(),
        End::Trial(trial) => format!("complete ({})", trial.name()),
        End::Stopped(reason) => return reason.to_string(),
    };
    match exit {
        Exit::ImagesFailed => format!("{how}, but images failed or keys are missing"),
        _ => how,
    }
}
