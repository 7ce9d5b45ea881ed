//! Collects the lines of a list that have ended, and hands them to the store in batches.
//!
//! Lines end in any order. The result of a line is committed soon after the line has ended. The cursor and the counts
//! of lines pass a line only once all lines before it have ended.
//!
//! [`Progress`] is what the look-ups use. It consists of the [`Window`] of lines in progress and the next [`Batch`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::line::{End, EndedLine};
use crate::store::model::SkipReason;
use crate::store::run::{LOOKING_UP, RangeProgress};
use crate::store::turn::{EndedLines, Page, Reach};

/// The most lines that may have ended, or be looked up, after a line that has not ended.
const AHEAD: usize = 50_000;
/// The most lines in one transaction.
const LINES_IN_BATCH: usize = 500;
/// How long a line that has ended waits for its commit, at most.
const FLUSH: Duration = Duration::from_millis(100);

/// How far the look-ups have come: the lines in progress, and what was not handed to the store yet.
#[derive(Debug)]
pub(super) struct Progress {
    window: Window,
    batch: Batch,
    /// Lines that have ended, but not until another line has ended otherwise, see [`Progress::hold_back`].
    held_back: Vec<EndedLine>,
}

impl Progress {
    /// Nothing is in progress: all lines up to `cursor` have ended.
    pub(super) fn after(cursor: i64) -> Self {
        let window = Window { cursor, ends: VecDeque::new() };
        Self { window, batch: Batch::default(), held_back: Vec::new() }
    }

    /// Returns whether another line may begin.
    pub(super) fn has_room(&self) -> bool {
        self.window.ends.len() < AHEAD && !self.is_full()
    }

    /// Adds a line that has not ended. Lines must be added in the order of their numbers.
    pub(super) fn begin(&mut self, seq: i64) {
        self.window.ends.push_back((seq, None));
    }

    /// Adds a line that has ended.
    pub(super) fn end(&mut self, ended: EndedLine) {
        self.batch.add(ended, &mut self.window);
    }

    /// Adds a line that ended in a way that may turn out to be no fault of the line. It is handed to the store only after
    /// [`Progress::release`]. If the run stops before, a later run looks it up again.
    pub(super) fn hold_back(&mut self, ended: EndedLine) {
        self.held_back.push(ended);
    }

    /// Ends the lines that were held back.
    pub(super) fn release(&mut self) {
        for ended in self.held_back.drain(..) {
            self.batch.add(ended, &mut self.window);
        }
    }

    /// Returns whether there is nothing to hand to the store.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.ended.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.batch.ended.len() >= LINES_IN_BATCH
    }

    /// When the lines that have ended must be handed to the store.
    pub(super) fn due(&self) -> Instant {
        self.batch.since.map_or_else(Instant::now, |since| since + FLUSH)
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_full() || self.batch.since.is_some_and(|since| since.elapsed() >= FLUSH)
    }

    /// Takes what has to be handed to the store. `done` says that no line is left.
    pub(super) fn take(&mut self, done: bool) -> EndedLines {
        std::mem::take(&mut self.batch).into_lines(&mut self.window, done)
    }
}

/// The lines in progress: the first one that has not ended, and those after it.
#[derive(Debug)]
struct Window {
    /// The number of the last line before which all have ended, that line included.
    cursor: i64,
    /// The number of each later line, and how it has ended. Absent if it has not.
    ends: VecDeque<(i64, Option<End>)>,
}

impl Window {
    /// Notes how a line has ended. Returns `false` if the cursor has passed the line before.
    fn end(&mut self, seq: i64, end: End) -> bool {
        match self.ends.binary_search_by_key(&seq, |(seq, _)| *seq) {
            Ok(at) => {
                self.ends[at].1 = Some(end);
                true
            }
            Err(_) => false,
        }
    }

    /// Moves the cursor over the next line, if it has ended. Returns how it has ended.
    fn pass(&mut self) -> Option<End> {
        let end = self.ends.front()?.1?;
        self.cursor = self.ends.pop_front().map_or(self.cursor, |(seq, _)| seq);
        Some(end)
    }
}

/// Lines that have ended since the last commit.
#[derive(Debug, Default)]
struct Batch {
    ended: Vec<EndedLine>,
    /// When the first of them ended. Absent if there is none.
    since: Option<Instant>,
    /// The ends of lines that were counted as wanted before.
    unwanted: Vec<End>,
}

impl Batch {
    fn add(&mut self, ended: EndedLine, window: &mut Window) {
        if !window.end(ended.seq, ended.end) && ended.end != End::Wanted {
            self.unwanted.push(ended.end);
        }
        self.since.get_or_insert_with(Instant::now);
        self.ended.push(ended);
    }

    /// Converts the batch for the store, with the counts of the lines that the cursor can pass now. `done` says that no
    /// line is left.
    fn into_lines(self, window: &mut Window, done: bool) -> EndedLines {
        let mut passed = Vec::new();
        while let Some(end) = window.pass() {
            passed.push(end);
        }
        let progress = RangeProgress::LookingUp { line: window.cursor };
        let mut lines = EndedLines {
            page: Page {
                reach: Reach { seq: LOOKING_UP, progress, done },
                differences: Vec::new(),
                listed: passed.len() as u64,
                wanted: 0,
                skipped: Vec::new(),
                rejected: 0,
            },
            failures: Vec::new(),
            found: Vec::new(),
            failed: 0,
            missing: 0,
            unwanted: self.unwanted.len() as u64,
        };
        for EndedLine { difference, failure, found, .. } in self.ended {
            lines.page.differences.extend(difference);
            lines.failures.extend(failure);
            lines.found.extend(found);
        }
        let mut skipped: BTreeMap<SkipReason, u64> = BTreeMap::new();
        for end in passed.into_iter().chain(self.unwanted) {
            match end {
                End::Wanted => lines.page.wanted += 1,
                End::Skipped(reason) => *skipped.entry(reason).or_default() += 1,
                End::Failed => lines.failed += 1,
                End::Missing => lines.missing += 1,
            }
        }
        lines.page.skipped = skipped.into_iter().collect();
        lines
    }
}
