//! Where a label may be, by its postings: what is cheaper to look at than every label.

use rusqlite::{OptionalExtension, named_params};

use super::ReadTransaction;
use crate::store::Error;
use crate::store::read::export::ExportFilter;
use crate::store::sqlite::Reader;
use crate::store::sqlite::ids::IdSet;
use crate::store::sqlite::posting::{POSTED, SEGMENT, SHIFT, decode};
use crate::store::sqlite::rows::LabelId;
use crate::store::sqlite::sql::{
    ANSWERED, CONTENT_SHIFT, IMPORTED, TAG_SHIFT, has_content, statements,
};

/// The number of blocks that are always worth a search, however few contents there are.
const BLOCKS: i64 = 20_000;

/// With more than one block for this many contents, reading every label in order is no slower.
const WORTH: i64 = 12;

/// The largest number of calls that are not posted yet. A run posts them in time, unless it has to catch up.
const UNPOSTED: usize = 20_000;

/// The largest number of keys that are held in memory. With more, every key is walked in order, and only the contents of
/// the blocks are looked at.
pub(super) const KEYS: usize = if cfg!(test) { 40 } else { 150_000 };

statements! {
    /// Selects the contents that got labels by the rows of the ledger after `?1`.
    ANSWERED_SINCE = "
        SELECT content_id FROM call WHERE id > ?1 AND outcome IN ({ANSWERED}, {IMPORTED}) ORDER BY id LIMIT ?2";

    /// Selects the content and the tag of labels.
    LABELS = "SELECT id >> {CONTENT_SHIFT}, mark >> {TAG_SHIFT} FROM label WHERE id BETWEEN ?1 AND ?2";

    KEYS_OF_CONTENT = "
        SELECT bucket_id, key FROM object
        WHERE {has_content} AND gone_run IS NULL AND substr(key, 1, length(:prefix)) = :prefix LIMIT :most",
        has_content = has_content(":content");

    TAGS_OF_CATEGORY = "SELECT id FROM tag WHERE first_category = ?1 OR second_category = ?1";
}

/// The id of a bucket, and a key.
pub(super) type Place = (i64, String);

/// The objects to look at for an export.
#[derive(Debug)]
pub(crate) enum Places {
    /// Every object.
    Everywhere,
    /// Objects whose content is in one of these blocks.
    Blocks(IdSet),
    /// The objects with these keys.
    Keys(Vec<Place>),
}

impl Reader {
    /// Finds where the objects are that a filter asks for, in no order. All objects that have the labels are among them.
    pub(in crate::store) fn places_of(&self, filter: &ExportFilter) -> Result<Places, Error> {
        let read = || {
            let _snapshot = ReadTransaction::begin(&self.connection)?;
            let groups = self.groups(filter)?;
            let Some(blocks) = self.blocks_of_groups(&groups)? else {
                return Ok(Places::Everywhere);
            };
            if filter.include_gone {
                return Ok(Places::Blocks(set_of(&blocks)));
            }
            let mut places = Vec::new();
            for block in &blocks {
                for content in self.with_labels(*block, &groups)? {
                    self.keys_of(content, &filter.prefix, &mut places)?;
                }
                if places.len() > KEYS {
                    return Ok(Places::Blocks(set_of(&blocks)));
                }
            }
            Ok(Places::Keys(places))
        };
        read().map_err(|source| self.error(source))
    }

    /// The groups of tags of which an object must have one each.
    fn groups(&self, filter: &ExportFilter) -> rusqlite::Result<Vec<Vec<i64>>> {
        let mut groups = Vec::new();
        for name in &filter.having {
            groups.push(self.tags_named(std::slice::from_ref(name))?);
        }
        if !filter.any.is_empty() {
            groups.push(self.tags_named(&filter.any)?);
        }
        for category in &filter.categories {
            let mut tags = self.connection.prepare_cached(&TAGS_OF_CATEGORY)?;
            let tags = tags.query_map([category], |row| row.get(0))?;
            groups.push(tags.collect::<rusqlite::Result<_>>()?);
        }
        Ok(groups)
    }

    /// The tags that have one of these names.
    pub(super) fn tags_named(&self, names: &[String]) -> rusqlite::Result<Vec<i64>> {
        let mut tags = Vec::new();
        for name in names {
            let mut found = self.connection.prepare_cached("SELECT id FROM tag WHERE name = ?1")?;
            for tag in found.query_map([name], |row| row.get::<_, i64>(0))? {
                tags.push(tag?);
            }
        }
        Ok(tags)
    }

    /// Finds the blocks of contents in which a tag of each group may occur, ascending. Returns `None` if that is not known
    /// for any of the groups.
    fn blocks_of_groups(&self, groups: &[Vec<i64>]) -> rusqlite::Result<Option<Vec<i64>>> {
        let mut all: Option<Vec<i64>> = None;
        for tags in groups {
            let Some(blocks) = self.blocks_of(tags)? else { continue };
            all = Some(match all {
                None => blocks,
                Some(mut all) => {
                    all.retain(|block| blocks.binary_search(block).is_ok());
                    all
                }
            });
        }
        Ok(all)
    }

    /// Finds the blocks of contents in which one of the tags may occur, ascending. Returns `None` if there are too many, or
    /// if only reading all labels can tell.
    pub(super) fn blocks_of(&self, tags: &[i64]) -> rusqlite::Result<Option<Vec<i64>>> {
        let connection = &self.connection;
        let contents: i64 = connection
            .prepare_cached("SELECT coalesce(max(id), 0) FROM content")?
            .query_row([], |row| row.get(0))?;
        let most = usize::try_from(BLOCKS.max(contents / WORTH)).unwrap_or(usize::MAX);
        let posted: i64 = connection
            .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?1")?
            .query_row([POSTED], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        let mut blocks = Vec::new();
        // Some calls are not posted yet: those of a run that is under way, or those made before there were postings.
        let mut since = connection.prepare_cached(&ANSWERED_SINCE)?;
        for content in since
            .query_map((posted, i64::try_from(UNPOSTED + 1).unwrap_or(i64::MAX)), |row| {
                row.get::<_, i64>(0)
            })?
        {
            blocks.push(content? >> SHIFT);
        }
        if blocks.len() > UNPOSTED {
            return Ok(None);
        }
        let mut posting = connection
            .prepare_cached("SELECT blocks FROM posting WHERE last_call = ?1 AND tag_id = ?2")?;
        for segment in 1..=posted / SEGMENT {
            for tag in tags {
                let bytes: Option<Vec<u8>> =
                    posting.query_row((segment * SEGMENT, tag), |row| row.get(0)).optional()?;
                let Some(bytes) = bytes else { continue };
                match decode(&bytes) {
                    Some(found) if !found.is_empty() => blocks.extend(found),
                    // The tag occurs in very many blocks, or the row is damaged: all labels have to be read.
                    _ => return Ok(None),
                }
            }
            if blocks.len() > most {
                return Ok(None);
            }
        }
        blocks.sort_unstable();
        blocks.dedup();
        Ok(Some(blocks))
    }

    /// Finds the contents of a block that have a tag of each group.
    fn with_labels(&self, block: i64, groups: &[Vec<i64>]) -> rusqlite::Result<Vec<i64>> {
        let (first, last) = (block << SHIFT, (block << SHIFT) + (1 << SHIFT) - 1);
        let mut labels = self.connection.prepare_cached(&LABELS)?;
        let mut rows =
            labels.query((LabelId::of_content(first).start(), LabelId::of_content(last).end()))?;
        let mut contents: Vec<(i64, u64)> = Vec::new();
        while let Some(row) = rows.next()? {
            let (content, tag): (i64, i64) = (row.get(0)?, row.get(1)?);
            if contents.last().is_none_or(|(last, _)| *last != content) {
                contents.push((content, 0));
            }
            let Some((_, found)) = contents.last_mut() else { continue };
            for (place, tags) in groups.iter().enumerate() {
                if tags.contains(&tag) {
                    *found |= 1 << (place % 64);
                }
            }
        }
        let all = groups.iter().enumerate().fold(0_u64, |all, (place, _)| all | 1 << (place % 64));
        contents.retain(|(_, found)| *found == all);
        Ok(contents.into_iter().map(|(content, _)| content).collect())
    }

    fn keys_of(&self, content: i64, prefix: &str, into: &mut Vec<Place>) -> rusqlite::Result<()> {
        let mut objects = self.connection.prepare_cached(&KEYS_OF_CONTENT)?;
        let most = i64::try_from(KEYS + 1).unwrap_or(i64::MAX);
        let mut rows = objects
            .query(named_params! { ":content": content, ":prefix": prefix, ":most": most })?;
        while let Some(row) = rows.next()? {
            into.push((row.get(0)?, row.get(1)?));
        }
        Ok(())
    }
}

fn set_of(blocks: &[i64]) -> IdSet {
    let mut set = IdSet::default();
    for block in blocks {
        set.insert(*block);
    }
    set
}
