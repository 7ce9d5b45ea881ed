//! Gathers records before a turn of the writer begins, so that many settlements share one commit.
//!
//! A commit costs the same whether it holds one settlement or fifty, and at a moderate pace each of them would be
//! committed alone. The first record that can wait therefore waits for others: at most [`LONGEST`], and not at all if
//! somebody waits for the reply to a record, or if enough settlements wait already. The network thread wakes the writer
//! only when that is so, since a wake-up for each record would cost more than the gathered commit saves.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The longest time that a record waits for others before its turn begins. After a crash, the calls that were answered
/// in this time are repeated, as are those in flight.
pub(super) const LONGEST: Duration = Duration::from_millis(10);

/// What the senders of records and the writer thread share about the next turn.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// The number of contents that are claimed and whose settlement was not sent yet.
    unsettled: AtomicUsize,
    /// True if a record was sent whose sender waits for a reply. It may belong to a turn that has begun already.
    urgent: AtomicBool,
    /// The writer thread, once it runs.
    writer: OnceLock<Thread>,
}

/// How soon a record has to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody waits for the reply.
    Now,
    /// The record can wait for others.
    CanWait,
    /// The same, and the record settles a claimed content.
    Settles,
}

impl Gathering {
    /// Notes that the calling thread is the writer.
    pub(super) fn is_writer(&self) {
        let _ = self.writer.set(std::thread::current());
    }

    /// Notes that contents were claimed. The writer calls this before it hands them out.
    pub(super) fn claimed(&self, contents: usize) {
        self.unsettled.fetch_add(contents, Ordering::AcqRel);
    }

    /// Notes that a record was sent, and wakes the writer if the next turn has to begin. `queued` is the number of
    /// records that the writer has not taken.
    pub(super) fn sent(&self, urgency: Urgency, queued: usize) {
        match urgency {
            Urgency::Now => {
                self.urgent.store(true, Ordering::Release);
                self.wake();
                return;
            }
            Urgency::Settles => drop(self.unsettled.fetch_sub(1, Ordering::AcqRel)),
            Urgency::CanWait => {}
        }
        // The writer may have taken one record before it began to wait.
        if self.is_enough(queued + 1) {
            self.wake();
        }
    }

    /// Wakes the writer if it waits for further records.
    pub(super) fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Waits for further records until the next turn has to begin, at the latest at `deadline`. `arrived` is the number
    /// of records so far, or `None` if no more can arrive.
    pub(super) fn wait(&self, deadline: Instant, arrived: impl Fn() -> Option<usize>) {
        while !self.urgent.load(Ordering::Acquire) && arrived().is_some_and(|n| !self.is_enough(n))
        {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            std::thread::park_timeout(remaining);
        }
    }

    /// Notes that the writer takes all records that have arrived.
    pub(super) fn taken(&self) {
        self.urgent.store(false, Ordering::Release);
    }

    /// Returns true if records should not wait any longer: a quarter of the claimed contents are settled. With more,
    /// the workers could run out of claimed contents while the writer waits. If all are settled, nothing can join them.
    fn is_enough(&self, records: usize) -> bool {
        self.unsettled.load(Ordering::Acquire) <= 3 * records
    }
}
