//! Gathers records before a turn of the writer begins, so that many settlements share one commit.
//!
//! A commit costs the same whether it holds one settlement or fifty, and at a moderate pace each of them would be
//! committed alone. The first record that can wait therefore waits for others: at most [`LONGEST`], and not at all if
//! somebody waits for the reply to a record, or if enough settlements wait already. Only a few settlements among many claimed
//! contents wait that long, since nobody needs their slots; others wait half as long. The network thread wakes the writer
//! only when that is so, since a wake-up for each record would cost more than the gathered commit saves.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The longest time that a record waits for others before its turn begins. At 100 calls a second, two or three settlements
/// share a commit. After a crash, the calls that were answered
/// in this time are repeated, as are those in flight.
pub(super) const LONGEST: Duration = Duration::from_millis(20);

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

    /// Waits for further records until the next turn has to begin, at the latest after `longest`. The records wait since
    /// `since`. `arrived` is their number so far, or `None` if no more can arrive.
    pub(super) fn wait(
        &self,
        since: Instant,
        longest: Duration,
        arrived: impl Fn() -> Option<usize>,
    ) {
        let half = longest / 2;
        while !self.urgent.load(Ordering::Acquire)
            && let Some(records) = arrived().filter(|records| !self.is_enough(*records))
        {
            let waited = since.elapsed();
            let limit = if waited >= half && self.is_few(records) { longest } else { half };
            let remaining = limit.saturating_sub(waited);
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

    /// Returns true if so few of the claimed contents are settled that the workers have enough left to call for, however
    /// long the writer waits.
    fn is_few(&self, records: usize) -> bool {
        records * 16 < self.unsettled.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_settlements_among_many_claimed_contents_wait_for_the_longest_time() {
        let gathering = Gathering::default();
        gathering.claimed(100);
        let longest = Duration::from_millis(40);
        let waited = |records| {
            let since = Instant::now();
            gathering.wait(since, longest, || Some(records));
            since.elapsed()
        };
        assert!(waited(1) >= longest);
        assert!(waited(7) >= longest / 2);
        assert!(gathering.is_few(6) && !gathering.is_few(7));
        assert!(!gathering.is_enough(33) && gathering.is_enough(34));
    }
}
