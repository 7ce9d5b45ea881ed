//! How a run begins: anew, or going on with one that was interrupted; with which ranges and settings.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::control::Control;
use super::gate::Gate;
use super::stats::Stats;
use super::trial::Trial;
use super::{Error, Job};
use crate::config::{Settings, Stored, Typed};
use crate::cos::{Bucket, Client};
use crate::glob::Meaning;
use crate::job::discovery::lookup::{OtherList, READING};
use crate::job::discovery::source::Source;
use crate::job::discovery::unmatched::Unmatched;
use crate::job::tagging::budget::Budget;
use crate::store::model::Counts;
use crate::store::run::{NewRun, RangeRow, RunContext, Span, UnfinishedRun};
use crate::store::turn::Request;
use crate::store::{Session, Store, ident};
use crate::zone;

/// An unfinished listing older than this is begun anew by `run`.
const FRESH: i64 = 24 * 3600;

/// What a run keeps of its settings, so that resuming it does the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSettings {
    /// `BUCKET-APPID`.
    pub bucket: String,
    /// Where the work comes from.
    pub source: Source,
    /// Region, endpoint, scenes, filter and dedupe.
    #[serde(flatten)]
    pub stored: Stored,
    /// The options that were typed; `None` in a run of a version that did not keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed: Option<Typed>,
    /// How many images the run is limited to; none: everything that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

impl RunSettings {
    /// The settings that an unfinished run was begun with.
    ///
    /// # Errors
    /// [`Error::Settings`] if another version wrote them so that this one cannot read them.
    pub fn of(run: &UnfinishedRun) -> Result<Self, Error> {
        let mut settings: Self = serde_json::from_str(&run.settings)
            .map_err(|source| Error::Settings { run: run.id, source: source.into() })?;
        // Without globs their meaning is no difference.
        if !settings.stored.filter.has_globs() {
            settings.stored.filter.globs = Meaning::default();
        }
        // What the database says twice must agree; else it was changed by something else than costag.
        let refuse = |reason| Err(Error::Settings { run: run.id, source: reason });
        if settings.bucket != run.bucket {
            let Self { bucket, .. } = &settings;
            return refuse(
                format!("they are for {bucket:?}, the run is for {:?}", run.bucket).into(),
            );
        }
        if settings.source.name() != run.source || settings.source.prefix() != run.prefix {
            return refuse("they are for another source than the run".into());
        }
        if let Err(error) = Bucket::parse(&settings.bucket) {
            return refuse(error.into());
        }
        Ok(settings)
    }

    /// Whether both want the same objects of a source, for the same scenes.
    pub fn wants_as(&self, stored: &Stored) -> bool {
        let Stored { scenes, filter, dedupe, .. } = &self.stored;
        (scenes, filter, dedupe) == (&stored.scenes, &stored.filter, &stored.dedupe)
    }

    /// A number for all that decides which objects are wanted, and for what.
    fn eligibility(&self) -> i64 {
        let Stored { scenes, filter, dedupe, .. } = &self.stored;
        let mut filter = filter.clone();
        // Only globs make their meaning part of what is wanted. Without them the number is that of the first
        // versions, and their unchanged objects need no second look.
        if !filter.has_globs() {
            filter.globs = Meaning::of_first_versions();
        }
        let filter = serde_json::to_string(&filter).unwrap_or_default();
        let listing = matches!(self.source, Source::Bucket { .. });
        ident::hash_text(&format!("{listing} {scenes} {dedupe} {filter}"))
    }

    /// Whether both are over everything that is wanted, or trials of the same images.
    fn is_same_trial(&self, other: &Self) -> bool {
        match (&self.trial, &other.trial) {
            (Some(mine), Some(theirs)) => mine.is_same(theirs),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        }
    }

    /// Whether a complete run over this source meets all that one over `other` would. Of lists that is known only once
    /// they are read.
    fn covers(&self, other: &Self) -> bool {
        self.bucket == other.bucket
            && (self.trial.is_none() || self.is_same_trial(other))
            && match (&self.source, &other.source) {
                (Source::Bucket { prefix }, Source::Bucket { prefix: narrower }) => {
                    narrower.starts_with(prefix.as_str())
                }
                _ => false,
            }
    }
}

/// Spans that tile the key space, with these ascending points between them.
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

impl Job {
    /// Begins a run over `source`, or goes on with an unfinished one: the same source, scenes and filters,
    /// its listing unfinished and younger than a day. Unfinished runs that this one covers are closed as
    /// superseded; what they left pending is adopted as the listing meets it.
    ///
    /// A `plan` begins, or goes on with, whatever the run would, in a transaction that is never committed.
    ///
    /// # Errors
    /// The store's, and [`Error::Glob`].
    pub fn begin(
        mut store: Store,
        client: Client,
        bucket: &Bucket,
        source: Source,
        settings: Settings,
        plan: bool,
    ) -> Result<Self, Error> {
        client.clock().restore(store.clock_offset()?);
        let now = client.clock().now();
        store.recover(client.clock().millis())?;
        let trial = Trial::of(&settings.budget);
        let mine = RunSettings {
            bucket: bucket.to_string(),
            source,
            stored: settings.stored.clone(),
            typed: Some(settings.typed.clone()),
            trial,
        };
        let eligibility = mine.eligibility();
        if mine.stored.filter.has_globs()
            && let Some(last) = store.last_settings(&mine.bucket)?
            && let Ok(last) = serde_json::from_str::<RunSettings>(&last)
            && last.stored.filter.has_globs()
            && last.stored.filter.globs.is_of_first_versions()
        {
            warn!(
                "globs without / now match the name at any depth, no longer only keys without a folder: this run \
                 may want more images than the last one; `/` in a glob makes it match the whole key"
            );
        }
        let mut superseded = Vec::new();
        let mut goes_on_with = None;
        let mut lists = Vec::new();
        for unfinished in store.unfinished()? {
            // Settings of another version are none to compare with.
            let Ok(theirs) = RunSettings::of(&unfinished) else { continue };
            let same = theirs.source == mine.source
                && theirs.bucket == mine.bucket
                && mine.is_same_trial(&theirs)
                && unfinished.eligibility == eligibility;
            let fresh = now - unfinished.started_at < FRESH;
            // The list at hand may be another one of the same name.
            let listing = matches!(mine.source, Source::Bucket { .. });
            // A trial has its number to come to, whatever is new; a run over everything lists what is. One that has to
            // list again would first call for keys that it had listed long ago: a new run knows better.
            if same && fresh && listing && (!unfinished.was_listed || mine.trial.is_some()) {
                if plan {
                    goes_on_with = Some((unfinished, theirs));
                    break;
                }
                return Self::go_on(store, client, &unfinished, theirs, settings, None);
            }
            if mine.covers(&theirs) && !plan {
                superseded.push(unfinished.id);
            }
            if theirs.bucket == mine.bucket
                && theirs.source.name() == mine.source.name()
                && (mine.trial.is_none() || mine.is_same_trial(&theirs))
                && !plan
                && let Some(progress) = store.list_progress(unfinished.id)?
            {
                lists.push(OtherList {
                    run_id: unfinished.id,
                    has_same_name: theirs.source == mine.source,
                    described: theirs.source.describe(&theirs.bucket),
                    progress,
                });
            }
        }
        let spans = match mine.source {
            Source::Bucket { ref prefix } => {
                let most = settings.pace.list_workers.get();
                tile(store.reader()?.split_points(&mine.bucket, prefix, most)?)
            }
            // Reading the list, and looking its lines up.
            Source::Keys(_) | Source::Urls(_) => vec![Span::default(), Span::default()],
        };
        let new = NewRun {
            bucket: mine.bucket.clone(),
            source: mine.source.name(),
            prefix: mine.source.prefix().to_owned(),
            eligibility,
            settings: serde_json::to_string(&mine).unwrap_or_default(),
            plan,
            started_at: now,
            spans,
        };
        let (id, bucket_id, journals) = store.begin_run(&new)?;
        // Not before there is a new run: if one cannot be begun, the old one can still be resumed.
        for id in superseded {
            store.supersede(id)?;
        }
        let list = !matches!(mine.source, Source::Bucket { .. });
        // The lines of a list have to be read back by others: its plan begins to simulate with the first page.
        if plan && !list {
            store.simulate()?;
        }
        if let Some((unfinished, theirs)) = goes_on_with {
            return Self::go_on(store, client, &unfinished, theirs, settings, Some(id));
        }
        let context = RunContext {
            id,
            bucket_id,
            bucket: mine.bucket,
            prefix: new.prefix,
            scenes: settings.stored.scenes,
            dedupe: settings.stored.dedupe,
            list,
            urls: matches!(mine.source, Source::Urls(_)),
            journals,
            plan,
        };
        Self::new(store, client, context, Counts::default(), mine.source, settings, eligibility)
            .map(|job| Self { lists, ..job.limited_to(trial) })
    }

    /// Goes on with an unfinished run over its own source. `settings` must want what the run wants
    /// ([`RunSettings::wants_as`]); everything else in them replaces what the run had kept. The number of images that
    /// it is limited to is the run's own, unless `settings` have one, or `new_trial` says that they want none.
    ///
    /// # Errors
    /// The store's, and [`Error::Settings`].
    ///
    /// The file of a list whose reading was cut short is read on only as the source `named`: the one that the database
    /// names may have been put there by somebody else, and its lines would be sent out as keys.
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
            // Of a run over everything, what was settled before is none of the trial.
            let from = own.trial.map_or(counts.done + counts.failed, |trial| trial.from);
            own.trial = given.map(|trial| Trial { from, ..trial });
        }
        let job = Self::go_on(store, client, unfinished, own, settings, None)?;
        Ok(if is_named { job } else { job.without_reading() })
    }

    /// The job with the lines that its list has in the store, if it would go on reading a file.
    fn without_reading(mut self) -> Self {
        let file = match &self.source {
            Source::Keys(list) | Source::Urls(list) if list.file.is_some() => list.name(),
            _ => return self,
        };
        let is_reading = |range: &RangeRow| range.seq == READING && !range.done;
        if self.ranges.iter().any(is_reading) {
            self.ranges.retain(|range| range.seq != READING);
            self.unread = Some(format!("--{} {file}", self.source.name()));
        }
        self
    }

    fn go_on(
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
        store.keep_settings(unfinished.id, &serde_json::to_string(&kept).unwrap_or_default())?;
        let context = RunContext {
            id: unfinished.id,
            bucket_id: unfinished.bucket_id,
            bucket: unfinished.bucket.clone(),
            prefix: unfinished.prefix.clone(),
            scenes: settings.stored.scenes,
            dedupe: settings.stored.dedupe,
            list: !matches!(source, Source::Bucket { .. }),
            urls: matches!(source, Source::Urls(_)),
            journals: unfinished.journals,
            plan: plan_row.is_some(),
        };
        let counts = store.counts(unfinished.id)?;
        let eligibility = unfinished.eligibility;
        let tried = trial.map_or(0, |trial| trial.settled(&counts));
        let mut job = Self::new(store, client, context, counts, source, settings, eligibility)?;
        if let Some(row) = plan_row {
            job.session = job.session.planned_in(row);
        }
        // What waits for nobody is adopted at the end of a listing, and there is none any more.
        if unfinished.listed {
            let mut turn = job.session.new_turn();
            turn.requests.push(Request::AdoptWaiting);
            job.session.turn(&turn)?.in_place()?;
        }
        let job = Self {
            resumed: true,
            tried,
            listed: unfinished.listed,
            // What came between may have judged objects by other settings, or taken their contents.
            reconsider: true,
            ..job
        };
        Ok(job.limited_to(trial))
    }

    /// The job with so many images as its scope.
    fn limited_to(mut self, trial: Option<Trial>) -> Self {
        if trial.is_some() && !self.plan && matches!(self.source, Source::Bucket { .. }) {
            self.session.hold_gone();
        }
        if let Some(trial) = trial {
            self.limits.limit_to(trial, self.tried);
        }
        Self { trial, ..self }
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
        let is_listing = matches!(source, Source::Bucket { .. });
        if !context.plan {
            store.mark()?;
        }
        let unmatched = Arc::new(Unmatched::new(&settings.stored.filter, is_listing)?);
        let ranges = store.ranges(context.id)?;
        let recogniser = store.recogniser()?;
        let found_limit = store.found_limit(&context.bucket)?;
        let reader = store.reader()?;
        let reconsider =
            reader.must_reconsider(context.id, context.bucket_id, &context.prefix, eligibility)?;
        let last_call = reader.last_call()?;
        // The reader stays open: opening the file again while a run goes on could cost SQLite its locks.
        let ledger = Mutex::new(reader);
        let earlier = move |since: i64| {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.calls_since(since, last_call)
        };
        let clock = Arc::clone(client.clock());
        let budget = Budget::new(&settings.budget, clock, &zone::local().zone, Box::new(earlier));
        let plan = context.plan;
        Ok(Self {
            client,
            settings,
            source,
            session: Session::new(store, context, counts.clone()),
            ranges,
            lists: Vec::new(),
            listed: false,
            reconsider,
            resumed: false,
            unread: None,
            limits: Arc::new(budget),
            trial: None,
            tried: 0,
            recogniser,
            found_limit,
            plan,
            unmatched,
            stats: Arc::new(Stats::new(counts)),
            control: Control::default(),
            gate: Gate::default(),
        })
    }
}
