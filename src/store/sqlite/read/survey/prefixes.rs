//! Counts the prefixes of keys that come in ascending order.

use crate::store::read::{Others, Prefix};

/// How many levels of prefixes are counted below the bucket.
const LEVELS: usize = 3;

/// How many prefixes of each level are kept: those with the most objects. With three levels, a tree has about 4,000
/// prefixes at most.
const KEPT: [usize; LEVELS] = [40, 12, 8];

/// The prefixes of a bucket. Because the keys ascend, a prefix is complete when a key beyond it comes, so only the
/// largest ones and the present ones are in memory.
#[derive(Debug)]
pub(super) struct PrefixTree {
    urls: bool,
    /// The present prefix of each level, from the bucket down.
    open: Vec<Prefix>,
}

impl PrefixTree {
    /// An empty tree. In a URL, the scheme and the host are the first segment.
    pub(super) fn new(urls: bool) -> Self {
        Self { urls, open: vec![Prefix::default()] }
    }

    /// Adds a key, or a prefix with the number of keys that are counted for it, and how many of them have labels. It must
    /// not be before what was added last.
    pub(super) fn add(&mut self, key: &str, objects: u64, labelled: u64) {
        let mut level = 1;
        for segment in segments(key, self.urls).take(LEVELS) {
            if self.open.get(level).is_none_or(|open| open.segment != segment) {
                self.close_down_to(level);
                self.open.push(Prefix { segment: segment.to_owned(), ..Prefix::default() });
            }
            level += 1;
        }
        self.close_down_to(level);
        for prefix in &mut self.open {
            prefix.objects += objects;
            prefix.labelled += labelled;
        }
    }

    /// The whole bucket, with its prefixes.
    pub(super) fn finish(mut self) -> Prefix {
        self.close_down_to(1);
        let mut root = self.open.pop().unwrap_or_default();
        keep_largest(&mut root, KEPT[0]);
        root
    }

    /// Closes every open prefix that is at this level or below it.
    fn close_down_to(&mut self, level: usize) {
        while self.open.len() > level {
            let Some(mut closed) = self.open.pop() else { return };
            if let Some(kept) = KEPT.get(self.open.len()) {
                keep_largest(&mut closed, *kept);
            }
            let kept = KEPT[self.open.len() - 1];
            if let Some(parent) = self.open.last_mut() {
                parent.children.push(closed);
                // Two of them are sorted at a time, so that a million small prefixes take little time.
                if parent.children.len() >= 2 * kept + 64 {
                    keep_largest(parent, kept);
                }
            }
        }
    }
}

/// Sorts the children and keeps the largest; the rest is only counted.
fn keep_largest(prefix: &mut Prefix, kept: usize) {
    prefix.children.sort_by(|a, b| {
        b.objects.cmp(&a.objects).then_with(|| a.segment.as_bytes().cmp(b.segment.as_bytes()))
    });
    for dropped in prefix.children.drain(kept.min(prefix.children.len())..) {
        let Others { prefixes, objects, labelled } = &mut prefix.others;
        *prefixes += 1;
        *objects += dropped.objects;
        *labelled += dropped.labelled;
    }
}

/// The segments of a key that end in `/`: the rest after the last `/` is no prefix.
fn segments(key: &str, urls: bool) -> impl Iterator<Item = &str> {
    let host = if urls { key.find("://").map_or(0, |at| at + 3) } else { 0 };
    let first = key[host..].find('/').map(|at| host + at + 1);
    let (first, rest) = first.map_or((None, ""), |end| (Some(&key[..end]), &key[end..]));
    let rest = rest.split_inclusive('/').filter(|segment| segment.ends_with('/'));
    first.into_iter().chain(rest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn tree(keys: &[&str]) -> Prefix {
        let mut tree = PrefixTree::new(false);
        for key in keys {
            tree.add(key, 1, key.ends_with('+').into());
        }
        tree.finish()
    }

    /// Every prefix of a tree, with its objects and the labelled ones.
    fn told(prefix: &Prefix, before: &str, all: &mut BTreeMap<String, (u64, u64)>) {
        let name = format!("{before}{}", prefix.segment);
        for child in &prefix.children {
            told(child, &name, all);
        }
        all.insert(name, (prefix.objects, prefix.labelled));
    }

    #[test]
    fn a_url_begins_with_its_host_and_a_key_with_its_first_folder() {
        let all = |key, urls| segments(key, urls).collect::<Vec<_>>();
        assert_eq!(all("https://a.example/b/c/d.jpg", true), ["https://a.example/", "b/", "c/"]);
        assert_eq!(all("https://a.example", true), [""; 0]);
        assert_eq!(all("2026/11/a.jpg", false), ["2026/", "11/"]);
        assert_eq!(all("/a//b.jpg", false), ["/", "a/", "/"]);
        assert_eq!(all("a.jpg", false), [""; 0]);
    }

    #[test]
    fn the_largest_prefixes_stay_and_the_others_are_counted() {
        let mut keys: Vec<String> = (0..500).map(|n| format!("{n:03}/a")).collect();
        keys.extend((0..3).map(|n| format!("400/b{n}+")));
        keys.sort();
        let root = tree(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((root.objects, root.labelled), (503, 3));
        assert_eq!(root.children.len(), KEPT[0]);
        assert_eq!((root.children[0].segment.as_str(), root.children[0].objects), ("400/", 4));
        assert_eq!(root.others, Others { prefixes: 460, objects: 460, labelled: 0 });
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        #[test]
        fn prefixes_of_sorted_keys_are_those_of_a_count(
            keys in proptest::collection::btree_set("[ab/]{0,7}[+]?", 0..60),
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::from([(String::new(), (0, 0))]);
            for key in &keys {
                let mut prefix = String::new();
                let ends = segments(key, false).take(LEVELS).map(str::to_owned);
                for segment in std::iter::once(String::new()).chain(ends) {
                    prefix += &segment;
                    let count = expected.entry(prefix.clone()).or_default();
                    count.0 += 1;
                    count.1 += u64::from(key.ends_with('+'));
                }
            }
            let mut found = BTreeMap::new();
            told(&tree(&keys), "", &mut found);
            prop_assert_eq!(found, expected);
        }
    }
}
