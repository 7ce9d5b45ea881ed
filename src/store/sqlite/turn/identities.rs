//! Finds contents by the hash of their identity. The index is the table `ident`, and for the newest contents of a large
//! listing a map in memory.
//!
//! The hashes of new contents are spread over the whole index, so each of them would dirty another page, which is
//! written twice. A run that meets many new contents therefore keeps their hashes in memory, and merges many at a time
//! into the index, sorted: then each page gets several rows. A merge is spread over the turns that follow.
//!
//! The row [`IDENT_UPTO`] of `meta` names a content id while that is so: contents up to it are in `ident`, and those
//! behind it may be missing there. They are read again after a kill, and merged again; what was merged already is left.
//! When the listing is complete, the rest is merged and the row is removed, so later runs find everything in `ident`.
//!
//! Two contents may have one hash. The later one takes the next free number, so a search goes on until a number is free
//! in the index and in memory.

mod filter;

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};

use self::filter::Filter;
use crate::store::ident::Identity;
use crate::store::sqlite::rows::{Count, Size, StoredEtag};
use crate::store::sqlite::sql::{IDENT_UPTO, statements};

statements! {
    FIND_ID = "SELECT content_id FROM ident WHERE hash = ?1";

    INSERT = "INSERT INTO ident (hash, content_id) VALUES (?1, ?2)";

    READ_MARK = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = '{IDENT_UPTO}'";

    SET_MARK = "INSERT OR REPLACE INTO meta (name, value) VALUES ('{IDENT_UPTO}', ?1)";

    DELETE_MARK = "DELETE FROM meta WHERE name = '{IDENT_UPTO}'";

    /// Reads the identities that may not be in the index.
    READ_BEHIND = "SELECT id, identity, etag, size FROM content WHERE id > ?1";

    /// Counts the rows of the index. Ids of contents have gaps, so the greatest of them would say too much.
    COUNT_HASHES = "SELECT count(*) FROM ident WHERE hash >= ?1";

    /// Reads the whole index. Only a run that meets many new contents does that, to know which ones are new for sure.
    READ_HASHES = "SELECT hash FROM ident WHERE hash >= ?1";
}

/// The new contents of a session that are inserted into the index at once. A run with more of them, and with more than a
/// hundredth of all contents, keeps the further ones in memory.
const AT_ONCE: i64 = if cfg!(test) { 3 } else { 10_000 };

/// The number of contents in memory at which a merge begins.
const MERGE_AT: usize = if cfg!(test) { 8 } else { 500_000 };

/// The fewest contents that a turn merges.
const SLICE: usize = if cfg!(test) { 2 } else { 4096 };

/// Finds contents by their identity, and learns new ones. Everything that it writes belongs to the transaction of the
/// turn.
#[derive(Debug)]
pub(super) struct Identities {
    state: State,
    /// The new contents of this session while every content is in the index.
    added: i64,
    /// The same as of the last commit.
    committed_added: i64,
    /// Computes the hash of a row of [`READ_BEHIND`]; `None` if the row has no identity.
    hash_of: fn(&Row<'_>) -> rusqlite::Result<Option<i64>>,
}

#[derive(Debug)]
enum State {
    /// The database was not asked yet.
    Unknown,
    /// Every content is in the index.
    Indexed,
    /// Some contents are in memory only.
    Unmerged(Unmerged),
}

#[derive(Debug)]
struct Unmerged {
    /// The value of [`IDENT_UPTO`]: every content up to this id is in the index.
    upto: i64,
    /// The contents behind `upto` that no merge has taken yet, by hash.
    waiting: HashMap<i64, i64>,
    /// The contents that are being merged, with their hashes in ascending order.
    merging: Vec<(i64, i64)>,
    /// How many of them are in the index.
    merged: usize,
    /// The hashes that are in the index.
    indexed: Filter,
    /// The contents that came in this turn.
    came: usize,
}

/// What a search has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    Content(T),
    /// There is no such content. A new one gets this hash.
    Free(i64),
}

impl Default for Identities {
    fn default() -> Self {
        Self { state: State::Unknown, added: 0, committed_added: 0, hash_of }
    }
}

impl Identities {
    /// Finds the content with this hash that `read` accepts. `read` gets the ids of contents with the hash.
    pub(super) fn find<T>(
        &mut self,
        connection: &Connection,
        mut hash: i64,
        read: impl Fn(i64) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<Found<T>> {
        self.load(connection)?;
        loop {
            let mut is_free = true;
            for id in self.with_hash(connection, hash)?.into_iter().flatten() {
                is_free = false;
                if let Some(found) = read(id)? {
                    return Ok(Found::Content(found));
                }
            }
            if is_free {
                return Ok(Found::Free(hash));
            }
            hash = hash.wrapping_add(1);
        }
    }

    /// Adds a content with a hash that a search has found to be free. `is_last` tells that no content has a greater id.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        hash: i64,
        id: i64,
        is_last: bool,
    ) -> rusqlite::Result<()> {
        if matches!(self.state, State::Indexed) {
            self.added += 1;
            if is_last && self.added > AT_ONCE.max(id / 100) {
                let upto = id - 1;
                set_mark(connection, upto)?;
                self.state = State::Unmerged(Unmerged::new(connection, upto)?);
            }
        }
        match &mut self.state {
            State::Unmerged(unmerged) if id > unmerged.upto => {
                unmerged.waiting.insert(hash, id);
                unmerged.came += 1;
                return Ok(());
            }
            State::Unmerged(unmerged) => unmerged.indexed.insert(hash),
            State::Unknown | State::Indexed => {}
        }
        connection.prepare_cached(&INSERT)?.execute((hash, id)).map(drop)
    }

    /// Merges a part of what is in memory, as the last thing in a turn. `is_listed` tells that few contents will come.
    pub(super) fn end_turn(
        &mut self,
        connection: &Connection,
        is_listed: bool,
    ) -> rusqlite::Result<()> {
        let State::Unmerged(unmerged) = &mut self.state else { return Ok(()) };
        // A merge that is faster than the listing ends before the next one has to begin.
        let most = SLICE.max(2 * std::mem::take(&mut unmerged.came));
        let begins_at = if is_listed { 1 } else { MERGE_AT };
        if unmerged.merging.is_empty() && unmerged.waiting.len() >= begins_at {
            unmerged.begin_to_merge();
        }
        unmerged.merge(connection, most)?;
        if is_listed && unmerged.is_empty() {
            self.all_are_indexed(connection)?;
        }
        Ok(())
    }

    /// Merges everything, also what an earlier process has left.
    pub(super) fn merge_all(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.load(connection)?;
        let State::Unmerged(unmerged) = &mut self.state else { return Ok(()) };
        while !unmerged.is_empty() {
            if unmerged.merging.is_empty() {
                unmerged.begin_to_merge();
            }
            unmerged.merge(connection, usize::MAX)?;
        }
        self.all_are_indexed(connection)
    }

    /// The turn is committed.
    pub(super) fn commit(&mut self) {
        self.committed_added = self.added;
    }

    /// The turn is rolled back. What is in memory is read again when it is needed.
    pub(super) fn roll_back(&mut self) {
        (self.state, self.added) = (State::Unknown, self.committed_added);
    }

    fn all_are_indexed(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached(&DELETE_MARK)?.execute([])?;
        (self.state, self.added) = (State::Indexed, 0);
        Ok(())
    }

    fn load(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if !matches!(self.state, State::Unknown) {
            return Ok(());
        }
        let mark = connection.prepare_cached(&READ_MARK)?.query_row([], |row| row.get(0));
        self.state = match mark.optional()? {
            None => State::Indexed,
            Some(upto) => {
                let mut unmerged = Unmerged::new(connection, upto)?;
                unmerged.read_behind(connection, self.hash_of)?;
                State::Unmerged(unmerged)
            }
        };
        Ok(())
    }

    /// The contents with this hash: one that waits, one that is being merged, and one that is in the index. The last two
    /// may be the same.
    fn with_hash(&self, connection: &Connection, hash: i64) -> rusqlite::Result<[Option<i64>; 3]> {
        let (waiting, merging, may_be_indexed) = match &self.state {
            State::Unmerged(unmerged) => {
                (unmerged.waits(hash), unmerged.merges(hash), unmerged.indexed.may_have(hash))
            }
            State::Unknown | State::Indexed => (None, None, true),
        };
        let indexed = if may_be_indexed { indexed(connection, hash)? } else { None };
        Ok([waiting, merging, indexed])
    }
}

impl Unmerged {
    fn new(connection: &Connection, upto: i64) -> rusqlite::Result<Self> {
        Ok(Self {
            upto,
            waiting: HashMap::new(),
            merging: Vec::new(),
            merged: 0,
            indexed: read_hashes(connection)?,
            came: 0,
        })
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.merging.is_empty()
    }

    fn waits(&self, hash: i64) -> Option<i64> {
        self.waiting.get(&hash).copied()
    }

    fn merges(&self, hash: i64) -> Option<i64> {
        let at = self.merging.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        Some(self.merging[at].1)
    }

    /// Reads the contents behind the mark that are not in the index.
    ///
    /// Each of them gets the first free number again. Which numbers are taken in the end does not depend on the order in
    /// which contents with equal hashes come, so what an earlier search passed over is taken again.
    fn read_behind(
        &mut self,
        connection: &Connection,
        hash_of: fn(&Row<'_>) -> rusqlite::Result<Option<i64>>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&READ_BEHIND)?;
        let mut rows = statement.query([self.upto])?;
        while let Some(row) = rows.next()? {
            let Some(mut hash) = hash_of(row)? else { continue };
            let id = row.get(0)?;
            loop {
                let may_be_indexed = self.indexed.may_have(hash);
                match if may_be_indexed { indexed(connection, hash)? } else { None } {
                    Some(found) if found == id => break,
                    None if !self.waiting.contains_key(&hash) => {
                        self.waiting.insert(hash, id);
                        break;
                    }
                    _ => hash = hash.wrapping_add(1),
                }
            }
        }
        Ok(())
    }

    fn begin_to_merge(&mut self) {
        self.merging = self.waiting.drain().collect();
        self.merging.sort_unstable();
        self.merged = 0;
    }

    /// Merges up to `most` contents. If these were the last ones, moves the mark.
    fn merge(&mut self, connection: &Connection, most: usize) -> rusqlite::Result<()> {
        if self.merging.is_empty() {
            return Ok(());
        }
        if self.indexed.is_full() {
            self.indexed = read_hashes(connection)?;
        }
        let end = self.merged.saturating_add(most).min(self.merging.len());
        let mut insert = connection.prepare_cached(&INSERT)?;
        for &(hash, id) in &self.merging[self.merged..end] {
            insert.execute((hash, id))?;
            self.indexed.insert(hash);
        }
        self.merged = end;
        if end < self.merging.len() {
            return Ok(());
        }
        // An object that was skipped before may have brought a content with a smaller id meanwhile.
        let last = self.merging.iter().map(|(_, id)| *id).max().unwrap_or(self.upto);
        let first_waiting = self.waiting.values().copied().min();
        self.upto = first_waiting.map_or(last, |id| id - 1).max(self.upto);
        self.merging = Vec::new();
        set_mark(connection, self.upto)
    }
}

fn indexed(connection: &Connection, hash: i64) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(&FIND_ID)?.query_row([hash], |row| row.get(0)).optional()
}

fn set_mark(connection: &Connection, upto: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(&SET_MARK)?.execute([upto]).map(drop)
}

/// Reads the hashes of the index into a filter that has room for as many again.
fn read_hashes(connection: &Connection) -> rusqlite::Result<Filter> {
    let Count(known) =
        connection.prepare_cached(&COUNT_HASHES)?.query_row([i64::MIN], |row| row.get(0))?;
    let mut filter = Filter::for_as_many_again(usize::try_from(known).unwrap_or_default());
    let mut statement = connection.prepare_cached(&READ_HASHES)?;
    let mut rows = statement.query([i64::MIN])?;
    while let Some(row) = rows.next()? {
        filter.insert(row.get(0)?);
    }
    Ok(filter)
}

fn hash_of(row: &Row<'_>) -> rusqlite::Result<Option<i64>> {
    let text: Option<String> = row.get(1)?;
    let StoredEtag(etag) = row.get(2)?;
    let size = row.get::<_, Option<Size>>(3)?.map(|Size(size)| size);
    Ok(Identity::of_columns(text.as_deref(), etag.as_ref(), size).map(|identity| identity.hash()))
}

#[cfg(test)]
mod tests;
