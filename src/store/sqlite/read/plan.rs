//! What a run would call, as a plan tells it.

use crate::scene::Scenes;
use crate::store::Error;
use crate::store::sqlite::Reader;

/// What is left to be called within the scope of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// Contents that need a call, by what it asks for, in the order of the stored bits.
    pub by_scenes: Vec<(Scenes, u64)>,
    /// Contents that failed, and that only new bytes or `costag retry` bring back.
    pub given_up: u64,
    /// Wanted objects that the service may refuse.
    pub doubtful: Doubtful,
}

/// How many wanted objects are beyond what the service is documented to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Doubtful {
    /// Larger than 3 MB (powers of 1024).
    pub larger: u64,
    /// By their suffix neither PNG nor JPEG.
    pub other_formats: u64,
}

impl Needed {
    /// Calls for all of them, if none has to be repeated.
    pub fn calls(&self) -> u64 {
        self.by_scenes.iter().map(|(_, calls)| calls).sum()
    }

    /// Scenes that these calls ask for.
    pub fn scenes(&self) -> u64 {
        self.by_scenes.iter().map(|(scenes, calls)| calls * u64::from(scenes.len())).sum()
    }
}

// What a run has left in its queue, and what it gave up for a reason that the next run tries again for.
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
    /// How many of the first `limit` contents that a run has in its queue or in flight there are, and for how many
    /// scenes in all.
    ///
    /// # Errors
    /// As any read.
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

    /// What a run has found and left uncalled; reads its queue and nothing else.
    ///
    /// # Errors
    /// As any read.
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
