//! Ranges of the key space, shared by the listers: taken, moved forward, split while they are listed.
//!
//! The ranges of a run tile its scope: a split lowers one range's end to a point and begins another one
//! there, in one step here and in one transaction in the store.

mod search;

use std::sync::{Mutex, PoisonError};

pub(super) use search::SplitSearch;

use crate::store::run::{RangeRow, Span};

/// Pages that a range must have behind it before it is worth the questions of a split.
const LONG: u32 = 3;

/// Questions of one search that are asked side by side, if so many listers have nothing else to do: with each of
/// them a round gets shorter, and a search costs more questions.
const WIDTH: usize = 8;

/// A range that is not listed to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    seq: i64,
    /// Everything up to and including this key was received.
    marker: String,
    stop_at: Option<String>,
    /// A lister is at it.
    taken: bool,
    /// Pages received of it.
    pages: u32,
    /// A lister looks for a point to split it at.
    splitting: bool,
}

/// A range to list, from its marker on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) seq: i64,
    pub(super) marker: String,
}

/// A range worth splitting: its keys lie in (`marker`, `stop_at`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splittable {
    pub(super) seq: i64,
    pub(super) marker: String,
    pub(super) stop_at: Option<String>,
    /// Questions to ask side by side.
    pub(super) width: usize,
}

/// A split that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split {
    /// The range whose end is now `at`.
    pub(super) seq: i64,
    /// The new range's number.
    pub(super) new_seq: i64,
    /// The new range's span; it begins after the split point.
    pub(super) span: Span,
}

/// What is left to list.
#[derive(Debug)]
pub(super) struct Ranges {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: Vec<Open>,
    next_seq: i64,
    listers: usize,
}

impl Ranges {
    pub(super) fn new(ranges: Vec<RangeRow>, listers: usize) -> Self {
        let next_seq = ranges.iter().map(|range| range.seq + 1).max().unwrap_or(0);
        let open = ranges
            .into_iter()
            .filter(|range| !range.done)
            .map(|range| Open {
                seq: range.seq,
                marker: range.cursor,
                stop_at: range.span.stop_at,
                taken: false,
                pages: 0,
                splitting: false,
            })
            .collect();
        Self { state: Mutex::new(State { open, next_seq, listers }) }
    }

    /// A range that nobody lists.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut state = self.lock();
        let range = state.open.iter_mut().find(|range| !range.taken && !range.splitting)?;
        range.taken = true;
        Some(Taken { seq: range.seq, marker: range.marker.clone() })
    }

    /// Whether every range was received to its end.
    pub(super) fn are_done(&self) -> bool {
        self.lock().open.is_empty()
    }

    /// A page of a range was received, up to `next`, or to the end of the listing without one. Returns
    /// how far the page may be used, and whether it ends the range.
    pub(super) fn received(&self, seq: i64, next: Option<&str>) -> (Option<String>, bool) {
        let mut state = self.lock();
        let Some(place) = state.open.iter().position(|range| range.seq == seq) else {
            return (next.map(str::to_owned), true);
        };
        let range = &mut state.open[place];
        range.pages += 1;
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
                state.open.swap_remove(place);
                (stop, true)
            }
        }
    }

    /// The range to split next: the one with the most pages behind it, since size ahead is unknown and
    /// long ranges tend to stay long. Nobody else is given it until [`Ranges::split`].
    pub(super) fn splittable(&self) -> Option<Splittable> {
        let mut state = self.lock();
        let is_long = |range: &Open| range.taken && range.pages >= LONG && !range.splitting;
        let busy: usize = state
            .open
            .iter()
            .map(|range| usize::from(range.taken) + usize::from(range.splitting))
            .sum();
        let long = state.open.iter().filter(|range| is_long(range)).count().max(1);
        let width = (state.listers.saturating_sub(busy) / long).clamp(1, WIDTH);
        let longest = state.open.iter_mut().filter(|range| is_long(range));
        let range = longest.max_by_key(|range| range.pages)?;
        range.splitting = true;
        let (marker, stop_at) = (range.marker.clone(), range.stop_at.clone());
        Some(Splittable { seq: range.seq, marker, stop_at, width })
    }

    /// Splits the range at each of these ascending points that lies ahead of it still, and lets go of it.
    pub(super) fn split(&self, seq: i64, points: Vec<String>) -> Vec<Split> {
        let mut state = self.lock();
        if let Some(range) = state.open.iter_mut().find(|range| range.seq == seq) {
            range.splitting = false;
            // Each part has to show that it is long before it is split again.
            range.pages = 0;
        }
        // From the end on: each split takes the part behind its point from the same range.
        points.into_iter().rev().filter_map(|at| state.split(seq, at)).collect()
    }

    /// The new range is in the store: it may be listed.
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

        /// Listers that take, list, split at any moment: every key is received exactly once.
        #[test]
        fn ranges_tile_the_key_space(
            keys in proptest::collection::btree_set(".{1,4}", 1..60),
            page in 1_usize..5,
            steps in proptest::collection::vec((0_u8..3, 0_usize..8, ".{0,3}"), 0..200),
        ) {
            let whole = RangeRow { seq: 0, span: Span::default(), cursor: String::new(), done: false };
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
                        // Any points at all: what does not lie ahead is left out.
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
