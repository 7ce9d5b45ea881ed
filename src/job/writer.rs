//! The single writer: one thread with one connection, which commits one transaction a turn.
//!
//! A turn contains all records that have arrived since the last one. Under load the turns grow; otherwise each record
//! is committed at once. Pages are an exception: while calls have to be settled or contents claimed, a turn takes only
//! one page, since fast listing would otherwise starve the workers. Replies are sent after the commit, so what they say
//! is on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};

use super::Error;
use super::control::{Control, StopReason};
use super::stats::Stats;
use super::thread::Blocking;
use crate::store;
use crate::store::Session;
use crate::store::model::Recogniser;
use crate::store::run::Span;
use crate::store::turn::{
    CallRow, Claimed, Claims, EndedLines, Key, Page, Reach, ReadLine, Replies, Reply, Request,
    Settlement, Turn, Wish,
};

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
    Lines { lines: EndedLines, now: i64, committed: oneshot::Sender<()> },
    /// Find the lines that need a look-up after all, because another line was looked up. Each is a number and a key.
    DroppedLines { reply: oneshot::Sender<Vec<(i64, String)>> },
    /// Split a range: `span` becomes the range `new_seq`, and the old range ends where it begins.
    Split { seq: i64, new_seq: i64, span: Span, committed: oneshot::Sender<()> },
    /// Note that everything is listed.
    CompleteListing { now: i64 },
    /// Store the ledger row of a call whose content is not settled yet.
    Call { row: CallRow, committed: oneshot::Sender<()> },
    /// Settle a content. The slot is freed once the settlement is committed.
    Settle { settlement: Settlement, slot: OwnedSemaphorePermit },
    /// Claim contents.
    Claim { wish: Wish, reply: oneshot::Sender<Claims> },
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
}

/// Sends records to the writer thread.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    sender: mpsc::Sender<Record>,
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
        let thread = Blocking::start("writer", move || {
            let written = write(session, receiver, &stats, &work, &control);
            // A stage that waits for a notification of the writer would not notice otherwise.
            if written.is_err() {
                control.stop(StopReason::Internal);
            }
            written
        })?;
        Ok((Self { sender }, thread))
    }

    /// Sends a record. Waits while the channel is full.
    ///
    /// # Errors
    /// [`Error::WriterGone`] if the writer thread has ended. The thread returns the reason.
    pub(super) async fn send(&self, record: Record) -> Result<(), Error> {
        self.sender.send(record).await.map_err(|_| Error::WriterGone)
    }

    /// Like [`Writer::send`], for a thread that may block.
    pub(super) fn blocking_send(&self, record: Record) -> Result<(), Error> {
        self.sender.blocking_send(record).map_err(|_| Error::WriterGone)
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
            Self::Claim { wish, reply } => (Request::Claim(wish), Waiter::Claims(reply)),
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
        }
    }
}

/// The work of the writer thread: makes turns of the records and commits them, until no sender is left.
fn write(
    mut session: Session,
    mut receiver: mpsc::Receiver<Record>,
    stats: &Stats,
    work: &Notify,
    control: &Control,
) -> Result<Session, store::Error> {
    let mut batch = Vec::with_capacity(RECORDS_IN_TURN);
    let mut discovery = VecDeque::new();
    let mut waiters = Vec::new();
    let mut lost = None;
    while take(&mut receiver, &mut batch, &mut discovery) {
        let turn =
            next_turn(&mut session, &mut batch, &mut discovery, &mut waiters, lost.is_some());
        let mut replies = session.turn(&turn)?;
        // The database was moved away but can still be written, so the results of calls in flight are committed to it.
        if let Some(error) = replies.lost.take() {
            control.stop(StopReason::Internal);
            lost.get_or_insert(error);
        }
        stats.committed(session.counts());
        send(replies, &mut waiters, lost.is_some(), stats, work);
    }
    lost.map_or(Ok(session), Err)
}

/// Makes a turn of the records that have arrived. Once the database is lost, nothing is claimed any more.
fn next_turn(
    session: &mut Session,
    batch: &mut Vec<Record>,
    discovery: &mut VecDeque<Record>,
    waiters: &mut Vec<Waiter>,
    is_lost: bool,
) -> Turn {
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

/// Sends the replies of a turn. If the database is lost, claimed contents are not called.
fn send(replies: Replies, waiters: &mut Vec<Waiter>, is_lost: bool, stats: &Stats, work: &Notify) {
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
            (Waiter::Claims(reply), Reply::Claims(mut claims)) => {
                if is_lost {
                    claims.claimed.clear();
                }
                let _ = reply.send(claims);
            }
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

/// Takes the records that have arrived, and waits for one if there is none. Returns `false` once no more can arrive.
///
/// The records of discovery keep their order.
fn take(
    receiver: &mut mpsc::Receiver<Record>,
    batch: &mut Vec<Record>,
    discovery: &mut VecDeque<Record>,
) -> bool {
    let mut next =
        if discovery.is_empty() { receiver.blocking_recv() } else { receiver.try_recv().ok() };
    while let Some(record) = next {
        match record {
            Record::Page { .. }
            | Record::List { .. }
            | Record::TakeOver { .. }
            | Record::Lines { .. }
            | Record::Split { .. }
            | Record::CompleteListing { .. } => discovery.push_back(record),
            record => batch.push(record),
        }
        next = if batch.len() < RECORDS_IN_TURN { receiver.try_recv().ok() } else { None };
    }
    !(batch.is_empty() && discovery.is_empty())
}
