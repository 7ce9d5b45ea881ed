//! The pool of workers: claims contents, calls the service for them concurrently, and hands each settlement to the
//! writer.
//!
//! Each worker makes one call at a time, and at most twice as many contents as there are workers are claimed and not
//! settled. After a crash, these are the only contents whose calls may have been paid without a stored result.

mod claim;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, mpsc};

use super::activity::Counted;
use super::crew::Crew;
use super::image::Image;
use super::tagger::Tagger;
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::trial::Trial;
use crate::job::writer::Record;
use crate::store::Place;
use crate::store::turn::{Claimed, Settled, Settlement};

/// The shortest time between two checks of the database file. When calls are that frequent, a turn of the writer takes
/// about as long, so this adds no calls after the file was taken away.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// The workers of a run.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) tagger: Arc<Tagger>,
    pub(super) crew: Crew,
    /// Notified by the writer when the queue may have grown, or when a content was settled.
    pub(super) work: Arc<Notify>,
    /// The wait before the second pass. Before the third one it is four times as long.
    pub(super) cooldown: Duration,
    /// The number of images that the run is limited to. Absent if it takes every image that is wanted.
    pub(super) trial: Option<Trial>,
    /// The database file.
    pub(super) place: Place,
}

/// When a worker checked the database file last. `None` if no worker has checked it yet.
type LastCheck = std::sync::Mutex<Option<Instant>>;

/// A claimed content, and the slot that it takes until it is settled.
type Slotted = (Claimed, OwnedSemaphorePermit);

impl Pool {
    /// Claims and calls until the listing is complete and nothing is left to claim, or the run stops.
    ///
    /// # Errors
    /// Only if the writer has ended.
    pub(super) async fn run(self) -> Result<(), Error> {
        let (sender, claimed) = mpsc::channel::<Slotted>(self.crew.most_slots());
        tokio::select! {
            (claiming, calling) = async { tokio::join!(self.claim(sender), self.call(claimed)) } => {
                calling.and(claiming)
            }
            never = self.crew.keep_size(&self.tagger, &self.work) => match never {},
        }
    }

    /// Runs the workers until no more contents will be claimed.
    async fn call(&self, claimed: mpsc::Receiver<Slotted>) -> Result<(), Error> {
        let claimed = Mutex::new(claimed);
        let last_check = std::sync::Mutex::new(None);
        // A worker lives as long as it is needed. With a future for each image, several kilobytes would be allocated and
        // moved every time. The workers are no tasks of their own, since a job runs on a runtime of one thread.
        let mut workers = FuturesUnordered::new();
        let mut is_over = false;
        loop {
            while !is_over && self.crew.joins() {
                workers.push(self.worker(&claimed, &last_check));
            }
            tokio::select! {
                ended = workers.next() => match ended {
                    Some(ended) => is_over |= ended?,
                    None => return Ok(()),
                },
                () = self.crew.resized(), if !is_over => {}
            }
        }
    }

    /// Calls for one content after another. Returns `true` once no more will be claimed, and `false` if there are more
    /// workers than needed.
    async fn worker(
        &self,
        claimed: &Mutex<mpsc::Receiver<Slotted>>,
        last_check: &LastCheck,
    ) -> Result<bool, Error> {
        while !self.crew.leaves() {
            let next = claimed.lock().await.recv().await;
            let Some((claimed, slot)) = next else { return Ok(true) };
            let _held = Counted::in_(&self.crew.held);
            self.tagger.waiting.fetch_sub(1, Ordering::Relaxed);
            let pass = claimed.pass;
            // The writer notices this too, but only with its next turn. Until then each worker could begin a call whose
            // result would be lost. Calls in flight finish, and are committed.
            if self.is_database_lost(last_check) {
                self.tagger.service.control.stop(StopReason::Internal);
                return Ok(true);
            }
            let settlement = Image::new(&self.tagger, claimed, false).run().await?;
            self.settle(settlement, pass, slot).await?;
        }
        Ok(false)
    }

    /// Returns `true` if the database was taken away. Checks the file only if the last check is longer ago than
    /// [`CHECK_INTERVAL`], and returns `false` otherwise. A check takes several microseconds, and fast workers would
    /// spend a tenth of their time on it.
    fn is_database_lost(&self, last_check: &LastCheck) -> bool {
        let now = Instant::now();
        {
            let mut last = last_check.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now - last < CHECK_INTERVAL) {
                return false;
            }
            *last = Some(now);
        }
        self.place.is_lost()
    }

    /// Hands the settlement of an image that was claimed in this pass to the writer.
    async fn settle(
        &self,
        settlement: Settlement,
        pass: u32,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), Error> {
        // An image that will be claimed in the first pass again must not count twice.
        let again =
            matches!(settlement.settled, Settled::Released | Settled::PutBack { pass: 0, .. });
        if pass == 0 && again {
            self.tagger.budget.unclaimed();
        }
        if let Settled::PutBack { pass, .. } = &settlement.settled {
            self.tagger.service.stats.put_back(*pass);
        }
        self.tagger.writer.send(Record::Settle { settlement, slot }).await
    }

    /// During an outage, calls for one image at a time to probe whether the service is back. Each image comes from
    /// anywhere in the queue. Returns `false` if the run stops.
    async fn probe(&self) -> Result<bool, Error> {
        let tagger = &self.tagger;
        let service = &tagger.service;
        while tagger.outage.is_waiting() {
            if !service.pause_ends().await {
                return Ok(false);
            }
            if !tagger.outage.is_waiting() {
                break;
            }
            let Some(mut free) = self.free_slots(|| 1).await else { return Ok(false) };
            let idle = self.crew.is_idle(free.num_permits());
            let first_pass = u32::from(tagger.budget.images(1).is_err());
            let claimed = tagger.writer.ask(|reply| Record::Probe { first_pass, reply }).await?;
            let Some(claimed) = claimed else {
                drop(free);
                if idle {
                    // No image is left to probe with, and none is in flight that could be put back.
                    tagger.give_up_waiting();
                } else {
                    self.wait_for_work().await;
                }
                continue;
            };
            let pass = claimed.pass;
            service.stats.claimed(pass);
            if pass == 0 {
                tagger.budget.claimed(1);
            }
            let slot = free.split(1).expect("free_slots returns at least one slot");
            drop(free);
            let settlement = Image::new(tagger, claimed, true).run().await?;
            self.settle(settlement, pass, slot).await?;
        }
        Ok(!service.control.is_stopping())
    }

    /// Waits until `least` slots are free, and takes all free slots. Returns `None` if the run stops.
    ///
    /// The least number is asked again at each look, since the number of workers may shrink meanwhile.
    async fn free_slots(&self, least: impl Fn() -> usize) -> Option<OwnedSemaphorePermit> {
        let slots = &self.crew.slots;
        loop {
            if self.tagger.service.control.is_stopping() {
                return None;
            }
            let free = slots.available_permits();
            if free >= least() {
                let free = u32::try_from(free).unwrap_or(u32::MAX);
                return Arc::clone(slots).try_acquire_many_owned(free).ok();
            }
            // The writer notifies of every slot that it frees.
            self.wait_for_work().await;
        }
    }

    /// Waits until the queue may have grown or a content was settled, or until the run stops.
    async fn wait_for_work(&self) {
        tokio::select! {
            () = self.work.notified() => {}
            () = self.tagger.service.control.stopping().cancelled() => {}
        }
    }
}
