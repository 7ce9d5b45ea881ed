//! Runs a job to its end: shows progress, watches for signals, asks before costly runs, and prints the summary. The
//! commands run, plan, resume and demo share it.

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::exit::{self, Exit};
use super::progress::Progress;
use super::signals::Signals;
use super::suggest::Again;
use super::{nothing, summary, terminal, trial, zone};
use crate::job::{Control, End, Job, Report, StopReason};
use crate::store::Reader;

/// The runtime of a job. It has one thread: see [`crate::job`].
///
/// # Errors
/// Returns an error if the system provides no timer or socket.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context(
        "the system gives this process no timers or sockets; check its limits (`ulimit -a`)",
    )
}

/// Runs the job, prints its summary, and returns the exit code. `again` is the command that begins such a run
/// again.
///
/// # Errors
/// The job fails for a reason other than the service. If the service refuses, the run ends and the exit code says so.
pub(super) async fn run_with_summary(
    job: Job,
    database: &std::path::Path,
    again: &Again,
) -> anyhow::Result<(Exit, Report)> {
    let settings = job.settings().clone();
    let report = run_without_summary(job).await?;
    let reader = Reader::open(database)?;
    let codes = reader.failure_codes_of(report.run_id, 8)?;
    say!("{}", summary::text(&report, &codes, &settings.budget).trim_end());
    if let End::Trial(trial) = report.end {
        let left = reader.left(report.run_id)?;
        say!("{}", trial::text(trial, &report, &left, &settings, again));
    }
    Ok((exit::explain_end(&report, again), report))
}

/// Runs the job with progress and signals, and prints no summary.
///
/// # Errors
/// The same as those of [`run_with_summary`].
pub(super) async fn run_without_summary(job: Job) -> anyhow::Result<Report> {
    zone::local();
    match job.clock_offset() {
        0 => {}
        offset => say!(
            "times are corrected by {offset:+} s, because this machine's clock differed by that much from the service's at the last run"
        ),
    }
    if let Some(end) = job.window() {
        say!("the run stops calling at {end}");
    }
    let control = job.control();
    let progress = Progress::start(&job);
    let signals = watch_signals(control.clone())?;
    let asking = asking(&job, &progress);
    let (source, filter) = (job.source().clone(), job.settings().stored.filter.clone());
    // Boxed, because the future of a whole job is large.
    let report = tokio::select! {
        report = Box::pin(job.run(|result| Exit::of_result(result).code())) => report,
        never = signals => match never {},
        never = progress.watch() => match never {},
        never = asking => match never {},
    };
    progress.end();
    let report = report?;
    let is_whole = matches!(report.end, End::Complete | End::Trial(_));
    match nothing::wanted(&source, &filter, &report).filter(|_| is_whole) {
        Some(line) => say!("{line}"),
        None => nothing::tell_unmatched(&report.unmatched),
    }
    Ok(report)
}

/// On a terminal, holds back the calls above the setting `confirm_above` until a person confirms them.
pub(super) fn hold_until_confirmed(job: &Job, yes: bool) {
    if let Some(above) = job.budget().confirm_above
        && !yes
        && terminal::can_ask()
    {
        job.gate().hold_above(above);
    }
}

/// Asks as soon as it is known that calls are held back. The listing continues meanwhile.
fn asking<'p>(
    job: &Job,
    progress: &'p Progress,
) -> impl Future<Output = std::convert::Infallible> + use<'p> {
    let (gate, control, stats) = (job.gate(), job.control(), job.stats());
    let settings = job.settings().clone();
    async move {
        let expected = gate.asks().await;
        let above = gate.above().unwrap_or_default();
        let question = |expected| summary::question(expected, &stats.snapshot(), above, &settings);
        let mut answer = std::pin::pin!(progress.ask(question(expected)));
        // Once the listing is complete, the question is repeated with the final numbers.
        let yes = tokio::select! {
            yes = &mut answer => yes,
            whole = gate.is_listed(), if !expected.listed => {
                say!("\n{}", question(whole));
                answer.await
            }
        };
        // A question that cannot be asked counts as answered with no.
        if yes {
            gate.open();
        } else {
            control.stop(StopReason::Budget(format!("--confirm-above {above}: not confirmed")));
        }
        std::future::pending().await
    }
}

/// Stops the run at the first signal. A later signal ends the program at once.
fn watch_signals(
    control: Control,
) -> anyhow::Result<impl Future<Output = std::convert::Infallible>> {
    let mut signals = Signals::watch()
        .context("signals cannot be watched; check the limits of this process (`ulimit -a`)")?;
    Ok(async move {
        loop {
            let exit = signals.next().await;
            say!(
                "stopping after the calls in flight have ended (at most 10 s); press again to quit at once"
            );
            control.stop(StopReason::Signal(exit.signal().unwrap_or_default()));
        }
    })
}
