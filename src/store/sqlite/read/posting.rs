//! The keys of the images that have a label, if finding them by postings is cheaper than reading all labels.

use rusqlite::{OptionalExtension, named_params};

use super::ReadTransaction;
use crate::store::Error;
use crate::store::sqlite::Reader;
use crate::store::sqlite::posting::{POSTED, SEGMENT, SHIFT, decode};
use crate::store::sqlite::rows::LabelId;
use crate::store::sqlite::sql::{ANSWERED, CONTENT_SHIFT, TAG_SHIFT, has_content, statements};

/// The largest number of blocks to search. With more, reading every label in order is no slower, and takes no memory
/// for each image.
const BLOCKS: usize = 20_000;

/// The largest number of calls that are not posted yet. A run posts them in time, unless it has to catch up.
const UNPOSTED: usize = 20_000;

/// The largest number of keys. Equal bytes may lie under very many.
const KEYS: usize = 100_000;

statements! {
    /// Selects the contents that have an answer among the calls after `?1`.
    ANSWERED_SINCE = "
        SELECT content_id FROM call WHERE id > ?1 AND outcome = {ANSWERED} ORDER BY id LIMIT ?2";

    /// Selects the content and the tag of labels.
    LABELS = "SELECT id >> {CONTENT_SHIFT}, mark >> {TAG_SHIFT} FROM label WHERE id BETWEEN ?1 AND ?2";

    KEYS_OF_CONTENT = "
        SELECT bucket_id, key FROM object
        WHERE {has_content} AND gone_run IS NULL AND substr(key, 1, length(:prefix)) = :prefix LIMIT :most",
        has_content = has_content(":content");
}

/// The id of a bucket, and a key.
pub(in crate::store) type Place = (i64, String);

impl Reader {
    /// Finds every present key, with this prefix, of images that have a label of this name, in no order. Returns
    /// `None` if there are too many, or if only reading all labels can tell.
    pub(in crate::store) fn places_of(
        &self,
        name: &str,
        prefix: &str,
    ) -> Result<Option<Vec<Place>>, Error> {
        let read = || {
            let _snapshot = ReadTransaction::begin(&self.connection)?;
            let tags: Vec<i64> = self
                .connection
                .prepare_cached("SELECT id FROM tag WHERE name = ?1")?
                .query_map([name], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let Some(blocks) = self.blocks_of(&tags)? else { return Ok(None) };
            let mut places = Vec::new();
            for block in blocks {
                for content in self.with_label(block, &tags)? {
                    self.keys_of(content, prefix, &mut places)?;
                }
                if places.len() > KEYS {
                    return Ok(None);
                }
            }
            Ok(Some(places))
        };
        read().map_err(|source| self.error(source))
    }

    /// Finds the blocks of contents in which one of the tags may occur, ascending.
    pub(super) fn blocks_of(&self, tags: &[i64]) -> rusqlite::Result<Option<Vec<i64>>> {
        let connection = &self.connection;
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
            if blocks.len() > BLOCKS {
                return Ok(None);
            }
        }
        blocks.sort_unstable();
        blocks.dedup();
        Ok(Some(blocks))
    }

    /// Finds the contents of a block that have one of the tags.
    fn with_label(&self, block: i64, tags: &[i64]) -> rusqlite::Result<Vec<i64>> {
        let (first, last) = (block << SHIFT, (block << SHIFT) + (1 << SHIFT) - 1);
        let mut labels = self.connection.prepare_cached(&LABELS)?;
        let mut rows =
            labels.query((LabelId::of_content(first).start(), LabelId::of_content(last).end()))?;
        let mut contents = Vec::new();
        while let Some(row) = rows.next()? {
            let content: i64 = row.get(0)?;
            if tags.contains(&row.get(1)?) && contents.last() != Some(&content) {
                contents.push(content);
            }
        }
        Ok(contents)
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
