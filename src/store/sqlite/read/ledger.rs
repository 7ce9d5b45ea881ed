//! The ledger, row by row, and the pace it tells of.

use rusqlite::Row;

use crate::scene::Scenes;
use crate::store::Error;
use crate::store::model::CallOutcome;
use crate::store::sqlite::Reader;

/// Rows read at a time.
const BATCH: i64 = 10_000;

/// The last rows that a pace is measured over.
const RECENT: i64 = 20_000;

/// Milliseconds between two calls after which a run was not calling: a pause, a night, a cool-down.
const PAUSE: i64 = 10_000;

/// One call that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRow {
    /// The run that made it.
    pub run_id: i64,
    /// What was asked.
    pub scenes: Scenes,
    /// Unix milliseconds.
    pub ended_at: i64,
    /// What came of it.
    pub outcome: CallOutcome,
    /// Whether an earlier call of the run for the same content had failed.
    pub repeated: bool,
}

/// The pace at which a run called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The run.
    pub run_id: i64,
    /// Calls a second, pauses left out.
    pub per_second: f64,
    /// Over how many calls.
    pub calls: u64,
}

const ROWS: &str = "
    SELECT id, run_id, scenes, ended_at, outcome, repeated FROM call
    WHERE id > ?1 ORDER BY id LIMIT ?2";

fn read(row: &Row<'_>) -> rusqlite::Result<(i64, i64, LedgerRow)> {
    let ledger = LedgerRow {
        run_id: row.get(1)?,
        scenes: Scenes::from_bits(row.get(2)?),
        ended_at: row.get(3)?,
        outcome: CallOutcome::Unknown,
        repeated: row.get(5)?,
    };
    Ok((row.get(0)?, row.get(4)?, ledger))
}

impl Reader {
    /// Hands every row of the ledger to `each`, in the order in which they were written.
    ///
    /// Memory is that of a batch; each batch is a read of its own.
    ///
    /// # Errors
    /// As any read; [`Error::Unsound`] for an outcome that no run can have written.
    pub fn ledger(&self, mut each: impl FnMut(LedgerRow)) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let before = after;
            let batch: Vec<(i64, i64, LedgerRow)> = self
                .connection
                .prepare_cached(ROWS)
                .and_then(|mut rows| rows.query_map((after, BATCH), read)?.collect())
                .map_err(|source| self.error(source))?;
            for (id, outcome, row) in batch {
                after = id;
                let outcome = CallOutcome::from_id(outcome).ok_or_else(|| Error::Unsound {
                    what: format!("call {id} with outcome {outcome}"),
                })?;
                each(LedgerRow { outcome, ..row });
            }
            if after == before {
                return Ok(());
            }
        }
    }

    /// The pace of the last run that called, over its last calls; none if there were too few to tell.
    ///
    /// # Errors
    /// As any read.
    pub fn measured_pace(&self) -> Result<Option<Measured>, Error> {
        let rows = || -> rusqlite::Result<Vec<(i64, i64)>> {
            self.connection
                .prepare_cached(
                    "SELECT run_id, ended_at FROM call WHERE outcome <> 4 ORDER BY id DESC LIMIT ?1",
                )?
                .query_map([RECENT], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let rows = rows().map_err(|source| self.error(source))?;
        let Some((run_id, _)) = rows.first().copied() else { return Ok(None) };
        let mut of_run: Vec<i64> =
            rows.iter().take_while(|(run, _)| *run == run_id).map(|(_, ended)| *ended).collect();
        // What is settled together is written in the order of the contents.
        of_run.sort_unstable_by(|a, b| b.cmp(a));
        let gaps = of_run.windows(2).map(|pair| pair[0].saturating_sub(pair[1]).max(0));
        let (calls, milliseconds) = gaps
            .filter(|gap| *gap < PAUSE)
            .fold((0_u64, 0_i64), |(calls, sum), gap| (calls + 1, sum + gap));
        // A handful of calls says nothing: most of them came in the first burst.
        if calls < 20 || milliseconds == 0 {
            return Ok(None);
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let per_second = calls as f64 * 1000.0 / milliseconds as f64;
        Ok(Some(Measured { run_id, per_second, calls }))
    }
}
