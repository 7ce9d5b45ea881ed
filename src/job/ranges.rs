//! Ranges of the key space, shared by the listers: taken, moved forward, split while they are listed.
//!
//! The ranges of a run tile its scope: a split lowers one range's end to a point and begins another one
//! there, in one step here and in one transaction in the store. Where to split is found by asking the
//! service, a key at a time; what it costs grows with the length of a key, not with the number of keys.

use std::sync::{Mutex, PoisonError};

use crate::store::keyspace::prefix_end;
use crate::store::write::{RangeRow, Span};

/// Pages that a range must have behind it before it is worth the questions of a split.
const LONG: u32 = 3;

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
}

impl Ranges {
    pub(super) fn new(ranges: Vec<RangeRow>) -> Self {
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
        Self { state: Mutex::new(State { open, next_seq }) }
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
        let range = state
            .open
            .iter_mut()
            .filter(|range| range.taken && range.pages >= LONG && !range.splitting)
            .max_by_key(|range| range.pages)?;
        range.splitting = true;
        Some(Splittable {
            seq: range.seq,
            marker: range.marker.clone(),
            stop_at: range.stop_at.clone(),
        })
    }

    /// Splits the range at a point that lies ahead of it still; without a point, only lets go of it.
    pub(super) fn split(&self, seq: i64, at: Option<String>) -> Option<Split> {
        let mut state = self.lock();
        let new_seq = state.next_seq;
        let range = state.open.iter_mut().find(|range| range.seq == seq)?;
        range.splitting = false;
        // Each half has to show that it is long before it is split again.
        range.pages = 0;
        let at = at?;
        let behind = range.stop_at.as_ref().is_some_and(|stop| at >= *stop);
        if at <= range.marker || behind {
            return None;
        }
        let stop_at = range.stop_at.replace(at.clone());
        state.open.push(Open {
            seq: new_seq,
            marker: at.clone(),
            stop_at: stop_at.clone(),
            taken: false,
            pages: 0,
            splitting: true,
        });
        state.next_seq += 1;
        Some(Split { seq, new_seq, span: Span { start_after: at, stop_at } })
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

/// Looks for a point to split (`marker`, `stop_at`] at, by asking whether a key comes after a point.
///
/// Feed it the answers: [`Search::point`] says what to ask, [`Search::answer`] takes what was found.
#[derive(Debug)]
pub(super) struct Search {
    marker: Vec<char>,
    /// Nothing lies between this and the range's end, as far as is known.
    stop_at: Option<String>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// How many of the marker's characters do all keys ahead share? At least `shares`, fewer than `not`.
    Sharing { shares: usize, not: usize },
    /// Which next character has keys at or after it? One above `low`; none from `high` on.
    Branching { length: usize, low: u32, high: u32 },
    /// The last point asked has keys after it: split there.
    Found(String),
    /// Too little lies ahead.
    Hopeless,
}

/// One above the last code point; and one above the last that most keys use, which is tried first.
const LIMIT: u32 = 0x11_0000;
const ASCII: u32 = 0x80;

impl Search {
    pub(super) fn new(range: &Splittable) -> Self {
        let marker: Vec<char> = range.marker.chars().collect();
        let not = marker.len() + 1;
        let mut search = Self {
            marker,
            stop_at: range.stop_at.clone(),
            phase: Phase::Sharing { shares: 0, not },
        };
        search.advance();
        search
    }

    /// The point to ask about: does a key lie in (point, `stop_at`]? `None`: the search has ended.
    pub(super) fn point(&self) -> Option<String> {
        match &self.phase {
            Phase::Sharing { shares, not } => self.end_of(usize::midpoint(*shares, *not)),
            Phase::Branching { length, low, high } => {
                Some(self.branch(*length, middle(*low, *high)))
            }
            Phase::Found(_) | Phase::Hopeless => None,
        }
    }

    /// Takes the first key after the point; `None` if there is none at all.
    pub(super) fn answer(&mut self, found: Option<&str>) {
        let within = |stop: &Option<String>, key: &str| {
            stop.as_ref().is_none_or(|stop| key <= stop.as_str())
        };
        let ahead = found.is_some_and(|key| within(&self.stop_at, key));
        let Some(point) = self.point() else { return };
        match &mut self.phase {
            Phase::Sharing { shares, not } => {
                let length = usize::midpoint(*shares, *not);
                if ahead {
                    *not = length;
                } else {
                    *shares = length;
                    self.stop_at = Some(point);
                }
            }
            Phase::Branching { low, high, .. } => {
                if ahead {
                    self.phase = Phase::Found(point);
                } else {
                    *high = middle(*low, *high);
                    self.stop_at = Some(point);
                }
            }
            Phase::Found(_) | Phase::Hopeless => {}
        }
        self.advance();
    }

    /// The point found.
    pub(super) fn found(self) -> Option<String> {
        match self.phase {
            Phase::Found(point) => Some(point),
            _ => None,
        }
    }

    /// Goes on to the next phase once one has narrowed down to its answer; a point that lies outside
    /// the range answers itself.
    fn advance(&mut self) {
        loop {
            match self.phase {
                Phase::Sharing { shares, not } if not - shares <= 1 => {
                    let low = self.marker.get(shares).map_or(0, |c| u32::from(*c));
                    let high = if low < ASCII - 2 { ASCII } else { LIMIT };
                    self.phase = if shares >= self.marker.len() {
                        Phase::Branching { length: shares, low: 0, high: ASCII }
                    } else {
                        Phase::Branching { length: shares, low, high }
                    };
                }
                Phase::Sharing { shares, not } => {
                    let length = usize::midpoint(shares, not);
                    let outside = match (self.end_of(length), &self.stop_at) {
                        (None, _) => true,
                        (Some(end), Some(stop)) => end >= *stop,
                        (Some(_), None) => false,
                    };
                    if !outside {
                        return;
                    }
                    self.phase = Phase::Sharing { shares: length, not };
                }
                Phase::Branching { low, high, .. } if high - low <= 1 => {
                    self.phase = Phase::Hopeless;
                    return;
                }
                Phase::Branching { length, low, high } => {
                    let point = self.branch(length, middle(low, high));
                    if self.stop_at.as_ref().is_none_or(|stop| point < *stop) {
                        return;
                    }
                    self.phase = Phase::Branching { length, low, high: middle(low, high) };
                }
                Phase::Found(_) | Phase::Hopeless => return,
            }
        }
    }

    /// The end of all keys that share the marker's first `length` characters.
    fn end_of(&self, length: usize) -> Option<String> {
        let shared: String = self.marker.iter().take(length).collect();
        prefix_end(&shared)
    }

    /// The marker's first `length` characters and another one.
    fn branch(&self, length: usize, code: u32) -> String {
        let mut point: String = self.marker.iter().take(length).collect();
        // Surrogates are no characters; the one after them sorts where they would.
        point.push(char::from_u32(code).unwrap_or('\u{e000}'));
        point
    }
}

fn middle(low: u32, high: u32) -> u32 {
    u32::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::Bound;

    use proptest::prelude::*;

    use super::*;

    fn first_after<'k>(keys: &'k BTreeSet<String>, point: &str) -> Option<&'k str> {
        let from = (Bound::Excluded(point.to_owned()), Bound::Unbounded);
        keys.range(from).next().map(String::as_str)
    }

    /// Asks until the search ends; returns the point and the number of questions.
    fn search(
        keys: &BTreeSet<String>,
        marker: &str,
        stop_at: Option<&str>,
    ) -> (Option<String>, u32) {
        let range =
            Splittable { seq: 0, marker: marker.to_owned(), stop_at: stop_at.map(str::to_owned) };
        let mut search = Search::new(&range);
        let mut questions = 0;
        while let Some(point) = search.point() {
            questions += 1;
            assert!(questions < 100, "the search ends");
            search.answer(first_after(keys, &point));
        }
        (search.found(), questions)
    }

    #[test]
    fn digits_are_halved() {
        let keys: BTreeSet<String> = (0..10_000).map(|n| format!("photos/{n:04}.jpg")).collect();
        let (point, questions) = search(&keys, "photos/0000.jpg", None);
        assert_eq!(point.as_deref(), Some("photos/5"));
        assert!(questions <= 10, "{questions}");
    }

    #[test]
    fn keys_that_share_five_hundred_bytes_cost_few_questions() {
        let shared = "x".repeat(500);
        let keys: BTreeSet<String> = (0..1000).map(|n| format!("{shared}{n:03}")).collect();
        let (point, questions) = search(&keys, &format!("{shared}000"), None);
        assert_eq!(point, Some(format!("{shared}5")));
        assert!(questions <= 16, "{questions}");
    }

    #[test]
    fn what_is_at_its_end_is_not_split() {
        let keys: BTreeSet<String> = ["a".to_owned(), "b".to_owned()].into();
        assert_eq!(search(&keys, "b", None).0, None);
    }

    proptest! {
        #[test]
        fn a_point_found_has_keys_on_its_far_side(
            keys in proptest::collection::btree_set("[a-c/\u{e9}\u{4e2d}\u{1f431}]{1,6}", 2..40),
            start in 0_usize..40,
            stop in 0_usize..40,
        ) {
            let all: Vec<&String> = keys.iter().collect();
            let marker = all[start % all.len()];
            let stop_at = Some(all[stop % all.len()]).filter(|stop| *stop > marker);
            let (point, _) = search(&keys, marker, stop_at.map(String::as_str));
            if let Some(point) = point {
                prop_assert!(point > *marker);
                let key = first_after(&keys, &point);
                prop_assert!(key.is_some());
                prop_assert!(stop_at.is_none_or(|stop| point < *stop && key <= Some(stop.as_str())));
            }
        }

        /// Listers that take, list, split at any moment: every key is received exactly once.
        #[test]
        fn ranges_tile_the_key_space(
            keys in proptest::collection::btree_set(".{1,4}", 1..60),
            page in 1_usize..5,
            steps in proptest::collection::vec((0_u8..3, 0_usize..8, ".{0,3}"), 0..200),
        ) {
            let whole = RangeRow { seq: 0, span: Span::default(), cursor: String::new(), done: false };
            let ranges = Ranges::new(vec![whole]);
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
                        let point = format!("{}{point}", range.marker);
                        if let Some(split) = ranges.split(range.seq, Some(point)) {
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
