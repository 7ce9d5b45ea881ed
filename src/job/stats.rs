//! What observers of a run may look at while it goes on; nothing of the run depends on it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::store::model::Counts;

/// Live numbers of a run, shared with its observers.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    counts: Mutex<Counts>,
    in_flight: AtomicUsize,
    listed: AtomicBool,
    /// Calls a second allowed at the moment, in thousandths; 0 is no limit.
    pace: AtomicU64,
    waits: Mutex<Waits>,
    first_call: Mutex<Option<Instant>>,
    last_call: Mutex<Option<Instant>>,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// In words that go on after "waiting: ".
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// When it goes on, or is tried again.
    pub until: Timestamp,
    /// When the run ends if that does not help; `None` if nothing can go wrong.
    pub gives_up: Option<Timestamp>,
}

/// A moment of the monotonic clock by the machine's own clock.
pub(super) fn wall(moment: tokio::time::Instant) -> Timestamp {
    let (now, here) = (Timestamp::now(), tokio::time::Instant::now());
    let far =
        |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let moved = if moment >= here {
        now.checked_add(far(moment - here))
    } else {
        now.checked_sub(far(here - moment))
    };
    moved.unwrap_or(now)
}

/// What the run waits for now, and how often and how long it has waited before.
#[derive(Debug, Default)]
struct Waits {
    now: Option<(Wait, Instant)>,
    /// What the listing waits for, beside the calls.
    listing: Option<Wait>,
    times: u32,
    before: Duration,
}

/// A look at [`Stats`].
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// As of the last commit.
    pub counts: Counts,
    /// Calls on the wire.
    pub in_flight: usize,
    /// Whether the listing is complete.
    pub listed: bool,
    /// Calls a second allowed at the moment; `None`: what was asked for.
    pub pace: Option<f64>,
    /// What the run waits for, if it waits.
    pub waits: Option<Wait>,
    /// How often it has waited: for the network, for the service, before a later pass.
    pub times_waited: u32,
    /// How long it has waited.
    pub waited: Duration,
    /// Since the run began.
    pub elapsed: Duration,
    /// Between the first call's start and the last one's end.
    pub calling: Duration,
}

impl Snapshot {
    /// Contents in this run's queue or in flight.
    pub fn pending(&self) -> u64 {
        self.counts.pending()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stats {
    /// A run that begins now, with what it counted before.
    pub fn new(counts: Counts) -> Self {
        Self {
            started: Instant::now(),
            counts: Mutex::new(counts),
            in_flight: AtomicUsize::new(0),
            listed: AtomicBool::new(false),
            pace: AtomicU64::new(0),
            waits: Mutex::default(),
            first_call: Mutex::new(None),
            last_call: Mutex::new(None),
        }
    }

    /// The numbers of this moment.
    pub fn snapshot(&self) -> Snapshot {
        let thousandths = self.pace.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let pace = (thousandths > 0).then(|| thousandths as f64 / 1000.0);
        let first = *lock(&self.first_call);
        let last = *lock(&self.last_call);
        let waits = lock(&self.waits);
        let waits_since = waits.now.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        Snapshot {
            counts: lock(&self.counts).clone(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            listed: self.listed.load(Ordering::Relaxed),
            pace,
            waits: waits.now.as_ref().map(|(wait, _)| wait).or(waits.listing.as_ref()).cloned(),
            times_waited: waits.times,
            waited: waits.before + waits_since,
            elapsed: self.started.elapsed(),
            calling: first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first),
        }
    }

    pub(super) fn committed(&self, counts: &Counts) {
        lock(&self.counts).clone_from(counts);
    }

    pub(super) fn set_listed(&self) {
        self.listed.store(true, Ordering::Release);
    }

    pub(super) fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    pub(super) fn set_pace(&self, rate: Option<f64>) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive rate to show"
        )]
        self.pace.store(rate.map_or(0, |rate| (rate * 1000.0) as u64), Ordering::Relaxed);
    }

    /// Several may wait for the same at once: that is one wait.
    pub(super) fn begins_to_wait(&self, wait: Wait) {
        let mut waits = lock(&self.waits);
        if let Some((now, _)) = &mut waits.now {
            *now = wait;
        } else {
            waits.now = Some((wait, Instant::now()));
            waits.times += 1;
        }
    }

    /// What the listing or a look-up waits for; `None` if it goes on.
    pub(super) fn listing_waits(&self, wait: Option<Wait>) {
        lock(&self.waits).listing = wait;
    }

    /// Calls on the wire.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn ends_waiting(&self) {
        let mut waits = lock(&self.waits);
        if let Some((_, since)) = waits.now.take() {
            waits.before += since.elapsed();
        }
    }

    pub(super) fn call_begins(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        lock(&self.first_call).get_or_insert_with(Instant::now);
    }

    pub(super) fn call_ends(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        *lock(&self.last_call) = Some(Instant::now());
    }
}
