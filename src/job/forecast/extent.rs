//! Estimates from the key space how much is still to be listed.

/// How many times as many objects as were listed there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    /// The fewest that are likely.
    pub(crate) least: f64,
    /// The most that are likely. Absent if a range of keys has no known end.
    pub(crate) most: Option<f64>,
}

/// What was listed of one range of keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// Pages listed.
    pub(crate) pages: u64,
    /// The share of its keys' span that is listed. Absent if the range has no known end.
    pub(crate) share: Option<f64>,
}

/// Keys are not spread evenly: what remains of a range may hold so much less and so much more than its begin suggests.
const FEWER: f64 = 0.4;
const MORE: f64 = 2.2;
/// A smaller share says nothing about the rest.
const TELLS: f64 = 0.02;

impl Extent {
    /// The extent of ranges that are not listed to their end, beside ranges of `done` pages in all that are.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn of(open: impl IntoIterator<Item = Seen>, done: u64) -> Self {
        let (mut listed, mut least, mut most) = (done as f64, done as f64, Some(done as f64));
        let mut begun = 0.0;
        let mut unknown = 0.0;
        for Seen { pages, share } in open {
            let pages = pages as f64;
            listed += pages;
            least += pages;
            most = most.map(|most| most + pages);
            match share {
                Some(share) if share >= TELLS && pages >= 2.0 => {
                    begun += 1.0;
                    let rest = pages / share.min(1.0) - pages;
                    least += rest * FEWER;
                    most = most.map(|most| most + rest * MORE + 1.0);
                }
                Some(_) => {
                    unknown += 1.0;
                    least += 0.5;
                }
                None => {
                    least += 0.5;
                    most = None;
                }
            }
        }
        // Nothing is known of a range that has hardly begun, except that it may be like the others.
        if unknown > 0.0 {
            let each = least / (begun + 1.0);
            most = most.filter(|_| begun > 0.0).map(|most| most + unknown * each * MORE);
        }
        let listed = listed.max(1.0);
        Self { least: (least / listed).max(1.0), most: most.map(|most| (most / listed).max(1.0)) }
    }
}

/// The share of the span from `begin` to `stop` that lies before `marker`. Digits and letters count as the digits of a
/// number, because keys are mostly made of them.
pub(crate) fn share(begin: &str, marker: &str, stop: &str) -> Option<f64> {
    let common = begin.bytes().zip(stop.bytes()).take_while(|(a, b)| a == b).count();
    let at = |text: &str| {
        let mut value = 0.0;
        let mut unit = 1.0;
        for byte in text.bytes().skip(common).take(12) {
            let (digit, base) = match byte {
                b'0'..=b'9' => (byte - b'0', 10.0),
                b'a'..=b'z' => (byte - b'a', 26.0),
                b'A'..=b'Z' => (byte - b'A', 26.0),
                _ => continue,
            };
            unit /= base;
            value += f64::from(digit) * unit;
        }
        value
    };
    let (begin, marker, stop) = (at(begin), at(marker), at(stop));
    (stop > begin).then(|| ((marker - begin) / (stop - begin)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_letters_of_a_key_are_read_as_a_number() {
        let near = |share: Option<f64>, expected: f64| {
            let share = share.unwrap();
            assert!((share - expected).abs() < 0.03, "{share} {expected}");
        };
        near(share("a/2026/03/", "a/2026/05/15.jpg", "a/2026/07/"), 0.55);
        near(share("img/0", "img/4999.jpg", "img/9999.jpg"), 0.5);
        near(share("a", "m", "z"), 0.48);
        assert_eq!(share("a", "b", "a"), None);
    }

    #[test]
    fn a_range_without_an_end_leaves_the_most_open() {
        let half = Seen { pages: 10, share: Some(0.5) };
        let extent = Extent::of([half], 10);
        assert!(extent.least < 1.5 && extent.most.unwrap() > 1.5, "{extent:?}");
        assert_eq!(Extent::of([half, Seen { pages: 5, share: None }], 0).most, None);
        let nothing = Extent::of([], 7);
        assert_eq!((nothing.least, nothing.most), (1.0, Some(1.0)));
    }
}
