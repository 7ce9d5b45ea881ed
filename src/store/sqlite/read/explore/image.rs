//! Everything that is known of one image.

use rusqlite::{OptionalExtension as _, Row, named_params};

use super::Content;
use crate::scene::{Scene, Scenes};
use crate::store::Error;
use crate::store::model::{CallOutcome, ContentState};
use crate::store::read::{ImageCall, ImageFailure, ImageKey, ImageLabel, ImageRecord};
use crate::store::sqlite::Reader;
use crate::store::sqlite::read::ReadTransaction;
use crate::store::sqlite::rows::{Count, LabelId, Mark, Size, StoredEtag};
use crate::store::sqlite::sql::{ASKS, TEMPORARY, has_content, statements};
use crate::time::UnixSeconds;

statements! {
    CONTENT = "
        SELECT state, scenes_done, {ASKS}, etag, size, tagged_at, run_id, object_id, error_kind,
               present, skipped
        FROM content WHERE id = ?1";

    LABELS = "
        SELECT label.id, mark, name, first_category, second_category
        FROM label LEFT JOIN tag ON tag.id = tag_id WHERE label.id BETWEEN ?1 AND ?2 ORDER BY label.id";

    KEYS = "
        SELECT bucket.name, bucket.kind = 'urls', object.key, object.last_modified, object.storage_class,
               object.skip_reason, object.gone_run IS NOT NULL, object.id
        FROM object JOIN bucket ON bucket.id = object.bucket_id
        WHERE {has_content}
        ORDER BY object.gone_run IS NOT NULL, object.id LIMIT :most", has_content = has_content(":content");

    COUNT_OF_KEYS = "SELECT count(*) FROM object WHERE {has_content}", has_content = has_content("?1");

    FAILURE = "SELECT code, status, message, request_id FROM error WHERE content_id = ?1";

    /// The ledger has no index of contents, so this looks at every call.
    CALLS = "
        SELECT ended_at, run_id, scenes, outcome, duration_ms, http_status, code, request_id
        FROM call LEFT JOIN call_error ON call_id = call.id
        WHERE content_id = ?1 ORDER BY call.id DESC LIMIT ?2";
}

/// The columns of a content that the record needs.
struct Stored {
    content: Content,
    asks: Scenes,
    etag: StoredEtag,
    size: Option<Size>,
    tagged_at: Option<UnixSeconds>,
    run_id: Option<i64>,
    object_id: Option<i64>,
    error_kind: i64,
}

impl Reader {
    /// Reads everything that is known of a content. Returns `None` if there is none with this number.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a value that no run can have written.
    pub fn image(&self, content_id: i64) -> Result<Option<ImageRecord>, Error> {
        let read = || {
            let _snapshot = ReadTransaction::begin(&self.connection)?;
            let Some(stored) = self.stored(content_id)? else { return Ok(None) };
            let Stored { content, asks, .. } = stored;
            let standing = self.standing(content, &self.labels_of(content)?)?;
            let Count(all_keys) = self
                .connection
                .prepare_cached(&COUNT_OF_KEYS)?
                .query_row([content_id], |row| row.get(0))?;
            let is_answered = !content.scenes.is_empty();
            let etag = stored.etag.0.as_ref().map(|etag| etag.text_in(&mut [0; 32]).to_owned());
            Ok(Some(ImageRecord {
                content_id,
                state: standing.map(|standing| standing.state),
                etag,
                size: stored.size.map(|Size(bytes)| bytes),
                scenes: content.scenes,
                asks,
                tagged_at: stored.tagged_at.filter(|_| is_answered),
                run_id: stored.run_id,
                labels: self.labels_in_full(content)?,
                keys: self.keys_in_full(content_id, stored.object_id)?,
                all_keys,
                failure: self.failure_of(&stored)?,
                calls: self.calls_of(content_id)?,
            }))
        };
        let record = read().map_err(|source| self.error(source))?;
        self.unchanged()?;
        Ok(record)
    }

    fn stored(&self, id: i64) -> rusqlite::Result<Option<Stored>> {
        let keeps_counts = self.keeps_counts()?;
        let read = |row: &Row<'_>| {
            let objects = keeps_counts.then_some((row.get(9)?, row.get(10)?));
            let (state, scenes) = (row.get(0)?, Scenes::from_bits(row.get(1)?));
            Ok(Stored {
                content: Content { id, state, scenes, objects },
                asks: Scenes::from_bits(row.get(2)?),
                etag: row.get(3)?,
                size: row.get(4)?,
                tagged_at: row.get(5)?,
                run_id: row.get(6)?,
                object_id: row.get(7)?,
                error_kind: row.get(8)?,
            })
        };
        self.connection.prepare_cached(&CONTENT)?.query_row([id], read).optional()
    }

    fn labels_in_full(&self, content: Content) -> rusqlite::Result<Vec<ImageLabel>> {
        let span = LabelId::of_content(content.id);
        let mut statement = self.connection.prepare_cached(&LABELS)?;
        let mut rows = statement.query((span.start(), span.end()))?;
        let mut labels = Vec::new();
        while let Some(row) = rows.next()? {
            let scene = Scene::from_id(LabelId::scene(row.get(0)?));
            let Some(scene) = scene.filter(|scene| content.scenes.contains(*scene)) else {
                continue;
            };
            let text = |place| row.get::<_, Option<String>>(place).map(Option::unwrap_or_default);
            labels.push(ImageLabel {
                scene,
                confidence: Mark::confidence(row.get(1)?),
                name: text(2)?,
                first_category: text(3)?,
                second_category: text(4)?,
            });
        }
        Ok(labels)
    }

    fn keys_in_full(&self, id: i64, called: Option<i64>) -> rusqlite::Result<Vec<ImageKey>> {
        self.connection
            .prepare_cached(&KEYS)?
            .query_map(named_params! { ":content": id, ":most": ImageRecord::MOST }, |row| {
                Ok(ImageKey {
                    bucket: row.get(0)?,
                    is_url: row.get(1)?,
                    key: row.get(2)?,
                    last_modified: row.get(3)?,
                    storage_class: row.get(4)?,
                    skipped: row.get(5)?,
                    gone: row.get(6)?,
                    called: called == Some(row.get(7)?),
                })
            })?
            .collect()
    }

    fn failure_of(&self, stored: &Stored) -> rusqlite::Result<Option<ImageFailure>> {
        let stands = stored.content.state == ContentState::Failed as i64;
        if stored.error_kind == 0 {
            return Ok(None);
        }
        self.connection
            .prepare_cached(&FAILURE)?
            .query_row([stored.content.id], |row| {
                Ok(ImageFailure {
                    code: row.get(0)?,
                    http_status: row.get(1)?,
                    message: row.get(2)?,
                    request_id: row.get(3)?,
                    temporary: stored.error_kind == TEMPORARY,
                    stands,
                })
            })
            .optional()
    }

    fn calls_of(&self, content_id: i64) -> rusqlite::Result<Vec<ImageCall>> {
        self.connection
            .prepare_cached(&CALLS)?
            .query_map((content_id, ImageRecord::MOST), |row| {
                let number: i64 = row.get(3)?;
                let outcome = CallOutcome::from_id(number)
                    .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, number))?;
                let duration: Option<Count> = row.get(4)?;
                Ok(ImageCall {
                    ended_at: row.get(0)?,
                    run_id: row.get(1)?,
                    scenes: Scenes::from_bits(row.get(2)?),
                    outcome,
                    duration_ms: duration.map(|Count(milliseconds)| milliseconds),
                    http_status: row.get(5)?,
                    code: row.get(6)?,
                    request_id: row.get(7)?,
                })
            })?
            .collect()
    }
}
