//! Lists of keys and URLs, read into the store first: resuming a run needs no file. Then line by line: how each ended
//! that is not called.

use super::claim::Key;
use super::{Page, Reach, Session};
use crate::store::Error;
use crate::store::sqlite::Store;

use rusqlite::OptionalExtension;

/// A line of a list as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLine {
    /// Its number among the lines read, from 1.
    pub seq: i64,
    /// The key or URL; of a faulty line its beginning, to be shown.
    pub item: String,
    /// Why no request can carry it.
    pub fault: Option<String>,
}

/// How far the list of a run was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListProgress {
    /// Lines read, those that repeat others included.
    pub read: u64,
    /// Whether they are all.
    pub whole: bool,
    /// A hash of them; `None` if a version read them that made none.
    pub hash: Option<i64>,
}

/// A line that ended without a call because its key is not there, or because it cannot be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFailure {
    /// `list_item.seq`.
    pub seq: i64,
    /// `list_item.item`.
    pub item: String,
    /// Whether the service says that the bucket has no such key.
    pub is_missing: bool,
    /// The service's code, or ours.
    pub code: String,
    /// HTTP, if an answer came.
    pub status: Option<u16>,
    /// Why, in words.
    pub message: String,
    /// Of the answer.
    pub request_id: Option<String>,
}

/// Lines of a list that have ended, on their way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedLines {
    /// Their objects, and how far the look-up has come.
    pub page: Page,
    /// Those that failed or are missing.
    pub failures: Vec<LineFailure>,
    /// Keys that were looked up and found.
    pub found: Vec<String>,
    /// How many of the lines that `page` counts failed.
    pub failed: u64,
    /// How many of them are missing.
    pub missing: u64,
}

/// A key of the content `?2` that the run `?1` has looked up and found; the keys before `?3` of them are passed over.
const LOOKED_UP_KEY: &str = "
    SELECT object.id, key FROM looked_up JOIN object ON object.id = object_id
    WHERE run_id = ?1 AND looked_up.content_id = ?2 AND object.content_id = ?2
      AND gone_run IS NULL AND skip_reason IS NULL
    LIMIT 1 OFFSET ?3";

impl Store {
    /// How far the list of a run was read; `None` if the run lists a bucket.
    ///
    /// # Errors
    /// Those of any read.
    pub fn list_progress(&self, run_id: i64) -> Result<Option<ListProgress>, Error> {
        self.connection
            .query_row(
                "SELECT cursor, done, list_hash FROM range JOIN run ON run.id = run_id
                 WHERE run_id = ?1 AND seq = 0 AND source <> 'bucket'",
                [run_id],
                |row| {
                    let cursor: String = row.get(0)?;
                    let read = cursor.parse().unwrap_or(0);
                    Ok(ListProgress { read, whole: row.get(1)?, hash: row.get(2)? })
                },
            )
            .optional()
            .map_err(|source| Error::sqlite(&self.path, source))
    }
}

impl Session {
    /// Keeps further lines of the list. `reach.cursor` counts the lines read so far, these included; `hash` is of all
    /// of them. A line that repeats an earlier one is counted, and not kept.
    ///
    /// # Errors
    /// Those of any write.
    pub fn keep_list(&mut self, lines: &[ReadLine], hash: i64, reach: &Reach) -> Result<(), Error> {
        for ReadLine { seq, item, fault } in lines {
            let kept = self.execute(
                "INSERT OR IGNORE INTO list_item (run_id, seq, item, fault) VALUES (?1, ?2, ?3, ?4)",
                (self.run.id, seq, item, fault),
            )?;
            self.counts.repeated += u64::from(kept == 0);
        }
        self.execute("UPDATE run SET list_hash = ?2 WHERE id = ?1", (self.run.id, hash))?;
        self.reach(reach)
    }

    /// Closes unfinished runs over the same lines for this one.
    ///
    /// # Errors
    /// Those of any write.
    pub fn take_over(&mut self, run_ids: &[i64]) -> Result<(), Error> {
        for run_id in run_ids {
            self.execute("UPDATE run SET state = 'superseded' WHERE id = ?1", [run_id])?;
            self.forget_list_of(*run_id)?;
        }
        Ok(())
    }

    /// Which of these runs are unfinished.
    ///
    /// # Errors
    /// Those of any read.
    pub fn unfinished_of(&self, run_ids: &[i64]) -> Result<Vec<i64>, Error> {
        let mut statement = self.prepare(
            "SELECT 1 FROM run WHERE id = ?1 AND state IN ('running', 'interrupted', 'stopped')",
        )?;
        let mut unfinished = Vec::new();
        for run_id in run_ids {
            if statement.exists([run_id]).map_err(|source| self.error(source))? {
                unfinished.push(*run_id);
            }
        }
        Ok(unfinished)
    }

    /// Applies lines that have ended, with their objects. Returns whether contents were queued.
    ///
    /// # Errors
    /// Those of any write.
    pub fn ended_lines(&mut self, lines: EndedLines, now: i64) -> Result<bool, Error> {
        let EndedLines { page, failures, found, failed, missing } = lines;
        self.counts.lines_failed += failed;
        self.counts.missing += missing;
        let queued = self.page(page)?;
        for failure in failures.into_iter().filter(|_| !self.run.plan) {
            self.execute(
                "INSERT OR REPLACE INTO line_failure (bucket_id, item, run_id, line, verdict, code,
                        status, message, request_id, failed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                (
                    self.run.bucket_id,
                    &failure.item,
                    self.run.id,
                    failure.seq,
                    if failure.is_missing { "gone" } else { "failed" },
                    &failure.code,
                    failure.status,
                    &failure.message,
                    &failure.request_id,
                    now,
                ),
            )?;
        }
        for key in found {
            self.execute(
                "DELETE FROM line_failure WHERE bucket_id = ?1 AND item = ?2",
                (self.run.bucket_id, &key),
            )?;
            self.execute(
                "INSERT OR IGNORE INTO looked_up (run_id, content_id, object_id)
                 SELECT ?1, content_id, id FROM object
                 WHERE bucket_id = ?2 AND key = ?3 AND content_id IS NOT NULL",
                (self.run.id, self.run.bucket_id, &key),
            )?;
        }
        Ok(queued)
    }

    /// A key of the list for a content: one that was looked up in this run and had these bytes then, none of `tried`.
    pub(super) fn looked_up_key(
        &self,
        content_id: i64,
        tried: &[i64],
    ) -> Result<Option<Key>, Error> {
        let mut statement = self.prepare(LOOKED_UP_KEY)?;
        for offset in 0..=tried.len() {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            let found = statement
                .query_row((self.run.id, content_id, offset), |row| {
                    Ok(Key { object_id: row.get(0)?, key: row.get(1)? })
                })
                .optional()
                .map_err(|source| self.error(source))?;
            match found {
                Some(key) if tried.contains(&key.object_id) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }

    /// Counts the lines whose image is given up, in this run or an earlier one.
    ///
    /// # Errors
    /// Those of any read.
    pub fn count_given_up_lines(&mut self) -> Result<(), Error> {
        let lines: i64 = self
            .prepare(
                "SELECT count(*) FROM content INDEXED BY content_failed
                 JOIN object ON object.id = content.id AND object.content_id = content.id
                    OR object.content_id = content.id AND object.content_id <> object.id
                 JOIN list_item ON list_item.run_id = ?1 AND item = object.key
                 WHERE state = 3 AND bucket_id = ?2 AND gone_run IS NULL AND skip_reason IS NULL",
            )?
            .query_row((self.run.id, self.run.bucket_id), |row| row.get(0))
            .map_err(|source| self.error(source))?;
        self.counts.given_up_lines = u64::try_from(lines).unwrap_or_default();
        Ok(())
    }

    /// Forgets the lines: the run is over, and nothing has to be looked up again.
    pub(super) fn forget_list(&self) -> Result<(), Error> {
        self.forget_list_of(self.run.id)
    }

    pub(super) fn forget_list_of(&self, run_id: i64) -> Result<(), Error> {
        self.execute("DELETE FROM list_item WHERE run_id = ?1", [run_id])?;
        self.execute("DELETE FROM looked_up WHERE run_id = ?1", [run_id]).map(drop)
    }
}
