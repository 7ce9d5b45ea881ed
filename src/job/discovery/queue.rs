//! The lines of a list that still have to be looked up, as they come from the store.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stage::Discovery;
use crate::job::Error;
use crate::job::thread::Blocking;
use crate::job::writer::Record;
use crate::store::Reader;
use crate::store::compare::KnownLine;

/// The number of lines that are read from the store at a time.
const PAGE: u32 = 500;

/// The lines that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Queue {
    /// The lock is never waited for: while a thread reads, its end is awaited.
    reader: Arc<Mutex<Reader>>,
    /// Lines that were read from the store.
    read: VecDeque<KnownLine>,
    /// The number of the last line that was read.
    last_read: i64,
    is_all_read: bool,
    /// Lines that ended without a look-up and need one after all.
    dropped: VecDeque<KnownLine>,
    /// The numbers of all lines that were ever in `dropped`.
    dropped_before: BTreeSet<i64>,
}

/// A line that was taken.
#[derive(Debug)]
pub(super) enum Taken {
    /// A line that is taken for the first time. It may end without a look-up.
    New(KnownLine),
    /// A line that ended without a look-up and needs one after all.
    Dropped(KnownLine),
}

impl Queue {
    /// The lines after `cursor`.
    pub(super) fn after(cursor: i64, reader: Reader) -> Self {
        Self {
            reader: Arc::new(Mutex::new(reader)),
            read: VecDeque::new(),
            last_read: cursor,
            is_all_read: false,
            dropped: VecDeque::new(),
            dropped_before: BTreeSet::new(),
        }
    }

    /// Takes the next line. Returns `None` if all lines were taken.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn next(&mut self, stage: &Discovery) -> Result<Option<Taken>, Error> {
        if let Some(line) = self.dropped.pop_front() {
            return Ok(Some(Taken::Dropped(line)));
        }
        if self.read.is_empty() && !self.is_all_read {
            let reader = Arc::clone(&self.reader);
            let (run_id, bucket_id) = (stage.comparison.run_id, stage.bucket_id);
            let after = self.last_read;
            let reading = Blocking::start("lines", move || {
                locked(&reader).known_lines(run_id, bucket_id, after, PAGE)
            })?;
            self.read.extend(reading.result().await??);
            self.is_all_read = self.read.is_empty();
            self.last_read = self.read.back().map_or(after, |line| line.seq);
        }
        Ok(self.read.pop_front().map(Taken::New))
    }

    /// Returns whether all lines were taken.
    pub(super) fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.read.is_empty() && self.is_all_read
    }

    /// Adds the lines that ended without a look-up and need one after all, because another line was looked up. Each line is
    /// added once. Returns whether there are any.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn add_dropped(&mut self, stage: &Discovery) -> Result<bool, Error> {
        let lines = stage.writer.ask(|reply| Record::DroppedLines { reply }).await?;
        let reader = locked(&self.reader);
        for (seq, item) in lines {
            if self.dropped_before.insert(seq) {
                let known = reader.known(stage.bucket_id, &item)?;
                let line = KnownLine {
                    seq,
                    item,
                    fault: None,
                    known,
                    looked_up: false,
                    facts: None,
                    has_these_bytes: false,
                };
                self.dropped.push_back(line);
            }
        }
        Ok(!self.dropped.is_empty())
    }
}

fn locked(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}
