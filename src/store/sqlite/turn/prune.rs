//! Removes the details of old runs: their ranges, their journal, and their rows of the ledger, whose sums stay.
//!
//! A run's own row stays, because later listings are compared with its settings, contents and objects name it, and its
//! counts are the sums of what it cost. Labels and contents stay, also those of objects that are gone.

use rusqlite::Transaction;

use crate::store::Error;
use crate::store::prune::{Pruned, Prunes};
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::posting::POSTED;
use crate::store::sqlite::sql::{QUARTER, prunable_runs, statements};
use crate::time::UnixMillis;

/// How many rows one transaction looks at.
const BATCH: i64 = if cfg!(test) { 3 } else { 20_000 };

statements! {
    PRUNABLE = "{runs} ORDER BY id", runs = prunable_runs();

    /// The ranges of a run that left one undone stay: a later listing has to know that this run did not list its scope to
    /// the end.
    DELETE_RANGES = "
        DELETE FROM range
        WHERE run_id = ?1 AND NOT EXISTS (SELECT 1 FROM range AS other WHERE other.run_id = ?1 AND NOT other.done)";

    DELETE_LOOKED_UP = "DELETE FROM looked_up WHERE run_id = ?1";

    MARK_PRUNED = "UPDATE run SET pruned_at = ?2 WHERE id = ?1";

    PRUNED = "SELECT id FROM run WHERE pruned_at IS NOT NULL ORDER BY id";

    DELETE_CHANGES = "
        DELETE FROM change WHERE id IN (SELECT id FROM change WHERE run_id = ?1 ORDER BY id LIMIT {BATCH})";

    /// The first row of the ledger, and the last one that can go: its labels are posted, and the newest row stays, because
    /// the numbers of later rows follow from it.
    pub(in crate::store::sqlite) LEDGER_SPAN = "
        SELECT coalesce((SELECT min(id) FROM call), 0),
               min(coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = '{POSTED}'), 0),
                   coalesce((SELECT max(id) FROM call), 0) - 1)";

    SUM_CALLS = "
        INSERT INTO call_sum (run_id, quarter, scenes, outcome, calls, repeated)
        SELECT run_id, ended_at / {QUARTER}, scenes, outcome, count(*), sum(repeated <> 0)
        FROM call
        WHERE id > ?1 AND id <= ?2 AND ended_at < ?3
          AND run_id IN (SELECT id FROM run WHERE pruned_at IS NOT NULL)
        GROUP BY 1, 2, 3, 4
        ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, repeated = repeated + excluded.repeated";

    DELETE_CALL_ERRORS = "
        DELETE FROM call_error
        WHERE call_id > ?1 AND call_id <= ?2
          AND call_id IN (SELECT id FROM call WHERE id > ?1 AND id <= ?2 AND ended_at < ?3
                          AND run_id IN (SELECT id FROM run WHERE pruned_at IS NOT NULL))";

    DELETE_CALLS = "
        DELETE FROM call
        WHERE id > ?1 AND id <= ?2 AND ended_at < ?3
          AND run_id IN (SELECT id FROM run WHERE pruned_at IS NOT NULL)";
}

impl Store {
    /// Removes the details of old runs, in many short transactions. The sums are the same after each of them, so this can
    /// be killed at any moment and done again.
    ///
    /// `continues` gets what was removed so far, before each transaction. If it returns false, this returns false too.
    pub fn prune(
        &mut self,
        prunes: &Prunes,
        mut continues: impl FnMut(&Pruned) -> bool,
    ) -> Result<bool, Error> {
        let path = self.path.clone();
        self.prune_with(prunes, &mut continues).map_err(|source| sorted(&path, source))
    }

    fn prune_with(
        &mut self,
        prunes: &Prunes,
        continues: &mut dyn FnMut(&Pruned) -> bool,
    ) -> rusqlite::Result<bool> {
        let mut removed = Pruned::default();
        for run_id in self.run_ids(&PRUNABLE, (prunes.keep_runs, prunes.ended_before))? {
            if !continues(&removed) {
                return Ok(false);
            }
            // From here on the run has no journal for anybody who asks, so entries can be removed in batches.
            self.transaction(|tx| {
                tx.execute(&DELETE_RANGES, [run_id])?;
                tx.execute(&DELETE_LOOKED_UP, [run_id])?;
                tx.execute(&MARK_PRUNED, (run_id, prunes.now))
            })?;
            removed.runs += 1;
        }
        // An earlier command may have been killed before it had removed the whole journal of a run.
        for run_id in self.run_ids(&PRUNED, ())? {
            loop {
                if !continues(&removed) {
                    return Ok(false);
                }
                let changes = self.transaction(|tx| tx.execute(&DELETE_CHANGES, [run_id]))?;
                if changes == 0 {
                    break;
                }
                removed.changes += changes as u64;
            }
        }
        let (first, last): (i64, i64) =
            self.connection.query_row(&LEDGER_SPAN, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut after = first - 1;
        while after < last {
            if !continues(&removed) {
                return Ok(false);
            }
            let upto = after.saturating_add(BATCH).min(last);
            let span = (after, upto, prunes.calls_before);
            removed.calls += self.transaction(|tx| add_up_and_delete(tx, span))?;
            after = upto;
        }
        continues(&removed);
        Ok(true)
    }

    fn run_ids(&self, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<Vec<i64>> {
        self.connection.prepare(sql)?.query_map(parameters, |row| row.get(0))?.collect()
    }
}

/// Moves the calls of pruned runs in a span of the ledger to their sums. Returns how many there were.
fn add_up_and_delete(tx: &Transaction<'_>, span: (i64, i64, UnixMillis)) -> rusqlite::Result<u64> {
    tx.execute(&SUM_CALLS, span)?;
    tx.execute(&DELETE_CALL_ERRORS, span)?;
    tx.execute(&DELETE_CALLS, span).map(|calls| calls as u64)
}
