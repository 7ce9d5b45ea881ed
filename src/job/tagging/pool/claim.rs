//! Claims contents for the workers, round by round and pass by pass, until nothing is left to claim.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Pool, Slotted};
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::stats::{Wait, wall};
use crate::job::trial::Trial;
use crate::job::writer::{Record, Writer};
use crate::store::turn::{ClaimRequest, Claimed, Claims};

/// The pause before images are tried again, if they were only throttled.
const PAUSE_AFTER_THROTTLES: Duration = Duration::from_millis(500);

/// One round of claims: what is claimed, and what was known before.
#[derive(Debug)]
struct Round {
    /// The most contents to claim.
    limit: usize,
    /// The passes whose contents are claimed.
    passes: RangeInclusive<u32>,
    /// The trial, if all of its images were claimed before. Absent otherwise.
    used_up: Option<Trial>,
    /// Whether everything was listed.
    is_listed: bool,
    /// Whether no content was claimed, and discovery can add none that this run would claim.
    is_idle: bool,
}

impl Pool {
    /// Claims contents for the workers until nothing is left to claim, or the run stops.
    pub(super) async fn claim(&self, sender: mpsc::Sender<Slotted>) -> Result<(), Error> {
        if let Some(size) = self.trial.and_then(|trial| trial.sample)
            && !self.draw_sample(size).await?
        {
            return Ok(());
        }
        let mut pass = 0;
        loop {
            if !self.probe().await? {
                return Ok(());
            }
            // Each claim takes a commit, so it is made for half of the workers at once. As long as fewer slots are free,
            // more contents are claimed than the workers can call.
            let Some(free) = self.free_slots(|| self.crew.half()).await else { return Ok(()) };
            let round = self.begin_round(pass, &free);
            let Claims { claimed, later, .. } = self.ask_for_claims(&round).await?;
            let is_exhausted = claimed.is_empty();
            if !self.hand_out(claimed, free, &sender).await {
                return Ok(());
            }
            if !is_exhausted {
                continue;
            }
            match (round.is_idle, later) {
                (true, false) => {
                    if self.is_over(&round).await? {
                        return Ok(());
                    }
                }
                // The passes end, since each image is given up after a number of attempts or throttle answers.
                (true, true) => {
                    if !self.pause_after_pass(pass).await {
                        return Ok(());
                    }
                    pass += 1;
                    self.tagger.service.stats.begins_pass(pass);
                }
                (false, _) => self.wait_for_work().await,
            }
        }
    }

    /// Decides what to claim for these free slots, up to this pass.
    fn begin_round(&self, pass: u32, free: &OwnedSemaphorePermit) -> Round {
        let slots = free.num_permits();
        self.crew.claiming.store(slots, Ordering::Relaxed);
        // If all images of a trial were claimed, only those that were put back are claimed again.
        let (limit, first_pass, used_up) = match self.tagger.budget.images(slots) {
            Ok(limit) => (limit, 0, None),
            Err(trial) => (slots, 1, Some(trial)),
        };
        // This is read before the claim, so that a content which is queued in between is claimed in the next round.
        let is_listed = self.tagger.service.stats.is_listed();
        let is_idle = (is_listed || used_up.is_some()) && self.crew.is_idle(slots);
        Round { limit, passes: first_pass..=pass, used_up, is_listed, is_idle }
    }

    /// Claims contents. If only those are left that the store keeps back, claims them too, unless calls that fail now
    /// may still have to be compared with them.
    async fn ask_for_claims(&self, round: &Round) -> Result<Claims, Error> {
        let tagger = &self.tagger;
        let ask = |keeps_back| {
            let request =
                ClaimRequest { limit: round.limit, passes: round.passes.clone(), keeps_back };
            tagger.writer.ask(|reply| Record::Claim { request, reply })
        };
        // A trial takes its images in the order of the listing, so nothing is kept back for the end.
        let claims = ask(!tagger.budget.limits_images()).await?;
        let are_only_kept_left = claims.claimed.is_empty() && claims.kept_back;
        if are_only_kept_left && (round.is_idle || tagger.outage.is_calm()) {
            return ask(false).await;
        }
        Ok(claims)
    }

    /// Hands claimed contents to the workers, each with one of the free slots. Returns `false` if the workers have ended.
    async fn hand_out(
        &self,
        contents: Vec<Claimed>,
        mut free: OwnedSemaphorePermit,
        sender: &mpsc::Sender<Slotted>,
    ) -> bool {
        let tagger = &self.tagger;
        let in_first_pass = contents.iter().filter(|claimed| claimed.pass == 0).count();
        tagger.budget.claimed(in_first_pass as u64);
        for claimed in contents {
            let slot =
                free.split(1).expect("at most as many contents are claimed as there are slots");
            self.crew.claiming.fetch_sub(1, Ordering::Relaxed);
            tagger.service.stats.claimed(claimed.pass);
            tagger.waiting.fetch_add(1, Ordering::Relaxed);
            if sender.send((claimed, slot)).await.is_err() {
                return false;
            }
        }
        drop(free);
        self.crew.claiming.store(0, Ordering::Relaxed);
        true
    }

    /// Decides whether the run has called for everything, after nothing was left to claim and nothing was in flight. A
    /// trial of which all images are settled stops the run, unless nothing else is left. Returns `false` if a trial has
    /// to claim further images, because answers were discarded.
    async fn is_over(&self, round: &Round) -> Result<bool, Error> {
        let Some(trial) = round.used_up else { return Ok(true) };
        let service = &self.tagger.service;
        if !self.tagger.budget.settled(trial.settled(&service.stats.snapshot().counts)) {
            return Ok(false);
        }
        // If nothing is left, the run is complete like any other one.
        if !round.is_listed || self.has_pending(&self.tagger.writer).await? {
            service.control.stop(StopReason::Trial(trial));
        }
        Ok(true)
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

    /// Returns whether the queue of the run has pending contents.
    async fn has_pending(&self, writer: &Writer) -> Result<bool, Error> {
        writer.ask(|reply| Record::HasPending { reply }).await
    }
}
