//! The single writer: one thread, one connection, one transaction a turn.
//!
//! Whatever has come since the last turn is committed together: under load the turns grow, when idle each
//! record commits at once. Only pages wait, one a turn, while there are calls to settle or contents to claim. Replies are sent after the commit, so that what they tell is on disk.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};

use super::Error;
use super::control::{Control, StopReason};
use super::stats::Stats;
use super::thread::Blocking;
use crate::store;
use crate::store::write::{
    CallRow, Claimed, EndedLines, Key, Page, Reach, ReadLine, Session, Settlement, Span,
};

/// Records of calls taken into one turn at most.
const TURN: usize = 4096;

/// What a claim asks for.
#[derive(Debug)]
pub(super) struct Wish {
    /// At most so many contents.
    pub(super) limit: usize,
    /// Of these passes.
    pub(super) passes: RangeInclusive<u32>,
    /// Whether a few contents are kept back for the end.
    pub(super) keeps_back: bool,
}

/// What a claim came to.
#[derive(Debug)]
pub(super) struct Claims {
    /// In flight now, and to be called.
    pub(super) claimed: Vec<Claimed>,
    /// Nothing was claimed, and contents wait for a later pass.
    pub(super) later: bool,
    /// Contents were kept back that could be claimed.
    pub(super) kept_back: bool,
}

/// What the stages ask of the writer.
#[derive(Debug)]
pub(super) enum Record {
    /// Rows and cursor of a compared page.
    Page { page: Page, committed: Option<oneshot::Sender<()>> },
    /// Lines of a list, and how far it was read.
    List { lines: Vec<ReadLine>, hash: i64, reach: Reach, committed: oneshot::Sender<()> },
    /// The list is read: unfinished runs over the same lines are this run's now.
    TakeOver { run_ids: Vec<i64>, committed: oneshot::Sender<()> },
    /// Lines of a list that have ended.
    Lines { lines: EndedLines, now: i64, committed: oneshot::Sender<()> },
    /// A range was split: `span` is a range of its own, and the old one ends where it begins.
    Split { seq: i64, new_seq: i64, span: Span, committed: oneshot::Sender<()> },
    /// Every range is done.
    Listed { now: i64 },
    /// A ledger row whose content is not settled yet.
    Call { row: CallRow, committed: oneshot::Sender<()> },
    /// A content's settlement; the slot is free again once it is committed.
    Settle { settlement: Settlement, slot: OwnedSemaphorePermit },
    /// Contents to call.
    Claim { wish: Wish, reply: oneshot::Sender<Claims> },
    /// One content from anywhere in the queue, of this pass or a later one, to look whether an outage is over.
    Probe { first_pass: u32, reply: oneshot::Sender<Option<Claimed>> },
    /// Claims are to take only so many contents, chosen at random.
    Sample { size: u64, committed: oneshot::Sender<()> },
    /// Another key of a content whose key is gone.
    Another { content_id: i64, tried: Vec<i64>, reply: oneshot::Sender<Option<Key>> },
    /// Whether anything of the run waits in its queue.
    Waits { reply: oneshot::Sender<bool> },
    /// Who answers.
    Recogniser { name: &'static str },
    /// The service has confirmed that so many seconds are to be added to this machine's clock.
    ClockOffset { seconds: i64 },
    /// The service's limit, as `auto` has found it: calls a second.
    Limit { rate: f64 },
}

/// The stages' end of the channel.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    sender: mpsc::Sender<Record>,
}

/// The writer's thread; ends once every [`Writer`] is dropped, or at the first error.
pub(super) type Thread = Blocking<Result<Session, store::Error>>;

impl Writer {
    /// Starts the thread. `work` is notified whenever the queue may have grown or a content settled;
    /// an error stops the run through `control`.
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
            // A stage that waits for what the writer would tell has no other way to learn of it.
            if written.is_err() {
                control.stop(StopReason::Internal);
            }
            written
        })?;
        Ok((Self { sender }, thread))
    }

    /// Hands over a record; waits while the channel is full.
    ///
    /// # Errors
    /// [`Error::WriterGone`] if the writer has ended; its thread says why.
    pub(super) async fn send(&self, record: Record) -> Result<(), Error> {
        self.sender.send(record).await.map_err(|_| Error::WriterGone)
    }

    /// As [`Writer::send`], from a thread that may block.
    pub(super) fn blocking_send(&self, record: Record) -> Result<(), Error> {
        self.sender.blocking_send(record).map_err(|_| Error::WriterGone)
    }

    /// Hands over a record that is answered once it is committed.
    pub(super) async fn ask<T>(
        &self,
        record: impl FnOnce(oneshot::Sender<T>) -> Record,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(record(reply)).await?;
        answer.await.map_err(|_| Error::WriterGone)
    }
}

/// What is told once a turn is committed; whoever no longer listens need not be told.
#[derive(Default)]
struct Replies {
    committed: Vec<oneshot::Sender<()>>,
    claims: Vec<(oneshot::Sender<Claims>, Claims)>,
    probes: Vec<(oneshot::Sender<Option<Claimed>>, Option<Claimed>)>,
    keys: Vec<(oneshot::Sender<Option<Key>>, Option<Key>)>,
    waits: Vec<(oneshot::Sender<bool>, bool)>,
    slots: Vec<OwnedSemaphorePermit>,
    work: bool,
    listed: bool,
}

impl Replies {
    /// What was claimed in this turn is not called.
    fn drop_claims(&mut self) {
        for (_, claims) in &mut self.claims {
            claims.claimed.clear();
        }
    }

    fn send(&mut self, stats: &Stats, work: &Notify) {
        for reply in self.committed.drain(..) {
            let _ = reply.send(());
        }
        for (reply, claims) in self.claims.drain(..) {
            let _ = reply.send(claims);
        }
        for (reply, claimed) in self.probes.drain(..) {
            let _ = reply.send(claimed);
        }
        for (reply, key) in self.keys.drain(..) {
            let _ = reply.send(key);
        }
        for (reply, waits) in self.waits.drain(..) {
            let _ = reply.send(waits);
        }
        self.slots.clear();
        if std::mem::take(&mut self.listed) {
            stats.set_listed();
        }
        if std::mem::take(&mut self.work) {
            work.notify_one();
        }
    }
}

fn write(
    mut session: Session,
    mut receiver: mpsc::Receiver<Record>,
    stats: &Stats,
    work: &Notify,
    control: &Control,
) -> Result<Session, store::Error> {
    let mut batch = Vec::with_capacity(TURN);
    let mut discovery = VecDeque::new();
    let mut claims = Vec::new();
    let mut replies = Replies::default();
    let mut lost = None;
    while take(&mut receiver, &mut batch, &mut discovery) {
        session.begin()?;
        // Labels are kept in the order of their contents: settled in that order, their pages fill up.
        batch.sort_by_key(|record| match record {
            Record::Settle { settlement, .. } => Some(settlement.content_id),
            _ => None,
        });
        // A page is a thousand rows: while calls wait to be settled or claimed, one a turn is enough.
        let pages = if batch.is_empty() { discovery.len() } else { discovery.len().min(1) };
        for record in discovery.drain(..pages).chain(batch.drain(..)) {
            apply(&mut session, record, &mut claims, &mut replies)?;
        }
        // Claims last: they take what this very turn has queued.
        for (wish, reply) in claims.drain(..) {
            if lost.is_some() {
                // Nothing more is called.
                let claimed = Claims { claimed: Vec::new(), later: false, kept_back: false };
                replies.claims.push((reply, claimed));
                continue;
            }
            let Wish { limit, passes, keeps_back } = wish;
            let pass = *passes.end();
            let (claimed, kept_back) = if keeps_back {
                session.claim_with_reserve(limit, passes)?
            } else {
                (session.claim_of(limit, passes)?, false)
            };
            let later = claimed.is_empty() && session.waits_after(pass)?;
            replies.claims.push((reply, Claims { claimed, later, kept_back }));
        }
        match session.commit() {
            Ok(()) => {}
            // The file is somewhere else, and can still be written: what was on the wire ends, and is in it.
            Err(error @ store::Error::TakenAway { .. }) => {
                control.stop(StopReason::Internal);
                lost.get_or_insert(error);
                replies.drop_claims();
            }
            Err(error) => return Err(error),
        }
        stats.committed(session.counts());
        replies.send(stats, work);
    }
    lost.map_or(Ok(session), Err)
}

/// Fills a turn with what has come; waits if there is nothing at all. False once nothing more can come.
///
/// What discovery sends keeps its order, among itself.
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
            | Record::Listed { .. } => discovery.push_back(record),
            record => batch.push(record),
        }
        next = if batch.len() < TURN { receiver.try_recv().ok() } else { None };
    }
    !(batch.is_empty() && discovery.is_empty())
}

fn apply(
    session: &mut Session,
    record: Record,
    claims: &mut Vec<(Wish, oneshot::Sender<Claims>)>,
    replies: &mut Replies,
) -> Result<(), store::Error> {
    match record {
        Record::Page { page, committed } => {
            replies.work |= session.page(page)?;
            replies.committed.extend(committed);
        }
        Record::List { lines, hash, reach, committed } => {
            session.keep_list(&lines, hash, &reach)?;
            replies.committed.push(committed);
        }
        Record::TakeOver { run_ids, committed } => {
            session.take_over(&run_ids)?;
            replies.committed.push(committed);
        }
        Record::Lines { lines, now, committed } => {
            replies.work |= session.ended_lines(lines, now)?;
            replies.committed.push(committed);
        }
        Record::Split { seq, new_seq, span, committed } => {
            session.split_range(seq, new_seq, &span)?;
            replies.committed.push(committed);
        }
        Record::Listed { now } => {
            session.complete_listing(now)?;
            replies.listed = true;
            replies.work = true;
        }
        Record::Call { row, committed } => {
            session.call(&row)?;
            replies.committed.push(committed);
        }
        Record::Settle { settlement, slot } => {
            session.settle(&settlement)?;
            replies.slots.push(slot);
            replies.work = true;
        }
        Record::Probe { first_pass, reply } => {
            let claimed = session.claim_probe(first_pass)?;
            replies.probes.push((reply, claimed));
        }
        Record::Claim { wish, reply } => claims.push((wish, reply)),
        Record::Sample { size, committed } => {
            session.sample(size)?;
            replies.committed.push(committed);
        }
        Record::Another { content_id, tried, reply } => {
            let key = session.key_of(content_id, &tried)?;
            replies.keys.push((reply, key));
        }
        Record::Waits { reply } => {
            let waits = session.waits()?;
            replies.waits.push((reply, waits));
        }
        Record::Recogniser { name } => session.set_recogniser(name)?,
        Record::ClockOffset { seconds } => session.set_clock_offset(seconds)?,
        Record::Limit { rate } => session.keep_limit(rate)?,
    }
    Ok(())
}
