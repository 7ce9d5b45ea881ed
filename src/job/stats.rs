//! What observers of a run may look at while it goes on; nothing of the run depends on it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    waits: Mutex<Option<String>>,
    first_call: Mutex<Option<Instant>>,
    last_call: Mutex<Option<Instant>>,
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
    pub waits: Option<String>,
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
            waits: Mutex::new(None),
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
        Snapshot {
            counts: lock(&self.counts).clone(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            listed: self.listed.load(Ordering::Relaxed),
            pace,
            waits: lock(&self.waits).clone(),
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

    pub(super) fn set_waits(&self, what: Option<String>) {
        *lock(&self.waits) = what;
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
