//! What the store knows of a span of keys, for comparing a page with it.

use rusqlite::{OptionalExtension, Row};

use crate::object::ETag;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::compare::{Known, KnownLine, Standing};
use crate::store::keyspace::prefix_end;
use crate::store::read::LedgerEnd;
use crate::store::sqlite::Reader;
use crate::store::sqlite::rows::{EtagColumn, Numbered, Size, StoredFacts};
use crate::store::sqlite::sql::{
    ANSWERED, BARE_PLAN, BUCKET, FAILED, IMPORTED, KEYS, PENDING, TEMPORARY, statements,
};
use crate::time::UnixMillis;

statements! {
    /// Selects a key for [`Reader::split_points`].
    KEY_OF_OBJECT = "
        SELECT key FROM object JOIN bucket ON bucket.id = bucket_id
        WHERE object.id = ?1 AND bucket.name = ?2 AND bucket.kind = '{KEYS}' AND gone_run IS NULL";

    KNOWN = "
        SELECT object.id, key, fingerprint, gone_run IS NOT NULL, content_id, skip_reason {standing}
        FROM object LEFT JOIN content ON content.id = content_id
        WHERE bucket_id = ?1 AND key = ?2", standing = standing_columns();

    /// Selects the last complete listing of the bucket `?1` before the run `?2` that covers the prefix `?3`.
    LAST_LISTING = "
        SELECT id FROM run
        WHERE bucket_id = ?1 AND id <> ?2 AND source = '{BUCKET}' AND NOT plan
          AND listed_at IS NOT NULL AND substr(?3, 1, length(prefix)) = prefix
        ORDER BY id DESC LIMIT 1";

    /// Finds a row if a run since the run `?3` that touched the prefix `?5` had other settings than `?4`. A run that was
    /// resumed since then counts too. So do plans of earlier versions, which left objects behind that nobody called.
    DIFFERS = "
        SELECT 1 FROM run
        WHERE bucket_id = ?1 AND id <> ?2 AND coalesce(resumed_after, id) >= ?3
          AND (eligibility <> ?4 OR plan) AND plan < {BARE_PLAN}
          AND (substr(?5, 1, length(prefix)) = prefix OR substr(prefix, 1, length(?5)) = ?5)";

    /// Finds a row if such a run did not list its scope to the end.
    UNLISTED = "
        SELECT 1 FROM run JOIN range ON run_id = run.id AND NOT done
        WHERE bucket_id = ?1 AND run.id <> ?2 AND NOT plan AND coalesce(resumed_after, run.id) >= ?3
          AND (substr(?4, 1, length(prefix)) = prefix OR substr(prefix, 1, length(?4)) = ?4)";

    /// Finds a row if contents wait for another run than `?1`, or for none. `IS NOT` would walk over everything that
    /// waits for this run: millions of contents, if it is resumed.
    WAITING = "
        SELECT 1 FROM content WHERE state = {PENDING} AND run_id IS NULL
        UNION ALL SELECT 1 FROM content WHERE state = {PENDING} AND run_id < ?1
        UNION ALL SELECT 1 FROM content WHERE state = {PENDING} AND run_id > ?1
        UNION ALL SELECT 1 FROM content
            WHERE state = {FAILED} AND error_kind = {TEMPORARY} AND run_id IS NULL
        UNION ALL SELECT 1 FROM content
            WHERE state = {FAILED} AND error_kind = {TEMPORARY} AND run_id < ?1
        UNION ALL SELECT 1 FROM content
            WHERE state = {FAILED} AND error_kind = {TEMPORARY} AND run_id > ?1";

    /// Counts the calls since the moment `?1`, up to the row `?2` of the ledger.
    CALLS_SINCE = "SELECT count(*) FROM call WHERE id <= ?2 AND ended_at >= ?1 AND outcome <> {IMPORTED}";

    IS_ANSWERED = "
        SELECT EXISTS (SELECT 1 FROM call WHERE outcome = {ANSWERED})
            OR EXISTS (SELECT 1 FROM call_sum WHERE outcome = {ANSWERED})";
}

/// The columns of a [`Standing`], after those of the object.
fn standing_columns() -> String {
    format!(", scenes_done, scenes_redo, state, content.run_id, error_kind = {TEMPORARY}")
}

/// Reads an object, and the columns of its [`Standing`] if there are any.
fn read_known<'row>(row: &'row Row<'_>, has_standing: bool) -> rusqlite::Result<Known<&'row str>> {
    let content_id: Option<i64> = row.get(4)?;
    let standing = match content_id {
        Some(_) if has_standing => {
            let Numbered(state) = row.get(8)?;
            Some(Standing {
                done: Scenes::from_bits(row.get(6)?),
                redo: Scenes::from_bits(row.get(7)?),
                state,
                run_id: row.get(9)?,
                temporary: row.get(10)?,
            })
        }
        _ => None,
    };
    Ok(Known {
        object_id: row.get(0)?,
        key: row.get_ref(1)?.as_str()?,
        fingerprint: row.get(2)?,
        gone: row.get(3)?,
        content_id,
        skip_reason: row.get_ref(5)?.as_str_or_null()?,
        standing,
    })
}

/// The number of objects that are sampled for split points.
const SAMPLE: usize = 2048;
/// The number of keys that are worth a range of their own.
const WORTH_A_RANGE: usize = 2000;

impl Reader {
    /// Calls `each` for every object of a bucket whose key is after `after`, starts with `prefix`, and is at most
    /// `up_to` (or at most the end of the prefix without it), in the byte order of the keys.
    ///
    /// With `standing`, each object gets the standing of its content, at the price of a look-up for each object.
    pub fn span(
        &self,
        bucket_id: i64,
        prefix: &str,
        after: &str,
        up_to: Option<&str>,
        standing: bool,
        mut each: impl FnMut(Known<&str>),
    ) -> Result<(), Error> {
        let (columns, join) = if standing {
            (standing_columns(), "LEFT JOIN content ON content.id = content_id")
        } else {
            (String::new(), "")
        };
        // The query has one bound on each side, in the form of an index range. With more bounds, or with alternatives,
        // SQLite would walk the bucket from its first key for every page.
        let (lower, from) = if after >= prefix { (">", after) } else { (">=", prefix) };
        let end = prefix_end(prefix);
        let (upper, to) = match (up_to, &end) {
            (Some(key), Some(end)) if key >= end.as_str() => ("AND key < ?3", end.as_str()),
            (Some(key), _) => ("AND key <= ?3", key),
            (None, Some(end)) => ("AND key < ?3", end.as_str()),
            // This condition is always true. It is here because each parameter that has a value must occur.
            (None, None) => ("AND ?3 = ''", ""),
        };
        let sql = format!(
            "SELECT object.id, key, fingerprint, gone_run IS NOT NULL, content_id, skip_reason {columns}
             FROM object {join}
             WHERE bucket_id = ?1 AND key {lower} ?2 {upper}
             ORDER BY key"
        );
        let mut read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query((bucket_id, from, to))?;
            while let Some(row) = rows.next()? {
                each(read_known(row, standing)?);
            }
            Ok(())
        };
        read().map_err(|source| self.error(source))
    }

    /// Finds keys that divide what is known of the prefix into about `parts` equal parts, ascending. Returns fewer
    /// keys, or none, if little is known.
    ///
    /// The keys come from a sample over the whole table, since exact quantiles would need a walk over all keys.
    pub fn split_points(
        &self,
        bucket: &str,
        prefix: &str,
        parts: usize,
    ) -> Result<Vec<String>, Error> {
        let read = || {
            let last: i64 = self.connection.query_row(
                "SELECT coalesce(max(id), 0) FROM object",
                [],
                |row| row.get(0),
            )?;
            let mut statement = self.connection.prepare(&KEY_OF_OBJECT)?;
            let mut sample = Vec::with_capacity(SAMPLE);
            let step = (usize::try_from(last).unwrap_or(0) / SAMPLE).max(1);
            for id in (1..=last).step_by(step) {
                let key: Option<String> =
                    statement.query_row((id, bucket), |row| row.get(0)).optional()?;
                sample.extend(key.filter(|key| key.starts_with(prefix)));
            }
            sample.sort_unstable();
            // A range is worth its requests if it has more than a page or two.
            let stand_for = sample.len() * step;
            let parts = parts.min(stand_for / WORTH_A_RANGE).min(sample.len() / 4);
            Ok((1..parts).map(|part| sample[part * sample.len() / parts].clone()).collect())
        };
        read().map_err(|source| self.error(source))
    }

    /// Reads the object with this key, with the standing of its content.
    pub fn known(&self, bucket_id: i64, key: &str) -> Result<Option<Known>, Error> {
        let read = || {
            self.connection
                .prepare_cached(&KNOWN)?
                .query_row((bucket_id, key), |row| read_known(row, true).map(Known::from))
                .optional()
        };
        read().map_err(|source| self.error(source))
    }

    /// Reads up to `limit` lines of a list after `seq`, in order, with what is known of each.
    pub fn known_lines(
        &self,
        run_id: i64,
        bucket_id: i64,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<KnownLine>, Error> {
        let read = || {
            self.connection
                .prepare_cached(
                    "SELECT seq, item, fault, facts FROM list_item WHERE run_id = ?1 AND seq > ?2
                     ORDER BY seq LIMIT ?3",
                )?
                .query_map((run_id, seq, limit), |row| {
                    Ok(KnownLine {
                        seq: row.get(0)?,
                        item: row.get(1)?,
                        fault: row.get(2)?,
                        known: None,
                        looked_up: false,
                        facts: row
                            .get::<_, Option<StoredFacts>>(3)?
                            .map(|StoredFacts(facts)| facts),
                        has_these_bytes: false,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut lines = read().map_err(|source| self.error(source))?;
        for line in lines.iter_mut().filter(|line| line.fault.is_none()) {
            line.known = self.known(bucket_id, &line.item)?;
            let Some(known) = &line.known else { continue };
            let Some((content_id, standing)) = known.content_id.zip(known.standing) else {
                continue;
            };
            if let Some(facts) = &line.facts {
                let etag = ETag::new(&facts.etag);
                line.has_these_bytes = self
                    .connection
                    .prepare_cached(
                        "SELECT 1 FROM content WHERE id = ?1 AND etag IS ?2 AND size IS ?3",
                    )
                    .and_then(|mut found| {
                        found.exists((content_id, etag.as_ref().map(EtagColumn), Size(facts.size)))
                    })
                    .map_err(|source| self.error(source))?;
            }
            if standing.run_id == Some(run_id) {
                line.looked_up = self
                    .connection
                    .prepare_cached(
                        "SELECT 1 FROM looked_up
                         WHERE run_id = ?1 AND content_id = ?2 AND object_id = ?3",
                    )
                    .and_then(|mut found| found.exists((run_id, content_id, known.object_id)))
                    .map_err(|source| self.error(source))?;
            }
        }
        Ok(lines)
    }

    /// Reads the hash of the lines that a run has read of its list. Returns `None` if none was made.
    pub fn list_hash(&self, run_id: i64) -> Result<Option<i64>, Error> {
        self.connection
            .query_row("SELECT list_hash FROM run WHERE id = ?1", [run_id], |row| row.get(0))
            .map_err(|source| self.error(source))
    }

    /// Returns true if the run has to look at unchanged objects of its scope one by one.
    ///
    /// This is true if the settings that decide what is wanted differ from those of the last complete listing of the
    /// scope or of a run since then; if contents wait that no run under way wants; or if contents may have been taken
    /// from a run since then that did not list its scope to the end.
    pub fn must_reconsider(
        &self,
        run_id: i64,
        bucket_id: i64,
        prefix: &str,
        eligibility: i64,
    ) -> Result<bool, Error> {
        let read = || {
            let last: Option<i64> = self
                .connection
                .query_row(&LAST_LISTING, (bucket_id, run_id, prefix), |row| row.get(0))
                .optional()?;
            let differs = self.connection.prepare(&DIFFERS)?.exists((
                bucket_id,
                run_id,
                last.unwrap_or(0),
                eligibility,
                prefix,
            ))?;
            let unlisted = self.connection.prepare(&UNLISTED)?.exists((
                bucket_id,
                run_id,
                last.unwrap_or(0),
                prefix,
            ))?;
            let waiting = self.connection.prepare(&WAITING)?.exists([run_id])?;
            Ok(differs || unlisted || waiting)
        };
        read().map_err(|source| self.error(source))
    }

    /// Reads the end of the ledger.
    pub fn ledger_end(&self) -> Result<LedgerEnd, Error> {
        self.connection
            .query_row("SELECT coalesce(max(id), 0) FROM call", [], |row| row.get(0).map(LedgerEnd))
            .map_err(|source| self.error(source))
    }

    /// Returns true if any call of the ledger was answered, with labels or without any.
    pub fn has_been_answered(&self) -> Result<bool, Error> {
        self.connection
            .query_row(&IS_ANSWERED, [], |row| row.get(0))
            .map_err(|source| self.error(source))
    }

    /// Counts the calls that ended at `moment` or later and were in the ledger at its end `last`.
    /// Calls with an unknown end are among them.
    ///
    /// Every row is read: where the clock was set or corrected, rows are not in the order of their times.
    pub fn calls_since(
        &self,
        moment: UnixMillis,
        LedgerEnd(last): LedgerEnd,
    ) -> Result<u64, Error> {
        let calls: i64 = self
            .connection
            .query_row(&CALLS_SINCE, (moment, last), |row| row.get(0))
            .map_err(|source| self.error(source))?;
        Ok(calls.unsigned_abs())
    }
}
