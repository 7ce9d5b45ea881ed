//! From checked settings to a finished run: client, job, signals, progress, summary, exit code.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::exit::Exit;
use super::interrupt::Signals;
use super::progress::Progress;
use super::trial::Again;
use super::{ask, nothing, summary, table, trial, zone};
use crate::config::{Connection, CredentialSources, Pace, Settings};
use crate::cos::{self, Bucket, Client, Endpoint, Options, Provider, Sources, credentials};
use crate::job::verdict::{GiveUp, Operation, Stop, Verdict, advice, verdict};
use crate::job::{Control, End, Job, Report, StopReason};
use crate::store::Reader;

/// The runtime of a job: one thread, see [`crate::job`].
///
/// # Errors
/// If the system gives no timer or socket.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// A client for the bucket, by the settings.
///
/// # Errors
/// A wrong endpoint or region, and credentials that are missing or cannot be used.
pub(super) async fn client(
    bucket: &Bucket,
    region: Option<&str>,
    endpoint: Option<&str>,
    settings: &Settings,
) -> anyhow::Result<Client> {
    let endpoint = self::endpoint(bucket, region, endpoint, settings.connection.allow_http)?;
    let provider = provider(&settings.credentials).await?;
    connect(endpoint, provider, settings)
}

/// Where requests go.
///
/// # Errors
/// Neither region nor endpoint, one that cannot be used, or plain http that was not allowed.
pub(super) fn endpoint(
    bucket: &Bucket,
    region: Option<&str>,
    endpoint: Option<&str>,
    allow_http: bool,
) -> anyhow::Result<Endpoint> {
    let endpoint = match (endpoint, region) {
        (Some(endpoint), _) => Endpoint::custom(endpoint)?,
        (None, Some(region)) => Endpoint::for_region(bucket, region)?,
        (None, None) => anyhow::bail!(Usage(
            "where is the bucket? give --region, such as ap-guangzhou, or --endpoint".to_owned()
        )),
    };
    refuse_plain_http(&endpoint, allow_http)?;
    Ok(endpoint)
}

/// Refuses an endpoint that is reached over a network without encryption, unless that is allowed.
///
/// # Errors
/// [`Usage`].
pub(super) fn refuse_plain_http(endpoint: &Endpoint, allow_http: bool) -> anyhow::Result<()> {
    if endpoint.is_plain_http() && !allow_http {
        anyhow::bail!(Usage(format!(
            "the endpoint {endpoint} is refused, because it has no encryption: whoever listens on the way could \
             send the signed requests again. Use https://, or give --allow-http (COSTAG_ALLOW_HTTP=true) if you \
             trust the network"
        )));
    }
    Ok(())
}

/// A client of this endpoint.
///
/// # Errors
/// A CA file that cannot be used.
pub(super) fn connect(
    endpoint: Endpoint,
    provider: Arc<Provider>,
    settings: &Settings,
) -> anyhow::Result<Client> {
    Ok(Client::new(endpoint, provider, &options(&settings.connection, &settings.pace))?)
}

/// The credentials' one source, by settings, environment and home directory.
///
/// # Errors
/// None found, or found and of no use.
pub(super) async fn provider(settings: &CredentialSources) -> anyhow::Result<Arc<Provider>> {
    let provider = discover(settings).await?;
    for warning in provider.warnings() {
        say!("warning: {}", table::visible(warning));
    }
    Ok(Arc::new(provider))
}

/// As [`provider`], without a word about what is wrong with a file.
///
/// # Errors
/// As [`provider`].
pub(super) async fn discover(settings: &CredentialSources) -> Result<Provider, credentials::Error> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let sources = Sources {
        environment: &variable,
        home: env::home_dir(),
        credentials_file: settings.file.clone(),
        credential_process: settings.process.clone(),
        cvm_role: settings.cvm_role.clone(),
        metadata_base: settings.metadata_endpoint.clone(),
    };
    Provider::discover(&sources).await
}

fn options(connection: &Connection, pace: &Pace) -> Options {
    Options {
        connect_timeout: connection.connect_timeout,
        timeout: connection.timeout,
        pool_size: pace.workers.get() + pace.list_workers.get(),
        ca_file: connection.ca_file.as_ref().map(PathBuf::from),
        ..Options::default()
    }
}

/// A wrong command, found out after parsing it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Runs the job with signals and progress, prints its summary, and answers with its exit code. `again` is the command
/// that goes on with it if it was a trial.
///
/// # Errors
/// Those of the job that are not the service's.
pub(super) async fn drive(
    job: Job,
    database: &std::path::Path,
    again: &Again,
) -> anyhow::Result<(Exit, Report)> {
    let settings = job.settings().clone();
    let report = run(job).await?;
    let reader = Reader::open(database)?;
    let codes = reader.failure_codes_of(report.run_id, 8)?;
    say!("{}", summary::text(&report, &codes, &settings.budget).trim_end());
    if let End::Trial(trial) = report.end {
        let left = reader.left(report.run_id)?;
        say!("{}", trial::text(trial, &report, &left, &settings, again));
    }
    Ok((exit(&report), report))
}

/// Runs the job with signals and progress, and nothing after it.
///
/// # Errors
/// Those of the job that are not the service's.
pub(super) async fn run(job: Job) -> anyhow::Result<Report> {
    zone::local();
    match job.clock_offset() {
        0 => {}
        offset => say!(
            "times are corrected by {offset:+} s: so much the service found this machine's clock wrong at the last run"
        ),
    }
    if let Some(end) = job.window() {
        say!("calls end at {end}");
    }
    let control = job.control();
    let progress = Progress::start(job.stats());
    let signals = watch_signals(control.clone())?;
    let asking = asking(&job, &progress);
    let (source, filter) = (job.source().clone(), job.settings().stored.filter.clone());
    // On the heap: the future of a whole job is large.
    let report = tokio::select! {
        report = Box::pin(job.run()) => report,
        never = signals => match never {},
        never = progress.watch() => match never {},
        never = asking => match never {},
    };
    progress.end();
    let report = report?;
    if matches!(report.end, End::Complete | End::Trial(_))
        && let Some(line) = nothing::wanted(&source, &filter, &report.snapshot.counts)
    {
        say!("{line}");
    }
    Ok(report)
}

/// On a terminal, holds calls above the setting `confirm_above` back until they are confirmed.
pub(super) fn hold(job: &Job, yes: bool) {
    if let Some(above) = job.budget().confirm_above
        && !yes
        && ask::can_ask()
    {
        job.gate().hold_above(above);
    }
}

/// Asks as soon as it is known that calls will be held back, while listing goes on.
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
        // Whoever comes back later reads what is known by then.
        let yes = tokio::select! {
            yes = &mut answer => yes,
            whole = gate.is_listed(), if !expected.listed => {
                say!("\n{}", question(whole));
                answer.await
            }
        };
        // A question that cannot be asked is not answered with yes.
        if yes {
            gate.open();
        } else {
            control.stop(StopReason::Budget(format!("--confirm-above {above}: not confirmed")));
        }
        std::future::pending().await
    }
}

/// Stops the run at the first signal; a later one ends the program at once.
fn watch_signals(
    control: Control,
) -> anyhow::Result<impl Future<Output = std::convert::Infallible>> {
    let mut signals = Signals::watch().context("cannot watch signals")?;
    Ok(async move {
        loop {
            let exit = signals.next().await;
            say!(
                "stopping once the calls in flight have ended, at most 10 s; again to quit at once"
            );
            control.stop(StopReason::Signal(exit.signal().unwrap_or_default()));
        }
    })
}

/// Says which runs over other lists are unfinished, once this one is complete.
fn tell_of_other_lists(report: &Report) {
    let (End::Complete, Some(list)) = (&report.end, &report.list) else { return };
    if let Some(run) = list.unfinished.last() {
        say!("run {run} over another list is unfinished: `costag resume` goes on with it");
    }
}

/// What the end of a run means for the exit code; says on stderr what to do about it.
pub(super) fn exit(report: &Report) -> Exit {
    tell_of_other_lists(report);
    let reason = match &report.end {
        End::Complete | End::Trial(_) if report.fails() => {
            say!("some images failed or are missing: `costag status --failures` lists them");
            return Exit::ImagesFailed;
        }
        End::Complete | End::Trial(_) => return Exit::Complete,
        End::Stopped(reason) => reason,
    };
    let (exit, hint) = of_reason(reason);
    match reason {
        StopReason::Signal(_) => {}
        StopReason::Refused(_, operation, error) => {
            let message = chain(&**error);
            say!("error: {message}");
            if let Some(advice) = advice(*operation, error) {
                say!("{advice}");
            }
        }
        StopReason::Unavailable(error) => {
            say!("error: the service gave no usable answer for too long: {}", chain(&**error));
            if let Some(advice) = advice(Operation::List, error) {
                say!("{advice}");
            }
        }
        _ => say!("stopped: {}", table::visible(&reason.to_string())),
    }
    if !hint.is_empty() {
        say!("{hint}");
    }
    exit
}

const RESUME: &str = "everything so far is saved; `costag resume` goes on";

fn of_reason(reason: &StopReason) -> (Exit, &'static str) {
    match reason {
        StopReason::Signal(number) => (of_signal(*number), RESUME),
        StopReason::Budget(_) => (Exit::Budget, RESUME),
        StopReason::Window(_) => (Exit::Window, RESUME),
        StopReason::Breaker(_) => (
            Exit::Failures,
            "see `costag status --failures`; once the cause is gone, `costag resume` goes on",
        ),
        StopReason::Denied(_) => (
            Exit::Credentials,
            "the policy of these credentials must allow ci:CreateDetectLabelJob and cos:GetObject on the \
             bucket; then `costag resume`",
        ),
        StopReason::LookUpsDenied(_) => (
            Exit::Credentials,
            "the policy of these credentials must allow cos:HeadObject and cos:GetObject on the bucket; then \
             `costag resume`",
        ),
        StopReason::Refused(Stop::Configuration, _, _) => (Exit::Usage, ""),
        StopReason::Refused(stop, _, _) => (of_stop(*stop), RESUME),
        StopReason::AskedToWait { .. } | StopReason::Unavailable(_) | StopReason::Remains => {
            (Exit::Temporary, RESUME)
        }
        StopReason::Unread(_) => (
            Exit::Usage,
            "a file that only the database names is not opened: `costag resume` with this option reads on, if the list \
             is what you want to go on with",
        ),
        StopReason::Recogniser { .. } => {
            (Exit::Usage, "use another --db: a rehearsal must not mix with real results")
        }
        // A trial that is settled is complete, see `End::Trial`.
        StopReason::Trial(_) => (Exit::Complete, ""),
        StopReason::Internal => (Exit::Unexpected, ""),
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

/// What the failure of one request means for the exit code, when it is not tried again.
pub(super) fn exit_of(operation: Operation, error: &cos::Error) -> Exit {
    match verdict(operation, false, error).unrepaired() {
        Verdict::Stop(stop) => of_stop(stop),
        Verdict::GiveUp(GiveUp::Denied) => Exit::Credentials,
        Verdict::GiveUp(_) => Exit::ImagesFailed,
        _ => Exit::Temporary,
    }
}

/// An error and its causes on one line, safe to show.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    table::visible(&text).into_owned()
}
