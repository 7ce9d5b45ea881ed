//! A plan is a run that is never committed. It does everything that the run would do before its first call, in one
//! transaction that is rolled back. So the next run finds what it would have found without the plan, and makes the
//! calls that the plan announced.
//!
//! Only the plan's own row in `run` stays. While the plan is under way, its changes are in the write-ahead log.

use rusqlite::Row;

use super::Session;
use super::apply::COMMIT;
use super::session::Keeping;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::keyspace::prefix_end;
use crate::store::model::{Counts, RunState};
use crate::store::read::{Doubtful, Needed};
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::CountsJson;
use crate::store::sqlite::sql::{ASKS, FAILED, FINAL, PENDING, has_content, lacks, statements};
use crate::time::UnixSeconds;

statements! {
    /// Counts the contents in the queue of the run `?1`, for each set of scenes that a call asks for.
    QUEUED = "
        SELECT {ASKS} AS missing, count(*) FROM content INDEXED BY content_queue
        WHERE run_id = ?1 AND state = {PENDING} AND {in_scope} GROUP BY 1 ORDER BY 1", in_scope = is_in_scope();

    /// Counts the contents that failed for good, lack one of the scenes `?1`, and are wanted in the scope.
    GIVEN_UP = "
        SELECT 0, count(*) FROM content INDEXED BY content_failed
        WHERE state = {FAILED} AND error_kind = {FINAL} AND {lacks} AND {in_scope}",
        lacks = lacks("?1"), in_scope = is_in_scope();

    /// Does what [`GIVEN_UP`] does for the lines of a list.
    GIVEN_UP_OF_LIST = "
        SELECT 0, count(*) FROM content
        WHERE state = {FAILED} AND error_kind = {FINAL} AND {lacks} AND id IN (
            SELECT content_id FROM list_item JOIN object ON bucket_id = ?2 AND key = item
            WHERE list_item.run_id = ?3 AND gone_run IS NULL AND skip_reason IS NULL)", lacks = lacks("?1");

    /// Counts the doubtful objects of the bucket `?1`.
    DOUBTFUL = "{DOUBTFUL_OBJECTS}";

    /// Counts those with keys from `?2` to before `?3`.
    DOUBTFUL_IN_PREFIX = "{DOUBTFUL_OBJECTS} AND key >= ?2 AND (?3 IS NULL OR key < ?3)";

    /// Counts those of the lines of the list of the run `?4`.
    DOUBTFUL_IN_LIST = "{DOUBTFUL_OBJECTS} AND key IN (SELECT item FROM list_item WHERE run_id = ?4)";

    ROLL_BACK = "ROLLBACK";

    END_RANGES = "UPDATE range SET done = 1 WHERE run_id = ?1";

    END_PLAN = "
        UPDATE run SET state = ?2, stop_reason = ?3, ended_at = ?4, listed_at = ?5, counts = ?6,
               exit_code = ?7
        WHERE id = ?1";
}

/// The condition that a present, wanted object in the scope has `content`. The scope is bucket `?2` and the keys from
/// `?3` to before `?4`.
fn is_in_scope() -> String {
    format!(
        "EXISTS (SELECT 1 FROM object
                 WHERE {} AND gone_run IS NULL AND skip_reason IS NULL
                   AND +bucket_id = ?2 AND +key >= ?3 AND (?4 IS NULL OR +key < ?4))",
        has_content("content.id")
    )
}

/// Counts the present, wanted objects of the bucket `?1` that are large, or neither PNG nor JPEG. All statements that
/// begin with this take the same four parameters.
const DOUBTFUL_OBJECTS: &str = "
    SELECT count(*) FILTER (WHERE content.size > 3145728),
           count(*) FILTER (WHERE NOT (key LIKE '%.jpg' OR key LIKE '%.jpeg' OR key LIKE '%.png'))
    FROM object JOIN content ON content.id = content_id
    WHERE bucket_id = ?1 AND gone_run IS NULL AND skip_reason IS NULL AND (?2 || ifnull(?3, '') || ?4) IS NOT NULL";

impl Store {
    /// Opens the transaction of a plan. It is never committed: [`Session::finish`] undoes everything.
    ///
    /// # Errors
    /// [`Error::Busy`] if another program keeps a write transaction open.
    pub fn simulate(&mut self) -> Result<(), Error> {
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|source| sorted(&self.path, source))
    }
}

impl Session {
    /// Makes this the session of a plan that simulates resuming another run. `row` is the plan's own row of `run`.
    #[must_use]
    pub fn planned_in(mut self, row: i64) -> Self {
        self.plan_row = Some(row);
        self
    }

    /// The row of `run` that belongs to this session: that of the plan, or else that of the run.
    pub fn own_row(&self) -> i64 {
        self.plan_row.unwrap_or(self.run.id)
    }

    /// Counts what the run would call for now. That is its queue, once everything is listed.
    pub fn needed(&self) -> Result<Needed, Error> {
        let run = &self.run;
        let end = prefix_end(&run.prefix);
        let read = |row: &Row<'_>| -> rusqlite::Result<(Scenes, u64)> {
            let contents: i64 = row.get(1)?;
            Ok((Scenes::from_bits(row.get(0)?), u64::try_from(contents).unwrap_or_default()))
        };
        let by_scenes = self
            .prepare(&QUEUED)?
            .query_map((run.id, run.bucket_id, &run.prefix, &end), read)
            .and_then(Iterator::collect)
            .map_err(|source| self.error(source))?;
        let scenes = run.scenes.bits();
        let (_, given_up) = if run.list {
            self.prepare(&GIVEN_UP_OF_LIST)?.query_row((scenes, run.bucket_id, run.id), read)
        } else {
            let bounds = (scenes, run.bucket_id, &run.prefix, &end);
            self.prepare(&GIVEN_UP)?.query_row(bounds, read)
        }
        .map_err(|source| self.error(source))?;
        Ok(Needed { by_scenes, given_up, doubtful: self.doubtful()? })
    }

    /// Counts wanted objects that are larger than 3 MB, or that are neither PNG nor JPEG. Size and format of a URL are
    /// unknown, so the counts are 0 for URLs.
    fn doubtful(&self) -> Result<Doubtful, Error> {
        let run = &self.run;
        if run.urls {
            return Ok(Doubtful::default());
        }
        let doubtful = match (run.list, run.prefix.as_str()) {
            (true, _) => &DOUBTFUL_IN_LIST,
            (false, "") => &DOUBTFUL,
            (false, _) => &DOUBTFUL_IN_PREFIX,
        };
        let end = prefix_end(&run.prefix);
        self.prepare(doubtful)?
            .query_row((run.bucket_id, &run.prefix, &end, run.id), |row| {
                let count = |column| {
                    row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or_default())
                };
                Ok(Doubtful { larger: count(0)?, other_formats: count(1)? })
            })
            .map_err(|source| self.error(source))
    }

    /// Undoes what the plan did, and stores what it counted.
    pub(super) fn finish_plan(
        mut self,
        state: RunState,
        reason: Option<&str>,
        ended_at: UnixSeconds,
    ) -> Result<Store, Error> {
        if self.keeping == Keeping::Simulates {
            self.execute(&ROLL_BACK, [])?;
        }
        self.keeping = Keeping::Commits;
        let row = self.own_row();
        let counts = of_plan(&self.counts);
        self.begin()?;
        let listed_at = (state == RunState::Complete).then_some(ended_at);
        if listed_at.is_some() {
            self.execute(&END_RANGES, [row])?;
        }
        self.forget_list_of(row)?;
        self.execute(
            &END_PLAN,
            (row, state.name(), reason, ended_at, listed_at, CountsJson(&counts), self.exit_code),
        )?;
        self.execute(&COMMIT, [])?;
        Ok(self.store)
    }
}

/// The counts that are stored with a plan. Those of calls and their results belong to the run that the plan simulated,
/// so they are left out.
fn of_plan(counts: &Counts) -> Counts {
    Counts {
        listed: counts.listed,
        wanted: counts.wanted,
        skipped: counts.skipped.clone(),
        rejected: counts.rejected,
        repeated: counts.repeated,
        lines_failed: counts.lines_failed,
        missing: counts.missing,
        added: counts.added,
        changed: counts.changed,
        gone: counts.gone,
        reused: counts.reused,
        queued: counts.pending(),
        ..Counts::default()
    }
}
