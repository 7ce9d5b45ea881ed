//! Finds points at which to split a range, by requests for single keys. The number of requests depends on the length of the
//! keys, not on how many there are.

use crate::store::keyspace::prefix_end;

/// Looks for points at which to split the range (`marker`, `stop_at`], by asking whether a key comes after a point.
///
/// The caller makes the requests: [`SplitSearch::points`] returns the points to ask about, and [`SplitSearch::answer`] takes
/// the keys that were found.
#[derive(Debug)]
pub(in crate::job::discovery) struct SplitSearch {
    marker: Vec<char>,
    /// No key is known to lie between this and the end of the range. Absent if the range ends where the prefix ends.
    stop_at: Option<String>,
    phase: Phase,
    /// The steps that the caller asks about, ascending, each with its point.
    asked: Vec<(usize, String)>,
}

/// A phase of the search. Each one bisects the open interval (`low`, `high`) for the step at which the answers change.
#[derive(Debug)]
enum Phase {
    /// Looks for how many characters of the marker all keys ahead share: at least `low`, fewer than `high`.
    Sharing { low: usize, high: usize },
    /// Looks for a next character that has keys at or after it: a code point above `low` and below `high`.
    Branching { length: usize, low: usize, high: usize },
    /// The points to split at, ascending. There are keys between and after them.
    Found(Vec<String>),
    /// There are too few keys ahead.
    Hopeless,
}

/// One above the last code point.
const LIMIT: usize = 0x11_0000;
/// One above the last code point that most keys use. These are tried first.
const ASCII: usize = 0x80;

impl SplitSearch {
    pub(in crate::job::discovery) fn new(marker: &str, stop_at: Option<String>) -> Self {
        let marker: Vec<char> = marker.chars().collect();
        let phase = Phase::Sharing { low: 0, high: marker.len() + 1 };
        let mut search = Self { marker, stop_at, phase, asked: Vec::new() };
        search.advance();
        search
    }

    /// Returns up to `width` points. For each, the caller asks for the first key after it. If there are no points, the search
    /// has ended.
    pub(in crate::job::discovery) fn points(&mut self, width: usize) -> Vec<String> {
        self.asked = match self.phase {
            Phase::Sharing { low, high } | Phase::Branching { low, high, .. } => {
                // The points are spaced evenly. With a width of one it is the middle.
                let parts = width.clamp(1, high - low - 1) + 1;
                let steps = (1..parts).map(|part| low + (high - low) * part / parts);
                // A point outside of the range needs no request.
                steps.filter_map(|step| Some((step, self.inside(step)?))).collect()
            }
            Phase::Found(_) | Phase::Hopeless => Vec::new(),
        };
        self.asked.iter().map(|(_, point)| point.clone()).collect()
    }

    /// Takes the first key after each of the points. `None` if there is no key after a point.
    pub(in crate::job::discovery) fn answer(&mut self, found: &[Option<String>]) {
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
                    // If the same key follows two points, there is no key between them.
                    points.pop_if(|(_, last)| *last == key);
                    points.push((point, key));
                }
                // Only few of the points lie among the keys, so the next points are closer, if that is possible.
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

    /// The points that were found, ascending. Empty if there are none.
    pub(in crate::job::discovery) fn found(self) -> Vec<String> {
        match self.phase {
            Phase::Found(points) => points,
            _ => Vec::new(),
        }
    }

    /// Begins the next phase if the present one has found its step. Bisects without a request while the middle lies outside
    /// of the range.
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
                // A point after fewer shared characters lies further ahead, and so does a point with a higher code point.
                Phase::Sharing { ref mut low, high } => *low = usize::midpoint(*low, high),
                Phase::Branching { low, ref mut high, .. } => *high = usize::midpoint(low, *high),
                Phase::Found(_) | Phase::Hopeless => return,
            }
        }
    }

    /// The point of a step. `None` if it lies outside of the range.
    fn inside(&self, step: usize) -> Option<String> {
        let point = match self.phase {
            Phase::Sharing { .. } => self.end_of(step)?,
            Phase::Branching { length, .. } => self.branch(length, step),
            Phase::Found(_) | Phase::Hopeless => return None,
        };
        self.stop_at.as_ref().is_none_or(|stop| point < *stop).then_some(point)
    }

    /// The point after all keys that share the first `length` characters of the marker.
    fn end_of(&self, length: usize) -> Option<String> {
        let shared: String = self.marker.iter().take(length).collect();
        prefix_end(&shared)
    }

    /// The first `length` characters of the marker, followed by another character.
    fn branch(&self, length: usize, code: usize) -> String {
        let mut point: String = self.marker.iter().take(length).collect();
        let code = u32::try_from(code).ok().and_then(char::from_u32);
        // Surrogates are not characters. The character after them sorts where they would.
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

    /// Runs a search to its end. Returns the points and the number of rounds.
    fn search(
        keys: &BTreeSet<String>,
        marker: &str,
        stop_at: Option<&str>,
        width: usize,
    ) -> (Vec<String>, u32) {
        let mut search = SplitSearch::new(marker, stop_at.map(str::to_owned));
        let mut rounds = 0;
        loop {
            let points = search.points(width);
            assert!(points.len() <= width, "{points:?}");
            if points.is_empty() {
                return (search.found(), rounds);
            }
            rounds += 1;
            assert!(rounds < 100, "the search does not end");
            let first = |point: &String| first_after(keys, point).map(str::to_owned);
            search.answer(&points.iter().map(first).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_range_of_numbered_keys_is_split_in_the_middle() {
        let keys: BTreeSet<String> = (0..10_000).map(|n| format!("photos/{n:04}.jpg")).collect();
        let (points, rounds) = search(&keys, "photos/0000.jpg", None, 1);
        assert_eq!(points, ["photos/5"]);
        assert!(rounds <= 10, "{rounds}");
        let (points, rounds) = search(&keys, "photos/0000.jpg", None, 8);
        assert!(points.len() > 1 && points[0].as_str() > "photos/0", "{points:?}");
        assert!(rounds <= 4, "{rounds}");
    }

    #[test]
    fn keys_that_share_five_hundred_bytes_need_few_requests() {
        let shared = "x".repeat(500);
        let keys: BTreeSet<String> = (0..1000).map(|n| format!("{shared}{n:03}")).collect();
        let (points, rounds) = search(&keys, &format!("{shared}000"), None, 1);
        assert_eq!(points, [format!("{shared}5")]);
        assert!(rounds <= 16, "{rounds}");
        let (_, rounds) = search(&keys, &format!("{shared}000"), None, 8);
        assert!(rounds <= 6, "{rounds}");
    }

    #[test]
    fn a_range_without_keys_ahead_is_not_split() {
        let keys: BTreeSet<String> = ["a".to_owned(), "b".to_owned()].into();
        assert_eq!(search(&keys, "b", None, 1).0, Vec::<String>::new());
    }

    proptest! {
        #![proptest_config(crate::property::config())]

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
    }
}
