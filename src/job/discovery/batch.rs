//! Collects the lines of a list that have ended, and hands them to the store in batches.
//!
//! Lines end in any order. The result of a line is committed soon after the line has ended. The cursor and the counts
//! of lines pass a line only once all lines before it have ended.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::line::{End, EndedLine};
use crate::store::model::SkipReason;
use crate::store::turn::{EndedLines, Page, Reach};

/// `range.seq` of the look-up of lines. The cursor of this range is the number of the last line before which all have
/// ended, that line included.
pub(super) const LOOKING_UP: i64 = 1;

/// The most lines in one transaction.
const LINES_IN_BATCH: usize = 500;
/// How long a line that has ended waits for its commit, at most.
const FLUSH: Duration = Duration::from_millis(100);

/// The lines in progress: the first one that has not ended, and those after it.
#[derive(Debug)]
pub(super) struct Window {
    /// The number of the last line before which all have ended, that line included.
    cursor: i64,
    /// The number of each later line, and how it has ended. Absent if it has not.
    ends: VecDeque<(i64, Option<End>)>,
}

impl Window {
    /// A window after the line `cursor`.
    pub(super) fn after(cursor: i64) -> Self {
        Self { cursor, ends: VecDeque::new() }
    }

    /// The number of lines in progress, and of those that have ended but are not passed.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a line that has not ended. Lines must be added in the order of their numbers.
    pub(super) fn begin(&mut self, seq: i64) {
        self.ends.push_back((seq, None));
    }

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
pub(super) struct Batch {
    ended: Vec<EndedLine>,
    /// When the first of them ended. Absent if there is none.
    since: Option<Instant>,
    /// The ends of lines that were counted as wanted before.
    unwanted: Vec<End>,
}

impl Batch {
    /// Adds a line that has ended.
    pub(super) fn add(&mut self, ended: EndedLine, window: &mut Window) {
        if !window.end(ended.seq, ended.end) && ended.end != End::Wanted {
            self.unwanted.push(ended.end);
        }
        self.since.get_or_insert_with(Instant::now);
        self.ended.push(ended);
    }

    /// Moves lines that have ended into the batch.
    pub(super) fn add_all(&mut self, ended: &mut Vec<EndedLine>, window: &mut Window) {
        for ended in ended.drain(..) {
            self.add(ended, window);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.ended.len() >= LINES_IN_BATCH
    }

    /// When the batch has to be committed.
    pub(super) fn due(&self) -> Instant {
        self.since.map_or_else(Instant::now, |since| since + FLUSH)
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_full() || self.since.is_some_and(|since| since.elapsed() >= FLUSH)
    }

    /// Converts the batch for the store, with the counts of the lines that the cursor can pass now. `done` says that no
    /// line is left.
    pub(super) fn into_lines(self, window: &mut Window, done: bool) -> EndedLines {
        let mut lines = EndedLines {
            page: Page {
                reach: Reach { seq: LOOKING_UP, cursor: String::new(), done },
                differences: Vec::new(),
                listed: 0,
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
        let mut passed = Vec::new();
        while let Some(end) = window.pass() {
            lines.page.listed += 1;
            passed.push(end);
        }
        for end in passed.into_iter().chain(self.unwanted) {
            match end {
                End::Wanted => lines.page.wanted += 1,
                End::Skipped(reason) => *skipped.entry(reason).or_default() += 1,
                End::Failed => lines.failed += 1,
                End::Missing => lines.missing += 1,
            }
        }
        lines.page.skipped = skipped.into_iter().collect();
        lines.page.reach.cursor = window.cursor.to_string();
        lines
    }
}
