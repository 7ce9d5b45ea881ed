//! The listing of a run: its ranges, its end, and listing again.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use super::Session;
use super::apply::SET_COUNTS;
use crate::store::Error;
use crate::store::model::{Counts, SourceKind};
use crate::store::run::{LOOKING_UP, READING, RangeProgress, RangeRow, Span};
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::{CountsJson, Lines, Named, StoredCounts};
use crate::store::sqlite::sql::{ADDED, BUCKET, GONE, INTERRUPTED, MOVED, STOPPED, statements};
use crate::time::UnixSeconds;

statements! {
    READ_RANGES = "
        SELECT seq, start_after, stop_at, cursor, done, source = '{BUCKET}' FROM range JOIN run ON run.id = run_id
        WHERE run_id = ?1 ORDER BY seq";

    READ_UNFINISHED = "
        SELECT source, counts FROM run WHERE id = ?1 AND state IN ('{INTERRUPTED}', '{STOPPED}') AND NOT plan";

    RESTART_RANGES = "UPDATE range SET cursor = start_after, done = 0 WHERE run_id = ?1 AND seq >= ?2";

    SHORTEN_RANGE = "UPDATE range SET stop_at = ?3 WHERE run_id = ?1 AND seq = ?2";

    pub(super) INSERT_RANGE = "INSERT INTO range (run_id, seq, start_after, stop_at, cursor) VALUES (?1, ?2, ?3, ?4, ?3)";

    END_LISTING = "UPDATE run SET listed_at = ?2 WHERE id = ?1";

    PAIR_MOVES = "
        WITH numbered AS (
            SELECT id, kind, object_id, content_id,
                   row_number() OVER (PARTITION BY kind, content_id ORDER BY id) AS place
            FROM change
            WHERE run_id = ?1 AND kind IN ('{ADDED}', '{GONE}') AND content_id IS NOT NULL)
        UPDATE change SET kind = '{MOVED}', from_object_id = pair.from_object_id
        FROM (SELECT added.id, gone.object_id AS from_object_id
              FROM numbered AS added JOIN numbered AS gone
                ON gone.kind = '{GONE}' AND added.kind = '{ADDED}'
                   AND gone.content_id = added.content_id AND gone.place = added.place
                   AND gone.object_id <> added.object_id) AS pair
        WHERE change.id = pair.id";

    /// Removes the entries of gone keys that are the old places of moved ones.
    DELETE_MOVED_FROM = "
        DELETE FROM change
        WHERE run_id = ?1 AND kind = '{GONE}'
          AND object_id IN (SELECT from_object_id FROM change WHERE run_id = ?1 AND kind = '{MOVED}')";
}

impl Store {
    /// Reads the ranges of a run, in their order.
    pub fn ranges(&self, run_id: i64) -> Result<Vec<RangeRow>, Error> {
        let read = || {
            self.connection
                .prepare(&READ_RANGES)?
                .query_map([run_id], |row| {
                    let (seq, is_listing) = (row.get(0)?, row.get(5)?);
                    let progress = match seq {
                        _ if is_listing => RangeProgress::Span { up_to: row.get(3)? },
                        READING => RangeProgress::Reading { lines: row.get::<_, Lines<_>>(3)?.0 },
                        _ => RangeProgress::LookingUp { line: row.get::<_, Lines<_>>(3)?.0 },
                    };
                    let span = Span { start_after: row.get(1)?, stop_at: row.get(2)? };
                    Ok(RangeRow { seq, span, progress, done: row.get(4)? })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| sorted(&self.path, source))
    }
}

/// Makes an unfinished run list again from its first key once it is resumed, and judge each object by its own
/// settings. Does nothing to any other run.
pub(super) fn list_again(connection: &Connection, run_id: i64) -> rusqlite::Result<()> {
    let found: Option<(Named<SourceKind>, StoredCounts)> = connection
        .prepare_cached(&READ_UNFINISHED)?
        .query_row([run_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((Named(source), StoredCounts(counts))) = found else { return Ok(()) };
    // A list is in the store already: only the look-up of its lines begins again.
    let first = if source == SourceKind::Bucket { 0 } else { LOOKING_UP };
    connection.prepare_cached(&RESTART_RANGES)?.execute((run_id, first))?;
    // Everything that is counted for each object will be counted again.
    let counts = Counts {
        listed: 0,
        wanted: 0,
        skipped: BTreeMap::new(),
        rejected: 0,
        lines_failed: 0,
        missing: 0,
        ..counts
    };
    connection.prepare_cached(&SET_COUNTS)?.execute((run_id, CountsJson(&counts))).map(drop)
}

impl Session {
    /// Splits a range: `span` becomes a new range, and the range it was part of ends where it begins.
    pub(super) fn split_range(&mut self, seq: i64, new_seq: i64, span: &Span) -> Result<(), Error> {
        let run_id = self.run.id;
        self.execute(&SHORTEN_RANGE, (run_id, seq, &span.start_after))?;
        self.execute(&INSERT_RANGE, (run_id, new_seq, &span.start_after, &span.stop_at)).map(drop)
    }

    /// Completes the listing once every range is done. Objects that were held back are marked as gone, contents that
    /// wait for no run are adopted, gone and added keys of one content are paired as moved, and `listed_at` is set.
    /// Returns true if contents were adopted.
    pub(super) fn complete_listing(&mut self, now: UnixSeconds) -> Result<bool, Error> {
        self.conclude_held()?;
        self.listed = true;
        let adopted = self.adopt_waiting()?;
        if self.run.journals {
            self.pair_moves()?;
        }
        self.execute(&END_LISTING, (self.run.id, now))?;
        Ok(adopted)
    }

    /// Notes that a content is taken out of the queue of another, unfinished run. Once that run is resumed it lists
    /// again and judges each object by its own settings, so that it gets everything that it wanted.
    pub(super) fn take_from(&mut self, owner: Option<i64>) -> Result<(), Error> {
        let Some(owner) = owner.filter(|owner| *owner != self.run.id) else { return Ok(()) };
        if !self.caches.taken.insert(owner) {
            return Ok(());
        }
        list_again(&self.store.connection, owner).map_err(|source| self.error(source))
    }

    /// Pairs gone and added keys of one content as moved objects. If there are several of either kind, they are paired
    /// in the order of the journal.
    fn pair_moves(&mut self) -> Result<(), Error> {
        self.execute(&PAIR_MOVES, [self.run.id])?;
        self.execute(&DELETE_MOVED_FROM, [self.run.id]).map(drop)
    }
}
