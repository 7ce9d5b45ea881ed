//! Claims contents of the run's queue: marks them as in flight, and chooses a key to call for each of them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Row};

use super::Session;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::keyspace::prefix_end;
use crate::store::sqlite::sql::{IN_FLIGHT, PENDING, Statement, THROTTLED, statements};
use crate::store::turn::{Claimed, Key};

struct Queued {
    content_id: i64,
    /// The key that its labels came from, or else the first key that had it; `None` if that key no longer stands for
    /// the content.
    key: Option<Key>,
    scenes: Scenes,
    again: Scenes,
    attempts: u32,
    pass: u32,
    failed_before: bool,
    /// True if this run was the first to list `key`.
    is_new: bool,
    /// True if one object has the content, wants it, and has no labels yet.
    is_simple: bool,
}

/// Selects what a claim reads of a content, and of the object that the content names if that object is still one of
/// the run's keys for it. `?1` is the run, `?2` its bucket, and `?3` to `?4` its scope. The caller appends what is
/// selected and how many.
fn queued_from(content: &str) -> String {
    format!(
        "SELECT content.id, scenes_wanted, scenes_done, scenes_redo, attempts, pass, object.id,
                object.key, error_kind, object.first_run = ?1, present = 1 AND NOT skipped
    FROM {content} LEFT JOIN object ON object.id = object_id AND object.content_id = content.id
        AND bucket_id = ?2 AND gone_run IS NULL AND skip_reason IS NULL
        AND key >= ?3 AND (?4 IS NULL OR key < ?4)
    WHERE content.run_id = ?1 AND state = {PENDING}"
    )
}

statements! {
    /// Selects the next contents of the queue, of the passes `?5` to `?6`.
    pub(super) QUEUE = "{queued} AND pass BETWEEN ?5 AND ?6 ORDER BY pass, content.id LIMIT ?7",
        queued = queued_from("content INDEXED BY content_queue");

    /// Selects the content of the queue with the id `?5`.
    pub(super) QUEUED_CONTENT = "{queued} AND content.id = ?5", queued = queued_from("content");

    /// Selects contents of the first pass in an order that is independent of key, size and age: the bits of their ids
    /// are mixed, with factors small enough for SQLite's 64-bit integers.
    DRAWN = "
        SELECT id FROM content INDEXED BY content_queue
        WHERE run_id = ?1 AND state = {PENDING} AND pass = 0
        ORDER BY (((((id & 0x7fffffff) * 1103515245 + 12345) >> 16) & 0xffffff) * 1664525) & 0xffffff, id
        LIMIT ?2";

    /// Selects a content of the first pass that was not tried yet, at or after a random place of the queue.
    UNTRIED_FROM_ANYWHERE = "
        SELECT id FROM content INDEXED BY content_queue
        WHERE run_id = ?1 AND state = {PENDING} AND pass = ?2 AND attempts = 0 AND error_kind = 0
          AND id >= ({anywhere})
        ORDER BY id LIMIT 1", anywhere = anywhere();

    /// Selects the first content of the queue that was not tried yet.
    UNTRIED = "
        SELECT id FROM content INDEXED BY content_queue
        WHERE run_id = ?1 AND state = {PENDING} AND pass = ?2 AND attempts = 0 AND error_kind = 0
        ORDER BY id LIMIT 1";

    /// Finds a row if a content of the first pass is in the queue and was not tried yet.
    IS_QUEUED = "
        SELECT 1 FROM content
        WHERE run_id = ?1 AND id = ?2 AND state = {PENDING} AND pass = 0 AND attempts = 0 AND error_kind = 0";

    /// Selects any content of a pass, at or after a random place of its queue.
    TRIED_FROM_ANYWHERE = "
        SELECT id FROM content INDEXED BY content_queue
        WHERE run_id = ?1 AND state = {PENDING} AND pass = ?2 AND id >= ({anywhere})
        ORDER BY id LIMIT 1", anywhere = anywhere();

    /// Selects the first content of this pass or a later one.
    TRIED = "
        SELECT id FROM content INDEXED BY content_queue
        WHERE run_id = ?1 AND state = {PENDING} AND pass >= ?2
        ORDER BY pass, id LIMIT 1";

    /// Marks a content as in flight.
    CLAIM = "UPDATE content SET state = {IN_FLIGHT} WHERE id = ?1";

    /// Takes a content out of the queue of its run.
    LEAVE = "UPDATE content SET run_id = NULL, pass = 0 WHERE id = ?1";

    /// Counts the throttled calls for the content `?1` in the run `?2`.
    THROTTLES = "
        SELECT count(*) FROM call INDEXED BY call_throttled
        WHERE content_id = ?1 AND run_id = ?2 AND outcome = {THROTTLED}";

    /// Finds a row if contents of the run `?1` wait in a pass after `?2`.
    WAITS_AFTER = "SELECT 1 FROM content WHERE run_id = ?1 AND state = {PENDING} AND pass > ?2";

    /// Finds a row if any content waits in the queue of the run `?1`.
    HAS_PENDING = "SELECT 1 FROM content WHERE run_id = ?1 AND state = {PENDING}";
}

/// A random place in the queue of the run `?1` and its pass `?2`: an id between the lowest and the highest one.
fn anywhere() -> String {
    let end_of_queue = |order: &str| {
        format!(
            "(SELECT id FROM content INDEXED BY content_queue
              WHERE run_id = ?1 AND state = {PENDING} AND pass = ?2 ORDER BY id {order} LIMIT 1)"
        )
    };
    format!(
        "SELECT lowest + abs(random() % (highest - lowest + 1))
         FROM (SELECT {} AS lowest, {} AS highest)",
        end_of_queue("ASC"),
        end_of_queue("DESC")
    )
}

impl Queued {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let wanted = Scenes::from_bits(row.get(1)?);
        let done = Scenes::from_bits(row.get(2)?);
        let redo = Scenes::from_bits(row.get(3)?);
        let key: Option<String> = row.get(7)?;
        let object_id = row.get::<_, Option<i64>>(6)?.unwrap_or_default();
        Ok(Self {
            content_id: row.get(0)?,
            key: key.map(|key| Key { object_id, key }),
            scenes: wanted.without(done).union(redo),
            again: redo,
            attempts: row.get(4)?,
            pass: row.get(5)?,
            failed_before: row.get::<_, i64>(8)? != 0,
            is_new: row.get::<_, Option<bool>>(9)?.unwrap_or_default(),
            is_simple: done.is_empty() && row.get(10)?,
        })
    }
}

impl Session {
    /// Marks up to `limit` pending contents of these passes as in flight. Earlier passes come first, and within a
    /// pass older contents.
    ///
    /// A queued content that no present object of the scope wants any longer leaves the queue instead. If an object
    /// outside the scope wants it, it waits for a run that meets this object. Otherwise it is done with the labels that
    /// it has.
    pub(super) fn claim_of(
        &mut self,
        limit: usize,
        passes: &RangeInclusive<u32>,
    ) -> Result<Vec<Claimed>, Error> {
        let claimed = self.claim_up_to(limit, passes, false)?;
        if claimed.len() < limit {
            self.caches.reserve.clear();
        }
        Ok(claimed)
    }

    /// Claims as [`Session::claim_of`] does, but keeps back a few contents from all over the queue. Returns also
    /// whether any are kept back.
    pub(super) fn claim_with_reserve(
        &mut self,
        limit: usize,
        passes: &RangeInclusive<u32>,
    ) -> Result<(Vec<Claimed>, bool), Error> {
        let holds = *passes.start() == 0 && !self.caches.sample.is_active();
        let claimed = self.claim_up_to(limit, passes, holds)?;
        Ok((claimed, self.caches.reserve.len() > 0))
    }

    fn claim_up_to(
        &mut self,
        limit: usize,
        passes: &RangeInclusive<u32>,
        holds_back: bool,
    ) -> Result<Vec<Claimed>, Error> {
        let mut claimed = Vec::with_capacity(limit);
        while claimed.len() < limit {
            let kept = if holds_back { self.caches.reserve.len() } else { 0 };
            let wanted = limit - claimed.len() + kept;
            let queued = self.queued(wanted, passes)?;
            // A sample may give fewer contents than asked for and not be exhausted: some may have left the queue since
            // they were drawn.
            let mut exhausted =
                queued.is_empty() || (queued.len() < wanted && !self.caches.sample.is_active());
            for entry in queued {
                if claimed.len() == limit {
                    break;
                }
                if holds_back && entry.pass == 0 {
                    let before = self.caches.reserve.len();
                    let known = self.caches.reserve.contains(entry.content_id);
                    if self.caches.reserve.keeps(entry.content_id) {
                        // A content that made room for this one comes before it in the queue, and is still to be
                        // claimed.
                        exhausted &= known || self.caches.reserve.len() > before;
                        continue;
                    }
                }
                claimed.extend(self.claim_entry(entry)?);
            }
            if exhausted {
                break;
            }
        }
        Ok(claimed)
    }

    /// Claims one content to find out whether an outage is over. It comes from anywhere in the queue, and contents
    /// that were not tried yet come first. No content of a pass before `first_pass` is claimed.
    pub(super) fn claim_probe(&mut self, first_pass: u32) -> Result<Option<Claimed>, Error> {
        if first_pass == 0 && self.caches.sample.is_active() {
            if let Some(claimed) = self.claim_of(1, &(0..=0))?.pop() {
                return Ok(Some(claimed));
            }
        } else if first_pass == 0 {
            if let Some(id) = self.caches.reserve.next_to_look_with()
                && let Some(claimed) = self.claim_kept(id)?
            {
                return Ok(Some(claimed));
            }
            for sql in [&UNTRIED_FROM_ANYWHERE, &UNTRIED] {
                if let Some(claimed) = self.claim_found(sql, first_pass)? {
                    return Ok(Some(claimed));
                }
            }
        }
        for sql in [&TRIED_FROM_ANYWHERE, &TRIED] {
            if let Some(claimed) = self.claim_found(sql, first_pass)? {
                return Ok(Some(claimed));
            }
        }
        Ok(None)
    }

    /// Claims a content that is kept back. Returns `None` if it has left the queue.
    fn claim_kept(&mut self, id: i64) -> Result<Option<Claimed>, Error> {
        let run = Arc::clone(&self.run);
        let end = prefix_end(&run.prefix);
        let is_queued =
            self.prepare(&IS_QUEUED)?.exists((run.id, id)).map_err(|source| self.error(source))?;
        if !is_queued {
            self.caches.reserve.remove(id);
            return Ok(None);
        }
        let entry = self
            .prepare(&QUEUED_CONTENT)?
            .query_row((run.id, run.bucket_id, &run.prefix, &end, id), Queued::read)
            .map_err(|source| self.error(source))?;
        self.claim_entry(entry)
    }

    /// Claims the content that a query selects. If that content leaves the queue instead, the query runs again.
    fn claim_found(&mut self, sql: &Statement, first_pass: u32) -> Result<Option<Claimed>, Error> {
        let run = Arc::clone(&self.run);
        let end = prefix_end(&run.prefix);
        loop {
            let found = self
                .prepare(sql)?
                .query_row((run.id, first_pass), |row| row.get::<_, i64>(0))
                .optional()
                .map_err(|source| self.error(source))?;
            let Some(id) = found else { return Ok(None) };
            let entry = self
                .prepare(&QUEUED_CONTENT)?
                .query_row((run.id, run.bucket_id, &run.prefix, &end, id), Queued::read)
                .map_err(|source| self.error(source))?;
            if let Some(claimed) = self.claim_entry(entry)? {
                return Ok(Some(claimed));
            }
        }
    }

    /// Marks a queued content as in flight. Returns `None` if it leaves the queue instead.
    fn claim_entry(&mut self, mut entry: Queued) -> Result<Option<Claimed>, Error> {
        // A run over a list calls only keys of its list, and each of them only after it was looked up.
        let named = entry.key.take().filter(|_| !self.run.calls_looked_up_keys());
        let key = match named {
            Some(key) if !self.is_held(key.object_id) => Some(key),
            _ => self.key_of(entry.content_id, &[])?,
        };
        let key = match key {
            Some(key) if !entry.is_new => Some(self.judged_key(entry.content_id, key)?),
            key => key,
        };
        let Some(key) = key.filter(|_| !entry.scenes.is_empty()) else {
            self.leave(&entry)?;
            return Ok(None);
        };
        self.execute(&CLAIM, [entry.content_id])?;
        self.note_claimed(entry.content_id, &key.key, entry.is_simple)?;
        self.caches.reserve.remove(entry.content_id);
        // The process may have been killed between a throttled answer and the next call.
        let may_have = entry.failed_before || self.counts.throttled > 0;
        let throttles = if may_have { self.throttles(entry.content_id)? } else { 0 };
        let Queued { content_id, scenes, again, attempts, pass, .. } = entry;
        Ok(Some(Claimed { content_id, key, scenes, again, attempts, throttles, pass }))
    }

    /// Takes a content out of the queue that no key of the scope wants any longer. If a key outside the scope wants
    /// it, it waits for the next run that meets that key.
    fn leave(&mut self, entry: &Queued) -> Result<(), Error> {
        self.counts.left += 1;
        if entry.scenes.is_empty() || !self.is_wanted(entry.content_id)? {
            return self.settle_as_done(entry.content_id);
        }
        self.execute(&LEAVE, [entry.content_id]).map(drop)
    }

    /// Draws a random sample of `size` contents of the queue. From now on, claims of the first pass take only these. If
    /// some of them leave the queue without a call, others are drawn in their place.
    ///
    /// Takes eight bytes of memory for each content.
    pub(super) fn sample(&mut self, size: u64) -> Result<(), Error> {
        self.caches.sample.ask_for(size);
        self.draw_sample()
    }

    /// Draws the sample if it was asked for and is not drawn.
    fn draw_sample(&mut self) -> Result<(), Error> {
        if let Some(size) = self.caches.sample.to_draw() {
            let ids = self.drawn(i64::try_from(size).unwrap_or(i64::MAX))?;
            self.caches.sample.draw(ids);
        }
        Ok(())
    }

    /// Draws up to `size` contents of the queue, the first one to be claimed first.
    fn drawn(&self, size: i64) -> Result<Vec<i64>, Error> {
        self.prepare(&DRAWN)?
            .query_map((self.run.id, size), |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(|source| self.error(source))
    }

    /// Reads the next contents of the sample. Returns none once the queue is empty, and perhaps fewer than `limit`.
    fn sampled(&mut self, limit: usize) -> Result<Vec<Queued>, Error> {
        self.draw_sample()?;
        let mut queued = Vec::with_capacity(limit);
        let mut drawn_anew = false;
        let run = Arc::clone(&self.run);
        let end = prefix_end(&run.prefix);
        while queued.len() < limit {
            let Some(id) = self.caches.sample.pop() else {
                // What was found is still in the queue, and would be drawn once more.
                if drawn_anew || !queued.is_empty() {
                    break;
                }
                let ids = self.drawn(i64::try_from(limit).unwrap_or(i64::MAX))?;
                self.caches.sample.draw(ids);
                drawn_anew = true;
                continue;
            };
            queued.extend(
                self.prepare(&QUEUED_CONTENT)?
                    .query_row((run.id, run.bucket_id, &run.prefix, &end, id), Queued::read)
                    .optional()
                    .map_err(|source| self.error(source))?,
            );
        }
        Ok(queued)
    }

    fn queued(&mut self, limit: usize, passes: &RangeInclusive<u32>) -> Result<Vec<Queued>, Error> {
        if passes.is_empty() {
            return Ok(Vec::new());
        }
        if *passes.end() == 0 && self.caches.sample.is_active() {
            return self.sampled(limit);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (run, end) = (&self.run, prefix_end(&self.run.prefix));
        let (first, last) = (passes.start(), passes.end());
        self.prepare(&QUEUE)?
            .query_map((run.id, run.bucket_id, &run.prefix, &end, first, last, limit), Queued::read)
            .and_then(Iterator::collect)
            .map_err(|source| self.error(source))
    }

    /// Counts the throttled calls for a content in this run, from the ledger.
    fn throttles(&self, content_id: i64) -> Result<u32, Error> {
        self.prepare(&THROTTLES)?
            .query_row((content_id, self.run.id), |row| row.get(0))
            .map_err(|source| self.error(source))
    }

    /// Returns true if contents of this run wait in a pass after `pass`.
    pub(super) fn waits_after(&self, pass: u32) -> Result<bool, Error> {
        self.prepare(&WAITS_AFTER)?.exists((self.run.id, pass)).map_err(|source| self.error(source))
    }

    /// Returns true if any content waits in the queue of this run.
    pub(super) fn has_pending(&self) -> Result<bool, Error> {
        self.prepare(&HAS_PENDING)?.exists([self.run.id]).map_err(|source| self.error(source))
    }
}
