//! One claimed image: calls the service for it until it is settled, or put back for a later pass.
//!
//! An image is tried three times in a pass, and a run has three passes. Throttle answers do not count as tries, and
//! neither does a call that was never sent.

mod failed;

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::activity::Counted;
use super::tagger::{Ended, Subject, Tagger};
use crate::job::Error;
use crate::job::service::client::Repairs;
use crate::job::service::delays::Delays;
use crate::job::service::outage::Call;
use crate::job::writer::Record;
use crate::scene::Scenes;
use crate::store::model::ErrorVerdict;
use crate::store::turn::{CallRow, Claimed, ErrorRow, Key, Settled, Settlement};

/// The delay before the second try in one pass, without the jitter. Each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest delay between two tries in one pass.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// An image that has to wait longer than this is put back, so that it does not keep its worker.
const LONGEST_WAIT: Duration = LONGEST_DELAY.saturating_mul(2);

/// One claimed image between its calls.
pub(super) struct Image<'a> {
    tagger: &'a Tagger,
    content_id: i64,
    /// The scenes that the call asks for.
    scenes: Scenes,
    /// The scenes among them that the content has labels for already.
    again: Scenes,
    key: Key,
    /// The pass in which it was claimed, from 0.
    pass: u32,
    /// Failed attempts in this run.
    attempts: u32,
    /// Failed attempts since it was claimed.
    tries: u32,
    /// Throttle answers in this run.
    throttles: u32,
    /// Calls in this run that were sent.
    calls: u32,
    /// The objects whose key turned out to be gone.
    gone: Vec<i64>,
    delays: Delays,
    repairs: Repairs,
    /// What is stored if it is put back. Absent if no call has failed since it was claimed.
    last_error: Option<ErrorRow>,
    /// Whether it had not failed in this run before it was claimed.
    is_fresh: bool,
    /// Whether it is called only once, to probe whether an outage is over.
    is_probe: bool,
    /// The number of calls of the run that were answered when its last one failed.
    answers: u64,
    last_call: Call,
}

/// What to do after a call.
enum Next {
    /// Settle the image, or put it back.
    Settle(Settled),
    /// Call again after this delay.
    Again(Duration),
}

impl<'a> Image<'a> {
    /// An image that was claimed. A probe is called only once, to find out whether an outage is over.
    pub(super) fn new(tagger: &'a Tagger, claimed: Claimed, is_probe: bool) -> Self {
        let Claimed { content_id, key, scenes, again, attempts, throttles, pass } = claimed;
        Self {
            tagger,
            content_id,
            scenes,
            again,
            key,
            pass,
            attempts,
            tries: 0,
            throttles,
            calls: attempts + throttles,
            gone: Vec::new(),
            delays: Delays::new(FIRST_DELAY, LONGEST_DELAY),
            repairs: Repairs::default(),
            last_error: None,
            is_fresh: attempts == 0 && throttles == 0 && pass == 0,
            is_probe,
            answers: 0,
            last_call: Call::default(),
        }
    }

    /// Calls until the image is settled. The ledger row of each call is committed before the next call is sent.
    ///
    /// # Errors
    /// Only if the writer has ended.
    pub(super) async fn run(mut self) -> Result<Settlement, Error> {
        let tagger = self.tagger;
        loop {
            let Some(ended) = tagger.call(&self.subject()).await else {
                return Ok(self.settlement(None, self.untouched()));
            };
            let Ended { call, begun, at, mut row, result } = ended;
            self.last_call = call;
            let (row, next) = match result {
                Ok(answer) => {
                    let settled = tagger.answered(&self.key, self.is_probe, answer).await?;
                    (row, Next::Settle(settled))
                }
                // A call that was not sent costs nothing, and all calls wait.
                Err(error) if !error.was_sent() => {
                    tagger.budget.give_back(self.scenes);
                    match self.unsent(error) {
                        Next::Settle(settled) => return Ok(self.settlement(None, settled)),
                        Next::Again(_) if self.is_probe => {
                            return Ok(self.settlement(None, self.untouched()));
                        }
                        Next::Again(_) => continue,
                    }
                }
                Err(error) => {
                    self.calls += 1;
                    let next = self.failed(error, begun).await?;
                    // The answer may have corrected the clock.
                    (row.ended_at, row.clock_offset) = tagger.service.client.clock().corrected(at);
                    (row, next)
                }
            };
            match next {
                Next::Settle(settled) => return Ok(self.settlement(Some(row), settled)),
                Next::Again(delay) => {
                    let _waits = Counted::in_(&tagger.activity.between_tries);
                    tagger.writer.ask(|committed| Record::Call { row, committed }).await?;
                    if !tagger.service.sleep(delay).await {
                        return Ok(self.settlement(None, self.untouched()));
                    }
                    if let Some(settled) = self.deferred() {
                        return Ok(self.settlement(None, settled));
                    }
                }
            }
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            content_id: self.content_id,
            key: &self.key,
            scenes: self.scenes,
            is_probe: self.is_probe,
            is_repeated: self.calls > 0,
        }
    }

    /// Puts the image back before a further try if other images wait that were not tried yet, and nothing but faults
    /// has come since it failed. Images that were not tried yet tell more about an outage.
    fn deferred(&self) -> Option<Settled> {
        let tagger = self.tagger;
        let error = self.last_error.as_ref()?;
        let is_throttle = error.verdict == ErrorVerdict::Throttle;
        // Before the first success, every URL may be unreachable for the service.
        let may_be_all =
            error.verdict == ErrorVerdict::Source && !tagger.service.patience.has_succeeded();
        let is_deferred = tagger.waiting.load(Ordering::Relaxed) > 0
            && (may_be_all || tagger.outage.is_suspected_since(self.answers, is_throttle));
        (is_deferred && self.pass == 0 && !tagger.outage.is_waiting()).then(|| {
            if !is_throttle {
                tagger.needs_pause.store(true, Ordering::Relaxed);
            }
            Settled::PutBack { attempts: self.attempts, pass: 1, error: error.clone() }
        })
    }

    /// Puts the image back: as it was claimed, or with the attempts that it has used since.
    fn untouched(&self) -> Settled {
        match &self.last_error {
            Some(error) => {
                Settled::PutBack { attempts: self.attempts, pass: self.pass, error: error.clone() }
            }
            None => Settled::Released,
        }
    }

    /// Puts the image back, to be claimed in this pass of the run.
    fn put_back(&self, pass: u32, error: ErrorRow) -> Next {
        Next::Settle(Settled::PutBack { attempts: self.attempts, pass, error })
    }

    fn settlement(&self, call: Option<CallRow>, settled: Settled) -> Settlement {
        Settlement {
            content_id: self.content_id,
            scenes: self.scenes,
            again: self.again,
            call,
            settled,
        }
    }
}
