//! What a run would call: its queue.

use crate::scene::Scenes;
use crate::store::Error;
use crate::store::read::Needed;
use crate::store::sqlite::Reader;
use crate::store::sqlite::rows::Count;
use crate::store::sqlite::sql::{ASKS, FAILED, IN_FLIGHT, PENDING, TEMPORARY, statements};

statements! {
    /// Counts what the run `?1` has left in its queue, and what it gave up for a reason for which the next run tries
    /// again.
    LEFT = "
        SELECT {ASKS} AS missing, count(*) FROM (
            SELECT scenes_wanted, scenes_done, scenes_redo
            FROM content INDEXED BY content_queue WHERE run_id = ?1 AND state = {PENDING}
            UNION ALL
            SELECT scenes_wanted, scenes_done, scenes_redo
            FROM content INDEXED BY content_failed
            WHERE run_id = ?1 AND state = {FAILED} AND error_kind = {TEMPORARY})
        GROUP BY 1 ORDER BY 1";

    /// Selects the scenes that are asked for of each content of the run `?1` that is pending or in flight.
    ASKED = "
        SELECT {ASKS} FROM content INDEXED BY content_queue WHERE run_id = ?1 AND state = {PENDING}
        UNION ALL
        SELECT {ASKS} FROM content INDEXED BY content_in_flight WHERE run_id = ?1 AND state = {IN_FLIGHT}
        LIMIT ?2";
}

impl Reader {
    /// Counts the contents that a run has in its queue or in flight, up to `limit` of them, and the scenes that their
    /// calls ask for.
    pub fn asked_of_queue(&self, run_id: i64, limit: u32) -> Result<(u64, u64), Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(&ASKED)?;
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
            let mut statement = self.connection.prepare(&LEFT)?;
            let by_scenes = statement
                .query_map([run_id], |row| {
                    let Count(contents) = row.get(1)?;
                    Ok((Scenes::from_bits(row.get(0)?), contents))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Needed { by_scenes, ..Needed::default() })
        };
        read().map_err(|source| self.error(source))
    }
}
