//! Claimed contents become concurrent calls, one settlement each.
//!
//! At most `workers` calls are on the wire, and at most twice as many contents are claimed and not
//! settled: after a crash these are exactly what may have been paid and lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::image::Image;
use super::tagger::Tagger;
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::stats::{Wait, wall};
use crate::job::trial::Trial;
use crate::job::writer::{Record, Writer};
use crate::store::Place;
use crate::store::turn::{Claimed, Settled, Settlement, Wish};

/// The pause before images are tried again that were only throttled.
const BREATH: Duration = Duration::from_millis(500);

/// What the pool needs besides the tagger.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) tagger: Arc<Tagger>,
    pub(super) workers: usize,
    /// Notified when the queue may have grown or a content was settled.
    pub(super) work: Arc<Notify>,
    /// Before the second pass; before the third it is four times as long.
    pub(super) cooldown: Duration,
    /// What the run is limited to.
    pub(super) trial: Option<Trial>,
    /// Where the results go.
    pub(super) place: Place,
}

/// The shortest time between two looks at the database's file. The writer's turns take about as long when calls are that
/// frequent, so no more calls begin after the file was taken away than the writer would let through.
const LOOK: Duration = Duration::from_millis(5);

/// When the workers looked at the database's file last.
type LastLook = std::sync::Mutex<Option<Instant>>;

type Slotted = (Claimed, OwnedSemaphorePermit);

impl Pool {
    /// Claims and calls until the listing is complete and nothing is left to claim, or the run stops.
    ///
    /// # Errors
    /// Only if the writer is gone.
    pub(super) async fn run(self) -> Result<(), Error> {
        let slots = Arc::new(Semaphore::new(2 * self.workers));
        let (sender, claimed) = mpsc::channel::<Slotted>(2 * self.workers);
        let claimed = Mutex::new(claimed);
        // Workers live as long as the run: a future an image, several kilobytes of it, would be allocated and
        // moved for each. They run within this task, since the job lives on a runtime of one thread.
        let looked = std::sync::Mutex::new(None);
        let workers = (0..self.workers).map(|_| self.worker(&claimed, &looked));
        let calls = try_join_all(workers);
        let (claiming, calling) = tokio::join!(self.claim(&slots, sender), calls);
        calling.and(claiming)
    }

    /// Calls for one content after the other, until no more will be claimed.
    async fn worker(
        &self,
        claimed: &Mutex<mpsc::Receiver<Slotted>>,
        looked: &LastLook,
    ) -> Result<(), Error> {
        loop {
            let next = claimed.lock().await.recv().await;
            let Some((claimed, slot)) = next else { return Ok(()) };
            self.tagger.waiting.fetch_sub(1, Ordering::Relaxed);
            let pass = claimed.pass;
            // The writer finds it out too, but only with its next turn; until then each worker could begin a call
            // whose result nobody will find. What is on the wire ends and is committed.
            if self.is_database_lost(looked) {
                self.tagger.service.control.stop(StopReason::Internal);
                return Ok(());
            }
            let settlement = Image::new(&self.tagger, claimed, false).run().await?;
            self.settle(settlement, pass, slot).await?;
        }
    }

    /// Returns `true` if the database was taken away. Looks at the file only if the last look is longer ago than
    /// [`LOOK`], and returns `false` otherwise: a look takes several microseconds, and fast workers would spend a tenth
    /// of their time on it.
    fn is_database_lost(&self, looked: &LastLook) -> bool {
        let now = Instant::now();
        {
            let mut last = looked.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now - last < LOOK) {
                return false;
            }
            *last = Some(now);
        }
        self.place.is_lost()
    }

    /// Hands a settlement of an image that was claimed in this pass to the writer.
    async fn settle(
        &self,
        settlement: Settlement,
        pass: u32,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), Error> {
        // It is claimed in the first pass once more, and counts as one image.
        let again =
            matches!(settlement.settled, Settled::Released | Settled::PutBack { pass: 0, .. });
        if pass == 0 && again {
            self.tagger.budget.unclaimed();
        }
        self.tagger.writer.send(Record::Settle { settlement, slot }).await
    }

    /// While the run waits for the service, calls for one image at a time, each from anywhere in the queue, to look
    /// whether the service is back. Returns false if the run stops.
    async fn probe(&self, slots: &Arc<Semaphore>) -> Result<bool, Error> {
        let tagger = &self.tagger;
        let service = &tagger.service;
        while tagger.outage.is_waiting() {
            if !service.pause_ends().await {
                return Ok(false);
            }
            if !tagger.outage.is_waiting() {
                break;
            }
            let Some(mut free) = self.free_slots(slots).await else { return Ok(false) };
            let idle = free.num_permits() + slots.available_permits() == 2 * self.workers;
            let first_pass = u32::from(tagger.budget.images(1).is_err());
            let claimed = tagger.writer.ask(|reply| Record::Probe { first_pass, reply }).await?;
            let Some(claimed) = claimed else {
                drop(free);
                if idle {
                    // Nothing is left to look with, and nothing is in flight that would come back.
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
            let slot = free.split(1).expect("there is at least one");
            drop(free);
            let settlement = Image::new(tagger, claimed, true).run().await?;
            self.settle(settlement, pass, slot).await?;
        }
        Ok(!service.control.is_stopping())
    }

    async fn claim(
        &self,
        slots: &Arc<Semaphore>,
        sender: mpsc::Sender<Slotted>,
    ) -> Result<(), Error> {
        let tagger = &self.tagger;
        let service = &tagger.service;
        let all = 2 * self.workers;
        let mut pass = 0;
        if let Some(size) = self.trial.and_then(|trial| trial.sample) {
            while !service.stats.is_listed() {
                if service.control.is_stopping() {
                    return Ok(());
                }
                self.wait_for_work().await;
            }
            tagger.writer.ask(|committed| Record::Sample { size, committed }).await?;
        }
        loop {
            if !self.probe(slots).await? {
                return Ok(());
            }
            let Some(mut free) = self.free_slots(slots).await else { return Ok(()) };
            // Used up: only what was put back is claimed, so that the images of the trial are settled.
            let (limit, first, used_up) = match tagger.budget.images(free.num_permits()) {
                Ok(limit) => (limit, 0, None),
                Err(reason) => (free.num_permits(), 1, Some(reason)),
            };
            // Looked at before the claim: what comes between is seen by the next round.
            let listed = service.stats.is_listed();
            let idle = (listed || used_up.is_some())
                && free.num_permits() + slots.available_permits() == all;
            let ask = |keeps_back| {
                let wish = Wish { limit, passes: first..=pass, keeps_back };
                tagger.writer.ask(|reply| Record::Claim { wish, reply })
            };
            // A trial of a few images takes them in the order of the listing.
            let mut claims = ask(!tagger.budget.limits_images()).await?;
            let is_over = claims.claimed.is_empty() && claims.kept_back;
            if is_over && (idle || tagger.outage.is_calm()) {
                claims = ask(false).await?;
            }
            let fresh = claims.claimed.iter().filter(|claimed| claimed.pass == 0).count();
            tagger.budget.claimed(fresh as u64);
            let exhausted = claims.claimed.is_empty();
            for claimed in claims.claimed {
                let slot = free.split(1).expect("no more is claimed than there are slots");
                tagger.waiting.fetch_add(1, Ordering::Relaxed);
                if sender.send((claimed, slot)).await.is_err() {
                    return Ok(());
                }
            }
            drop(free);
            if !exhausted {
                continue;
            }
            match (idle, claims.later) {
                (true, false) => match used_up {
                    Some(trial) => {
                        if !tagger.budget.settled(trial.settled(&service.stats.snapshot().counts)) {
                            continue;
                        }
                        // With nothing left it is complete like any other run.
                        if !listed || self.waits(&tagger.writer).await? {
                            service.control.stop(StopReason::Trial(trial));
                        }
                        return Ok(());
                    }
                    None => return Ok(()),
                },
                // It ends: each image is given up after so many attempts or throttle answers.
                (true, true) => {
                    let cooldown = self.cooldown * if pass == 0 { 1 } else { 4 };
                    // The pace is what protects a service that throttles.
                    let needs_pause = tagger.needs_pause.swap(false, Ordering::Relaxed);
                    let cooldown = if needs_pause { cooldown } else { cooldown.min(BREATH) };
                    let wait = cooldown.max(tagger.wait_of_put_back());
                    let stats = &service.stats;
                    let now = tokio::time::Instant::now();
                    stats.begins_to_wait(Wait {
                        what: "a pause before failed images are tried again".to_owned(),
                        since: wall(now),
                        until: wall(now + wait),
                        gives_up: None,
                    });
                    let goes_on = service.sleep(wait).await;
                    stats.ends_waiting();
                    if !goes_on {
                        return Ok(());
                    }
                    pass += 1;
                }
                _ => self.wait_for_work().await,
            }
        }
    }

    /// All slots that are free, at least one; `None` if the run stops.
    async fn free_slots(&self, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let stopping = self.tagger.service.control.stopping();
        let mut free = tokio::select! {
            biased;
            () = stopping.cancelled() => return None,
            free = Arc::clone(slots).acquire_owned() => free.ok()?,
        };
        let more = u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
        if let Ok(more) = Arc::clone(slots).try_acquire_many_owned(more) {
            free.merge(more);
        }
        Some(free)
    }

    async fn waits(&self, writer: &Writer) -> Result<bool, Error> {
        writer.ask(|reply| Record::Waits { reply }).await
    }

    async fn wait_for_work(&self) {
        tokio::select! {
            () = self.work.notified() => {}
            () = self.tagger.service.control.stopping().cancelled() => {}
        }
    }
}
