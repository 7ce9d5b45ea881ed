//! Postings: an index of where labels are, for `find`. They are written for some thousand calls at a time, from labels
//! that are committed already.

use std::collections::HashMap;

use rusqlite::OptionalExtension;

use super::Session;
use crate::store::Error;
use crate::store::sqlite::posting::{COMMON, FEW, POSTED, SEGMENT, SHIFT, encode};
use crate::store::sqlite::rows::{LabelId, Mark};
use crate::store::sqlite::sql::{ANSWERED, IMPORTED, Statement, statements};

statements! {
    LAST_CALL = "SELECT coalesce(max(id), 0) FROM call";

    LAST_POSTED = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = '{POSTED}'";

    INSERT_POSTING = "INSERT INTO posting (last_call, tag_id, blocks) VALUES (?1, ?2, ?3)";

    SET_LAST_POSTED = "INSERT OR REPLACE INTO meta (name, value) VALUES ('{POSTED}', ?1)";

    READ_ANSWERED = "SELECT content_id FROM call WHERE id > ?1 AND id <= ?2 AND outcome IN ({ANSWERED}, {IMPORTED})";

    READ_LABELS = "SELECT id, mark FROM label WHERE id BETWEEN ?1 AND ?2";
}

impl Session {
    /// Writes the postings of the next calls once there are enough of them. A turn writes at most one segment, so that
    /// it stays short even if there is much to catch up with.
    pub(super) fn post_labels(&mut self) -> Result<(), Error> {
        let posted = if let Some(posted) = self.caches.ledger.posted {
            posted
        } else {
            self.caches.ledger.last_call = self.stored_number(&LAST_CALL)?;
            let stored = self.stored_number(&LAST_POSTED)?;
            *self.caches.ledger.posted.insert(stored)
        };
        let upto = posted + SEGMENT;
        if self.caches.ledger.last_call < upto {
            return Ok(());
        }
        let contents = self.answered(posted, upto)?;
        let blocks = contents.chunk_by(|a, b| a >> SHIFT == b >> SHIFT).count();
        let postings = self.blocks_by_tag(&contents)?;
        let mut insert = self.prepare(&INSERT_POSTING)?;
        for (tag_id, found) in postings {
            let common = found.len() >= FEW && found.len() > blocks / COMMON;
            let bytes = if common { Vec::new() } else { encode(&found) };
            insert.execute((upto, tag_id, bytes)).map_err(|source| self.error(source))?;
        }
        drop(insert);
        self.execute(&SET_LAST_POSTED, [upto])?;
        self.caches.ledger.posted = Some(upto);
        Ok(())
    }

    fn stored_number(&self, sql: &Statement) -> Result<i64, Error> {
        self.prepare(sql)?
            .query_row([], |row| row.get(0))
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(|source| self.error(source))
    }

    /// Reads the contents that have an answer among these calls, ascending.
    fn answered(&self, after: i64, upto: i64) -> Result<Vec<i64>, Error> {
        let mut statement = self.prepare(&READ_ANSWERED)?;
        let mut contents = statement
            .query_map((after, upto), |row| row.get(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<i64>>>)
            .map_err(|source| self.error(source))?;
        contents.sort_unstable();
        contents.dedup();
        Ok(contents)
    }

    /// Finds the blocks of each tag, ascending, in the order of the tags: then rows are appended.
    fn blocks_by_tag(&self, contents: &[i64]) -> Result<Vec<(i64, Vec<i64>)>, Error> {
        let mut blocks: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut labels = self.prepare(&READ_LABELS)?;
        // Neighbours are read with one query. Contents between them that were not called do no harm.
        for span in contents.chunk_by(|a, b| b - a <= 8) {
            let (Some(first), Some(last)) = (span.first(), span.last()) else { continue };
            let mut rows = labels
                .query((LabelId::of_content(*first).start(), LabelId::of_content(*last).end()))
                .map_err(|source| self.error(source))?;
            while let Some(row) = rows.next().map_err(|source| self.error(source))? {
                let id: i64 = row.get(0).map_err(|source| self.error(source))?;
                let mark: i64 = row.get(1).map_err(|source| self.error(source))?;
                let found = blocks.entry(Mark::tag_id(mark)).or_default();
                let block = id >> (LabelId::CONTENT_SHIFT + SHIFT);
                if found.last() != Some(&block) {
                    found.push(block);
                }
            }
        }
        let mut blocks: Vec<_> = blocks.into_iter().collect();
        blocks.sort_unstable_by_key(|(tag_id, _)| *tag_id);
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scene::{Scene, Scenes};
    use crate::store::model::Counts;
    use crate::store::read::ExportFilter;
    use crate::store::run::RunContext;
    use crate::store::sqlite::read::Places;
    use crate::store::sqlite::{Reader, Store};

    fn session(folder: &std::path::Path) -> Session {
        let store = Store::open(&folder.join("t.db")).unwrap();
        store
            .connection
            .execute_batch(
                "INSERT OR IGNORE INTO bucket VALUES (1, 'photos-1250000000', 'keys');
                 INSERT OR IGNORE INTO run (id, bucket_id, source, eligibility, state, settings,
                                            journals, tool_version, started_at)
                 VALUES (1, 1, 'bucket', 0, 'running', '{}', 0, '0.1.0', 0);
                 WITH RECURSIVE name (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM name WHERE i < 9)
                 INSERT OR IGNORE INTO tag SELECT i, 'label ' || (i % 7), i, '' FROM name;",
            )
            .unwrap();
        let run = RunContext {
            id: 1,
            bucket_id: 1,
            bucket: "photos-1250000000".to_owned(),
            prefix: String::new(),
            scenes: Scenes::NONE,
            dedupe: true,
            list: false,
            urls: false,
            journals: false,
            plan: false,
        };
        Session::new(store, run, Counts::default())
    }

    /// Replaces the labels of a content, which has two keys.
    fn label(session: &mut Session, content: i64, tags: &[i64]) {
        let connection = &session.store.connection;
        let insert = |sql: &str| connection.execute(sql, [content]).unwrap();
        insert(
            "INSERT OR IGNORE INTO content (id, scenes_wanted, scenes_done, state) VALUES (?1, 2, 2, 2)",
        );
        insert(
            "INSERT OR IGNORE INTO object (bucket_id, key, content_id, fingerprint, first_run)
             VALUES (1, 'a/' || ?1, ?1, 0, 1), (1, 'b/' || (99 - ?1), ?1, 0, 1)",
        );
        let rows = LabelId::of_scene(content, Scene::Camera);
        connection
            .execute("DELETE FROM label WHERE id BETWEEN ?1 AND ?2", (rows.start(), rows.end()))
            .unwrap();
        for (rank, tag) in (1..).zip(tags) {
            let id = LabelId::new(content, Scene::Camera, rank).number();
            connection
                .execute(
                    "INSERT INTO label (id, mark) VALUES (?1, ?2)",
                    (id, Mark::new(*tag, 0).number()),
                )
                .unwrap();
        }
        insert(
            "INSERT INTO call (run_id, content_id, scenes, ended_at, outcome) VALUES (1, ?1, 2, 0, 0)",
        );
        session.caches.ledger.last_call = connection.last_insert_rowid();
    }

    fn found(reader: &Reader, name: &str, prefix: &str, having: bool) -> Vec<String> {
        let filter = ExportFilter {
            prefix: prefix.to_owned(),
            names: vec![name.to_owned()],
            having: if having { vec![name.to_owned()] } else { Vec::new() },
            ..ExportFilter::default()
        };
        let mut export = reader.export(filter).unwrap();
        let mut keys = Vec::new();
        while let Some(batch) = export.next_batch().unwrap() {
            keys.extend(batch.objects().map(|object| object.key.to_owned()));
        }
        keys
    }

    proptest! {
        #![proptest_config(crate::property::with_cases(12))]
        /// Images are labelled any number of times, and the process may be killed after any turn.
        #[test]
        fn a_search_by_postings_finds_what_reading_all_labels_finds(
            turns in proptest::collection::vec(
                (
                    proptest::collection::vec(
                        (1..60_i64, proptest::collection::vec(1..9_i64, 0..3)), 0..12),
                    any::<bool>(),
                ),
                1..12,
            ),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut session = session(folder.path());
            for (labelled, killed) in turns {
                session.begin().unwrap();
                for (content, tags) in labelled {
                    label(&mut session, content, &tags);
                }
                session.commit().unwrap();
                if killed {
                    drop(session);
                    session = self::session(folder.path());
                }
            }
            let posted: i64 = session
                .store
                .connection
                .prepare("SELECT count(*) FROM posting")
                .map(|mut count| count.query_row([], |row| row.get(0)).unwrap())
                .unwrap();
            prop_assert!(posted > 0 || session.caches.ledger.last_call < SEGMENT);
            let reader = Reader::open(&folder.path().join("t.db")).unwrap();
            for name in ["label 0", "label 1", "label 2", "label 5", "no such label"] {
                for prefix in ["", "b/1"] {
                    let all = found(&reader, name, prefix, false);
                    let filter = ExportFilter {
                        prefix: prefix.to_owned(),
                        having: vec![name.to_owned()],
                        ..ExportFilter::default()
                    };
                    if let Places::Keys(places) = reader.places_of(&filter).unwrap() {
                        prop_assert_eq!(places.len(), all.len());
                    }
                    prop_assert_eq!(found(&reader, name, prefix, true), all);
                }
            }
        }
    }
}
