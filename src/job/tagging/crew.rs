//! The workers of a run and their slots: how many there are, and what is known about them.
//!
//! [`super::sizing`] decides the number. Each worker has two slots, so that images are claimed while it calls.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tracing::{info, warn};

use super::sizing::{Look, Sizing};
use super::tagger::Tagger;
use crate::config::Workers;
use crate::system;

/// The time between two looks at the workers.
const LOOK: Duration = Duration::from_millis(50);
/// The number of open files that are not connections of calls: the database, listings and connections that close.
const OTHER_FILES: usize = 128;

/// The workers of a run.
#[derive(Debug)]
pub(super) struct Crew {
    workers: Workers,
    /// The number of workers that there should be.
    size: AtomicUsize,
    /// The number of workers that there are.
    running: AtomicUsize,
    /// A content takes a slot from its claim until it is settled.
    pub(super) slots: Arc<Semaphore>,
    /// The number of all slots. After the number of workers has shrunk, it follows as slots become free.
    all_slots: AtomicUsize,
    /// The number of free slots that are reserved for a claim.
    pub(super) claiming: AtomicUsize,
    /// The number of images that workers have taken and not handed to the writer yet.
    pub(super) held: AtomicUsize,
    resized: Notify,
}

impl Crew {
    pub(super) fn new(workers: Workers, rate: f64) -> Self {
        let size = Sizing::new(workers, rate, open_files()).now();
        Self {
            workers,
            size: AtomicUsize::new(size),
            running: AtomicUsize::new(0),
            slots: Arc::new(Semaphore::new(2 * size)),
            all_slots: AtomicUsize::new(2 * size),
            claiming: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            resized: Notify::new(),
        }
    }

    /// The most contents that may ever be claimed and not settled.
    pub(super) fn most_slots(&self) -> usize {
        2 * self.workers.most()
    }

    /// Half of the workers that there should be, and at least one.
    pub(super) fn half(&self) -> usize {
        (self.size.load(Ordering::Relaxed) / 2).max(1)
    }

    /// Returns whether no content is claimed, if `free` slots are reserved by the caller.
    pub(super) fn is_idle(&self, free: usize) -> bool {
        free + self.slots.available_permits() == self.all_slots.load(Ordering::Relaxed)
    }

    /// Adds a worker if there should be more. Returns whether it did.
    pub(super) fn joins(&self) -> bool {
        let joins = self.running.load(Ordering::Relaxed) < self.size.load(Ordering::Relaxed);
        self.running.fetch_add(usize::from(joins), Ordering::Relaxed);
        joins
    }

    /// Takes a worker away if there should be fewer. Returns whether it did.
    pub(super) fn leaves(&self) -> bool {
        let leaves = self.running.load(Ordering::Relaxed) > self.size.load(Ordering::Relaxed);
        self.running.fetch_sub(usize::from(leaves), Ordering::Relaxed);
        leaves
    }

    /// Waits until there should be another number of workers.
    pub(super) async fn resized(&self) {
        self.resized.notified().await;
    }

    /// Keeps the number of workers right for as long as the run calls. Notifies `work` when the number changes.
    pub(super) async fn keep_size(&self, tagger: &Tagger, work: &Notify) -> Infallible {
        let mut sizing = Sizing::new(self.workers, tagger.pace.rate(), open_files());
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let seconds = std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
            let ended = tagger.activity.ended.swap(0, Ordering::Relaxed);
            if tagger.outage.is_waiting() || tagger.service.control.is_stopping() {
                continue;
            }
            let rate = tagger.pace.rate();
            let look = Look {
                seconds,
                rate,
                in_use: self.in_use(tagger),
                waits_for_pace: tagger.activity.at_pace.load(Ordering::Relaxed) > 0,
                ended,
            };
            let needed = sizing.look(&look);
            if self.set_size(sizing.now()) {
                work.notify_one();
            }
            if let Some(needed) = needed {
                warn_of_few(sizing.now(), rate, needed);
            }
        }
    }

    /// The number of workers that the work needs at this moment.
    fn in_use(&self, tagger: &Tagger) -> usize {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let busy = tagger.service.stats.in_flight() + count(&tagger.activity.between_tries);
        let not_claimed = self.slots.available_permits() + count(&self.claiming);
        let not_called = count(&tagger.waiting) + count(&self.held);
        // What is left has been called, and waits for its commit.
        let uncommitted =
            count(&self.all_slots).saturating_sub(not_claimed).saturating_sub(not_called);
        busy.max((busy + uncommitted).div_ceil(2))
    }

    /// Returns whether the number changes.
    fn set_size(&self, size: usize) -> bool {
        let changes = self.size.swap(size, Ordering::Relaxed) != size;
        if changes {
            info!(workers = size, "the most calls in flight");
            self.resized.notify_one();
        }
        let all = self.all_slots.load(Ordering::Relaxed);
        if 2 * size >= all {
            self.slots.add_permits(2 * size - all);
            self.all_slots.store(2 * size, Ordering::Relaxed);
        } else {
            // Slots that are taken are removed by a later call, once they are free.
            let removed = self.slots.forget_permits(all - 2 * size);
            self.all_slots.fetch_sub(removed, Ordering::Relaxed);
        }
        changes
    }
}

/// Says that the workers and not the pace limit the calls.
fn warn_of_few(workers: usize, rate: f64, needed: usize) {
    let most = Workers::MOST;
    let advice = if needed > most {
        format!("about {needed} would be needed, but --workers allows at most {most}")
    } else {
        format!("--workers {needed} would be enough")
    };
    warn!(
        "the number of workers limits this run, not the pace: {workers} calls in flight are too few for {rate:.0} calls \
         a second, because each call takes long; {advice}"
    );
}

/// How many connections the system lets this process open for calls.
fn open_files() -> usize {
    let limit = system::open_files().unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES)
}
