//! The pipeline: discovery and tagging, two loops that meet only in the store.
//!
//! ```text
//! lister ── pages ─► compare ── differences ─► writer ─► store
//!                                                ▲  │
//!                            settlements, claims │  ▼ claimed contents
//!                                  pool ── calls ─► detect-label
//! ```
//!
//! This is the only module that spawns, and the only one where `cos` and `store` meet. It knows no option
//! and no progress bar: it takes checked settings, and observers look at [`Stats`].

mod begin;
mod control;
mod discovery;
mod gate;
mod service;
mod stats;
mod tagging;
mod thread;
mod trial;
pub mod verdict;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

pub use begin::RunSettings;
pub use control::{Control, StopReason};
pub use discovery::source::{Error as ListError, List, Source};
pub use gate::{Expected, Gate};
pub use service::pace::Pace;
pub use stats::{Snapshot, Stats, Wait};
pub use tagging::budget::forecast::{Limit, Room, Share};
pub use tagging::budget::window::absolute;
pub use trial::Trial;

use crate::config::{self, Settings};
use crate::cos::Client;
use crate::scene::Scenes;
use crate::store;
use crate::store::Session;
use crate::store::model::{Counts, RunState};
use crate::store::read::Needed;
use crate::store::run::RangeRow;
use crate::store::turn::Request;
use discovery::compare::Comparison;
use discovery::filter::Filter;
use discovery::lister::{self, Listing};
use discovery::lookup::{Lookup, OtherList};
use discovery::page_size::PageSize;
use discovery::unmatched::Unmatched;
use gate::Watch;
use service::client::Service;
use service::outage::Outage;
use service::patience::Patience;
use tagging::breaker::{Breaker, Row};
use tagging::budget::Budget;
use tagging::caller::Tagger;
use tagging::pool::Pool;
use writer::{Record, Writer};

/// How long calls in flight may go on once the run stops.
const DRAIN: Duration = Duration::from_secs(10);

/// An error that ends a run and is not the service's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The list of keys or URLs.
    #[error(transparent)]
    List(#[from] ListError),
    /// A glob of the filter.
    #[error(transparent)]
    Glob(#[from] crate::glob::GlobError),
    /// A run's stored settings that this program cannot read.
    #[error("cannot read the settings of run {run}: begin a new run with `costag run`")]
    Settings {
        /// `run.id`.
        run: i64,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The writer has ended; its own error is the one to look at.
    #[error("the writer ended early")]
    WriterGone,
    /// A stage of the pipeline panicked.
    #[error("a part of the program failed unexpectedly; everything committed is intact")]
    Panicked,
    /// The system gives no thread.
    #[error(
        "the system gives no thread: a limit of processes (`ulimit -u`) or of memory (`ulimit -v`) is reached; everything committed is intact"
    )]
    Thread(#[source] std::io::Error),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum End {
    /// Everything listed, nothing pending.
    Complete,
    /// The images of `--limit` or `--sample` are settled; others may be wanted.
    Trial(Trial),
    /// Before that.
    Stopped(StopReason),
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// `run.id`.
    pub run_id: i64,
    /// How it ended.
    pub end: End,
    /// The numbers of the whole run.
    pub snapshot: Snapshot,
    /// What the run had counted before this invocation went on with it.
    pub before: Counts,
    /// Whether this invocation went on with an earlier one's run.
    pub resumed: bool,
    /// What a plan found to be called; of one that came to its end.
    pub needed: Option<Needed>,
    /// Of a run over a list.
    pub list: Option<ListReport>,
    /// Of a plan: what each limit leaves to the run that follows.
    pub limits: Vec<Limit>,
    /// Of a complete listing: the options of the filter that match none of its keys, as they would be typed.
    pub unmatched: Vec<String>,
    /// Names beside a prefix that no key begins with.
    pub beside: Vec<String>,
}

/// What there is to tell of a run over a list, besides its numbers.
#[derive(Debug, Clone)]
pub struct ListReport {
    /// Runs over other lists that are unfinished.
    pub unfinished: Vec<i64>,
    /// Whether a key that is missing makes the run a failure.
    pub fails_if_missing: bool,
}

impl Report {
    /// Whether images failed, or lines of a list: those whose key is missing too, unless that is allowed.
    pub fn fails(&self) -> bool {
        let Counts { failed, lines_failed, missing, .. } = self.snapshot.counts;
        let fails_if_missing = self.list.as_ref().is_some_and(|list| list.fails_if_missing);
        failed > 0 || lines_failed > 0 || (missing > 0 && fails_if_missing)
    }
}

/// A run that is about to go.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "answers that do not depend on one another")]
pub struct Job {
    client: Client,
    settings: Settings,
    source: Source,
    session: Session,
    ranges: Vec<RangeRow>,
    /// Unfinished runs over lists, which the list at hand may be.
    lists: Vec<OtherList>,
    listed: bool,
    reconsider: bool,
    resumed: bool,
    /// The option that names the rest of a list which this job does not read.
    unread: Option<String>,
    limits: Arc<Budget>,
    /// What the run is limited to.
    trial: Option<Trial>,
    /// How many images of it were settled before this invocation.
    tried: u64,
    recogniser: Option<String>,
    /// The service's limit in calls a second, as the last run on this bucket has found it.
    found_limit: Option<f64>,
    /// Nothing is called.
    plan: bool,
    /// What of the filter has matched nothing.
    unmatched: Arc<Unmatched>,
    stats: Arc<Stats>,
    control: Control,
    gate: Gate,
}

impl Job {
    /// Live numbers, for observers.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// What stops the run.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// What holds calls back until they are confirmed.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// The limits and the price of calls.
    pub fn budget(&self) -> &config::Budget {
        &self.settings.budget
    }

    /// When calling ends, as an absolute time with the limit that says so.
    pub fn window(&self) -> Option<String> {
        self.limits.describe_window()
    }

    /// Seconds that are added to this machine's clock, because the service has confirmed that it is wrong.
    pub fn clock_offset(&self) -> i64 {
        self.client.clock().offset()
    }

    /// Where the work comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The settings that hold for it.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What each image is asked for.
    pub fn scenes(&self) -> Scenes {
        self.settings.stored.scenes
    }

    /// `run.id`, also of a plan.
    pub fn run_id(&self) -> i64 {
        self.session.own_row()
    }

    /// Runs to the end, or until it is stopped; every outcome is on disk when it returns.
    ///
    /// # Errors
    /// What is not the service's: the store's errors first of all.
    pub async fn run(self) -> Result<Report, Error> {
        let Self { control, stats, .. } = &self;
        let (control, stats) = (control.clone(), Arc::clone(stats));
        let before = self.session.counts().clone();
        let (run_id, resumed, plan) = (self.run_id(), self.resumed, self.plan);
        let trial = self.trial;
        let others: Vec<i64> = self.lists.iter().map(|other| other.run_id).collect();
        let is_listing = matches!(self.source, Source::Bucket { .. });
        let fails_if_missing = !plan && !self.settings.budget.allow_missing;
        let limits = if plan { self.limits.limits() } else { Vec::new() };
        let unread = self.unread.clone();
        let unmatched = Arc::clone(&self.unmatched);
        let clock = Arc::clone(self.client.clock());
        let offset = clock.offset();
        let drain = {
            let control = control.clone();
            async move {
                control.stopping().cancelled().await;
                tokio::time::sleep(DRAIN).await;
                control.abort();
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = self.stages() => ended,
            () = drain => unreachable!("it waits for ever"),
        };
        let (mut session, result) = ended?;
        if clock.offset() != offset {
            let mut turn = session.new_turn();
            turn.requests.push(Request::ClockOffset { seconds: clock.offset() });
            session.turn(&turn)?.in_place()?;
        }
        // Whatever went wrong: a run that has left work behind is not complete.
        if result.is_ok() && control.reason().is_none() && !plan && session.leaves_behind()? {
            // What is beyond the number of a trial is no part of it.
            let settled = |trial: &Trial| trial.settled(session.counts()) >= trial.images();
            control.stop(trial.filter(settled).map_or(StopReason::Remains, StopReason::Trial));
        }
        if let (true, Some(list), None) = (result.is_ok(), unread, control.reason()) {
            control.stop(StopReason::Unread(list));
        }
        let needed = match (&result, control.reason()) {
            (Ok(()), None) if plan => Some(session.needed()?),
            _ => None,
        };
        // An error of a stage stopped the run; so did a reason. Else it is complete.
        let (ended_as, reason) = match (&result, control.reason()) {
            // A list that is refused is to be mended, and given again: there is nothing to go on with.
            (Err(Error::List(error)), _) if error.is_refusal() && !resumed => {
                (RunState::Superseded, Some(error.to_string()))
            }
            (Err(error), _) => (RunState::Stopped, Some(error.to_string())),
            (Ok(()), Some(reason @ StopReason::Signal(_))) => {
                (RunState::Interrupted, Some(reason.to_string()))
            }
            (Ok(()), Some(StopReason::Trial(trial))) => (RunState::Complete, Some(trial.name())),
            (Ok(()), Some(reason)) => (RunState::Stopped, Some(reason.to_string())),
            (Ok(()), None) => (RunState::Complete, None),
        };
        if ended_as == RunState::Complete && !is_listing {
            session.count_given_up_lines()?;
        }
        stats.committed(session.counts());
        let unfinished = session.unfinished_of(&others)?;
        let list = (!is_listing).then_some(ListReport { unfinished, fails_if_missing });
        session.finish(ended_as, reason.as_deref(), clock.now())?;
        result?;
        let end = match control.reason().cloned() {
            None => End::Complete,
            Some(StopReason::Trial(trial)) => End::Trial(trial),
            Some(reason) => End::Stopped(reason),
        };
        let snapshot = stats.snapshot();
        let beside = unmatched.beside().to_vec();
        let unmatched = if snapshot.listed { unmatched.options() } else { Vec::new() };
        Ok(Report {
            run_id,
            end,
            snapshot,
            before,
            resumed,
            needed,
            list,
            limits,
            unmatched,
            beside,
        })
    }

    /// Wires the stages and waits for all of them. The outer error is the store's: then there is no
    /// session any more; the inner one is that of another stage.
    #[expect(clippy::too_many_lines, reason = "the wiring reads best in one piece")]
    async fn stages(self) -> Result<(Session, Result<(), Error>), Error> {
        let Self { client, settings, source, session, ranges, control, stats, .. } = self;
        let reader = session.reader()?;
        let was_answered_before = reader.has_been_answered()?;
        let context = session.run().clone();
        let database = session.place();
        let before = session.counts().clone();
        let watching = match self.gate.above() {
            Some(_) if !self.plan => Some(Watch {
                gate: self.gate.clone(),
                budget: Arc::clone(&self.limits),
                stats: Arc::clone(&stats),
                reader: session.reader()?,
                run_id: context.id,
                scenes: context.scenes,
                billing: settings.budget.billing,
                trial: self.trial,
                before,
            }),
            _ => None,
        };
        let workers = settings.pace.workers.get();
        let work = Arc::new(Notify::new());
        let (writer, thread) =
            Writer::start(session, 4 * workers + 64, stats.clone(), work.clone(), control.clone())?;
        let (clock, clock_corrected) = (Arc::clone(client.clock()), Arc::new(Notify::new()));
        let corrections = writer.clone();
        let recogniser = OnceLock::new();
        if let Some(name) = &self.recogniser {
            let known = ["emulator", "detect-label"].into_iter().find(|known| known == name);
            let _ = recogniser.set(known.unwrap_or("another recogniser"));
        }
        let service = Arc::new(Service {
            client,
            patience: Patience::new(settings.connection.patience),
            list_patience: Patience::new(settings.connection.patience),
            control: control.clone(),
            stats: Arc::clone(&stats),
            recogniser,
            lookups: Mutex::default(),
            legacy: AtomicBool::new(false),
            clock_corrected: Arc::clone(&clock_corrected),
            complaints: AtomicU32::new(0),
        });
        let comparison = Comparison { run_id: context.id, scenes: context.scenes };
        let is_listing = matches!(source, Source::Bucket { .. });
        let filter = Filter::new(&settings.stored.filter, is_listing)?;
        let list_pace = Pace::new(settings.pace.list_qps);
        let list_workers = settings.pace.list_workers.get();
        let discovery = {
            let (service, writer) = (Arc::clone(&service), writer.clone());
            let prefix = context.prefix.clone();
            let (bucket_id, run_id) = (context.bucket_id, context.id);
            let bucket = context.bucket.clone();
            let (reconsider, resumed) = (self.reconsider, self.resumed);
            let unmatched = self.unmatched;
            async move {
                if self.listed {
                    service.stats.set_listed();
                    lister::meet_known(&unmatched, &reader, bucket_id, &prefix)
                } else if is_listing {
                    let pace = list_pace;
                    Listing {
                        service,
                        writer,
                        pace,
                        filter,
                        comparison,
                        bucket_id,
                        bucket,
                        prefix,
                        workers: list_workers,
                        reconsider,
                        page_size: PageSize::default(),
                        unmatched,
                        resumed,
                    }
                    .run(ranges, reader)
                    .await
                } else {
                    let pace = list_pace;
                    Lookup {
                        service,
                        writer,
                        pace,
                        filter,
                        comparison,
                        run_id,
                        bucket_id,
                        source,
                        resumed,
                        others: self.lists,
                        found: AtomicBool::new(false),
                        row: Row::default(),
                    }
                    .run(&ranges, reader)
                    .await
                }
            }
        };
        let pool = Pool {
            tagger: Arc::new(Tagger {
                service,
                writer,
                pace: Pace::near(settings.pace.qps, self.found_limit),
                budget: Arc::clone(&self.limits),
                gate: self.gate,
                breaker: Breaker::new(settings.budget.max_failures),
                not_before: Mutex::default(),
                outage: Outage::default(),
                waiting: AtomicUsize::new(0),
                urls: context.urls,
                was_answered_before,
            }),
            workers,
            work,
            cooldown: settings.connection.cooldown,
            trial: self.trial,
            place: database,
        };
        let budget = self.limits;
        let tagging = async {
            if self.plan {
                drop(pool);
                Ok(())
            } else {
                pool.run().await
            }
        };
        // A stage that fails stops the other one.
        let watched = |stage: Result<(), Error>| {
            if stage.is_err() {
                control.stop(StopReason::Internal);
            }
            stage
        };
        let both = async {
            tokio::join!(async { watched(discovery.await) }, async { watched(tagging.await) })
        };
        let closing = async {
            // Dropped with this future: the writer ends once nobody has anything to send.
            let corrections = corrections;
            let mut window_ends = std::pin::pin!(budget.window_ends());
            loop {
                tokio::select! {
                    reason = &mut window_ends, if !control.is_stopping() => control.stop(reason),
                    () = clock_corrected.notified() => {
                        let seconds = clock.offset();
                        if corrections.send(Record::ClockOffset { seconds }).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                }
            }
        };
        let watching = async {
            match watching {
                Some(watch) => watch.run().await,
                None => std::future::pending().await,
            }
        };
        let (discovered, tagged) = tokio::select! {
            both = both => both,
            () = closing => unreachable!("it waits for ever"),
            never = watching => match never {},
        };
        let session = thread.result().await??;
        let result = discovered.and(tagged);
        Ok((session, result))
    }
}
