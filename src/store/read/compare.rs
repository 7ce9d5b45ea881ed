//! What the store knows of a span of keys, for comparing a page with it.

use rusqlite::{OptionalExtension, Row};

use crate::scene::Scenes;
use crate::store::keyspace::prefix_end;
use crate::store::model::ContentState;
use crate::store::{Error, Reader};

/// An object as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `object.id`.
    pub object_id: i64,
    /// The key.
    pub key: String,
    /// Of ETag, size, storage class and time.
    pub fingerprint: i64,
    /// Whether it is gone.
    pub gone: bool,
    /// Its content, if it was ever wanted.
    pub content_id: Option<i64>,
    /// `object.skip_reason`.
    pub skip_reason: Option<String>,
    /// Read only on request: how its content stands.
    pub standing: Option<Standing>,
}

/// How a content stands, as far as a run that meets it must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Scenes that are there.
    pub done: Scenes,
    /// Scenes that are there and asked for again.
    pub redo: Scenes,
    /// Pending, in flight, done or failed.
    pub state: ContentState,
    /// The run that wants it.
    pub run_id: Option<i64>,
    /// Failed for a temporary reason.
    pub temporary: bool,
}

impl Known {
    fn read(row: &Row<'_>, standing: bool) -> rusqlite::Result<Self> {
        let content_id: Option<i64> = row.get(4)?;
        let standing = match content_id {
            Some(_) if standing => Some(Standing {
                done: Scenes::from_bits(row.get(6)?),
                redo: Scenes::from_bits(row.get(7)?),
                state: ContentState::from_id(row.get(8)?).unwrap_or(ContentState::Failed),
                run_id: row.get(9)?,
                temporary: row.get(10)?,
            }),
            _ => None,
        };
        Ok(Self {
            object_id: row.get(0)?,
            key: row.get(1)?,
            fingerprint: row.get(2)?,
            gone: row.get(3)?,
            content_id,
            skip_reason: row.get(5)?,
            standing,
        })
    }
}

impl Reader {
    /// Calls `each` for every object of a bucket with `after` < key, within the prefix and up to and
    /// including `up_to` (to the prefix's end without it), in the byte order of the keys.
    ///
    /// `standing` adds how each object's content stands, at the price of a look-up an object.
    ///
    /// # Errors
    /// Those of any read.
    pub fn span(
        &self,
        bucket_id: i64,
        prefix: &str,
        after: &str,
        up_to: Option<&str>,
        standing: bool,
        mut each: impl FnMut(Known),
    ) -> Result<(), Error> {
        let sql = if standing {
            "SELECT object.id, key, fingerprint, gone_run IS NOT NULL, content_id, skip_reason,
                    scenes_done, scenes_redo, state, content.run_id, error_temporary
             FROM object LEFT JOIN content ON content.id = content_id
             WHERE bucket_id = ?1 AND key > ?2 AND key >= ?3
               AND (?4 IS NULL OR key <= ?4) AND (?5 IS NULL OR key < ?5)
             ORDER BY key"
        } else {
            "SELECT id, key, fingerprint, gone_run IS NOT NULL, content_id, skip_reason
             FROM object
             WHERE bucket_id = ?1 AND key > ?2 AND key >= ?3
               AND (?4 IS NULL OR key <= ?4) AND (?5 IS NULL OR key < ?5)
             ORDER BY key"
        };
        let end = prefix_end(prefix);
        let mut read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query((bucket_id, after, prefix, up_to, &end))?;
            while let Some(row) = rows.next()? {
                each(Known::read(row, standing)?);
            }
            Ok(())
        };
        read().map_err(|source| self.error(source))
    }

    /// The object with this key, with its content's standing.
    ///
    /// # Errors
    /// Those of any read.
    pub fn known(&self, bucket_id: i64, key: &str) -> Result<Option<Known>, Error> {
        let read = || {
            self.connection
                .prepare_cached(
                    "SELECT object.id, key, fingerprint, gone_run IS NOT NULL, content_id, skip_reason,
                            scenes_done, scenes_redo, state, content.run_id, error_temporary
                     FROM object LEFT JOIN content ON content.id = content_id
                     WHERE bucket_id = ?1 AND key = ?2",
                )?
                .query_row((bucket_id, key), |row| Known::read(row, true))
                .optional()
        };
        read().map_err(|source| self.error(source))
    }

    /// Up to `limit` lines of a list that are not objects yet, after `seq`, with their numbers.
    ///
    /// # Errors
    /// Those of any read.
    pub fn list_items(
        &self,
        run_id: i64,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<(i64, String)>, Error> {
        let read = || {
            self.connection
                .prepare_cached(
                    "SELECT seq, item FROM list_item WHERE run_id = ?1 AND seq > ?2
                     ORDER BY seq LIMIT ?3",
                )?
                .query_map((run_id, seq, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }

    /// Whether unchanged objects of this run's scope must be looked at one by one: the settings that
    /// decide what is wanted differ from those of the last complete listing of the scope or of a run
    /// since then, or contents wait that no run under way wants.
    ///
    /// # Errors
    /// Those of any read.
    pub fn must_reconsider(
        &self,
        run_id: i64,
        bucket_id: i64,
        prefix: &str,
        eligibility: i64,
    ) -> Result<bool, Error> {
        let read = || {
            // The last complete listing that covers the scope...
            let last: Option<i64> = self
                .connection
                .query_row(
                    "SELECT id FROM run
                     WHERE bucket_id = ?1 AND id <> ?2 AND source = 'bucket' AND NOT plan
                       AND listed_at IS NOT NULL AND substr(?3, 1, length(prefix)) = prefix
                     ORDER BY id DESC LIMIT 1",
                    (bucket_id, run_id, prefix),
                    |row| row.get(0),
                )
                .optional()?;
            // ... and whatever came after it and touched the scope, had the same settings?
            let differs = self
                .connection
                .prepare(
                    "SELECT 1 FROM run
                     WHERE bucket_id = ?1 AND id <> ?2 AND id >= ?3 AND eligibility <> ?4
                       AND (substr(?5, 1, length(prefix)) = prefix
                            OR substr(prefix, 1, length(?5)) = ?5)",
                )?
                .exists((bucket_id, run_id, last.unwrap_or(0), eligibility, prefix))?;
            let waiting = self
                .connection
                .prepare(
                    "SELECT 1 FROM content WHERE state = 0 AND run_id IS NOT ?1
                     UNION ALL
                     SELECT 1 FROM content
                     WHERE state = 3 AND error_temporary = 1 AND run_id IS NOT ?1",
                )?
                .exists([run_id])?;
            Ok(differs || waiting)
        };
        read().map_err(|source| self.error(source))
    }

    /// Ledger rows that ended at or after a moment in unix milliseconds, unknown ones too.
    ///
    /// The ledger is written in the order of time, so only its tail is read.
    ///
    /// # Errors
    /// Those of any read.
    pub fn calls_since(&self, moment: i64) -> Result<u64, Error> {
        let read = || {
            let mut statement =
                self.connection.prepare("SELECT ended_at FROM call ORDER BY id DESC")?;
            let mut rows = statement.query([])?;
            let mut calls = 0;
            while let Some(row) = rows.next()? {
                if row.get::<_, i64>(0)? < moment {
                    break;
                }
                calls += 1;
            }
            Ok(calls)
        };
        read().map_err(|source| self.error(source))
    }
}
