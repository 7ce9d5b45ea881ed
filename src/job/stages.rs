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
    let Job { client, settings, source, purpose, begun, budget, unmatched, stats, control, gate } =
        job;
    let Begun { session, ranges, other_lists, is_listed, reconsider, is_resumed, trial, .. } =
        begun;
    let run = session.run().clone();
    let place = session.place();
    let reader = session.reader()?;
    let was_answered_before = reader.has_been_answered()?;
    let watch = match gate.above() {
        Some(_) if purpose == Purpose::Tag => Some(Watch {
            gate: gate.clone(),
            budget: Arc::clone(&budget),
            stats: Arc::clone(&stats),
            reader: session.reader()?,
            run_id: run.id,
            scenes: run.scenes,
            billing: settings.budget.billing,
            trial,
            before: session.counts().clone(),
        }),
        _ => None,
    };

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

    let scope = match source {
        _ if is_listed => Scope::Nothing { prefix: run.prefix },
        Source::Bucket { .. } => Scope::Bucket {
            bucket: run.bucket,
            prefix: run.prefix,
            workers: settings.pace.list_workers.get(),
            reconsider,
            is_resumed,
        },
        source => Scope::List { source, is_resumed, others: other_lists },
    };
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
        never = service.store_clock_corrections(writer) => match never {},
        never = Watch::run_if_any(watch) => match never {},
    };
    // The stages are dropped by now. Nobody can send to the writer any more, so it ends.
    let session = writing.result().await??;
    Ok((session, result))
}
