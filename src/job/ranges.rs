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

/// Looks for points to split (`marker`, `stop_at`] at, by asking whether a key comes after a point.
///
/// Feed it the answers: [`Search::points`] says what to ask, side by side if it may, and [`Search::answer`] takes
/// what was found.
#[derive(Debug)]
pub(super) struct Search {
    marker: Vec<char>,
    /// Nothing lies between this and the range's end, as far as is known.
    stop_at: Option<String>,
    phase: Phase,
    /// The steps that were asked about, ascending, each with its point.
    asked: Vec<(usize, String)>,
}

/// Each phase looks for the one step between `low` and `high`, both out of the question, where answers change.
#[derive(Debug)]
enum Phase {
    /// How many of the marker's characters do all keys ahead share? At least `low`, fewer than `high`.
    Sharing { low: usize, high: usize },
    /// Which next character, a code point above `low` and below `high`, has keys at or after it?
    Branching { length: usize, low: usize, high: usize },
    /// The last points asked, ascending, have keys between and after them: split there.
    Found(Vec<String>),
    /// Too little lies ahead.
    Hopeless,
}

/// One above the last code point; and one above the last that most keys use, which is tried first.
const LIMIT: usize = 0x11_0000;
const ASCII: usize = 0x80;

impl Search {
    pub(super) fn new(range: &Splittable) -> Self {
        let marker: Vec<char> = range.marker.chars().collect();
        let phase = Phase::Sharing { low: 0, high: marker.len() + 1 };
        let stop_at = range.stop_at.clone();
        let mut search = Self { marker, stop_at, phase, asked: Vec::new() };
        search.advance();
        search
    }

    /// Up to `width` points to ask about: does a key lie in (point, `stop_at`]? None: the search has ended.
    pub(super) fn points(&mut self, width: usize) -> Vec<String> {
        self.asked = match self.phase {
            Phase::Sharing { low, high } | Phase::Branching { low, high, .. } => {
                // Evenly between the two; a width of one asks for the middle.
                let parts = width.clamp(1, high - low - 1) + 1;
                let steps = (1..parts).map(|part| low + (high - low) * part / parts);
                // What lies outside the range answers itself.
                steps.filter_map(|step| Some((step, self.inside(step)?))).collect()
            }
            Phase::Found(_) | Phase::Hopeless => Vec::new(),
        };
        self.asked.iter().map(|(_, point)| point.clone()).collect()
    }

    /// Takes the first key after each of the points; `None` if there is none at all.
    pub(super) fn answer(&mut self, found: &[Option<String>]) {
        let stop_at = self.stop_at.clone();
        let within = |key: &&String| stop_at.as_ref().is_none_or(|stop| *key <= stop);
        let asked = std::mem::take(&mut self.asked);
        let answers = asked.into_iter().zip(found.iter().map(|key| key.as_ref().filter(within)));
        match &mut self.phase {
            Phase::Sharing { low, high } => {
                for ((length, point), key) in answers {
                    if key.is_some() {
                        *high = length;
                        break;
                    }
                    *low = length;
                    self.stop_at = Some(point);
                }
            }
            Phase::Branching { low, high, .. } => {
                let mut points: Vec<(String, &String)> = Vec::new();
                let mut empty = None;
                let questions = answers.len();
                for ((code, point), key) in answers {
                    let Some(key) = key else {
                        empty = Some((code, point));
                        break;
                    };
                    // No key lies between two points that are followed by the same one.
                    points.pop_if(|(_, last)| *last == key);
                    points.push((point, key));
                }
                // Few of the points lie among the keys: the next ones lie closer, as long as there are any closer.
                match empty {
                    Some((code, point))
                        if points.is_empty() || 2 * points.len() < questions && code - *low > 2 =>
                    {
                        *high = code;
                        self.stop_at = Some(point);
                    }
                    _ => {
                        let points = points.into_iter().map(|(point, _)| point).collect();
                        self.phase = Phase::Found(points);
                    }
                }
            }
            Phase::Found(_) | Phase::Hopeless => {}
        }
        self.advance();
    }

    /// The points found, ascending.
    pub(super) fn found(self) -> Vec<String> {
        match self.phase {
            Phase::Found(points) => points,
            _ => Vec::new(),
        }
    }

    /// Goes on to the next phase once one has narrowed down to its answer; a point in the middle that lies
    /// outside the range answers itself.
    fn advance(&mut self) {
        loop {
            match self.phase {
                Phase::Sharing { low, high } if high - low <= 1 => {
                    let shared = low;
                    let low = self.marker.get(shared).map_or(0, |c| u32::from(*c) as usize);
                    let ascii = shared >= self.marker.len() || low < ASCII - 2;
                    let high = if ascii { ASCII } else { LIMIT };
                    self.phase = Phase::Branching { length: shared, low, high };
                }
                Phase::Branching { low, high, .. } if high - low <= 1 => {
                    self.phase = Phase::Hopeless;
                    return;
                }
                Phase::Sharing { low, high } | Phase::Branching { low, high, .. }
                    if self.inside(usize::midpoint(low, high)).is_some() =>
                {
                    return;
                }
                // Few shared characters reach far, and so do high ones.
                Phase::Sharing { ref mut low, high } => *low = usize::midpoint(*low, high),
                Phase::Branching { low, ref mut high, .. } => *high = usize::midpoint(low, *high),
                Phase::Found(_) | Phase::Hopeless => return,
            }
        }
    }

    /// The point of a step, if it lies inside the range.
    fn inside(&self, step: usize) -> Option<String> {
        let point = match self.phase {
            Phase::Sharing { .. } => self.end_of(step)?,
            Phase::Branching { length, .. } => self.branch(length, step),
            Phase::Found(_) | Phase::Hopeless => return None,
        };
        self.stop_at.as_ref().is_none_or(|stop| point < *stop).then_some(point)
    }

    /// The end of all keys that share the marker's first `length` characters.
    fn end_of(&self, length: usize) -> Option<String> {
        let shared: String = self.marker.iter().take(length).collect();
        prefix_end(&shared)
    }

    /// The marker's first `length` characters and another one.
    fn branch(&self, length: usize, code: usize) -> String {
        let mut point: String = self.marker.iter().take(length).collect();
        let code = u32::try_from(code).ok().and_then(char::from_u32);
        // Surrogates are no characters; the one after them sorts where they would.
        point.push(code.unwrap_or('\u{e000}'));
        point
    }
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

    /// Asks until the search ends; returns the points and the number of rounds.
    fn search(
        keys: &BTreeSet<String>,
        marker: &str,
        stop_at: Option<&str>,
        width: usize,
    ) -> (Vec<String>, u32) {
        let (marker, stop_at) = (marker.to_owned(), stop_at.map(str::to_owned));
        let mut search = Search::new(&Splittable { seq: 0, marker, stop_at, width });
        let mut rounds = 0;
        loop {
            let points = search.points(width);
            assert!(points.len() <= width, "{points:?}");
            if points.is_empty() {
                return (search.found(), rounds);
            }
            rounds += 1;
            assert!(rounds < 100, "the search ends");
            let first = |point: &String| first_after(keys, point).map(str::to_owned);
            search.answer(&points.iter().map(first).collect::<Vec<_>>());
        }
    }

    #[test]
    fn digits_are_halved() {
        let keys: BTreeSet<String> = (0..10_000).map(|n| format!("photos/{n:04}.jpg")).collect();
        let (points, rounds) = search(&keys, "photos/0000.jpg", None, 1);
        assert_eq!(points, ["photos/5"]);
        assert!(rounds <= 10, "{rounds}");
        let (points, rounds) = search(&keys, "photos/0000.jpg", None, 8);
        assert!(points.len() > 1 && points[0].as_str() > "photos/0", "{points:?}");
        assert!(rounds <= 4, "{rounds}");
    }

    #[test]
    fn keys_that_share_five_hundred_bytes_cost_few_questions() {
        let shared = "x".repeat(500);
        let keys: BTreeSet<String> = (0..1000).map(|n| format!("{shared}{n:03}")).collect();
        let (points, rounds) = search(&keys, &format!("{shared}000"), None, 1);
        assert_eq!(points, [format!("{shared}5")]);
        assert!(rounds <= 16, "{rounds}");
        let (_, rounds) = search(&keys, &format!("{shared}000"), None, 8);
        assert!(rounds <= 6, "{rounds}");
    }

    #[test]
    fn what_is_at_its_end_is_not_split() {
        let keys: BTreeSet<String> = ["a".to_owned(), "b".to_owned()].into();
        assert_eq!(search(&keys, "b", None, 1).0, Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn points_found_have_keys_between_and_after_them(
            keys in proptest::collection::btree_set("[a-c/\u{e9}\u{4e2d}\u{1f431}]{1,6}", 2..40),
            start in 0_usize..40,
            stop in 0_usize..40,
            width in 1_usize..10,
        ) {
            let all: Vec<&String> = keys.iter().collect();
            let marker = all[start % all.len()];
            let stop_at = Some(all[stop % all.len()]).filter(|stop| *stop > marker);
            let (points, _) = search(&keys, marker, stop_at.map(String::as_str), width);
            prop_assert!(points.iter().all(|point| point > marker), "{:?}", points);
            for (place, point) in points.iter().enumerate() {
                let key = first_after(&keys, point);
                let end = points.get(place + 1).or(stop_at);
                prop_assert!(key.is_some(), "{}", point);
                prop_assert!(end.is_none_or(|end| point < end && key <= Some(end.as_str())));
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
