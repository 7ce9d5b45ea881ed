//! Contents that a person chooses in order to put them back: failed ones, or labelled ones.

use rusqlite::named_params;

use super::ReadTransaction;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::keyspace::prefix_end;
use crate::store::read::{Choice, Chosen};
use crate::store::sqlite::Reader;
use crate::store::sqlite::ids::IdSet;
use crate::store::sqlite::posting::SHIFT;
use crate::store::sqlite::sql::{
    ASKS, DONE, FAILED, PENDING, has_content, is_label_of, statements,
};

/// The number of contents in a batch.
const BATCH: i64 = 1_000;

statements! {
    /// Selects failed contents in the order of the index `content_failed`. A failed content always has the run that
    /// settled it.
    FAILED_CONTENTS = "
        SELECT id, {ASKS}, error_kind, run_id, code FROM content LEFT JOIN error ON content_id = id
        WHERE state = {FAILED} AND (error_kind, run_id, id) > (:a, :b, :c)
        ORDER BY error_kind, run_id, id LIMIT :batch";

    /// Selects labelled contents. A content that waits already with its scenes asked for again is not chosen once more.
    /// A failed content may be, since it waits for nothing.
    LABELLED = "
        SELECT id, scenes_done & CASE state WHEN {FAILED} THEN :scenes ELSE ~scenes_redo & :scenes END,
               CASE state WHEN {PENDING} THEN {ASKS} ELSE scenes_redo END,
               scenes_done & :scenes, (:before IS NULL OR tagged_at < :before)
        FROM content
        WHERE id > :after AND id <= :last AND state IN ({PENDING}, {DONE}, {FAILED}) AND scenes_done & :scenes
        ORDER BY id LIMIT :batch";

    /// Selects the contents of the keys of the bucket `?1` from the key `?2` on, without the key `?3`.
    CONTENTS_OF_KEYS = "
        SELECT key, content_id, gone_run IS NULL FROM object
        WHERE bucket_id = ?1 AND key >= ?2 AND key IS NOT ?3 ORDER BY key LIMIT ?4";

    BUCKETS = "SELECT id FROM bucket WHERE ?1 IS NULL OR name = ?1 ORDER BY id";

    LABEL = "
        SELECT 1 FROM label JOIN tag ON tag.id = tag_id
        WHERE {of_content} AND (1 << scene) & :scenes AND name = :name
          AND (:below IS NULL OR confidence < :below)", of_content = is_label_of("label.id", ":content");

    SUREST = "
        SELECT ifnull(max(confidence), 0) < :below FROM label
        WHERE {of_content} AND (1 << scene) & :scenes", of_content = is_label_of("id", ":content");

    KEYS_OF_CONTENT = "
        SELECT key FROM object
        WHERE {has_content} AND gone_run IS NULL
          AND +key >= :prefix AND (:end IS NULL OR +key < :end)
          AND (:bucket IS NULL OR +bucket_id IN (SELECT id FROM bucket WHERE name = :bucket))",
        has_content = has_content(":content");
}

/// The place of a content in the order of the batches.
type Position = (i64, i64, i64);

/// Which labelled contents are left to look at.
enum Walk {
    /// Every content with a higher id.
    After(i64),
    /// The contents of these blocks, the next one last.
    Blocks(Vec<i64>),
    /// The contents of the keys below a prefix.
    Keys {
        /// The buckets that are left, the next one last.
        buckets: Vec<i64>,
        /// The last key that was looked at in the next bucket.
        after: Option<String>,
        /// Contents that were looked at.
        seen: IdSet,
    },
}

impl Reader {
    /// Hands the chosen contents to `each`, batch by batch. `keys` says of a key whether it is meant, in addition to
    /// the choice.
    ///
    /// No read is open while `each` is at work, so it may put back what it gets.
    pub fn chosen<E: From<Error>>(
        &self,
        choice: &Choice,
        keys: impl Fn(&str) -> bool,
        mut each: impl FnMut(&[Chosen]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after: Position = (-1, -1, -1);
        let mut walk = self.walk_of(choice).map_err(|source| E::from(self.error(source)))?;
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let more = if choice.failed {
                let next = self.failed_batch(choice, &keys, after, &mut batch);
                next.map(|next| {
                    after = next.unwrap_or(after);
                    next.is_some()
                })
            } else {
                self.labelled_batch(choice, &keys, &mut walk, &mut batch)
            };
            let more = more.map_err(|source| E::from(self.error(source)))?;
            self.unchanged()?;
            each(&batch)?;
            if !more {
                return Ok(());
            }
        }
    }

    fn failed_batch(
        &self,
        choice: &Choice,
        keys: &impl Fn(&str) -> bool,
        after: Position,
        batch: &mut Vec<Chosen>,
    ) -> rusqlite::Result<Option<Position>> {
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        let mut contents = self.connection.prepare_cached(&FAILED_CONTENTS)?;
        let mut rows = contents.query(named_params! {
            ":a": after.0, ":b": after.1, ":c": after.2, ":batch": BATCH,
        })?;
        let mut next = None;
        while let Some(row) = rows.next()? {
            let content_id = row.get(0)?;
            next = Some((row.get(2)?, row.get(3)?, content_id));
            let code: Option<String> = row.get(4)?;
            let meant =
                choice.codes.is_empty() || code.is_some_and(|code| choice.codes.contains(&code));
            if meant && self.has_key(choice, keys, content_id)? {
                let asks = Scenes::from_bits(row.get(1)?);
                batch.push(Chosen { content_id, redo: Scenes::NONE, asks });
            }
        }
        Ok(next)
    }

    /// Finds what has to be looked at: the postings of the label, the keys below the prefix, or every content.
    fn walk_of(&self, choice: &Choice) -> rusqlite::Result<Walk> {
        if choice.failed {
            return Ok(Walk::After(-1));
        }
        if let Some(name) = &choice.label {
            let tags = self.tags_named(std::slice::from_ref(name))?;
            if let Some(mut blocks) = self.blocks_of(&tags)? {
                blocks.reverse();
                return Ok(Walk::Blocks(blocks));
            }
        }
        if !choice.prefix.is_empty() && self.is_narrow(&choice.prefix)? {
            let mut buckets = self.connection.prepare_cached(&BUCKETS)?;
            let buckets = buckets.query_map([&choice.bucket], |row| row.get(0))?;
            let buckets = buckets.collect::<rusqlite::Result<_>>()?;
            return Ok(Walk::Keys { buckets, after: None, seen: IdSet::default() });
        }
        Ok(Walk::After(-1))
    }

    /// Adds the chosen contents of the next batch. Returns false if there is nothing left to look at.
    fn labelled_batch(
        &self,
        choice: &Choice,
        keys: &impl Fn(&str) -> bool,
        walk: &mut Walk,
        batch: &mut Vec<Chosen>,
    ) -> rusqlite::Result<bool> {
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        match walk {
            Walk::After(after) => {
                let next = self.labelled_between(choice, keys, (*after, i64::MAX), batch)?;
                *after = next.unwrap_or(*after);
                Ok(next.is_some())
            }
            Walk::Blocks(blocks) => {
                let size = usize::try_from(BATCH).unwrap_or(usize::MAX);
                for block in blocks.split_off(blocks.len().saturating_sub(size)).iter().rev() {
                    let before = (block << SHIFT) - 1;
                    self.labelled_between(choice, keys, (before, before + (1 << SHIFT)), batch)?;
                }
                Ok(!blocks.is_empty())
            }
            Walk::Keys { buckets, after, seen } => {
                let Some(bucket) = buckets.last() else { return Ok(false) };
                let (contents, last) = self.below(*bucket, &choice.prefix, after.as_deref())?;
                for id in contents {
                    if seen.insert(id) {
                        self.labelled_between(choice, keys, (id - 1, id), batch)?;
                    }
                }
                if last.is_none() {
                    buckets.pop();
                }
                *after = last;
                Ok(!buckets.is_empty())
            }
        }
    }

    /// Reads the contents of the next present keys below a prefix, and the last key; `None` instead of it if there are no
    /// more.
    fn below(
        &self,
        bucket: i64,
        prefix: &str,
        after: Option<&str>,
    ) -> rusqlite::Result<(Vec<i64>, Option<String>)> {
        let mut objects = self.connection.prepare_cached(&CONTENTS_OF_KEYS)?;
        let mut rows = objects.query((bucket, after.unwrap_or(prefix), after, BATCH))?;
        let (mut contents, mut last, mut seen) = (Vec::new(), String::new(), 0);
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_str()?;
            if !key.starts_with(prefix) {
                return Ok((contents, None));
            }
            key.clone_into(&mut last);
            seen += 1;
            if row.get(2)? {
                contents.extend(row.get::<_, Option<i64>>(1)?);
            }
        }
        Ok((contents, (seen == BATCH).then_some(last)))
    }

    /// Adds the chosen ones of the next contents after the first and up to the second id. Returns the last id that was
    /// looked at.
    fn labelled_between(
        &self,
        choice: &Choice,
        keys: &impl Fn(&str) -> bool,
        (after, last): (i64, i64),
        batch: &mut Vec<Chosen>,
    ) -> rusqlite::Result<Option<i64>> {
        let mut contents = self.connection.prepare_cached(&LABELLED)?;
        let scenes = if choice.scenes.is_empty() { 15 } else { choice.scenes.bits() };
        let mut rows = contents.query(named_params! {
            ":scenes": scenes, ":before": choice.tagged_before, ":after": after, ":last": last,
            ":batch": BATCH,
        })?;
        let mut next = None;
        while let Some(row) = rows.next()? {
            let content_id = row.get(0)?;
            next = Some(content_id);
            let redo = Scenes::from_bits(row.get(1)?);
            let missing = Scenes::from_bits(row.get(2)?);
            let looked_at: u8 = row.get(3)?;
            if redo.is_empty()
                || !row.get::<_, bool>(4)?
                || !self.has_labels(choice, content_id, looked_at)?
                || !self.has_key(choice, keys, content_id)?
            {
                continue;
            }
            batch.push(Chosen { content_id, redo, asks: redo.union(missing) });
        }
        Ok(next)
    }

    fn has_labels(&self, choice: &Choice, content_id: i64, scenes: u8) -> rusqlite::Result<bool> {
        match (&choice.label, choice.below) {
            (Some(name), below) => self.connection.prepare_cached(&LABEL)?.exists(named_params! {
                ":content": content_id, ":scenes": scenes, ":name": name, ":below": below,
            }),
            (None, Some(below)) => self.connection.prepare_cached(&SUREST)?.query_row(
                named_params! { ":content": content_id, ":scenes": scenes, ":below": below },
                |row| row.get(0),
            ),
            (None, None) => Ok(true),
        }
    }

    fn has_key(
        &self,
        choice: &Choice,
        keys: &impl Fn(&str) -> bool,
        content_id: i64,
    ) -> rusqlite::Result<bool> {
        let end = prefix_end(&choice.prefix);
        let mut statement = self.connection.prepare_cached(&KEYS_OF_CONTENT)?;
        let mut rows = statement.query(named_params! {
            ":content": content_id, ":prefix": choice.prefix, ":end": end, ":bucket": choice.bucket,
        })?;
        while let Some(row) = rows.next()? {
            if keys(row.get_ref(0)?.as_str()?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
