//! Runs: begun, resumed, superseded, and recovered after a crash.

use rusqlite::Row;

use super::apply::SET_COUNTS;
use super::list::{DELETE_LINES, DELETE_LOOKED_UP, SUPERSEDE};
use super::listing::INSERT_RANGE;
use super::requeue::READ_COUNTS;
use crate::store::Error;
use crate::store::model::{Counts, SourceKind};
use crate::store::run::{BegunRun, NewRun, UnfinishedRun};
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::{Count, CountsJson, Named, StoredCounts};
use crate::store::sqlite::sql::{
    ASKS, BARE_PLAN, BUCKET, COMPLETE, IN_FLIGHT, INTERRUPTED, PENDING, RUNNING, STOPPED,
    SUPERSEDED, Statement, UNKNOWN, count_of, statements,
};
use crate::time::UnixMillis;

statements! {
    INSERT_BUCKET = "INSERT INTO bucket (name, kind) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

    DELETE_LINES_OF_PLANS = "DELETE FROM list_item WHERE run_id IN (SELECT id FROM run WHERE plan)";

    /// Forgets what is wrong with the lines of a list, unless `?2` is true. A run with the settings `?1` on the bucket
    /// `?3` reads the same list, or a newer version of it, and finds out again.
    DELETE_FAILURES = "
        DELETE FROM line_failure WHERE NOT ?2 AND run_id IN (
            SELECT run.id FROM run JOIN bucket ON bucket.id = bucket_id
            WHERE state IN ('{COMPLETE}', '{SUPERSEDED}') AND source <> '{BUCKET}' AND name = ?3
              AND json_extract(settings, '$.source') = json_extract(?1, '$.source'))";

    FIND_BUCKET = "SELECT id FROM bucket WHERE name = ?1 AND kind = ?2";

    /// Finds a row if the prefix `?2` of the bucket `?1`, or a wider scope, was listed to its end.
    WAS_LISTED = "
        SELECT 1 FROM run WHERE bucket_id = ?1 AND source = '{BUCKET}' AND listed_at IS NOT NULL
            AND plan < {BARE_PLAN} AND substr(?2, 1, length(prefix)) = prefix";

    INSERT_RUN = "
        INSERT INTO run (bucket_id, source, prefix, eligibility, state, settings, journals, plan, tool_version,
                         started_at)
        VALUES (?1, ?2, ?3, ?4, '{RUNNING}', ?5, ?6, ?7, ?8, ?9)";

    READ_UNFINISHED = "
        SELECT run.id, bucket_id, bucket.name, source, prefix, eligibility, settings,
               listed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM range WHERE run_id = run.id AND NOT done),
               journals, started_at, listed_at IS NOT NULL
        FROM run JOIN bucket ON bucket.id = run.bucket_id
        WHERE state IN ('{RUNNING}', '{INTERRUPTED}', '{STOPPED}') AND NOT plan
        ORDER BY run.id DESC";

    COUNT_PENDING = "SELECT count(*) FROM content WHERE run_id = ?1 AND state = {PENDING}";

    RETURN_TO_FIRST_PASS = "UPDATE content SET pass = 0 WHERE run_id = ?1 AND state = {PENDING} AND pass > 0";

    REOPEN = "
        UPDATE run SET state = '{RUNNING}', stop_reason = NULL, ended_at = NULL, exit_code = NULL,
               resumed_after = (SELECT max(id) FROM run)
        WHERE id = ?1";

    SET_SETTINGS = "UPDATE run SET settings = ?2 WHERE id = ?1 AND settings <> ?2";

    /// Counts the calls that were in flight and their scenes, for each run.
    COUNT_LOST = "
        SELECT coalesce(run_id, 0), count(*), sum({count})
        FROM (SELECT run_id, {ASKS} AS asks FROM content WHERE state = {IN_FLIGHT})
        GROUP BY 1", count = count_of("asks");

    INSERT_LOST_CALLS = "
        INSERT INTO call (run_id, content_id, scenes, ended_at, outcome)
        SELECT run_id, id, {ASKS}, ?1, {UNKNOWN} FROM content WHERE state = {IN_FLIGHT}";

    PUT_BACK_LOST = "UPDATE content SET state = {PENDING} WHERE state = {IN_FLIGHT}";

    INTERRUPT = "
        UPDATE run SET state = '{INTERRUPTED}', stop_reason = 'killed', ended_at = ?1 WHERE state = '{RUNNING}'";
}

fn read_unfinished(row: &Row<'_>) -> rusqlite::Result<UnfinishedRun> {
    Ok(UnfinishedRun {
        id: row.get(0)?,
        bucket_id: row.get(1)?,
        bucket: row.get(2)?,
        source: row.get(3).map(|Named(source)| source)?,
        prefix: row.get(4)?,
        eligibility: row.get(5)?,
        settings: row.get(6)?,
        listed: row.get(7)?,
        journals: row.get(8)?,
        started_at: row.get(9)?,
        was_listed: row.get(10)?,
    })
}

impl Store {
    /// Begins a run: writes its row and its ranges.
    pub fn begin_run(&mut self, new: &NewRun) -> Result<BegunRun, Error> {
        let path = self.path.clone();
        let kind = new.source.namespace();
        let begin = |tx: &rusqlite::Transaction<'_>| {
            tx.execute(&INSERT_BUCKET, (&new.bucket, kind))?;
            tx.execute(&DELETE_LINES_OF_PLANS, [])?;
            tx.execute(&DELETE_FAILURES, (&new.settings, new.plan, &new.bucket))?;
            let bucket_id: i64 =
                tx.query_row(&FIND_BUCKET, (&new.bucket, kind), |row| row.get(0))?;
            // There is a listing to compare with if this scope, or a wider one, was listed to its end.
            let journals: bool = new.source == SourceKind::Bucket
                && !new.plan
                && tx.prepare(&WAS_LISTED)?.exists((bucket_id, &new.prefix))?;
            tx.execute(
                &INSERT_RUN,
                (
                    bucket_id,
                    new.source.name(),
                    &new.prefix,
                    new.eligibility,
                    &new.settings,
                    journals,
                    if new.plan { BARE_PLAN } else { 0 },
                    env!("CARGO_PKG_VERSION"),
                    new.started_at,
                ),
            )?;
            let id = tx.last_insert_rowid();
            for (seq, span) in (0_i64..).zip(&new.spans) {
                tx.execute(&INSERT_RANGE, (id, seq, &span.start_after, &span.stop_at))?;
            }
            Ok(BegunRun { id, bucket_id, journals })
        };
        self.transaction(begin).map_err(|source| sorted(&path, source))
    }

    /// Reads the runs that were interrupted, stopped or killed, the last one first. Plans are not among them.
    pub fn unfinished(&self) -> Result<Vec<UnfinishedRun>, Error> {
        let read = || {
            self.connection
                .prepare(&READ_UNFINISHED)?
                .query_map([], read_unfinished)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| sorted(&self.path, source))
    }

    /// Reads what a run has counted, brought into line with what is in its queue now.
    pub fn counts(&self, run_id: i64) -> Result<Counts, Error> {
        let read = || {
            let StoredCounts(counts) =
                self.connection.query_row(&READ_COUNTS, [run_id], |row| row.get(0))?;
            let Count(pending) =
                self.connection.query_row(&COUNT_PENDING, [run_id], |row| row.get(0))?;
            Ok((counts, pending))
        };
        let (mut counts, pending): (Counts, u64) =
            read().map_err(|source| sorted(&self.path, source))?;
        counts.reconcile(pending);
        Ok(counts)
    }

    /// Marks a run as under way again. Contents that were put back for a later pass wait for the first one now.
    pub fn reopen_run(&mut self, id: i64) -> Result<(), Error> {
        self.change_run(&RETURN_TO_FIRST_PASS, id)?;
        self.change_run(&REOPEN, id)
    }

    /// Replaces the stored settings of a run.
    pub fn keep_settings(&mut self, id: i64, settings: &str) -> Result<(), Error> {
        self.connection
            .execute(&SET_SETTINGS, (id, settings))
            .map(drop)
            .map_err(|source| sorted(&self.path, source))
    }

    /// Closes an unfinished run in favour of a new one, which adopts what it left pending.
    pub fn supersede(&mut self, id: i64) -> Result<(), Error> {
        self.change_run(&SUPERSEDE, id)?;
        self.change_run(&DELETE_LINES, id)?;
        self.change_run(&DELETE_LOOKED_UP, id)
    }

    fn change_run(&mut self, sql: &Statement, id: i64) -> Result<(), Error> {
        self.connection.execute(sql, [id]).map(drop).map_err(|source| sorted(&self.path, source))
    }

    /// Puts back what was in flight when a process was killed. Each call gets a ledger row with the outcome `unknown`,
    /// since it may have been sent. Runs that were under way are interrupted now. Returns the number of calls.
    pub fn recover(&mut self, now: UnixMillis) -> Result<u64, Error> {
        let path = self.path.clone();
        let recover = |tx: &rusqlite::Transaction<'_>| {
            let mut lost: Vec<(i64, u64, u64)> = Vec::new();
            {
                let mut statement = tx.prepare(&COUNT_LOST)?;
                let rows = statement.query_map([], |row| {
                    let number = |column| row.get(column).map(|Count(number)| number);
                    Ok((row.get(0)?, number(1)?, number(2)?))
                })?;
                for row in rows {
                    lost.push(row?);
                }
            }
            tx.execute(&INSERT_LOST_CALLS, [now])?;
            tx.execute(&PUT_BACK_LOST, [])?;
            for (run_id, count, scenes) in &lost {
                let StoredCounts(mut counts) =
                    tx.query_row(&READ_COUNTS, [run_id], |row| row.get(0))?;
                counts.calls += count;
                counts.unknown += count;
                counts.scenes_asked += scenes;
                tx.execute(&SET_COUNTS, (run_id, CountsJson(&counts)))?;
            }
            tx.execute(&INTERRUPT, [now.to_seconds()])?;
            Ok(lost.iter().map(|(_, count, _)| count).sum())
        };
        self.transaction(recover).map_err(|source| sorted(&path, source))
    }

    pub(super) fn transaction<T>(
        &mut self,
        body: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let tx =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let result = body(&tx)?;
        tx.commit()?;
        Ok(result)
    }
}
