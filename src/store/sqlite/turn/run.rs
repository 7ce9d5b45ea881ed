//! Runs: begun, resumed, superseded, and recovered after a crash.

use rusqlite::Row;

use crate::store::Error;
use crate::store::model::{CallOutcome, Counts, SourceKind};
use crate::store::run::{BegunRun, NewRun, UnfinishedRun};
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::{CountsJson, Named, StoredCounts};

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
            tx.execute(
                "INSERT INTO bucket (name, kind) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (&new.bucket, kind),
            )?;
            tx.execute(
                "DELETE FROM list_item WHERE run_id IN (SELECT id FROM run WHERE plan)",
                [],
            )?;
            // This run reads the same list, or a newer version of it, and finds out again what is wrong with its
            // lines.
            tx.execute(
                "DELETE FROM line_failure WHERE NOT ?2 AND run_id IN (
                     SELECT run.id FROM run JOIN bucket ON bucket.id = bucket_id
                     WHERE state IN ('complete', 'superseded') AND source <> 'bucket' AND name = ?3
                       AND json_extract(settings, '$.source') = json_extract(?1, '$.source'))",
                (&new.settings, new.plan, &new.bucket),
            )?;
            let bucket_id: i64 = tx.query_row(
                "SELECT id FROM bucket WHERE name = ?1 AND kind = ?2",
                (&new.bucket, kind),
                |row| row.get(0),
            )?;
            // There is a listing to compare with if this scope, or a wider one, was listed to its end.
            let journals: bool = new.source == SourceKind::Bucket
                && !new.plan
                && tx
                    .prepare(
                        "SELECT 1 FROM run WHERE bucket_id = ?1 AND source = 'bucket'
                             AND listed_at IS NOT NULL AND plan <> 2
                             AND substr(?2, 1, length(prefix)) = prefix",
                    )?
                    .exists((bucket_id, &new.prefix))?;
            tx.execute(
                "INSERT INTO run (bucket_id, source, prefix, eligibility, state, settings, journals,
                        plan, tool_version, started_at)
                 VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6, ?7, ?8, ?9)",
                (
                    bucket_id,
                    new.source.name(),
                    &new.prefix,
                    new.eligibility,
                    &new.settings,
                    journals,
                    if new.plan { 2 } else { 0 },
                    env!("CARGO_PKG_VERSION"),
                    new.started_at,
                ),
            )?;
            let id = tx.last_insert_rowid();
            for (seq, span) in (0_i64..).zip(&new.spans) {
                tx.execute(
                    "INSERT INTO range (run_id, seq, start_after, stop_at, cursor)
                     VALUES (?1, ?2, ?3, ?4, ?3)",
                    (id, seq, &span.start_after, &span.stop_at),
                )?;
            }
            Ok(BegunRun { id, bucket_id, journals })
        };
        self.transaction(begin).map_err(|source| sorted(&path, source))
    }

    /// Reads the runs that were interrupted, stopped or killed, the last one first. Plans are not among them.
    pub fn unfinished(&self) -> Result<Vec<UnfinishedRun>, Error> {
        let read = || {
            self.connection
                .prepare(
                    "SELECT run.id, bucket_id, bucket.name, source, prefix, eligibility, settings,
                        listed_at IS NOT NULL AND NOT EXISTS (
                            SELECT 1 FROM range WHERE run_id = run.id AND NOT done),
                        journals, started_at, listed_at IS NOT NULL
                 FROM run JOIN bucket ON bucket.id = run.bucket_id
                 WHERE state IN ('running', 'interrupted', 'stopped') AND NOT plan
                 ORDER BY run.id DESC",
                )?
                .query_map([], read_unfinished)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| sorted(&self.path, source))
    }

    /// Reads what a run has counted, brought into line with what is in its queue now.
    pub fn counts(&self, run_id: i64) -> Result<Counts, Error> {
        let read = || {
            let StoredCounts(counts) = self.connection.query_row(
                "SELECT counts FROM run WHERE id = ?1",
                [run_id],
                |row| row.get(0),
            )?;
            let pending: i64 = self.connection.query_row(
                "SELECT count(*) FROM content WHERE run_id = ?1 AND state = 0",
                [run_id],
                |row| row.get(0),
            )?;
            Ok((counts, pending))
        };
        let (mut counts, pending): (Counts, i64) =
            read().map_err(|source| sorted(&self.path, source))?;
        counts.reconcile(u64::try_from(pending).unwrap_or_default());
        Ok(counts)
    }

    /// Marks a run as under way again. Contents that were put back for a later pass wait for the first one now.
    pub fn reopen_run(&mut self, id: i64) -> Result<(), Error> {
        self.change_run(
            "UPDATE content SET pass = 0 WHERE run_id = ?1 AND state = 0 AND pass > 0",
            id,
        )?;
        self.change_run(
            "UPDATE run SET state = 'running', stop_reason = NULL, ended_at = NULL,
                    resumed_after = (SELECT max(id) FROM run)
             WHERE id = ?1",
            id,
        )
    }

    /// Replaces the stored settings of a run.
    pub fn keep_settings(&mut self, id: i64, settings: &str) -> Result<(), Error> {
        self.connection
            .execute(
                "UPDATE run SET settings = ?2 WHERE id = ?1 AND settings <> ?2",
                (id, settings),
            )
            .map(drop)
            .map_err(|source| sorted(&self.path, source))
    }

    /// Closes an unfinished run in favour of a new one, which adopts what it left pending.
    pub fn supersede(&mut self, id: i64) -> Result<(), Error> {
        self.change_run("UPDATE run SET state = 'superseded' WHERE id = ?1", id)?;
        self.change_run("DELETE FROM list_item WHERE run_id = ?1", id)?;
        self.change_run("DELETE FROM looked_up WHERE run_id = ?1", id)
    }

    fn change_run(&mut self, sql: &str, id: i64) -> Result<(), Error> {
        self.connection.execute(sql, [id]).map(drop).map_err(|source| sorted(&self.path, source))
    }

    /// Puts back what was in flight when a process was killed. Each call gets a ledger row with the outcome `unknown`,
    /// since it may have been sent. Runs that were under way are interrupted now. Returns the number of calls.
    pub fn recover(&mut self, now_ms: i64) -> Result<u64, Error> {
        let path = self.path.clone();
        let recover = |tx: &rusqlite::Transaction<'_>| {
            let mut lost: Vec<(i64, u64, u64)> = Vec::new();
            {
                let mut statement = tx.prepare(
                    "SELECT coalesce(run_id, 0), count(*),
                            sum((asks & 1) + (asks >> 1 & 1) + (asks >> 2 & 1) + (asks >> 3 & 1))
                     FROM (SELECT run_id, (scenes_wanted & ~scenes_done) | scenes_redo AS asks
                           FROM content WHERE state = 1)
                     GROUP BY 1",
                )?;
                let rows = statement.query_map([], |row| {
                    let number = |column| {
                        row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or_default())
                    };
                    Ok((row.get(0)?, number(1)?, number(2)?))
                })?;
                for row in rows {
                    lost.push(row?);
                }
            }
            tx.execute(
                "INSERT INTO call (run_id, content_id, scenes, ended_at, outcome)
                 SELECT run_id, id, (scenes_wanted & ~scenes_done) | scenes_redo, ?1, ?2
                 FROM content WHERE state = 1",
                (now_ms, CallOutcome::Unknown as i64),
            )?;
            tx.execute("UPDATE content SET state = 0 WHERE state = 1", [])?;
            for (run_id, count, scenes) in &lost {
                let StoredCounts(mut counts) =
                    tx.query_row("SELECT counts FROM run WHERE id = ?1", [run_id], |row| {
                        row.get(0)
                    })?;
                counts.calls += count;
                counts.unknown += count;
                counts.scenes_asked += scenes;
                tx.execute(
                    "UPDATE run SET counts = ?2 WHERE id = ?1",
                    (run_id, CountsJson(&counts)),
                )?;
            }
            tx.execute(
                "UPDATE run SET state = 'interrupted', stop_reason = 'killed', ended_at = ?1
                 WHERE state = 'running'",
                [now_ms / 1000],
            )?;
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
