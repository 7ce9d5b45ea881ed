//! Contents that a person chooses in order to put them back: failed ones, or labelled ones.

use rusqlite::named_params;

use super::ReadTransaction;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::keyspace::prefix_end;
use crate::store::read::{Choice, Chosen};
use crate::store::sqlite::Reader;
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
        WHERE id > :after AND state IN ({PENDING}, {DONE}, {FAILED}) AND scenes_done & :scenes
        ORDER BY id LIMIT :batch";

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
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let next = if choice.failed {
                self.failed_batch(choice, &keys, after, &mut batch)
            } else {
                self.labelled_batch(choice, &keys, after, &mut batch)
            };
            let next = next.map_err(|source| E::from(self.error(source)))?;
            self.unchanged()?;
            each(&batch)?;
            match next {
                Some(next) => after = next,
                None => return Ok(()),
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

    fn labelled_batch(
        &self,
        choice: &Choice,
        keys: &impl Fn(&str) -> bool,
        after: Position,
        batch: &mut Vec<Chosen>,
    ) -> rusqlite::Result<Option<Position>> {
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        let mut contents = self.connection.prepare_cached(&LABELLED)?;
        let scenes = if choice.scenes.is_empty() { 15 } else { choice.scenes.bits() };
        let mut rows = contents.query(named_params! {
            ":scenes": scenes, ":before": choice.tagged_before, ":after": after.2, ":batch": BATCH,
        })?;
        let mut next = None;
        while let Some(row) = rows.next()? {
            let content_id = row.get(0)?;
            next = Some((-1, -1, content_id));
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
