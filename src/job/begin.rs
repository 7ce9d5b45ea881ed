//! The beginning of a run: a new one, or an unfinished one that is resumed. Decides the ranges to list and the settings
//! that hold.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use tracing::warn;

use super::begun::{Begun, Job, Purpose};
use super::discovery::reading::OtherList;
use super::discovery::unmatched::Unmatched;
use super::tagging::budget::Budget;
use super::{Control, Error, Gate, RunSettings, Source, Stats, Trial};
use crate::config::Settings;
use crate::cos::{Bucket, Client};
use crate::store::model::Counts;
use crate::store::run::{
    BegunRun, NewRun, RangeProgress, RangeRow, RunContext, Span, UnfinishedRun,
};
use crate::store::turn::Request;
use crate::store::{Session, Store};
use crate::time::{UnixMillis, UnixSeconds};
use crate::zone;

/// A listing that is older than this is not resumed: `run` begins a new one.
const RESUMABLE: SignedDuration = SignedDuration::from_hours(24);

/// The unfinished runs in the database, as a new run with certain settings sees them.
#[derive(Default)]
struct Unfinished {
    /// A run that does the same work, and is resumed instead.
    same: Option<(UnfinishedRun, RunSettings)>,
    /// The ids of runs whose work the new run does too.
    covered: Vec<i64>,
    /// Runs over lists that may turn out to have the same lines.
    other_lists: Vec<OtherList>,
}

impl Unfinished {
    fn find(
        store: &Store,
        mine: &RunSettings,
        eligibility: i64,
        purpose: Purpose,
        now: UnixSeconds,
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        for unfinished in store.unfinished()? {
            // Settings of another version cannot be compared.
            let Ok(theirs) = RunSettings::of(&unfinished) else { continue };
            let is_same = theirs.source == mine.source
                && theirs.bucket == mine.bucket
                && mine.is_same_trial(&theirs)
                && unfinished.eligibility == eligibility;
            let is_fresh = now.duration_since(unfinished.started_at) < RESUMABLE;
            // Only a listing is resumed: a list of the same name may have other lines now.
            //
            // A run that has completed its listing is not resumed but begun anew, since new objects may have come.
            // A trial is resumed even then: its number of images does not grow with new objects.
            let can_be_resumed =
                mine.source.is_bucket() && (!unfinished.was_listed || mine.trial.is_some());
            if is_same && is_fresh && can_be_resumed {
                found.same = Some((unfinished, theirs));
                break;
            }
            if purpose == Purpose::Plan {
                continue;
            }
            if mine.covers(&theirs) {
                found.covered.push(unfinished.id);
            }
            if theirs.bucket == mine.bucket
                && theirs.source.name() == mine.source.name()
                && (mine.trial.is_none() || mine.is_same_trial(&theirs))
                && let Some(progress) = store.list_progress(unfinished.id)?
            {
                found.other_lists.push(OtherList {
                    run_id: unfinished.id,
                    has_same_name: theirs.source == mine.source,
                    described: theirs.source.describe(&theirs.bucket),
                    progress,
                });
            }
        }
        Ok(found)
    }
}

impl Job {
    /// Begins a run over `source`, or resumes an unfinished one: the same source, scenes and filters, with an
    /// unfinished listing that is younger than a day. Unfinished runs that this one covers are closed as superseded.
    /// The contents that they left pending belong to this run as soon as its listing meets them.
    ///
    /// With [`Purpose::Plan`] it begins or resumes the same run as [`Purpose::Tag`] would, in a transaction that is
    /// never committed.
    ///
    /// # Errors
    /// An error of the store, or [`Error::Glob`].
    pub fn begin(
        mut store: Store,
        client: Client,
        bucket: &Bucket,
        source: Source,
        settings: Settings,
        purpose: Purpose,
    ) -> Result<Self, Error> {
        client.clock().restore(store.clock_offset()?);
        let now = client.clock().now();
        store.recover(client.clock().millis())?;
        let run = RunSettings {
            bucket: bucket.to_string(),
            source,
            stored: settings.stored.clone(),
            typed: Some(settings.typed.clone()),
            trial: Trial::of(&settings.budget),
        };
        let eligibility = run.eligibility()?;
        warn_if_globs_have_another_meaning(&store, &run)?;
        let Unfinished { mut same, covered, other_lists } =
            Unfinished::find(&store, &run, eligibility, purpose, now)?;
        if purpose == Purpose::Tag
            && let Some((unfinished, theirs)) = same.take()
        {
            return Self::continue_run(store, client, &unfinished, theirs, settings, None);
        }
        let new = NewRun {
            bucket: run.bucket.clone(),
            source: run.source.kind(),
            prefix: run.source.prefix().to_owned(),
            eligibility,
            settings: run.to_json()?,
            plan: purpose == Purpose::Plan,
            started_at: now,
            spans: spans(&store, &run, &settings)?,
        };
        let BegunRun { id, bucket_id, journals } = store.begin_run(&new)?;
        // This comes after the new run has its row: if that fails, the old runs can still be resumed.
        for id in covered {
            store.supersede(id)?;
        }
        // A plan reads the lines of its list back through other connections, so for a list the simulation starts only
        // with the first page.
        if purpose == Purpose::Plan && run.source.is_bucket() {
            store.simulate()?;
        }
        if let Some((unfinished, theirs)) = same {
            return Self::continue_run(store, client, &unfinished, theirs, settings, Some(id));
        }
        let context = RunContext {
            id,
            bucket_id,
            bucket: run.bucket,
            prefix: new.prefix,
            scenes: settings.stored.scenes,
            dedupe: settings.stored.dedupe,
            list: !run.source.is_bucket(),
            urls: matches!(run.source, Source::Urls(_)),
            journals,
            plan: purpose == Purpose::Plan,
        };
        let counts = Counts::default();
        let mut job = Self::new(store, client, context, counts, run.source, settings, eligibility)?;
        job.begun.other_lists = other_lists;
        Ok(job.limited_to(run.trial, 0))
    }

    /// Resumes an unfinished run over its own source. `settings` must want what the run wants
    /// ([`RunSettings::wants_as`]); all other settings replace those that the run had stored. The run keeps its own
    /// number of images, unless `settings` have one, or `new_trial` says that the absence of one is meant.
    ///
    /// If the reading of a list's file was interrupted, the file is read on only if it is given as `named`. The
    /// database may come from somebody else and name any file, whose lines would be sent to the service as keys.
    ///
    /// # Errors
    /// An error of the store, [`Error::Settings`] or [`Error::Glob`].
    pub fn resume(
        mut store: Store,
        client: Client,
        unfinished: &UnfinishedRun,
        settings: Settings,
        new_trial: bool,
        named: Option<Source>,
    ) -> Result<Self, Error> {
        client.clock().restore(store.clock_offset()?);
        store.recover(client.clock().millis())?;
        let mut own = RunSettings::of(unfinished)?;
        let is_named = named.is_some();
        if let Some(named) = named {
            own.source = named;
        }
        let given = Trial::of(&settings.budget);
        if new_trial || given.is_some() {
            let counts = store.counts(unfinished.id)?;
            // If the run took every image so far, the trial counts only what is settled from now on.
            let from = own.trial.map_or(counts.done + counts.failed, |trial| trial.from);
            own.trial = given.map(|trial| Trial { from, ..trial });
        }
        let job = Self::continue_run(store, client, unfinished, own, settings, None)?;
        Ok(if is_named { job } else { job.without_reading() })
    }

    /// If the job would read on in a list's file, limits it to the lines that are already in the store.
    fn without_reading(mut self) -> Self {
        let file = match &self.source {
            Source::Keys(list) | Source::Urls(list) if list.file.is_some() => list.name(),
            _ => return self,
        };
        let is_reading = |range: &RangeRow| matches!(range.progress, RangeProgress::Reading { .. });
        if self.begun.ranges.iter().any(|range| is_reading(range) && !range.done) {
            self.begun.ranges.retain(|range| !is_reading(range));
            self.begun.unread = Some(format!("--{} {file}", self.source.name()));
        }
        self
    }

    /// Resumes a run. `plan_row` is the row of the plan, if this is one.
    fn continue_run(
        mut store: Store,
        client: Client,
        unfinished: &UnfinishedRun,
        own: RunSettings,
        settings: Settings,
        plan_row: Option<i64>,
    ) -> Result<Self, Error> {
        let RunSettings { source, trial, .. } = own;
        store.reopen_run(unfinished.id)?;
        let kept = RunSettings {
            bucket: unfinished.bucket.clone(),
            source: source.clone(),
            stored: settings.stored.clone(),
            typed: Some(settings.typed.clone()),
            trial,
        };
        store.keep_settings(unfinished.id, &kept.to_json()?)?;
        let context = RunContext {
            id: unfinished.id,
            bucket_id: unfinished.bucket_id,
            bucket: unfinished.bucket.clone(),
            prefix: unfinished.prefix.clone(),
            scenes: settings.stored.scenes,
            dedupe: settings.stored.dedupe,
            list: !source.is_bucket(),
            urls: matches!(source, Source::Urls(_)),
            journals: unfinished.journals,
            plan: plan_row.is_some(),
        };
        let counts = store.counts(unfinished.id)?;
        let eligibility = unfinished.eligibility;
        let settled = trial.map_or(0, |trial| trial.settled(&counts));
        let mut job = Self::new(store, client, context, counts, source, settings, eligibility)?;
        if let Some(row) = plan_row {
            job.begun.session = job.begun.session.planned_in(row);
        }
        let begun = &mut job.begun;
        // Contents that no other run waits for are adopted when a listing ends, and this one has ended already.
        if unfinished.listed {
            let mut turn = begun.session.new_turn();
            turn.requests.push(Request::AdoptWaiting);
            begun.session.turn(&turn)?.in_place()?;
        }
        begun.is_resumed = true;
        begun.is_listed = unfinished.listed;
        // Runs in between may have judged objects by other settings, or taken their contents.
        begun.reconsider = true;
        Ok(job.limited_to(trial, settled))
    }

    /// Limits the job to a trial. `settled` of its images are settled already.
    fn limited_to(mut self, trial: Option<Trial>, settled: u64) -> Self {
        if trial.is_some() && self.purpose == Purpose::Tag && self.source.is_bucket() {
            self.begun.session.hold_gone();
        }
        if let Some(trial) = trial {
            self.budget.limit_to(trial, settled);
        }
        self.begun.trial = trial;
        self
    }

    fn new(
        mut store: Store,
        client: Client,
        context: RunContext,
        counts: Counts,
        source: Source,
        settings: Settings,
        eligibility: i64,
    ) -> Result<Self, Error> {
        if !context.plan {
            store.mark()?;
        }
        let unmatched = Unmatched::new(&settings.stored.filter, source.is_bucket())?;
        let ranges = store.ranges(context.id)?;
        let recogniser = store.recogniser()?;
        let found_limit = store.found_limit(&context.bucket)?;
        let reader = store.reader()?;
        let reconsider =
            reader.must_reconsider(context.id, context.bucket_id, &context.prefix, eligibility)?;
        let ledger_end = reader.ledger_end()?;
        // The reader stays open: closing it and opening the file again during the run could cost SQLite its locks.
        let ledger = Mutex::new(reader);
        let earlier = move |since: UnixMillis| {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.calls_since(since, ledger_end)
        };
        let clock = Arc::clone(client.clock());
        let budget = Budget::new(&settings.budget, clock, &zone::local().zone, Box::new(earlier));
        let purpose = if context.plan { Purpose::Plan } else { Purpose::Tag };
        let begun = Begun {
            session: Session::new(store, context, counts.clone()),
            ranges,
            other_lists: Vec::new(),
            is_listed: false,
            reconsider,
            is_resumed: false,
            unread: None,
            trial: None,
            recogniser,
            found_limit,
        };
        Ok(Self {
            client,
            settings,
            source,
            purpose,
            begun,
            budget: Arc::new(budget),
            unmatched: Arc::new(unmatched),
            stats: Arc::new(Stats::new(counts)),
            control: Control::default(),
            gate: Gate::default(),
        })
    }
}

/// Warns if the globs of this run match other keys than the same globs of the last run did.
fn warn_if_globs_have_another_meaning(store: &Store, run: &RunSettings) -> Result<(), Error> {
    if run.stored.filter.has_globs()
        && let Some(last) = store.last_settings(&run.bucket)?
        && let Ok(last) = serde_json::from_str::<RunSettings>(&last)
        && last.stored.filter.has_globs()
        && last.stored.filter.globs.is_of_first_versions()
    {
        warn!(
            "globs without / now match the name at any depth, no longer only keys without a folder: this run \
             may want more images than the last one; `/` in a glob makes it match the whole key"
        );
    }
    Ok(())
}

/// The ranges that a new run begins with.
fn spans(store: &Store, run: &RunSettings, settings: &Settings) -> Result<Vec<Span>, Error> {
    Ok(match &run.source {
        Source::Bucket { prefix } => {
            let most = settings.pace.list_workers.get();
            tile(store.reader()?.split_points(&run.bucket, prefix, most)?)
        }
        // One range counts the lines read, the other the lines looked up.
        Source::Keys(_) | Source::Urls(_) => vec![Span::default(), Span::default()],
    })
}

/// Divides the key space into adjacent spans at these ascending points.
fn tile(points: Vec<String>) -> Vec<Span> {
    let mut spans = Vec::with_capacity(points.len() + 1);
    let mut start_after = String::new();
    for point in points {
        spans.push(Span { start_after, stop_at: Some(point.clone()) });
        start_after = point;
    }
    spans.push(Span { start_after, stop_at: None });
    spans
}
