//! What a run would call: its queue.

use crate::scene::Scenes;
use crate::store::Error;
use crate::store::read::Needed;
use crate::store::sqlite::Reader;

// Counts what a run has left in its queue, and what it gave up for a reason for which the next run tries again.
const LEFT: &str = "
    SELECT (scenes_wanted & ~scenes_done) | scenes_redo AS missing, count(*) FROM (
        SELECT scenes_wanted, scenes_done, scenes_redo
        FROM content INDEXED BY content_queue WHERE run_id = ?1 AND state = 0
        UNION ALL
        SELECT scenes_wanted, scenes_done, scenes_redo
        FROM content INDEXED BY content_failed WHERE run_id = ?1 AND state = 3 AND error_kind = 2)
    GROUP BY 1 ORDER BY 1";

const ASKED: &str = "
    SELECT (scenes_wanted & ~scenes_done) | scenes_redo
    FROM content INDEXED BY content_queue WHERE run_id = ?1 AND state = 0
    UNION ALL
    SELECT (scenes_wanted & ~scenes_done) | scenes_redo
    FROM content INDEXED BY content_in_flight WHERE run_id = ?1 AND state = 1
    LIMIT ?2";

impl Reader {
    /// Counts the contents that a run has in its queue or in flight, up to `limit` of them, and the scenes that their
    /// calls ask for.
    pub fn asked_of_queue(&self, run_id: i64, limit: u32) -> Result<(u64, u64), Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(ASKED)?;
            let mut rows = statement.query((run_id, limit))?;
            let (mut contents, mut scenes) = (0, 0);
            while let Some(row) = rows.next()? {
                contents += 1;
                scenes += u64::from(Scenes::from_bits(row.get(0)?).len());
            }
            Ok((contents, scenes))
        };
        read().map_err(|source| self.error(source))
    }

    /// Counts what a run has found and left uncalled. Reads nothing but its queue.
    pub fn left(&self, run_id: i64) -> Result<Needed, Error> {
        let read = || {
            let mut statement = self.connection.prepare(LEFT)?;
            let by_scenes = statement
                .query_map([run_id], |row| {
                    let contents = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                    Ok((Scenes::from_bits(row.get(0)?), contents))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Needed { by_scenes, ..Needed::default() })
        };
        read().map_err(|source| self.error(source))
    }
}
