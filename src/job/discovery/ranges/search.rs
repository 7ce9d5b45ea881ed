//! Where to split a range, found by asking the service, a key at a time: what it costs grows with the length of a
//! key, not with the number of keys.

use crate::store::keyspace::prefix_end;

/// Looks for points to split (`marker`, `stop_at`] at, by asking whether a key comes after a point.
///
/// Feed it the answers: [`SplitSearch::points`] says what to ask, side by side if it may, and [`SplitSearch::answer`] takes
/// what was found.
#[derive(Debug)]
pub(in crate::job::discovery) struct SplitSearch {
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

impl SplitSearch {
    pub(in crate::job::discovery) fn new(marker: &str, stop_at: Option<String>) -> Self {
        let marker: Vec<char> = marker.chars().collect();
        let phase = Phase::Sharing { low: 0, high: marker.len() + 1 };
        let mut search = Self { marker, stop_at, phase, asked: Vec::new() };
        search.advance();
        search
    }

    /// Up to `width` points to ask about: does a key lie in (point, `stop_at`]? None: the search has ended.
    pub(in crate::job::discovery) fn points(&mut self, width: usize) -> Vec<String> {
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
    pub(in crate::job::discovery) fn found(self) -> Vec<String> {
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
        let mut search = SplitSearch::new(marker, stop_at.map(str::to_owned));
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
