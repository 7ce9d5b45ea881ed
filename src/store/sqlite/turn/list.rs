//! Lists of keys and URLs. The lines are read into the store first, so that a run can be resumed without the file.
//! Then each line that is not called ends with a result.

use rusqlite::OptionalExtension;

use super::Session;
use crate::store::Error;
use crate::store::run::{ListProgress, READING};
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::{FactsJson, Lines};
use crate::store::sqlite::sql::{
    BUCKET, FAILED, FAILED_LINE, INTERRUPTED, MISSING_LINE, PENDING, RUNNING, STOPPED, SUPERSEDED,
    lacks, statements,
};
use crate::store::turn::{EndedLines, Reach, ReadLine};
use crate::time::UnixSeconds;

statements! {
    READ_PROGRESS = "
        SELECT cursor, done, list_hash FROM range JOIN run ON run.id = run_id
        WHERE run_id = ?1 AND seq = {READING} AND source <> '{BUCKET}'";

    INSERT_LINE = "
        INSERT OR IGNORE INTO list_item (run_id, seq, item, fault, facts) VALUES (?1, ?2, ?3, ?4, ?5)";

    SET_HASH = "UPDATE run SET list_hash = ?2 WHERE id = ?1";

    pub(super) SUPERSEDE = "UPDATE run SET state = '{SUPERSEDED}' WHERE id = ?1";

    IS_UNFINISHED = "
        SELECT 1 FROM run WHERE id = ?1 AND state IN ('{RUNNING}', '{INTERRUPTED}', '{STOPPED}')";

    REPLACE_FAILURE = "
        INSERT OR REPLACE INTO line_failure (bucket_id, item, run_id, line, verdict, code, status, message, request_id,
                                             failed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

    DELETE_FAILURE = "DELETE FROM line_failure WHERE bucket_id = ?1 AND item = ?2";

    /// Notes that the run `?1` has looked up the key `?3` of the bucket `?2`.
    INSERT_LOOKED_UP = "
        INSERT OR IGNORE INTO looked_up (run_id, content_id, object_id)
        SELECT ?1, content_id, id FROM object WHERE bucket_id = ?2 AND key = ?3 AND content_id IS NOT NULL";

    /// Finds a row if a content waits for no run.
    ANY_WAITS = "SELECT 1 FROM content WHERE state = {PENDING} AND run_id IS NULL LIMIT 1";

    /// Selects the lines of the list of the run `?1` that need a look-up now and did not need one before: another line
    /// dropped the labels of the content that they share.
    DROPPED_LINES = "
        SELECT seq, list_item.item FROM list_item
        JOIN object ON bucket_id = ?3 AND key = list_item.item
        JOIN content ON content.id = content_id
        WHERE list_item.run_id = ?1 AND fault IS NULL AND gone_run IS NULL AND skip_reason IS NULL
          AND state = {PENDING} AND content.run_id IS NULL AND {lacks}
          AND (?1, content_id, object.id) NOT IN (SELECT run_id, content_id, object_id FROM looked_up)
          AND NOT EXISTS (SELECT 1 FROM line_failure AS failure
                          WHERE failure.bucket_id = ?3 AND failure.item = list_item.item
                            AND failure.run_id = ?1)
        ORDER BY seq", lacks = lacks("?2");

    /// Counts the lines of the run `?1` in the bucket `?2` whose image is given up.
    COUNT_GIVEN_UP = "
        SELECT count(*) FROM content INDEXED BY content_failed
        JOIN object ON object.id = content.id AND object.content_id = content.id
           OR object.content_id = content.id AND object.content_id <> object.id
        JOIN list_item ON list_item.run_id = ?1 AND item = object.key
        WHERE state = {FAILED} AND bucket_id = ?2 AND gone_run IS NULL AND skip_reason IS NULL";

    pub(super) DELETE_LINES = "DELETE FROM list_item WHERE run_id = ?1";

    pub(super) DELETE_LOOKED_UP = "DELETE FROM looked_up WHERE run_id = ?1";
}

impl Store {
    /// Reads how far the list of a run was read. Returns `None` if the run lists a bucket.
    pub fn list_progress(&self, run_id: i64) -> Result<Option<ListProgress>, Error> {
        self.connection
            .query_row(&READ_PROGRESS, [run_id], |row| {
                let Lines(read) = row.get(0)?;
                Ok(ListProgress { read, whole: row.get(1)?, hash: row.get(2)? })
            })
            .optional()
            .map_err(|source| sorted(&self.path, source))
    }
}

impl Session {
    /// Stores further lines of the list. `reach` is how far the list was read, these lines included, and `hash` covers
    /// all of them. A line that repeats an earlier one is counted and not stored.
    pub(super) fn keep_list(
        &mut self,
        lines: &[ReadLine],
        hash: i64,
        reach: &Reach,
    ) -> Result<(), Error> {
        for ReadLine { seq, item, fault, facts } in lines {
            let facts = facts.as_ref().map(FactsJson);
            let kept = self.execute(&INSERT_LINE, (self.run.id, seq, item, fault, facts))?;
            self.counts.repeated += u64::from(kept == 0);
        }
        self.execute(&SET_HASH, (self.run.id, hash))?;
        self.reach(reach)
    }

    /// Closes unfinished runs over the same lines in favour of this run.
    pub(super) fn take_over(&mut self, run_ids: &[i64]) -> Result<(), Error> {
        for run_id in run_ids {
            self.execute(&SUPERSEDE, [run_id])?;
            self.forget_list_of(*run_id)?;
        }
        Ok(())
    }

    /// Returns the ids of the runs among `run_ids` that are unfinished.
    pub fn unfinished_of(&self, run_ids: &[i64]) -> Result<Vec<i64>, Error> {
        let mut statement = self.prepare(&IS_UNFINISHED)?;
        let mut unfinished = Vec::new();
        for run_id in run_ids {
            if statement.exists([run_id]).map_err(|source| self.error(source))? {
                unfinished.push(*run_id);
            }
        }
        Ok(unfinished)
    }

    /// Applies lines that have ended, and their objects. Returns true if contents were queued.
    pub(super) fn ended_lines(
        &mut self,
        lines: &EndedLines,
        now: UnixSeconds,
    ) -> Result<bool, Error> {
        let EndedLines { page, failures, found, failed, missing, unwanted } = lines;
        self.counts.wanted = self.counts.wanted.saturating_sub(*unwanted);
        self.counts.lines_failed += failed;
        self.counts.missing += missing;
        let queued = self.page(page)?;
        for failure in failures.iter().filter(|_| !self.run.plan) {
            self.execute(
                &REPLACE_FAILURE,
                (
                    self.run.bucket_id,
                    &failure.item,
                    self.run.id,
                    failure.seq,
                    if failure.is_missing { MISSING_LINE } else { FAILED_LINE },
                    &failure.code,
                    failure.status,
                    &failure.message,
                    &failure.request_id,
                    now,
                ),
            )?;
        }
        for key in found {
            self.execute(&DELETE_FAILURE, (self.run.bucket_id, key))?;
            self.execute(&INSERT_LOOKED_UP, (self.run.id, self.run.bucket_id, key))?;
        }
        Ok(queued)
    }

    /// Reads the lines that need a look-up only since another line was looked up: their numbers and keys.
    pub(super) fn dropped_lines(&self) -> Result<Vec<(i64, String)>, Error> {
        let read = || {
            let mut waiting = self.store.connection.prepare_cached(&ANY_WAITS)?;
            // This is nearly always the case, and then no line has to be read.
            if self.run.urls || !waiting.exists([])? {
                return Ok(Vec::new());
            }
            self.store
                .connection
                .prepare_cached(&DROPPED_LINES)?
                .query_map((self.run.id, self.run.scenes.bits(), self.run.bucket_id), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }

    /// Counts the lines whose image is given up, in this run or in an earlier one.
    pub fn count_given_up_lines(&mut self) -> Result<(), Error> {
        let lines: i64 = self
            .prepare(&COUNT_GIVEN_UP)?
            .query_row((self.run.id, self.run.bucket_id), |row| row.get(0))
            .map_err(|source| self.error(source))?;
        self.counts.given_up_lines = u64::try_from(lines).unwrap_or_default();
        Ok(())
    }

    /// Removes the lines of a run that is over: nothing has to be looked up again.
    pub(super) fn forget_list_of(&self, run_id: i64) -> Result<(), Error> {
        self.execute(&DELETE_LINES, [run_id])?;
        self.execute(&DELETE_LOOKED_UP, [run_id]).map(drop)
    }
}
