//! The pool of workers: claims contents, calls the service for them concurrently, and hands each settlement to the
//! writer.
//!
//! Each worker makes one call at a time, and at most twice as many contents as there are workers are claimed and not
//! settled. After a crash, these are the only contents whose calls may have been paid without a stored result.

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
use crate::job::stats::{Wait, wall};
use crate::job::trial::Trial;
use crate::job::writer::{Record, Writer};
use crate::store::Place;
use crate::store::turn::{Claimed, Settled, Settlement, Wish};

/// The pause before images are tried again, if they were only throttled.
const PAUSE_AFTER_THROTTLES: Duration = Duration::from_millis(500);

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

    /// Claims contents for the workers until nothing is left to claim, or the run stops.
    async fn claim(&self, sender: mpsc::Sender<Slotted>) -> Result<(), Error> {
        let tagger = &self.tagger;
        let service = &tagger.service;
        let mut pass = 0;
        if let Some(size) = self.trial.and_then(|trial| trial.sample)
            && !self.draw_sample(size).await?
        {
            return Ok(());
        }
        loop {
            if !self.probe().await? {
                return Ok(());
            }
            // Each claim takes a commit, so it is made for half of the workers at once. As long as fewer slots are free,
            // more contents are claimed than the workers can call.
            let Some(mut free) = self.free_slots(|| self.crew.half()).await else { return Ok(()) };
            self.crew.claiming.store(free.num_permits(), Ordering::Relaxed);
            // If all images of a trial were claimed, only those that were put back are claimed again.
            let (limit, first, used_up) = match tagger.budget.images(free.num_permits()) {
                Ok(limit) => (limit, 0, None),
                Err(reason) => (free.num_permits(), 1, Some(reason)),
            };
            // This is read before the claim, so that a content which is queued in between is claimed in the next round.
            let listed = service.stats.is_listed();
            let idle = (listed || used_up.is_some()) && self.crew.is_idle(free.num_permits());
            let ask = |keeps_back| {
                let wish = Wish { limit, passes: first..=pass, keeps_back };
                tagger.writer.ask(|reply| Record::Claim { wish, reply })
            };
            // A trial takes its images in the order of the listing, so nothing is kept back for the end.
            let mut claims = ask(!tagger.budget.limits_images()).await?;
            let is_over = claims.claimed.is_empty() && claims.kept_back;
            if is_over && (idle || tagger.outage.is_calm()) {
                claims = ask(false).await?;
            }
            let fresh = claims.claimed.iter().filter(|claimed| claimed.pass == 0).count();
            tagger.budget.claimed(fresh as u64);
            let exhausted = claims.claimed.is_empty();
            for claimed in claims.claimed {
                let slot =
                    free.split(1).expect("at most as many contents are claimed as there are slots");
                self.crew.claiming.fetch_sub(1, Ordering::Relaxed);
                tagger.waiting.fetch_add(1, Ordering::Relaxed);
                if sender.send((claimed, slot)).await.is_err() {
                    return Ok(());
                }
            }
            drop(free);
            self.crew.claiming.store(0, Ordering::Relaxed);
            if !exhausted {
                continue;
            }
            match (idle, claims.later) {
                (true, false) => match used_up {
                    Some(trial) => {
                        if !tagger.budget.settled(trial.settled(&service.stats.snapshot().counts)) {
                            continue;
                        }
                        // If nothing is left, the run is complete like any other one.
                        if !listed || self.has_pending(&tagger.writer).await? {
                            service.control.stop(StopReason::Trial(trial));
                        }
                        return Ok(());
                    }
                    None => return Ok(()),
                },
                // The passes end, since each image is given up after a number of attempts or throttle answers.
                (true, true) => {
                    if !self.pause_after_pass(pass).await {
                        return Ok(());
                    }
                    pass += 1;
                }
                _ => self.wait_for_work().await,
            }
        }
    }

    /// Waits until everything is listed, and draws the random sample of a trial. Returns `false` if the run stops.
    async fn draw_sample(&self, size: u64) -> Result<bool, Error> {
        let service = &self.tagger.service;
        while !service.stats.is_listed() {
            if service.control.is_stopping() {
                return Ok(false);
            }
            self.wait_for_work().await;
        }
        self.tagger.writer.ask(|committed| Record::Sample { size, committed }).await?;
        Ok(true)
    }

    /// Waits before the images that failed in this pass are tried again. Returns `false` if the run stops.
    async fn pause_after_pass(&self, pass: u32) -> bool {
        let tagger = &self.tagger;
        let cooldown = self.cooldown * if pass == 0 { 1 } else { 4 };
        // A service that throttles is protected by the pace, so a short pause is enough.
        let needs_pause = tagger.needs_pause.swap(false, Ordering::Relaxed);
        let cooldown = if needs_pause { cooldown } else { cooldown.min(PAUSE_AFTER_THROTTLES) };
        let wait = cooldown.max(tagger.wait_of_put_back());
        let stats = &tagger.service.stats;
        let now = tokio::time::Instant::now();
        stats.begins_to_wait(Wait {
            what: "a pause before failed images are tried again".to_owned(),
            since: wall(now),
            until: wall(now + wait),
            gives_up: None,
        });
        let continues = tagger.service.sleep(wait).await;
        stats.ends_waiting();
        continues
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

    /// Returns whether the queue of the run has pending contents.
    async fn has_pending(&self, writer: &Writer) -> Result<bool, Error> {
        writer.ask(|reply| Record::HasPending { reply }).await
    }

    /// Waits until the queue may have grown or a content was settled, or until the run stops.
    async fn wait_for_work(&self) {
        tokio::select! {
            () = self.work.notified() => {}
            () = self.tagger.service.control.stopping().cancelled() => {}
        }
    }
}
