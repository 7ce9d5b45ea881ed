//! How often labels occur, over all contents: those of images that are gone too.

use std::collections::HashMap;

use rusqlite::OptionalExtension;

use crate::scene::Scene;
use crate::store::Error;
use crate::store::read::Frequency;
use crate::store::sqlite::Reader;

/// The number of labels in a batch.
const BATCH: i64 = 50_000;

impl Reader {
    /// Counts every label of at least `min_confidence`, by scene and name, in no order, whether the bucket still has its
    /// image or not. Looks at every label.
    ///
    /// Memory is that of the dictionary, which has some thousands of names. Each batch is a separate read.
    ///
    /// # Errors
    /// [`Error::Unsound`] for a label whose scene or name is unknown.
    pub fn frequencies_with_gone(&self, min_confidence: i64) -> Result<Vec<Frequency>, Error> {
        let mut counted: HashMap<(i64, i64), (u64, u64)> = HashMap::new();
        let mut after = -1_i64;
        loop {
            let before = after;
            let mut read = || -> rusqlite::Result<()> {
                let mut statement = self.connection.prepare_cached(
                    "SELECT id, scene, tag_id, confidence FROM label WHERE id > ?1
                     ORDER BY id LIMIT ?2",
                )?;
                let mut rows = statement.query((after, BATCH))?;
                while let Some(row) = rows.next()? {
                    after = row.get(0)?;
                    let confidence: i64 = row.get(3)?;
                    if confidence >= min_confidence {
                        let count = counted.entry((row.get(1)?, row.get(2)?)).or_default();
                        count.0 += 1;
                        count.1 += u64::try_from(confidence).unwrap_or(0);
                    }
                }
                Ok(())
            };
            read().map_err(|source| self.error(source))?;
            if after == before {
                break;
            }
        }
        counted
            .into_iter()
            .map(|((scene, tag), (contents, confidence))| {
                let unsound = |what: &str| Error::Unsound { what: what.to_owned() };
                let scene = u8::try_from(scene).ok().and_then(Scene::from_id);
                let scene = scene.ok_or_else(|| unsound("a label whose scene is unknown"))?;
                let (name, first_category, second_category) =
                    self.tag(tag)?.ok_or_else(|| unsound("a label without its name"))?;
                Ok(Frequency { scene, name, first_category, second_category, contents, confidence })
            })
            .collect()
    }

    pub(super) fn tag(&self, id: i64) -> Result<Option<(String, String, String)>, Error> {
        self.connection
            .prepare_cached("SELECT name, first_category, second_category FROM tag WHERE id = ?1")
            .and_then(|mut tag| {
                tag.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
            })
            .map_err(|source| self.error(source))
    }
}
