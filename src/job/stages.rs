//! Wires the stages of a run, from the listing to the last settlement, and does nothing else.
//!
//! ```text
//! discovery ── differences ──► writer ──► store
//!                               │  ▲
//!              claimed contents │  │ settlements
//!                               ▼  │
//!                             tagging ── calls ──► detect-label
//! ```

use std::sync::Arc;

use tokio::sync::Notify;

use super::begun::{Begun, Job, Purpose};
use super::discovery::compare::Comparison;
use super::discovery::filter::Filter;
use super::discovery::scope::Scope;
use super::discovery::stage::Discovery;
use super::live::Watcher;
use super::service::client::Service;
use super::tagging::stage::Tagging;
use super::tagging::watch::Watch;
use super::writer::Writer;
use super::{Error, Pace, Source, deadline};
use crate::store::Session;

/// Runs all stages to their end. Returns the session, to finish the run with, and the first error of a stage.
///
/// # Errors
/// An error of the writer or of the start. In both cases the session is lost.
pub(super) async fn run(job: Job) -> Result<(Session, Result<(), Error>), Error> {
    let watch = watch(&job)?;
    let watcher = watcher(&job);
    let scope = scope(&job);
    let Job { client, settings, purpose, begun, budget, unmatched, stats, control, gate, .. } = job;
    let Begun { session, ranges, trial, .. } = begun;
    let run = session.run().clone();
    let place = session.place();
    let reader = session.reader()?;
    let was_answered_before = reader.has_been_answered()?;

    let workers = settings.pace.workers;
    let work = Arc::new(Notify::new());
    let (writer, writing) = Writer::start(
        session,
        4 * workers.most() + 64,
        Arc::clone(&stats),
        Arc::clone(&work),
        control.clone(),
    )?;
    let service = Arc::new(Service::new(
        client,
        settings.connection.patience,
        control.clone(),
        stats,
        begun.recogniser,
    ));

    let discovery = Discovery {
        service: Arc::clone(&service),
        writer: writer.clone(),
        pace: Pace::new(settings.pace.list_qps),
        filter: Filter::new(&settings.stored.filter, !run.list)?,
        comparison: Comparison { run_id: run.id, scenes: run.scenes },
        unmatched,
        bucket_id: run.bucket_id,
    };
    let tagging = Tagging {
        service: Arc::clone(&service),
        writer: writer.clone(),
        work,
        pace: Pace::near(settings.pace.qps, begun.found_limit),
        budget: Arc::clone(&budget),
        gate,
        max_failures: settings.budget.max_failures,
        workers,
        cooldown: settings.connection.cooldown,
        trial,
        urls: run.urls,
        was_answered_before,
        place,
    };
    let tagging = async {
        match purpose {
            Purpose::Tag => tagging.run().await,
            Purpose::Plan => Ok(()),
        }
    };

    let result = tokio::select! {
        result = deadline::both(&control, scope.discover(discovery, ranges, reader), tagging) => result,
        never = deadline::stop_at_window_end(&budget, &control) => match never {},
        never = deadline::abort_after_drain(&control) => match never {},
        never = service.store_clock_corrections(writer.clone()) => match never {},
        never = watcher.run((purpose == Purpose::Tag).then_some(writer)) => match never {},
        never = Watch::run_if_any(watch) => match never {},
    };
    // The stages are dropped by now. Nobody can send to the writer any more, so it ends.
    let session = writing.result().await??;
    Ok((session, result))
}

/// What is left to discover.
fn scope(job: &Job) -> Scope {
    let Job { settings, source, begun, .. } = job;
    let run = begun.session.run();
    match source {
        _ if begun.is_listed => Scope::Nothing { prefix: run.prefix.clone() },
        Source::Bucket { .. } => Scope::Bucket {
            bucket: run.bucket.clone(),
            prefix: run.prefix.clone(),
            workers: settings.pace.list_workers.get(),
            reconsider: begun.reconsider,
            is_resumed: begun.is_resumed,
        },
        source => Scope::List {
            source: source.clone(),
            is_resumed: begun.is_resumed,
            others: begun.other_lists.clone(),
        },
    }
}

/// What looks at the run once a second.
fn watcher(job: &Job) -> Watcher {
    let session = &job.begun.session;
    Watcher {
        run_id: session.run().id,
        stats: Arc::clone(&job.stats),
        budget: Arc::clone(&job.budget),
        scenes: session.run().scenes,
        billing: job.settings.budget.billing,
        trial: job.begun.trial,
        cap: job.settings.pace.qps,
        cooldown: job.settings.connection.cooldown,
        before: session.counts().clone(),
    }
}

/// The watch that asks for a confirmation before calls are held back. Absent if no call can be held back.
fn watch(job: &Job) -> Result<Option<Watch>, Error> {
    if job.gate.above().is_none() || job.purpose == Purpose::Plan {
        return Ok(None);
    }
    let session = &job.begun.session;
    Ok(Some(Watch {
        gate: job.gate.clone(),
        budget: Arc::clone(&job.budget),
        stats: Arc::clone(&job.stats),
        reader: session.reader()?,
        run_id: session.run().id,
        scenes: session.run().scenes,
        billing: job.settings.budget.billing,
        trial: job.begun.trial,
        before: session.counts().clone(),
    }))
}
