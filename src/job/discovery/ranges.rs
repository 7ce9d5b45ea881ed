//! The ranges of the key space that the listers of a run share. They can be split while they are listed.
//!
//! The ranges of a run are adjacent and cover its scope. A split lowers the end of a range to a point and begins
//! another range there. It is one step in memory, and one transaction in the store.

mod search;

use std::sync::{Mutex, PoisonError};

pub(super) use search::SplitSearch;

use crate::job::forecast::{Extent, Seen, share};
use crate::store::run::{RangeProgress, RangeRow, Span};

/// The number of pages after which a range counts as long. Only long ranges are split, since a search for split points
/// costs requests.
const PAGES_OF_LONG_RANGE: u32 = 3;

/// The most requests of one search that are sent at the same time, if enough listers are idle. More requests at a time
/// make a search faster, but more expensive.
const REQUESTS_AT_A_TIME: usize = 8;

/// A range that is not listed to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    /// `range.seq`.
    seq: i64,
    /// The key after which it was begun to be listed in this invocation.
    begin: String,
    /// The pages received in this invocation.
    seen: u64,
    /// The keys up to this one, this one included, were received.
    marker: String,
    /// The last key of the range. Absent if it ends where the prefix ends.
    stop_at: Option<String>,
    /// Whether a lister lists it.
    taken: bool,
    /// The number of pages received since it began or was split.
    pages: u32,
    /// Whether it cannot be split or taken now: a lister looks for split points, or the new range is not in the store
    /// yet.
    splitting: bool,
}

/// A range that a lister has taken, to be listed after its marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) seq: i64,
    pub(super) marker: String,
}

/// A range that is worth splitting. Its keys lie in (`marker`, `stop_at`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splittable {
    pub(super) seq: i64,
    pub(super) marker: String,
    pub(super) stop_at: Option<String>,
    /// The number of requests that may be sent at the same time to find split points.
    pub(super) width: usize,
}

/// A range that was split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split {
    /// `range.seq` of the range whose end was lowered.
    pub(super) seq: i64,
    /// `range.seq` of the new range.
    pub(super) new_seq: i64,
    /// The span of the new range. It begins after the split point.
    pub(super) span: Span,
}

/// The ranges that are not listed to their end.
#[derive(Debug)]
pub(super) struct Ranges {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: Vec<Open>,
    next_seq: i64,
    listers: usize,
    /// The pages of ranges that were listed to their end.
    done: u64,
}

impl Ranges {
    pub(super) fn new(ranges: Vec<RangeRow>, listers: usize) -> Self {
        let next_seq = ranges.iter().map(|range| range.seq + 1).max().unwrap_or(0);
        let open = ranges
            .into_iter()
            .filter(|range| !range.done)
            .filter_map(|range| match range.progress {
                RangeProgress::Span { up_to } => Some(Open {
                    seq: range.seq,
                    begin: up_to.clone(),
                    seen: 0,
                    marker: up_to,
                    stop_at: range.span.stop_at,
                    taken: false,
                    pages: 0,
                    splitting: false,
                }),
                // The ranges of a list are not listed.
                RangeProgress::Reading { .. } | RangeProgress::LookingUp { .. } => None,
            })
            .collect();
        Self { state: Mutex::new(State { open, next_seq, listers, done: 0 }) }
    }

    /// Takes a range that no lister lists. `None` if there is none.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut state = self.lock();
        let range = state.open.iter_mut().find(|range| !range.taken && !range.splitting)?;
        range.taken = true;
        Some(Taken { seq: range.seq, marker: range.marker.clone() })
    }

    /// Estimates how much there is to list.
    pub(super) fn extent(&self) -> Extent {
        let state = self.lock();
        let open = state.open.iter().map(|range| Seen {
            pages: range.seen,
            share: range.stop_at.as_ref().and_then(|stop| share(&range.begin, &range.marker, stop)),
        });
        Extent::of(open, state.done)
    }

    /// Returns whether every range was received to its end.
    pub(super) fn are_done(&self) -> bool {
        self.lock().open.is_empty()
    }

    /// Notes that a page of a range was received. `next` is the marker of the next page, absent after the last one.
    /// Returns the last key up to which the page belongs to the range, and whether the page ends the range.
    pub(super) fn received(&self, seq: i64, next: Option<&str>) -> (Option<String>, bool) {
        let mut state = self.lock();
        let Some(place) = state.open.iter().position(|range| range.seq == seq) else {
            return (next.map(str::to_owned), true);
        };
        let range = &mut state.open[place];
        range.pages += 1;
        range.seen += 1;
        match (next, &range.stop_at) {
            (Some(next), Some(stop)) if next < stop.as_str() => {
                next.clone_into(&mut range.marker);
                (Some(next.to_owned()), false)
            }
            (Some(next), None) => {
                next.clone_into(&mut range.marker);
                (Some(next.to_owned()), false)
            }
            (_, stop) => {
                let stop = stop.clone();
                let done = state.open.swap_remove(place);
                state.done += done.seen;
                (stop, true)
            }
        }
    }

    /// Selects the range to split next: the one with the most pages received. How many keys are left is unknown, but a
    /// long range is likely to stay long. No other lister can select it until [`Ranges::split`] is called.
    pub(super) fn splittable(&self) -> Option<Splittable> {
        let mut state = self.lock();
        let is_long =
            |range: &Open| range.taken && range.pages >= PAGES_OF_LONG_RANGE && !range.splitting;
        let busy: usize = state
            .open
            .iter()
            .map(|range| usize::from(range.taken) + usize::from(range.splitting))
            .sum();
        let long = state.open.iter().filter(|range| is_long(range)).count().max(1);
        let width = (state.listers.saturating_sub(busy) / long).clamp(1, REQUESTS_AT_A_TIME);
        let longest = state.open.iter_mut().filter(|range| is_long(range));
        let range = longest.max_by_key(|range| range.pages)?;
        range.splitting = true;
        let (marker, stop_at) = (range.marker.clone(), range.stop_at.clone());
        Some(Splittable { seq: range.seq, marker, stop_at, width })
    }

    /// Splits a range at those of the ascending points that are still ahead. The range can be selected again
    /// afterwards.
    pub(super) fn split(&self, seq: i64, points: Vec<String>) -> Vec<Split> {
        let mut state = self.lock();
        if let Some(range) = state.open.iter_mut().find(|range| range.seq == seq) {
            range.splitting = false;
            // Each part has to prove again that it is long.
            range.pages = 0;
        }
        // In descending order, because each split takes the part after its point from the same range.
        points.into_iter().rev().filter_map(|at| state.split(seq, at)).collect()
    }

    /// Allows listers to take a new range, because it is in the store now.
    pub(super) fn release(&self, seq: i64) {
        if let Some(range) = self.lock().open.iter_mut().find(|range| range.seq == seq) {
            range.splitting = false;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn split(&mut self, seq: i64, at: String) -> Option<Split> {
        let new_seq = self.next_seq;
        let range = self.open.iter_mut().find(|range| range.seq == seq)?;
        let behind = range.stop_at.as_ref().is_some_and(|stop| at >= *stop);
        if at <= range.marker || behind {
            return None;
        }
        let stop_at = range.stop_at.replace(at.clone());
        self.open.push(Open {
            seq: new_seq,
            begin: at.clone(),
            seen: 0,
            marker: at.clone(),
            stop_at: stop_at.clone(),
            taken: false,
            pages: 0,
            splitting: true,
        });
        self.next_seq += 1;
        Some(Split { seq, new_seq, span: Span { start_after: at, stop_at } })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config())]

        /// However listers take, list and split ranges, every key is received exactly once.
        #[test]
        fn ranges_cover_each_key_exactly_once(
            keys in proptest::collection::btree_set(".{1,4}", 1..60),
            page in 1_usize..5,
            steps in proptest::collection::vec((0_u8..3, 0_usize..8, ".{0,3}"), 0..200),
        ) {
            let progress = RangeProgress::Span { up_to: String::new() };
            let whole = RangeRow { seq: 0, span: Span::default(), progress, done: false };
            let ranges = Ranges::new(vec![whole], 8);
            let mut working: Vec<Taken> = Vec::new();
            let mut received: Vec<String> = Vec::new();
            let list = |ranges: &Ranges, taken: &mut Taken, received: &mut Vec<String>| {
                let from = (Bound::Excluded(taken.marker.clone()), Bound::Unbounded);
                let mut entries: Vec<String> = keys.range(from).take(page + 1).cloned().collect();
                let more = entries.len() > page;
                entries.truncate(page);
                let next = more.then(|| entries.last().cloned()).flatten();
                let (up_to, done) = ranges.received(taken.seq, next.as_deref());
                received.extend(entries.into_iter().filter(|key| {
                    up_to.as_ref().is_none_or(|up_to| key <= up_to)
                }));
                taken.marker = next.unwrap_or_default();
                done
            };
            for (kind, which, point) in steps {
                match kind {
                    0 => working.extend(ranges.take()),
                    1 => if let Some(range) = ranges.splittable() {
                        // Arbitrary points: those that are not ahead are ignored.
                        let mut points: Vec<String> = point.chars().map(|c| c.to_string()).collect();
                        points.push(format!("{}{point}", range.marker));
                        points.sort_unstable();
                        for split in ranges.split(range.seq, points) {
                            ranges.release(split.new_seq);
                        }
                    },
                    _ => if !working.is_empty() {
                        let place = which % working.len();
                        if list(&ranges, &mut working[place], &mut received) {
                            working.swap_remove(place);
                        }
                    },
                }
            }
            loop {
                working.extend(ranges.take());
                let Some(mut taken) = working.pop() else { break };
                while !list(&ranges, &mut taken, &mut received) {}
            }
            prop_assert!(ranges.are_done());
            received.sort_unstable();
            prop_assert_eq!(received, keys.into_iter().collect::<Vec<_>>());
        }
    }
}
