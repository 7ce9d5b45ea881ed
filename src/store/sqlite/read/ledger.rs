//! The ledger: sums of calls, and the rate that it shows.

use super::ReadTransaction;
use crate::store::Error;
use crate::store::prune::{Pruned, Prunes};
use crate::store::read::{LedgerGrouping, LedgerQuery, LedgerSums, Measured};
use crate::store::sqlite::Reader;
use crate::store::sqlite::posting::POSTED;
use crate::store::sqlite::rows::{Count, StoredCounts};
use crate::store::sqlite::sql::{
    ANSWERED, CALL_FAILED, EVERY_SCENE, IMPORTED, QUARTER, THROTTLED, THROWN_AWAY, UNKNOWN,
    count_of, prunable_runs, statements,
};
use crate::time::UnixMillis;

/// Rows of the ledger that one statement adds up. SQLite sorts them by their group first, in memory.
const BATCH: i64 = 50_000;

/// The number of last rows over which a rate is measured.
const RECENT: i64 = 20_000;

/// A pause between two calls of at least this many milliseconds is left out: the run was not calling, as in a
/// cool-down or at night.
const PAUSE: i64 = 10_000;

statements! {
    LAST_CALLS = "SELECT run_id, ended_at FROM call WHERE outcome NOT IN ({UNKNOWN}, {IMPORTED}) ORDER BY id DESC LIMIT ?1";

    /// Counts the runs that would be pruned.
    PRUNABLE_RUNS = "SELECT count(*) FROM ({runs})", runs = prunable_runs();

    /// Counts the journal entries of these runs, and of those that an interrupted command has begun to prune.
    PRUNABLE_CHANGES = "
        SELECT count(*) FROM change
        WHERE run_id IN (SELECT id FROM run WHERE pruned_at IS NOT NULL UNION ALL {runs})", runs = prunable_runs();

    /// Counts the rows of the ledger that would be added up, as the statements of the writer do it.
    PRUNABLE_CALLS = "
        SELECT count(*) FROM call
        WHERE ended_at < ?3
          AND id <= coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = '{POSTED}'), 0)
          AND id < (SELECT max(id) FROM call)
          AND run_id IN (SELECT id FROM run WHERE pruned_at IS NOT NULL UNION ALL {runs})", runs = prunable_runs();

    /// The counts of these runs, and whether they have a journal.
    PRUNABLE_COUNTS = "SELECT counts, journals FROM run WHERE id IN ({runs})", runs = prunable_runs();
}

/// Adds up the calls of the ledger from after row `?1` to row `?2` that ended from `?3` to before `?4`, by the
/// expression `group`, which may use `?5`.
fn sums(group: &str) -> String {
    let scenes = count_of("scenes");
    format!(
        "SELECT {group}, count(*), sum(outcome = {ANSWERED}), sum(outcome = {CALL_FAILED}),
                sum(outcome = {THROTTLED}), sum(outcome = {THROWN_AWAY}), sum(outcome = {UNKNOWN}),
                sum(repeated <> 0), sum(max({scenes}, 1))
         FROM call
         WHERE id > ?1 AND id <= ?2 AND ended_at >= ?3 AND ended_at < ?4 AND ?5 > 0 AND outcome <> {IMPORTED}
         GROUP BY 1"
    )
}

/// Does the same as [`sums`] for the calls that were removed from the ledger. `?1` and `?2` have no meaning here.
fn sums_of_pruned(group: &str) -> String {
    let scenes = count_of("scenes");
    format!(
        "SELECT {group}, sum(calls), sum(calls * (outcome = {ANSWERED})),
                sum(calls * (outcome = {CALL_FAILED})), sum(calls * (outcome = {THROTTLED})),
                sum(calls * (outcome = {THROWN_AWAY})), sum(calls * (outcome = {UNKNOWN})),
                sum(repeated), sum(calls * max({scenes}, 1))
         FROM (SELECT *, quarter * {QUARTER} AS ended_at FROM call_sum)
         WHERE ?1 <= ?2 AND ended_at >= ?3 AND ended_at < ?4 AND ?5 > 0 AND outcome <> {IMPORTED}
         GROUP BY 1"
    )
}

impl Reader {
    /// Hands sums of calls to `each`, with the number of their group. A group may come several times: add its sums up.
    ///
    /// Everything is read from one state of the database, so that no call is missed or counted twice while old runs are
    /// pruned. Memory does not grow with the ledger.
    ///
    /// # Errors
    /// [`Error::Unsound`] for an outcome that no run can have written.
    pub fn ledger_sums(
        &self,
        query: &LedgerQuery,
        mut each: impl FnMut(i64, LedgerSums),
    ) -> Result<(), Error> {
        let of_scenes = format!("scenes & {EVERY_SCENE}");
        let (group, unit) = match query.grouping {
            LedgerGrouping::Run => ("run_id", 1),
            LedgerGrouping::Scenes => (&*of_scenes, 1),
            LedgerGrouping::Time { unit_ms } => ("ended_at / ?5", unit_ms),
        };
        let (from, before) = match &query.within {
            Some(within) => (within.start, within.end),
            None => (UnixMillis::MIN, UnixMillis::MAX),
        };
        let _snapshot =
            ReadTransaction::begin(&self.connection).map_err(|source| self.error(source))?;
        let last = self.ledger_end()?.0;
        // What was pruned comes first, in one part.
        let parts = std::iter::successors(Some((0, 0)), |(_, upto)| {
            (*upto < last).then(|| (*upto, upto.saturating_add(BATCH).min(last)))
        });
        for (after, upto) in parts {
            let sql = if upto == 0 { sums_of_pruned(group) } else { sums(group) };
            let mut read = || -> rusqlite::Result<Option<i64>> {
                let mut statement = self.connection.prepare_cached(&sql)?;
                let mut rows = statement.query((after, upto, from, before, unit))?;
                while let Some(row) = rows.next()? {
                    let count = |column| row.get(column).map(|Count(count)| count);
                    let sums = LedgerSums {
                        calls: count(1)?,
                        answered: count(2)?,
                        failed: count(3)?,
                        throttled: count(4)?,
                        thrown_away: count(5)?,
                        unknown: count(6)?,
                        retries: count(7)?,
                        scenes_asked: count(8)?,
                    };
                    let known = sums.answered
                        + sums.failed
                        + sums.throttled
                        + sums.thrown_away
                        + sums.unknown;
                    if known != sums.calls {
                        return row.get(0).map(Some);
                    }
                    each(row.get(0)?, sums);
                }
                Ok(None)
            };
            if read().map_err(|source| self.error(source))?.is_some() {
                let what = format!("a call with an unknown outcome from {} to {upto}", after + 1);
                return Err(Error::Unsound { what });
            }
        }
        Ok(())
    }

    /// Counts what `costag prune` would remove.
    pub fn prunable(&self, prunes: &Prunes) -> Result<Pruned, Error> {
        let read = || -> rusqlite::Result<Pruned> {
            let _snapshot = ReadTransaction::begin(&self.connection)?;
            let count = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
                self.connection
                    .prepare_cached(sql)?
                    .query_row(parameters, |row| row.get(0))
                    .map(|Count(count)| count)
            };
            let Prunes { keep_runs, ended_before, calls_before, .. } = prunes;
            Ok(Pruned {
                runs: count(&PRUNABLE_RUNS, &[keep_runs, ended_before])?,
                changes: count(&PRUNABLE_CHANGES, &[keep_runs, ended_before])?,
                calls: count(&PRUNABLE_CALLS, &[keep_runs, ended_before, calls_before])?,
            })
        };
        read().map_err(|source| self.error(source))
    }

    /// Estimates how many rows are details of the runs that are older than the newest `keep_runs`. Only their counts are
    /// read.
    pub fn old_details(&self, keep_runs: u32) -> Result<u64, Error> {
        let read = || -> rusqlite::Result<u64> {
            self.connection
                .prepare_cached(&PRUNABLE_COUNTS)?
                .query_map((keep_runs, i64::MAX), |row| {
                    let StoredCounts(counts) = row.get(0)?;
                    let journals: bool = row.get(1)?;
                    let changes = counts.added + counts.changed + counts.gone;
                    let changes = if journals { changes } else { 0 };
                    Ok(counts.calls + changes)
                })?
                .sum()
        };
        read().map_err(|source| self.error(source))
    }

    /// Measures the rate at which the last run called, over its last calls. Returns `None` if there were too few.
    pub fn measured_pace(&self) -> Result<Option<Measured>, Error> {
        let rows = || -> rusqlite::Result<Vec<(i64, i64)>> {
            self.connection
                .prepare_cached(&LAST_CALLS)?
                .query_map([RECENT], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let rows = rows().map_err(|source| self.error(source))?;
        let Some((run_id, _)) = rows.first().copied() else { return Ok(None) };
        let mut of_run: Vec<i64> =
            rows.iter().take_while(|(run, _)| *run == run_id).map(|(_, ended)| *ended).collect();
        // Calls that were settled together are in the order of their contents.
        of_run.sort_unstable_by(|a, b| b.cmp(a));
        let gaps = of_run.windows(2).map(|pair| pair[0].saturating_sub(pair[1]).max(0));
        let (calls, milliseconds) = gaps
            .filter(|gap| *gap < PAUSE)
            .fold((0_u64, 0_i64), |(calls, sum), gap| (calls + 1, sum + gap));
        // A few calls tell nothing, since most of them came in the first burst.
        if calls < 20 || milliseconds == 0 {
            return Ok(None);
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let per_second = calls as f64 * 1000.0 / milliseconds as f64;
        Ok(Some(Measured { run_id, per_second, calls }))
    }
}
