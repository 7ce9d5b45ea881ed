//! The kept counts, or the same counts made anew if the database has none.

use std::collections::HashMap;

use super::ReadTransaction;
use crate::scene::Scene;
use crate::store::Error;
use crate::store::read::{Frequency, TagCount};
use crate::store::sqlite::Reader;
use crate::store::sqlite::count::{
    COUNTS_SINCE, Counter, Kind, Place, Places, Sums, is_counted, recount,
};
use crate::store::sqlite::error::is_unsound;

/// Reading the contents of keys takes this many times as long as reading all contents in order.
const NARROW: u64 = 3;

impl Reader {
    /// Returns true if the database keeps its counts, and the numbers of objects of each content.
    pub(super) fn keeps_counts(&self) -> rusqlite::Result<bool> {
        Ok(self.version >= COUNTS_SINCE && is_counted(&self.connection)?)
    }

    /// Reads the counts that are kept. Returns `None` if the database does not keep them, or if they are damaged: the next
    /// run makes them anew.
    pub(super) fn kept_sums(&self) -> rusqlite::Result<Option<Sums>> {
        if !self.keeps_counts()? {
            return Ok(None);
        }
        match Sums::read(&self.connection) {
            Err(source) if is_unsound(&source) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Reads the counts in one state of the database. If it does not keep them, every row is read.
    fn kept(&self) -> rusqlite::Result<Sums> {
        let connection = &self.connection;
        let _snapshot = ReadTransaction::begin(connection)?;
        if let Some(kept) = self.kept_sums()? {
            return Ok(kept);
        }
        let counted = recount(connection, &mut Places::anew(), false, &mut |_| true)?;
        Ok(counted.map(|counted| counted.sums).unwrap_or_default())
    }

    /// Returns true if reading the keys below a prefix is cheaper than reading every content, as far as the counts tell.
    pub(super) fn is_narrow(&self, prefix: &str) -> rusqlite::Result<bool> {
        let connection = &self.connection;
        let Some(sums) = self.kept_sums()? else { return Ok(false) };
        let of = |prefix_id| {
            [false, true]
                .map(|is_other| sums.get(Counter::prefix(Place { prefix_id, is_other }, false)))
                .into_iter()
                .sum::<u64>()
        };
        // The longest counted prefixes that keys below the prefix may have instead of a longer one, by bucket.
        let mut above: HashMap<i64, (usize, u64)> = HashMap::new();
        let mut below = 0;
        let mut prefixes = connection.prepare_cached("SELECT id, bucket_id, prefix FROM prefix")?;
        let mut rows = prefixes.query([])?;
        while let Some(row) = rows.next()? {
            let counted = row.get_ref(2)?.as_str()?;
            let objects = of(row.get(0)?);
            if counted.starts_with(prefix) {
                below += objects;
            } else if prefix.starts_with(counted) {
                let longest = above.entry(row.get(1)?).or_default();
                if longest.0 <= counted.len() {
                    *longest = (counted.len(), objects);
                }
            }
        }
        let objects = below + above.values().map(|(_, objects)| objects).sum::<u64>();
        Ok(objects.saturating_mul(NARROW) < sums.get(Counter::of(Kind::Wanted)))
    }

    /// Counts the labels of at least `min_confidence` that images of the bucket have, by scene and name, in no order.
    ///
    /// # Errors
    /// [`Error::Unsound`] for a label whose name is unknown.
    pub fn frequencies(&self, min_confidence: i64) -> Result<Vec<Frequency>, Error> {
        let sums = self.kept().map_err(|source| self.error(source))?;
        self.unchanged()?;
        let least = usize::try_from(min_confidence).unwrap_or_default();
        let mut frequencies = Vec::new();
        for (row, counts) in &sums.labels {
            let (tag_id, slot) = Counter::tag_and_slot(*row);
            let Some(scene) = Scene::from_id(slot) else { continue };
            let (contents, confidence) = sum(counts.as_slice(), least);
            if contents == 0 {
                continue;
            }
            let (name, first_category, second_category) = self.tag(tag_id)?.ok_or_else(unnamed)?;
            let named =
                Frequency { scene, name, first_category, second_category, contents, confidence };
            frequencies.push(named);
        }
        Ok(frequencies)
    }

    /// Reads the `limit` most frequent labels of images that the bucket has.
    ///
    /// # Errors
    /// The same as those of [`Reader::frequencies`].
    pub fn top_tags(&self, limit: u32) -> Result<Vec<TagCount>, Error> {
        let mut tags: HashMap<(String, String, String), u64> = HashMap::new();
        for found in self.frequencies(0)? {
            let tag = (found.name, found.first_category, found.second_category);
            *tags.entry(tag).or_default() += found.contents;
        }
        let mut tags: Vec<TagCount> = tags
            .into_iter()
            .map(|((name, first_category, second_category), labels)| TagCount {
                name,
                first_category,
                second_category,
                labels,
            })
            .collect();
        tags.sort_by(|a, b| {
            let key = |tag: &TagCount| {
                (tag.name.clone(), tag.first_category.clone(), tag.second_category.clone())
            };
            b.labels.cmp(&a.labels).then_with(|| key(a).cmp(&key(b)))
        });
        tags.truncate(limit as usize);
        Ok(tags)
    }
}

/// The number of contents with at least this confidence, and the sum of their confidences.
fn sum(counts: &[i64], least: usize) -> (u64, u64) {
    let from_least = counts.iter().enumerate().skip(least);
    from_least.fold((0, 0), |(contents, confidence), (at, count)| {
        let count = u64::try_from(*count).unwrap_or_default();
        (contents + count, confidence + count * at as u64)
    })
}

/// The error for a label whose tag is not there.
fn unnamed() -> Error {
    Error::Unsound { what: "a label without its name".to_owned() }
}
