//! Runs: begun, gone on with, superseded, recovered after a crash; their ranges.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row};

use super::{Session, counts_json};
use crate::store::Error;
use crate::store::model::{CallOutcome, Counts};
use crate::store::sqlite::Store;

/// A slice of the key space to list: (`start_after`, `stop_at`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// Exclusive; empty is before every key.
    pub start_after: String,
    /// Inclusive; `None` is the end of the scope.
    pub stop_at: Option<String>,
}

/// A run about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// The bucket's name.
    pub bucket: String,
    /// `bucket`, `keys` or `urls`.
    pub source: &'static str,
    /// The scope of a listing; empty for lists.
    pub prefix: String,
    /// Hash of the settings that decide what is wanted.
    pub eligibility: i64,
    /// JSON, kept as it is.
    pub settings: String,
    /// Whether nothing is to be called.
    pub plan: bool,
    /// Unix seconds.
    pub started_at: i64,
    /// They tile the scope.
    pub spans: Vec<Span>,
}

/// A range with its progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRow {
    /// `range.seq`.
    pub seq: i64,
    /// What it covers.
    pub span: Span,
    /// Everything up to and including this key is in the store.
    pub cursor: String,
    /// Whether it was listed to its end.
    pub done: bool,
}

/// A run that was interrupted, stopped or killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRun {
    /// `run.id`.
    pub id: i64,
    /// `run.bucket_id`.
    pub bucket_id: i64,
    /// The bucket's name.
    pub bucket: String,
    /// `bucket`, `keys` or `urls`.
    pub source: String,
    /// The scope of a listing.
    pub prefix: String,
    /// Hash of the settings that decide what is wanted.
    pub eligibility: i64,
    /// JSON, as it was given.
    pub settings: String,
    /// Whether every range is done, and nothing has come between that makes it list again.
    pub listed: bool,
    /// Whether it has come to the end of its listing once.
    pub was_listed: bool,
    /// Whether differences go into the journal.
    pub journals: bool,
    /// Unix seconds.
    pub started_at: i64,
}

/// The name of the row of `meta` that holds the confirmed offset of this machine's clock, in seconds.
const CLOCK_OFFSET: &str = "clock_offset";

impl UnfinishedRun {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            bucket_id: row.get(1)?,
            bucket: row.get(2)?,
            source: row.get(3)?,
            prefix: row.get(4)?,
            eligibility: row.get(5)?,
            settings: row.get(6)?,
            listed: row.get(7)?,
            journals: row.get(8)?,
            started_at: row.get(9)?,
            was_listed: row.get(10)?,
        })
    }
}

impl Store {
    /// Begins a run: its row and its ranges. Returns its id, its bucket's, and whether it journals.
    ///
    /// # Errors
    /// Those of any write.
    pub fn begin_run(&mut self, new: &NewRun) -> Result<(i64, i64, bool), Error> {
        let path = self.path.clone();
        let kind = if new.source == "urls" { "urls" } else { "keys" };
        let begin = |tx: &rusqlite::Transaction<'_>| {
            tx.execute(
                "INSERT INTO bucket (name, kind) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (&new.bucket, kind),
            )?;
            tx.execute(
                "DELETE FROM list_item WHERE run_id IN (SELECT id FROM run WHERE plan)",
                [],
            )?;
            // The same list, or its successor: what is wrong with it is found out anew.
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
            // There is something to compare with once the scope, or more, was listed to its end.
            let journals: bool = new.source == "bucket"
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
                    new.source,
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
            Ok((id, bucket_id, journals))
        };
        self.transaction(begin).map_err(|source| Error::sqlite(path, source))
    }

    /// The runs that were interrupted, stopped or killed, the last one first; plans are none to go on with.
    ///
    /// # Errors
    /// Those of any read.
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
                .query_map([], UnfinishedRun::read)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| Error::sqlite(&self.path, source))
    }

    /// What a run has counted, with what is pending as it is now.
    ///
    /// # Errors
    /// Those of any read.
    pub fn counts(&self, run_id: i64) -> Result<Counts, Error> {
        let read = || {
            let json: String = self.connection.query_row(
                "SELECT counts FROM run WHERE id = ?1",
                [run_id],
                |row| row.get(0),
            )?;
            let pending: i64 = self.connection.query_row(
                "SELECT count(*) FROM content WHERE run_id = ?1 AND state = 0",
                [run_id],
                |row| row.get(0),
            )?;
            Ok((json, pending))
        };
        let (json, pending) = read().map_err(|source| Error::sqlite(&self.path, source))?;
        let mut counts: Counts = serde_json::from_str(&json).unwrap_or_default();
        counts.reconcile(u64::try_from(pending).unwrap_or_default());
        Ok(counts)
    }

    /// Marks a run as under way again. What was put back for a later pass has waited for long enough.
    ///
    /// # Errors
    /// Those of any write.
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

    /// Keeps these settings with a run, in place of those that it had.
    ///
    /// # Errors
    /// Those of any write.
    pub fn keep_settings(&mut self, id: i64, settings: &str) -> Result<(), Error> {
        self.connection
            .execute(
                "UPDATE run SET settings = ?2 WHERE id = ?1 AND settings <> ?2",
                (id, settings),
            )
            .map(drop)
            .map_err(|source| Error::sqlite(&self.path, source))
    }

    /// Closes unfinished runs over a bucket's source for a new one; what they left pending is adopted as
    /// the new one meets it.
    ///
    /// # Errors
    /// Those of any write.
    pub fn supersede(&mut self, id: i64) -> Result<(), Error> {
        self.change_run("UPDATE run SET state = 'superseded' WHERE id = ?1", id)?;
        self.change_run("DELETE FROM list_item WHERE run_id = ?1", id)?;
        self.change_run("DELETE FROM looked_up WHERE run_id = ?1", id)
    }

    fn change_run(&mut self, sql: &str, id: i64) -> Result<(), Error> {
        self.connection
            .execute(sql, [id])
            .map(drop)
            .map_err(|source| Error::sqlite(&self.path, source))
    }

    /// Puts back what was in flight when a process was killed: one ledger row `unknown` each, since the
    /// call may have been sent. Runs that were under way are interrupted now. Returns how many.
    ///
    /// # Errors
    /// Those of any write.
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
                let json: String =
                    tx.query_row("SELECT counts FROM run WHERE id = ?1", [run_id], |row| {
                        row.get(0)
                    })?;
                let mut counts: Counts = serde_json::from_str(&json).unwrap_or_default();
                counts.calls += count;
                counts.unknown += count;
                counts.scenes_asked += scenes;
                tx.execute(
                    "UPDATE run SET counts = ?2 WHERE id = ?1",
                    (run_id, counts_json(&counts)),
                )?;
            }
            tx.execute(
                "UPDATE run SET state = 'interrupted', stop_reason = 'killed', ended_at = ?1
                 WHERE state = 'running'",
                [now_ms / 1000],
            )?;
            Ok(lost.iter().map(|(_, count, _)| count).sum())
        };
        self.transaction(recover).map_err(|source| Error::sqlite(path, source))
    }

    /// The ranges of a run, in their order.
    ///
    /// # Errors
    /// Those of any read.
    pub fn ranges(&self, run_id: i64) -> Result<Vec<RangeRow>, Error> {
        let read = || {
            self.connection
                .prepare(
                    "SELECT seq, start_after, stop_at, cursor, done FROM range
                     WHERE run_id = ?1 ORDER BY seq",
                )?
                .query_map([run_id], |row| {
                    Ok(RangeRow {
                        seq: row.get(0)?,
                        span: Span { start_after: row.get(1)?, stop_at: row.get(2)? },
                        cursor: row.get(3)?,
                        done: row.get(4)?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| Error::sqlite(&self.path, source))
    }

    /// Who answered this database's calls so far: `detect-label`, `emulator`, or nobody yet.
    ///
    /// # Errors
    /// Those of any read.
    pub fn recogniser(&self) -> Result<Option<String>, Error> {
        self.connection
            .query_row("SELECT value FROM meta WHERE name = 'recogniser'", [], |row| row.get(0))
            .optional()
            .map_err(|source| Error::sqlite(&self.path, source))
    }

    /// Seconds that the service has last confirmed to be added to this machine's clock; 0 if none are.
    ///
    /// # Errors
    /// Those of any read.
    pub fn clock_offset(&self) -> Result<i64, Error> {
        self.connection
            .query_row(
                "SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?1",
                [CLOCK_OFFSET],
                |row| row.get(0),
            )
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(|source| Error::sqlite(&self.path, source))
    }

    /// The settings of the last listing of this bucket that was no plan, as they were given.
    ///
    /// # Errors
    /// Those of any read.
    pub fn last_settings(&self, bucket: &str) -> Result<Option<String>, Error> {
        self.connection
            .query_row(
                "SELECT settings FROM run JOIN bucket ON bucket.id = run.bucket_id
                 WHERE bucket.name = ?1 AND source = 'bucket' AND NOT plan
                 ORDER BY run.id DESC LIMIT 1",
                [bucket],
                |row| row.get(0),
            )
            .optional()
            .map_err(|source| Error::sqlite(&self.path, source))
    }

    /// The limit in calls a second that the last run on this bucket has found, if any has.
    ///
    /// # Errors
    /// Those of any read.
    pub fn found_limit(&self, bucket: &str) -> Result<Option<f64>, Error> {
        let value: Option<String> = self
            .connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [limit_name(bucket)], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|source| Error::sqlite(&self.path, source))?;
        // A value that is no number is as good as none.
        Ok(value.and_then(|value| value.parse().ok()))
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

/// Has an unfinished run list again from the first key on, and judge each object by its own settings, once it is
/// resumed. Does nothing to any other run.
pub(super) fn list_again(connection: &Connection, run_id: i64) -> rusqlite::Result<()> {
    let found: Option<(String, String)> = connection
        .prepare_cached(
            "SELECT source, counts FROM run
             WHERE id = ?1 AND state IN ('interrupted', 'stopped') AND NOT plan",
        )?
        .query_row([run_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((source, counts)) = found else { return Ok(()) };
    // A list was read into the store; only its look-up begins anew.
    let first = i64::from(source != "bucket");
    connection
        .prepare_cached(
            "UPDATE range SET cursor = start_after, done = 0 WHERE run_id = ?1 AND seq >= ?2",
        )?
        .execute((run_id, first))?;
    let counts: Counts = serde_json::from_str(&counts).unwrap_or_default();
    // What is counted of each object will be counted again.
    let counts = Counts {
        listed: 0,
        wanted: 0,
        skipped: BTreeMap::new(),
        rejected: 0,
        lines_failed: 0,
        missing: 0,
        ..counts
    };
    connection
        .prepare_cached("UPDATE run SET counts = ?2 WHERE id = ?1")?
        .execute((run_id, counts_json(&counts)))
        .map(drop)
}

/// The row of `meta` that holds the limit which was found for a bucket.
fn limit_name(bucket: &str) -> String {
    format!("found_limit {bucket}")
}

impl Session {
    /// Records the limit in calls a second that was found for this run's bucket, in the turn under way.
    ///
    /// # Errors
    /// Those of any write.
    pub fn keep_limit(&mut self, rate: f64) -> Result<(), Error> {
        let name = limit_name(&self.run.bucket);
        self.execute(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, rate.to_string()),
        )
        .map(drop)
    }

    /// Records who answers, in the turn under way.
    ///
    /// # Errors
    /// Those of any write.
    pub fn set_recogniser(&mut self, name: &str) -> Result<(), Error> {
        self.execute(
            "INSERT INTO meta (name, value) VALUES ('recogniser', ?1) ON CONFLICT DO NOTHING",
            [name],
        )
        .map(drop)
    }

    /// Keeps the seconds that are added to this machine's clock, in the turn under way; 0 forgets them.
    ///
    /// The calls of this session were written with the offset of before. Their times move along, so that the next
    /// session counts them for the same day as this one does.
    ///
    /// # Errors
    /// Those of any write.
    pub fn set_clock_offset(&mut self, seconds: i64) -> Result<(), Error> {
        if let Some(first) = self.first_call {
            let moved = seconds.saturating_sub(self.store.clock_offset()?).saturating_mul(1000);
            self.execute(
                "UPDATE call SET ended_at = ended_at + ?2 WHERE id >= ?1",
                (first, moved),
            )?;
        }
        if seconds == 0 {
            return self.execute("DELETE FROM meta WHERE name = ?1", [CLOCK_OFFSET]).map(drop);
        }
        self.execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
            (CLOCK_OFFSET, seconds.to_string()),
        )
        .map(drop)
    }

    /// Makes (`start_after`, `stop_at`] a range of its own; the range it was part of ends where it begins.
    ///
    /// # Errors
    /// Those of any write.
    pub fn split_range(&mut self, seq: i64, new_seq: i64, span: &Span) -> Result<(), Error> {
        let run_id = self.run.id;
        self.execute(
            "UPDATE range SET stop_at = ?3 WHERE run_id = ?1 AND seq = ?2",
            (run_id, seq, &span.start_after),
        )?;
        self.execute(
            "INSERT INTO range (run_id, seq, start_after, stop_at, cursor)
             VALUES (?1, ?2, ?3, ?4, ?3)",
            (run_id, new_seq, &span.start_after, &span.stop_at),
        )
        .map(drop)
    }

    /// Marks the listing as complete once every range is done: concludes what it held back, adopts what waits for nobody,
    /// pairs gone and added keys of one content as moved, and sets `listed_at`.
    ///
    /// # Errors
    /// Those of any write.
    pub fn complete_listing(&mut self, now: i64) -> Result<(), Error> {
        self.conclude_held()?;
        self.listed = true;
        self.adopt_waiting()?;
        if self.run.journals {
            self.pair_moves()?;
        }
        self.execute("UPDATE run SET listed_at = ?2 WHERE id = ?1", (self.run.id, now)).map(drop)
    }

    /// Something of an unfinished run's queue is taken out of it here: the next `resume` has that run list
    /// again, and judge each object by its own settings, so that it gets all that it wanted.
    pub(super) fn take_from(&mut self, owner: Option<i64>) -> Result<(), Error> {
        let Some(owner) = owner.filter(|owner| *owner != self.run.id) else { return Ok(()) };
        if !self.taken_from.insert(owner) {
            return Ok(());
        }
        list_again(&self.store.connection, owner).map_err(|source| self.error(source))
    }

    /// One gone and one added key with the same content are one moved object; with several of either,
    /// they are paired in the order of the journal.
    fn pair_moves(&mut self) -> Result<(), Error> {
        let run_id = self.run.id;
        self.execute(
            "WITH numbered AS (
                 SELECT id, kind, object_id, content_id,
                        row_number() OVER (PARTITION BY kind, content_id ORDER BY id) AS place
                 FROM change
                 WHERE run_id = ?1 AND kind IN ('added', 'gone') AND content_id IS NOT NULL)
             UPDATE change SET kind = 'moved', from_object_id = pair.from_object_id
             FROM (SELECT added.id, gone.object_id AS from_object_id
                   FROM numbered AS added JOIN numbered AS gone
                     ON gone.kind = 'gone' AND added.kind = 'added'
                        AND gone.content_id = added.content_id AND gone.place = added.place
                        AND gone.object_id <> added.object_id) AS pair
             WHERE change.id = pair.id",
            [run_id],
        )?;
        self.execute(
            "DELETE FROM change
             WHERE run_id = ?1 AND kind = 'gone'
               AND object_id IN (SELECT from_object_id FROM change
                                 WHERE run_id = ?1 AND kind = 'moved')",
            [run_id],
        )
        .map(drop)
    }
}
