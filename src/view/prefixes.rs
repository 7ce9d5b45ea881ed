//! The prefixes of keys, as the rows of a tree.

use super::share::{length, percent};
use super::{Links, name};
use crate::numbers::grouped;
use crate::store::read::{BucketPrefixes, Prefix};

/// How many prefixes below a prefix are shown, by level, and below how many of their siblings any are. The others are
/// counted together.
const PREFIXES: [usize; 3] = [24, 6, 4];
const OPENED: [usize; 2] = [8, 3];

/// How much of the path to a prefix is repeated before it, in characters.
const PATH: usize = 24;

/// The length of the bars, in units of their `viewBox`.
const LENGTH: u32 = 1_000;

/// A prefix in its place in the tree.
#[derive(Debug, Clone)]
pub struct PrefixRow {
    /// The segments of the prefix; of other prefixes, none.
    pub segments: Vec<String>,
    /// What is shown instead of segments.
    pub title: String,
    /// Where the images below it are, if they can be looked at.
    pub href: Option<String>,
    /// The number of objects.
    pub objects: String,
    /// The share of them that has labels.
    pub labelled: String,
    /// The length of the bar.
    pub width: u32,
    /// True if rows below it follow.
    pub opens: bool,
    /// True if they are shown at the beginning.
    pub is_open: bool,
    /// How many levels end after this row.
    pub closes: Vec<()>,
}

/// The rows of a tree, in order, with the levels that they open and close.
pub(super) fn rows(buckets: &[BucketPrefixes], links: Links) -> Vec<PrefixRow> {
    let several = buckets.len() > 1;
    let mut tree = Tree { links, several, most: 0, rows: Vec::new() };
    for one in buckets {
        tree.most = if several {
            buckets.first().map_or(0, |first| first.root.objects)
        } else {
            one.root.children.first().map_or(0, |child| child.objects)
        };
        if several {
            let kind = if one.urls { " (URLs)" } else { "" };
            let title = format!("{}{kind}", name::name(&one.bucket));
            tree.prefix(&one.root, (0, 0), &Way::default(), title);
        } else {
            tree.below(&one.root, 0, &Way::default());
        }
    }
    tree.rows
}

/// The way to a prefix: its text, and its segments as they are shown.
#[derive(Default)]
struct Way {
    text: String,
    segments: Vec<String>,
}

/// Rows under way.
struct Tree {
    links: Links,
    /// True if there are several buckets. Then no row has a link, since Explore does not choose a bucket.
    several: bool,
    /// The number of objects that has the longest bar.
    most: u64,
    rows: Vec<PrefixRow>,
}

impl Tree {
    /// The row of a prefix, and those below it. `level` is 0 for a bucket; `place` is the place among the siblings.
    fn prefix(
        &mut self,
        prefix: &Prefix,
        (level, place): (usize, usize),
        way: &Way,
        title: String,
    ) {
        let is_opened = level == 0 || OPENED.get(level - 1).is_some_and(|opened| place < *opened);
        let opens = is_opened && (!prefix.children.is_empty() || prefix.others.prefixes > 0);
        let is_one = !way.text.is_empty() && !self.several;
        let href = is_one.then(|| self.links.images("prefix", &way.text)).flatten();
        self.rows.push(PrefixRow {
            segments: way.segments.clone(),
            title,
            href,
            objects: grouped(prefix.objects),
            labelled: percent(prefix.labelled, prefix.objects),
            width: length(prefix.objects, self.most, LENGTH),
            opens,
            is_open: opens && self.rows.is_empty(),
            closes: Vec::new(),
        });
        if opens {
            self.below(prefix, level, way);
            if let Some(last) = self.rows.last_mut() {
                last.closes.push(());
            }
        }
    }

    /// The rows below a prefix: the largest prefixes, the others together, and the objects that are in none of them.
    fn below(&mut self, prefix: &Prefix, level: usize, way: &Way) {
        let shown = prefix.children.len().min(PREFIXES.get(level).copied().unwrap_or_default());
        for (place, child) in prefix.children[..shown].iter().enumerate() {
            let mut segments = way.segments.clone();
            if segments.iter().map(|segment| segment.chars().count()).sum::<usize>() > PATH {
                segments = vec!["…/".to_owned()];
            }
            segments.extend(name::segments(&child.segment));
            let way = Way { text: format!("{}{}", way.text, child.segment), segments };
            self.prefix(child, (level + 1, place), &way, String::new());
        }
        let mut others = prefix.others;
        for child in &prefix.children[shown..] {
            others.prefixes += 1;
            others.objects += child.objects;
            others.labelled += child.labelled;
        }
        let objects = prefix.children.iter().map(|child| child.objects);
        let inside = objects.sum::<u64>() + prefix.others.objects;
        let labelled = prefix.children.iter().map(|child| child.labelled);
        let labelled = labelled.sum::<u64>() + prefix.others.labelled;
        let direct = prefix.objects.saturating_sub(inside);
        match others.prefixes {
            0 => {}
            1 => self.rest("1 other prefix".to_owned(), others.objects, others.labelled),
            count => {
                let title = format!("{} other prefixes", grouped(count));
                self.rest(title, others.objects, others.labelled);
            }
        }
        if direct > 0 {
            let labelled = prefix.labelled.saturating_sub(labelled);
            self.rest("in no prefix below".to_owned(), direct, labelled);
        }
    }

    /// A row of objects that are counted together.
    fn rest(&mut self, title: String, objects: u64, labelled: u64) {
        self.rows.push(PrefixRow {
            segments: Vec::new(),
            title,
            href: None,
            objects: grouped(objects),
            labelled: percent(labelled, objects),
            width: length(objects, self.most, LENGTH),
            opens: false,
            is_open: false,
            closes: Vec::new(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::Others;

    fn prefix(segment: &str, objects: u64, children: Vec<Prefix>) -> Prefix {
        let (segment, labelled) = (segment.to_owned(), objects / 2);
        Prefix { segment, objects, labelled, children, others: Others::default() }
    }

    #[test]
    fn a_tree_shows_the_largest_prefixes_and_counts_the_others_together() {
        let many = (0..30).map(|n| prefix(&format!("{n:02}/"), 100 - n, Vec::new())).collect();
        let mut year = prefix("2026/", 3_000, many);
        year.others = Others { prefixes: 3, objects: 5, labelled: 5 };
        let root = prefix("", 3_010, vec![year, prefix("a/", 4, Vec::new())]);
        let rows =
            rows(&[BucketPrefixes { bucket: "b".to_owned(), urls: false, root }], Links::File);
        let told: Vec<String> = rows
            .iter()
            .map(|row| format!("{}{} {}", row.segments.concat(), row.title, row.objects))
            .collect();
        let shown = PREFIXES[1];
        assert_eq!(told[..2], ["2026/ 3,000", "2026/00/ 100"]);
        assert_eq!(told[shown], format!("2026/{:02}/ {}", shown - 1, 101 - shown));
        let of_year = ["27 other prefixes 1,985", "in no prefix below 430"];
        assert_eq!(told[shown + 1..shown + 3], of_year);
        assert_eq!(told[shown + 3..], ["a/ 4", "in no prefix below 6"]);
        let opened = rows.iter().filter(|row| row.opens).count();
        let closed: usize = rows.iter().map(|row| row.closes.len()).sum();
        assert_eq!((opened, closed), (1, 1));
    }

    #[test]
    fn several_buckets_are_the_first_level() {
        let bucket = |name: &str, urls| BucketPrefixes {
            bucket: name.to_owned(),
            urls,
            root: prefix("", 4, vec![prefix("a/", 4, Vec::new())]),
        };
        let rows = rows(&[bucket("photos", false), bucket("photos", true)], Links::Pages);
        let titles: Vec<&str> = rows.iter().map(|row| row.title.as_str()).collect();
        assert_eq!(titles, ["photos", "", "photos (URLs)", ""]);
        // The same prefix of another bucket would be counted too.
        assert!(rows.iter().all(|row| row.href.is_none()));
        let one = super::rows(&[bucket("photos", false)], Links::Pages);
        assert_eq!(one[0].href.as_deref(), Some("/explore?prefix=a%2F"));
    }
}
