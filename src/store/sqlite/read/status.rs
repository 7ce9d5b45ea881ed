//! Runs and counts: what `status` shows.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use rusqlite::{OptionalExtension as _, Row, params};

use super::failure::failed_lines;
use crate::store::Error;
use crate::store::live::Live;
use crate::store::model::SkipReason;
use crate::store::read::{ContentCounts, DatabaseSize, FailureCode, RangeCounts, RunRow, Success};
use crate::store::sqlite::Reader;
use crate::store::sqlite::anchor::{FileId, LOCK_FILE, LOG_FILES};
use crate::store::sqlite::rows::{Count, Named, StoredCounts};
use crate::store::sqlite::sql::{
    BARE_PLAN, COMPLETE, FAILED, IMPORT, IN_FLIGHT, INTERRUPTED, LIVE, PENDING, RUNNING, STOPPED,
    TEMPORARY, statements,
};
use crate::store::turn::UNUSABLE_LINE;

statements! {
    RUNS = "
        SELECT run.id, bucket.name, run.source, run.prefix, run.state, run.stop_reason, run.settings,
               run.plan, run.tool_version, run.started_at, run.listed_at, run.ended_at, run.counts,
               run.journals, run.exit_code, run.pruned_at IS NOT NULL
        FROM run JOIN bucket ON bucket.id = run.bucket_id
        WHERE ?2 IS NULL OR run.id = ?2
        ORDER BY run.id DESC LIMIT ?1";

    UNFINISHED = "
        SELECT max(id) FROM run WHERE state IN ('{RUNNING}', '{INTERRUPTED}', '{STOPPED}') AND NOT plan";

    LAST_RUN = "SELECT max(id) FROM run WHERE plan < {BARE_PLAN}";

    LAST_ENDED_RUN = "SELECT max(id) FROM run WHERE NOT plan AND state <> '{RUNNING}'";

    CHANGES_SINCE = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'changes_since'";

    LAST_SUCCESS = "
        SELECT id, at FROM (
            SELECT id, ifnull(succeeded_at,
                              iif(exit_code IS NULL AND state = '{COMPLETE}', ended_at, NULL)) AS at
            FROM run WHERE NOT plan)
        WHERE at IS NOT NULL ORDER BY at DESC, id DESC LIMIT 1";

    CONTENT_COUNTS = "
        SELECT (SELECT count(*) FROM content),
               (SELECT count(*) FROM content WHERE state = {PENDING}),
               (SELECT count(*) FROM content WHERE state = {IN_FLIGHT}),
               (SELECT count(*) FROM content WHERE state = {FAILED})";

    FAILURE_CODES = "
        SELECT code, status, temporary, count(*) FROM (
            SELECT code, status, error_kind = {TEMPORARY} AS temporary
            FROM content LEFT JOIN error ON content_id = id
            WHERE state = {FAILED} AND (?1 IS NULL OR run_id = ?1)
            UNION ALL
            SELECT code, status, code <> '{UNUSABLE_LINE}'
            FROM {failed_lines} AND (?1 IS NULL OR line_failure.run_id = ?1))
        GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT ?2", failed_lines = failed_lines();
}

/// Reads the columns of [`RUNS`].
fn run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let (Named(source), Named(state)) = (row.get(2)?, row.get(4)?);
    let StoredCounts(counts) = row.get(12)?;
    let settings: String = row.get(6)?;
    let plan: i64 = row.get(7)?;
    let import = (plan == IMPORT).then(|| imported_file(&settings));
    Ok(RunRow {
        id: row.get(0)?,
        bucket: row.get(1)?,
        source,
        prefix: row.get(3)?,
        state,
        stop_reason: row.get(5)?,
        settings,
        plan: plan != 0,
        tool_version: row.get(8)?,
        started_at: row.get(9)?,
        listed_at: row.get(10)?,
        ended_at: row.get(11)?,
        counts,
        journals: row.get(13)?,
        exit_code: row.get(14)?,
        pruned: row.get(15)?,
        import,
    })
}

/// Reads a count; a negative one is an error.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(|Count(count)| count)
}

/// The name of the file of an import, from its settings.
fn imported_file(settings: &str) -> String {
    let settings: serde_json::Value = serde_json::from_str(settings).unwrap_or_default();
    settings["import"].as_str().unwrap_or("a file").to_owned()
}

impl Reader {
    /// Reads the last `limit` runs, the newest first.
    ///
    /// # Errors
    /// [`Error::Unsound`] for a row that no run can have written.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRow>, Error> {
        self.runs_where(limit, None)
    }

    /// Reads the run with this number.
    ///
    /// # Errors
    /// The same as those of [`Reader::runs`].
    pub fn run(&self, id: i64) -> Result<Option<RunRow>, Error> {
        Ok(self.runs_where(1, Some(id))?.pop())
    }

    /// Reads what the process of the run at work has left last. `None` if it has left nothing yet, or if no run is at
    /// work. What a killed process has left does not count, and neither does what no version writes.
    pub fn live(&self) -> Result<Option<Live>, Error> {
        if !self.is_running() {
            return Ok(None);
        }
        let text: Option<String> = self
            .connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [LIVE], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Reads the settings that a run was begun with, as they are stored. `None` if there is no such run.
    pub fn settings_of(&self, run: i64) -> Result<Option<String>, Error> {
        self.connection
            .query_row("SELECT settings FROM run WHERE id = ?1", [run], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))
    }

    /// Finds the run that `costag resume` continues: the newest that was interrupted, stopped or killed and is no
    /// plan.
    pub fn unfinished_run(&self) -> Result<Option<i64>, Error> {
        self.connection
            .query_row(&UNFINISHED, [], |row| row.get(0))
            .map_err(|source| self.error(source))
    }

    /// Finds the last time at which a run, other than a plan, ended with a success. Of runs that earlier versions wrote,
    /// those that are complete count.
    pub fn last_success(&self) -> Result<Option<Success>, Error> {
        self.connection
            .query_row(&LAST_SUCCESS, [], |row| {
                Ok(Success { run_id: row.get(0)?, at: row.get(1)? })
            })
            .optional()
            .map_err(|source| self.error(source))
    }

    fn runs_where(&self, limit: u32, id: Option<i64>) -> Result<Vec<RunRow>, Error> {
        self.connection
            .prepare_cached(&RUNS)
            .and_then(|mut runs| runs.query_map(params![limit, id], run)?.collect())
            .map_err(|source| self.error(source))
    }

    /// Reads the newest run, other than a plan that left nothing but its row.
    ///
    /// # Errors
    /// The same as those of [`Reader::runs`].
    pub fn last_run(&self) -> Result<Option<RunRow>, Error> {
        let last: Option<i64> = self
            .connection
            .query_row(&LAST_RUN, [], |row| row.get(0))
            .map_err(|source| self.error(source))?;
        last.map_or(Ok(None), |id| self.run(id))
    }

    /// Reads the number of the newest run, other than a plan, that has ended.
    pub fn last_ended_run(&self) -> Result<Option<i64>, Error> {
        self.connection
            .query_row(&LAST_ENDED_RUN, [], |row| row.get(0))
            .map_err(|source| self.error(source))
    }

    /// Reads the first run after which it is known what changed. Returns `None` if that is not known of any run, because
    /// an earlier version wrote the database.
    pub fn changes_since(&self) -> Result<Option<i64>, Error> {
        self.connection
            .query_row(&CHANGES_SINCE, [], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))
    }

    /// Returns true if a process holds the lock of this database now. If none does, a run in the state `running` was
    /// killed.
    pub fn is_running(&self) -> bool {
        if self.anchor.has_writer() {
            return true;
        }
        if cfg!(target_os = "linux") {
            return false;
        }
        // Other systems have only the lock file. This takes a shared lock on it, which ends at once.
        let Ok(file) = File::open(self.anchor.beside(LOCK_FILE)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Counts the ranges of a run.
    pub fn ranges(&self, run: i64) -> Result<RangeCounts, Error> {
        self.connection
            .prepare_cached("SELECT count(*), ifnull(sum(done), 0) FROM range WHERE run_id = ?1")
            .and_then(|mut statement| {
                statement.query_row([run], |row| {
                    Ok(RangeCounts { total: unsigned(row, 0)?, done: unsigned(row, 1)? })
                })
            })
            .map_err(|source| self.error(source))
    }

    /// Counts the contents in each state.
    ///
    /// Only the small indexes of what is not done are read: the rest is done. A content that waits for a superseded
    /// run counts as pending, even if no run has adopted it.
    pub fn content_counts(&self) -> Result<ContentCounts, Error> {
        self.connection
            .prepare_cached(&CONTENT_COUNTS)
            .and_then(|mut statement| {
                statement.query_row([], |row| {
                    let [all, pending, in_flight, failed] = [
                        unsigned(row, 0)?,
                        unsigned(row, 1)?,
                        unsigned(row, 2)?,
                        unsigned(row, 3)?,
                    ];
                    let done = all.saturating_sub(pending + in_flight + failed);
                    Ok(ContentCounts { pending, in_flight, done, failed })
                })
            })
            .map_err(|source| self.error(source))
    }

    /// Counts the present objects that are skipped, for each reason. Looks at every object.
    ///
    /// # Errors
    /// [`Error::Unsound`] for a reason that no run can have written.
    pub fn skip_reasons(&self) -> Result<Vec<(SkipReason, u64)>, Error> {
        let sqlite = |source| self.error(source);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT skip_reason, count(*) FROM object
                 WHERE gone_run IS NULL AND skip_reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1",
            )
            .map_err(sqlite)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, unsigned(row, 1)?)))
            .map_err(sqlite)?;
        rows.map(|row| {
            let (name, count) = row.map_err(sqlite)?;
            let reason = SkipReason::from_name(&name)
                .ok_or_else(|| Error::Unsound { what: format!("a skip reason {name:?}") })?;
            Ok((reason, count))
        })
        .collect()
    }

    /// Reads the `limit` codes with which most contents failed.
    pub fn failure_codes(&self, limit: u32) -> Result<Vec<FailureCode>, Error> {
        self.failure_codes_where(None, limit)
    }

    /// Reads the `limit` codes with which most contents of a run failed.
    pub fn failure_codes_of(&self, run_id: i64, limit: u32) -> Result<Vec<FailureCode>, Error> {
        self.failure_codes_where(Some(run_id), limit)
    }

    fn failure_codes_where(
        &self,
        run_id: Option<i64>,
        limit: u32,
    ) -> Result<Vec<FailureCode>, Error> {
        self.connection
            .prepare_cached(&FAILURE_CODES)
            .and_then(|mut statement| {
                statement
                    .query_map(params![run_id, limit], |row| {
                        Ok(FailureCode {
                            code: row.get(0)?,
                            http_status: row.get(1)?,
                            temporary: row.get(2)?,
                            contents: unsigned(row, 3)?,
                        })
                    })?
                    .collect()
            })
            .map_err(|source| self.error(source))
    }

    /// Returns true if `file` is the database or one of the files that belong to it, under any name.
    pub fn owns(&self, file: &Path) -> bool {
        let id = |path: &Path| FileId::behind(path).ok();
        let Some(wanted) = id(file) else { return false };
        let beside = LOG_FILES.into_iter().chain([LOCK_FILE]).map(|end| self.anchor.beside(end));
        beside.chain([self.anchor.path().into()]).any(|path| id(&path) == Some(wanted))
    }

    /// The space that the database takes on disk. A file that does not exist takes none.
    pub fn size(&self) -> DatabaseSize {
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let pragma = |name: &str| {
            let read = self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
            read.map_or(0, |Count(count)| count)
        };
        DatabaseSize {
            database: bytes(self.anchor.path()),
            wal: bytes(&self.anchor.beside("-wal")),
            unused: pragma("freelist_count") * pragma("page_size"),
        }
    }
}
