//! The single writer: one thread with one connection, which commits one transaction a turn.
//!
//! A turn contains all records that have arrived since the last one. Settlements wait a moment for others, so that
//! they share a commit (see [`super::gathering`]); records with a reply do not. Pages are an exception: while calls have
//! to be settled or contents claimed, a turn takes only one page, since fast listing would otherwise starve the workers.
//! Replies are sent after the commit, so what they say is on disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};

use super::Error;
use super::control::{Control, StopReason};
use super::gathering::{Gathering, LONGEST, Urgency};
use super::stats::Stats;
use super::thread::Blocking;
use crate::store;
use crate::store::Session;
use crate::store::live::Live;
use crate::store::model::Recogniser;
use crate::store::run::Span;
use crate::store::turn::{
    CallRow, ClaimRequest, Claimed, Claims, EndedLines, Key, Page, Reach, ReadLine, Replies, Reply,
    Request, Settlement, Turn,
};
use crate::time::UnixSeconds;

/// The most records in one turn. Pages do not count.
const RECORDS_IN_TURN: usize = 4096;

/// A request to the writer.
#[derive(Debug)]
pub(super) enum Record {
    /// Store the differences of a page, and how far its range is listed.
    Page { page: Page, committed: Option<oneshot::Sender<()>> },
    /// Store lines of a list, and how far the list is read.
    List { lines: Vec<ReadLine>, hash: i64, reach: Reach, committed: oneshot::Sender<()> },
    /// Let this run replace unfinished runs over the same lines.
    TakeOver { run_ids: Vec<i64>, committed: oneshot::Sender<()> },
    /// Store how lines of a list have ended.
    Lines { lines: EndedLines, now: UnixSeconds, committed: oneshot::Sender<()> },
    /// Find the lines that need a look-up after all, because another line was looked up. Each is a number and a key.
    DroppedLines { reply: oneshot::Sender<Vec<(i64, String)>> },
    /// Split a range: `span` becomes the range `new_seq`, and the old range ends where it begins.
    Split { seq: i64, new_seq: i64, span: Span, committed: oneshot::Sender<()> },
    /// Note that everything is listed.
    CompleteListing { now: UnixSeconds },
    /// Store the ledger row of a call whose content is not settled yet.
    Call { row: CallRow, committed: oneshot::Sender<()> },
    /// Settle a content. The slot is freed once the settlement is committed.
    Settle { settlement: Settlement, slot: OwnedSemaphorePermit },
    /// Claim contents.
    Claim { request: ClaimRequest, reply: oneshot::Sender<Claims> },
    /// Claim one content from anywhere in the queue, of this pass or a later one, to probe whether an outage is over.
    Probe { first_pass: u32, reply: oneshot::Sender<Option<Claimed>> },
    /// Limit claims to this many contents, chosen at random.
    Sample { size: u64, committed: oneshot::Sender<()> },
    /// Find another key of a content, because the keys of the objects `tried` are gone.
    Another { content_id: i64, tried: Vec<i64>, reply: oneshot::Sender<Option<Key>> },
    /// Find out whether the queue of the run has pending contents.
    HasPending { reply: oneshot::Sender<bool> },
    /// Store who answers the calls.
    Recogniser { recogniser: Recogniser },
    /// Store the offset of this machine's clock that the service has confirmed.
    ClockOffset { seconds: i64 },
    /// Store the limit of the service that `auto` has found, in calls a second.
    Limit { rate: f64 },
    /// Leave in the database what only this process knows.
    Live { live: Live },
}

/// Sends records to the writer thread.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    // Fields are dropped in this order: the writer thread wakes when the sender is gone.
    sender: mpsc::Sender<Record>,
    bell: Bell,
}

/// Wakes the writer thread when it is dropped, so that the thread notices at once that no sender is left.
#[derive(Debug, Clone)]
struct Bell(Arc<Gathering>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// The writer thread. It ends when every [`Writer`] is dropped, or at the first error.
pub(super) type Thread = Blocking<Result<Session, store::Error>>;

impl Writer {
    /// Starts the writer thread. `work` is notified when the queue may have grown, or when a content was settled. An
    /// error stops the run through `control`.
    pub(super) fn start(
        session: Session,
        capacity: usize,
        stats: Arc<Stats>,
        work: Arc<Notify>,
        control: Control,
    ) -> Result<(Self, Thread), Error> {
        let (sender, receiver) = mpsc::channel(capacity);
        let gathering = Arc::new(Gathering::default());
        let bell = Bell(Arc::clone(&gathering));
        let thread = Blocking::start("writer", move || {
            gathering.is_writer();
            let intake = Intake::new(receiver, gathering, LONGEST);
            let written = write(session, intake, &stats, &work, &control);
            // A stage that waits for a notification of the writer would not notice otherwise.
            if written.is_err() {
                control.stop(StopReason::Internal);
            }
            written
        })?;
        Ok((Self { sender, bell }, thread))
    }

    /// Sends a record. Waits while the channel is full.
    ///
    /// # Errors
    /// [`Error::WriterGone`] if the writer thread has ended. The thread returns the reason.
    pub(super) async fn send(&self, record: Record) -> Result<(), Error> {
        let urgency = record.urgency();
        self.sender.send(record).await.map_err(|_| Error::WriterGone)?;
        self.sent(urgency);
        Ok(())
    }

    /// Like [`Writer::send`], for a thread that may block.
    pub(super) fn blocking_send(&self, record: Record) -> Result<(), Error> {
        let urgency = record.urgency();
        self.sender.blocking_send(record).map_err(|_| Error::WriterGone)?;
        self.sent(urgency);
        Ok(())
    }

    fn sent(&self, urgency: Urgency) {
        self.bell.0.sent(urgency, self.sender.max_capacity() - self.sender.capacity());
    }

    /// Sends a record, and waits for the reply. It comes once the record is committed.
    pub(super) async fn ask<T>(
        &self,
        record: impl FnOnce(oneshot::Sender<T>) -> Record,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(record(reply)).await?;
        answer.await.map_err(|_| Error::WriterGone)
    }
}

/// Who waits for the reply to a request. If the receiver is gone, the reply is dropped.
#[derive(Debug)]
enum Waiter {
    Nobody,
    Committed(oneshot::Sender<()>),
    /// The request may put contents into the queue, so the pool is told about work.
    Queued(Option<oneshot::Sender<()>>),
    Claims(oneshot::Sender<Claims>),
    Probe(oneshot::Sender<Option<Claimed>>),
    Key(oneshot::Sender<Option<Key>>),
    HasPending(oneshot::Sender<bool>),
    DroppedLines(oneshot::Sender<Vec<(i64, String)>>),
    /// The slot of a call, which is free again once the settlement is committed.
    Slot(OwnedSemaphorePermit),
    /// The listing is complete.
    Listed,
}

impl Record {
    /// Returns how soon this record has to be committed. Nobody waits long for a record that can wait: the next try of
    /// a failed call is delayed for longer than that.
    fn urgency(&self) -> Urgency {
        match self {
            Self::Settle { .. } => Urgency::Settles,
            Self::Call { .. }
            | Self::Recogniser { .. }
            | Self::ClockOffset { .. }
            | Self::Limit { .. } => Urgency::CanWait,
            _ => Urgency::Now,
        }
    }

    /// Splits a record into what the store is asked and who waits for the reply.
    fn split(self) -> (Request, Waiter) {
        match self {
            Self::Page { page, committed } => (Request::Page(page), Waiter::Queued(committed)),
            Self::List { lines, hash, reach, committed } => {
                (Request::KeepLines { lines, hash, reach }, Waiter::Committed(committed))
            }
            Self::TakeOver { run_ids, committed } => {
                (Request::TakeOver { run_ids }, Waiter::Committed(committed))
            }
            Self::Lines { lines, now, committed } => {
                (Request::EndLines { lines, now }, Waiter::Queued(Some(committed)))
            }
            Self::Split { seq, new_seq, span, committed } => {
                (Request::SplitRange { seq, new_seq, span }, Waiter::Committed(committed))
            }
            Self::CompleteListing { now } => (Request::CompleteListing { now }, Waiter::Listed),
            Self::Call { row, committed } => (Request::Call(row), Waiter::Committed(committed)),
            Self::Settle { settlement, slot } => (Request::Settle(settlement), Waiter::Slot(slot)),
            Self::Claim { request, reply } => (Request::Claim(request), Waiter::Claims(reply)),
            Self::Probe { first_pass, reply } => {
                (Request::Probe { first_pass }, Waiter::Probe(reply))
            }
            Self::Sample { size, committed } => {
                (Request::Sample { size }, Waiter::Committed(committed))
            }
            Self::Another { content_id, tried, reply } => {
                (Request::AnotherKey { content_id, tried }, Waiter::Key(reply))
            }
            Self::HasPending { reply } => (Request::HasPending, Waiter::HasPending(reply)),
            Self::DroppedLines { reply } => (Request::DroppedLines, Waiter::DroppedLines(reply)),
            Self::Recogniser { recogniser } => (Request::Recogniser { recogniser }, Waiter::Nobody),
            Self::ClockOffset { seconds } => (Request::ClockOffset { seconds }, Waiter::Nobody),
            Self::Limit { rate } => (Request::Limit { rate }, Waiter::Nobody),
            Self::Live { live } => (Request::Live(live), Waiter::Nobody),
        }
    }
}

/// The work of the writer thread: makes turns of the records and commits them, until no sender is left.
fn write(
    mut session: Session,
    mut intake: Intake,
    stats: &Stats,
    work: &Notify,
    control: &Control,
) -> Result<Session, store::Error> {
    let mut waiters = Vec::new();
    let mut lost = None;
    while intake.take() {
        let turn = next_turn(&mut session, &mut intake, &mut waiters, lost.is_some());
        let mut replies = session.turn(&turn)?;
        // The database was moved away but can still be written, so the results of calls in flight are committed to it.
        if let Some(error) = replies.lost.take() {
            control.stop(StopReason::Internal);
            lost.get_or_insert(error);
        }
        replies.tell_warnings();
        stats.committed(session.counts());
        if lost.is_some() {
            forget_claims(&mut replies);
        }
        intake.gathering.claimed(claimed_in(&replies));
        send(replies, &mut waiters, stats, work);
    }
    lost.map_or(Ok(session), Err)
}

/// Takes the claimed contents out of the replies, because contents are not called once the database is lost.
fn forget_claims(replies: &mut Replies) {
    for reply in &mut replies.replies {
        if let Reply::Claims(claims) = reply {
            claims.claimed.clear();
        }
    }
}

/// The number of contents that a turn has claimed.
fn claimed_in(replies: &Replies) -> usize {
    let of = |reply: &Reply| match reply {
        Reply::Claims(claims) => claims.claimed.len(),
        Reply::Probe(claimed) => usize::from(claimed.is_some()),
        _ => 0,
    };
    replies.replies.iter().map(of).sum()
}

/// Makes a turn of the records that have arrived. Once the database is lost, nothing is claimed any more.
fn next_turn(
    session: &mut Session,
    intake: &mut Intake,
    waiters: &mut Vec<Waiter>,
    is_lost: bool,
) -> Turn {
    let Intake { batch, discovery, .. } = intake;
    let mut turn = session.new_turn();
    let mut claims = Vec::new();
    // Labels are stored in the order of their contents. If they are settled in that order, they fill whole pages.
    batch.sort_by_key(|record| match record {
        Record::Settle { settlement, .. } => Some(settlement.content_id),
        _ => None,
    });
    // A page has a thousand rows, so a turn takes only one while calls have to be settled or contents claimed.
    let pages = if batch.is_empty() { discovery.len() } else { discovery.len().min(1) };
    turn.requests.reserve(pages + batch.len());
    for record in discovery.drain(..pages).chain(batch.drain(..)) {
        match record.split() {
            (Request::Claim(_), Waiter::Claims(reply)) if is_lost => {
                let _ = reply.send(Claims::default());
            }
            claim @ (Request::Claim(_), _) => claims.push(claim),
            (request, waiter) => {
                turn.requests.push(request);
                waiters.push(waiter);
            }
        }
    }
    // Claims come last, so that they can take contents that this turn has queued.
    for (request, waiter) in claims {
        turn.requests.push(request);
        waiters.push(waiter);
    }
    turn
}

/// Sends the replies of a turn.
fn send(replies: Replies, waiters: &mut Vec<Waiter>, stats: &Stats, work: &Notify) {
    let (mut has_work, mut is_listed) = (false, false);
    for (waiter, reply) in waiters.drain(..).zip(replies.replies) {
        match (waiter, reply) {
            (Waiter::Committed(reply), _) => drop(reply.send(())),
            (Waiter::Queued(committed), queued) => {
                has_work |= queued == Reply::Queued(true);
                if let Some(reply) = committed {
                    let _ = reply.send(());
                }
            }
            (Waiter::Claims(reply), Reply::Claims(claims)) => drop(reply.send(claims)),
            (Waiter::Probe(reply), Reply::Probe(claimed)) => drop(reply.send(claimed)),
            (Waiter::Key(reply), Reply::Key(key)) => drop(reply.send(key)),
            (Waiter::HasPending(reply), Reply::HasPending(pending)) => drop(reply.send(pending)),
            (Waiter::DroppedLines(reply), Reply::DroppedLines(lines)) => drop(reply.send(lines)),
            (Waiter::Slot(slot), _) => {
                drop(slot);
                has_work = true;
            }
            (Waiter::Listed, _) => (has_work, is_listed) = (true, true),
            (Waiter::Nobody, _) => {}
            // Dropping the sender tells the receiver that the writer is gone.
            (waiter, reply) => debug_assert!(false, "{reply:?} does not answer {waiter:?}"),
        }
    }
    if is_listed {
        stats.set_listed();
    }
    if has_work {
        work.notify_one();
    }
}

/// The records that the writer thread has taken and not committed yet, and where it takes them from.
#[derive(Debug)]
struct Intake {
    receiver: mpsc::Receiver<Record>,
    gathering: Arc<Gathering>,
    /// The longest time that a record waits for others.
    longest: Duration,
    /// The records of the next turn, except those of discovery.
    batch: Vec<Record>,
    /// The records of discovery, in their order. They are spread over several turns.
    discovery: VecDeque<Record>,
    /// When all records that had arrived were taken last. Records in the channel have arrived after that.
    emptied: Instant,
}

impl Intake {
    fn new(receiver: mpsc::Receiver<Record>, gathering: Arc<Gathering>, longest: Duration) -> Self {
        Self {
            receiver,
            gathering,
            longest,
            batch: Vec::with_capacity(RECORDS_IN_TURN),
            discovery: VecDeque::new(),
            emptied: Instant::now(),
        }
    }

    /// Takes the records that have arrived, and waits for one if there is none. Records that can wait do so for others.
    /// Returns `false` once no more can arrive.
    fn take(&mut self) -> bool {
        let mut next = self.receiver.try_recv().ok();
        if next.is_none() && self.discovery.is_empty() {
            next = self.receiver.blocking_recv();
            self.emptied = Instant::now();
        }
        let can_wait = |record: &Record| record.urgency() != Urgency::Now;
        if self.discovery.is_empty() && next.as_ref().is_some_and(can_wait) {
            let receiver = &self.receiver;
            // The record that was taken counts too.
            let arrived = || (!receiver.is_closed()).then(|| receiver.len() + 1);
            self.gathering.wait(self.emptied, self.longest, arrived);
        }
        self.gathering.taken();
        while let Some(record) = next {
            match record {
                Record::Page { .. }
                | Record::List { .. }
                | Record::TakeOver { .. }
                | Record::Lines { .. }
                | Record::Split { .. }
                | Record::CompleteListing { .. } => self.discovery.push_back(record),
                record => self.batch.push(record),
            }
            next = if self.batch.len() < RECORDS_IN_TURN {
                self.receiver.try_recv().ok()
            } else {
                None
            };
        }
        self.emptied = Instant::now();
        !(self.batch.is_empty() && self.discovery.is_empty())
    }
}

#[cfg(test)]
mod tests;
