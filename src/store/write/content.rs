//! Contents: found or made by identity, wanted by a run, let go when nobody wants them.

use rusqlite::{OptionalExtension, Row};

use super::Session;
use crate::scene::Scenes;
use crate::store::ident::{Identity, StoredEtag};
use crate::store::model::{ContentState, ErrorKind};
use crate::store::{Error, has_content};

/// What deciding about a content needs of its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContentRow {
    pub(super) id: i64,
    pub(super) done: Scenes,
    pub(super) redo: Scenes,
    pub(super) state: ContentState,
    pub(super) run_id: Option<i64>,
    pub(super) temporary: bool,
    /// Whether it has an error, one that a new run does not try again for.
    final_error: bool,
}

const COLUMNS: &str = "id, scenes_done, scenes_redo, state, run_id, error_kind";

impl ContentRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let state: i64 = row.get(3)?;
        let error: i64 = row.get(5)?;
        let content = Self {
            id: row.get(0)?,
            done: Scenes::from_bits(row.get(1)?),
            redo: Scenes::from_bits(row.get(2)?),
            state: ContentState::from_id(state).unwrap_or(ContentState::Failed),
            run_id: row.get(4)?,
            temporary: error == ErrorKind::Temporary as i64,
            final_error: error == ErrorKind::Final as i64,
        };
        Ok((content, state))
    }

    /// Whether an object keeps this content although dedupe was on, or off, when it got it: the labels of its
    /// bytes stay, what was paid is not paid again, and neither is a bad image.
    pub(super) fn is_kept(self) -> bool {
        !self.done.is_empty() || self.state == ContentState::Failed || self.final_error
    }
}

impl Session {
    /// The content of this identity; made, pending for nobody yet, if there was none.
    ///
    /// `object_id` is the object that brings it.
    pub(super) fn content(
        &mut self,
        identity: Identity<'_>,
        object_id: i64,
    ) -> Result<ContentRow, Error> {
        let (etag, size) = identity.columns();
        let mut hash = identity.hash();
        loop {
            let sql = format!(
                "SELECT {COLUMNS}, identity, etag, size
                 FROM ident JOIN content ON content.id = content_id WHERE hash = ?1"
            );
            let found = self
                .prepare(&sql)?
                .query_row([hash], |row| {
                    let same = row.get::<_, Option<String>>(6)? == identity.text()
                        && row.get::<_, StoredEtag>(7)?.0 == etag.map_or("", |etag| etag.0)
                        && row.get::<_, Option<i64>>(8)? == size;
                    Ok((ContentRow::read(row)?, same))
                })
                .optional()
                .map_err(|source| self.error(source))?;
            match found {
                Some(((content, _), true)) => return Ok(content),
                // Two identities with one hash: the later one takes the next free number.
                Some((_, false)) => hash = hash.wrapping_add(1),
                None => break,
            }
        }
        let id = self.number_of_content(object_id)?;
        self.execute(
            "INSERT INTO content (id, identity, etag, size, scenes_wanted, state, run_id, object_id,
                    tagged_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8)",
            (
                id,
                identity.text(),
                etag,
                size,
                self.run.scenes.bits(),
                self.run.id,
                object_id,
                // Two bytes wider than seconds are, and two bytes is what the answer adds to the row: one
                // that grows would split its page.
                jiff::Timestamp::now().as_millisecond(),
            ),
        )?;
        self.execute("INSERT INTO ident (hash, content_id) VALUES (?1, ?2)", (hash, id))?;
        self.counts.queued += 1;
        // As this run's pending row, so that wanting it writes nothing more.
        Ok(ContentRow {
            id,
            done: Scenes::NONE,
            redo: Scenes::NONE,
            state: ContentState::Pending,
            run_id: Some(self.run.id),
            temporary: false,
            final_error: false,
        })
    }

    /// The number of a new content: that of the object which brings it, if no content has it. Then the index of
    /// objects by content has no entry for it.
    fn number_of_content(&mut self, object_id: i64) -> Result<i64, Error> {
        let taken = self
            .prepare("SELECT 1 FROM content WHERE id = ?1")?
            .exists([object_id])
            .map_err(|source| self.error(source))?;
        if taken { self.next_number() } else { Ok(object_id) }
    }

    /// The next number, of an object or a content: both are of one sequence.
    pub(super) fn next_number(&mut self) -> Result<i64, Error> {
        let next = match self.next_number {
            Some(next) => next,
            None => self
                .prepare(
                    "SELECT 1 + max((SELECT coalesce(max(id), 0) FROM object),
                                    (SELECT coalesce(max(id), 0) FROM content))",
                )?
                .query_row([], |row| row.get(0))
                .map_err(|source| self.error(source))?,
        };
        self.next_number = Some(next + 1);
        Ok(next)
    }

    /// The row of a content that an object refers to.
    pub(super) fn content_by_id(&self, id: i64) -> Result<ContentRow, Error> {
        let (content, state) = self
            .prepare(&format!("SELECT {COLUMNS} FROM content WHERE id = ?1"))?
            .query_row([id], ContentRow::read)
            .map_err(|source| self.error(source))?;
        if ContentState::from_id(state).is_none() {
            return Err(Error::Unsound { what: format!("content {id} in state {state}") });
        }
        Ok(content)
    }

    /// The content that an object has, if it is of these bytes; and whether other keys share it. Of bytes whose size
    /// is unknown the `ETag` decides.
    pub(super) fn content_of_bytes(
        &self,
        id: i64,
        identity: Identity<'_>,
    ) -> Result<Option<(ContentRow, bool)>, Error> {
        let (etag, size) = identity.columns();
        let sql = format!(
            "SELECT {COLUMNS}, identity IS NULL FROM content
             WHERE id = ?1 AND etag IS ?2 AND (size IS ?3 OR ?3 IS NULL)"
        );
        self.prepare(&sql)?
            .query_row((id, etag, size), |row| Ok((ContentRow::read(row)?.0, row.get(6)?)))
            .optional()
            .map_err(|source| self.error(source))
    }

    /// This run wants the content, with its own scenes: queues it if anything is missing.
    ///
    /// `renewed`: its object changed in storage class or time, so that what was given up for good is
    /// worth another try.
    pub(super) fn want(&mut self, content: ContentRow, renewed: bool) -> Result<(), Error> {
        let run = &self.run;
        let missing = run.scenes.without(content.done).union(content.redo);
        let own = content.run_id == Some(run.id);
        if missing.is_empty() {
            if content.state != ContentState::Done && !own && !self.run.plan {
                // Another run wants more of it, or has failed to get it; this one wants what is there.
                if content.state != ContentState::Failed {
                    self.take_from(content.run_id)?;
                }
                self.settle_as_done(content.id)?;
            }
            return Ok(());
        }
        if content.state == ContentState::Done && content.final_error && !renewed {
            return self.fail_again(content.id);
        }
        let again = match content.state {
            ContentState::Pending | ContentState::InFlight => !own,
            ContentState::Done => true,
            ContentState::Failed => !own && (content.temporary || renewed),
        };
        if !again {
            return Ok(());
        }
        self.counts.queued += 1;
        // What is known stays whose it is, but what nobody wanted any more is wanted again.
        let nobodys = content.state == ContentState::Done && content.done.is_empty();
        if self.run.plan && !nobodys {
            return Ok(());
        }
        if content.state == ContentState::Pending {
            self.take_from(content.run_id)?;
        }
        self.execute(
            "UPDATE content SET state = 0, run_id = ?2, scenes_wanted = scenes_done | ?3,
                    pass = 0, attempts = 0,
                    error_kind = error_kind & 2
             WHERE id = ?1",
            (content.id, self.run.id, self.run.scenes.bits()),
        )?;
        Ok(())
    }

    /// It was given up, and was no failure while nobody asked for what it lacks: now it is one again.
    fn fail_again(&self, content_id: i64) -> Result<(), Error> {
        if !self.run.plan {
            self.execute(
                "UPDATE content SET state = 3, scenes_wanted = scenes_done | ?3, run_id = ?2 WHERE id = ?1",
                (content_id, self.run.id, self.run.scenes.bits()),
            )?;
        }
        Ok(())
    }

    /// Takes a pending content out of the queue if no present object wants it any longer.
    pub(super) fn release_if_unwanted(&mut self, content_id: i64) -> Result<(), Error> {
        let content = self.content_by_id(content_id)?;
        if content.state == ContentState::Pending && !self.is_wanted(content_id)? {
            self.counts.left += u64::from(content.run_id == Some(self.run.id));
            self.settle_as_done(content_id)?;
        }
        Ok(())
    }

    /// Whether a present object wants the content.
    pub(super) fn is_wanted(&self, content_id: i64) -> Result<bool, Error> {
        let sql = format!(
            "SELECT 1 FROM object WHERE {} AND gone_run IS NULL AND skip_reason IS NULL",
            has_content("?1")
        );
        self.prepare(&sql)?.exists([content_id]).map_err(|source| self.error(source))
    }

    /// Nothing more is wanted than what is there, which may be nothing.
    pub(super) fn settle_as_done(&self, content_id: i64) -> Result<(), Error> {
        self.execute(
            "UPDATE content SET state = 2, scenes_wanted = scenes_done, scenes_redo = 0, run_id = NULL
             WHERE id = ?1",
            [content_id],
        )
        .map(drop)
    }

    /// Drops labels that turned out to be of other bytes; pending again if a present object wants it.
    pub(super) fn drop_labels(&mut self, content_id: i64) -> Result<(), Error> {
        let content = self.content_by_id(content_id)?;
        if content.state == ContentState::Pending {
            self.take_from(content.run_id)?;
        }
        self.execute(
            "DELETE FROM label WHERE id BETWEEN 256 * ?1 AND 256 * ?1 + 255",
            [content_id],
        )?;
        self.execute(
            "UPDATE content SET scenes_done = 0, scenes_redo = 0, tagged_at = NULL,
                    error_kind = 0
             WHERE id = ?1",
            [content_id],
        )?;
        let own = content.state == ContentState::Pending && content.run_id == Some(self.run.id);
        if self.is_wanted(content_id)? {
            let queued = self.execute(
                "UPDATE content SET state = 0, pass = 0, attempts = 0, run_id = ?2,
                        scenes_wanted = scenes_wanted | ?3
                 WHERE id = ?1 AND state <> 1",
                (content_id, self.run.id, self.run.scenes.bits()),
            )?;
            self.counts.queued += u64::from(queued > 0 && !own);
            Ok(())
        } else {
            self.counts.left += u64::from(own);
            self.execute(
                "UPDATE content SET state = 2, scenes_wanted = 0, run_id = NULL
                 WHERE id = ?1 AND state <> 1",
                [content_id],
            )
            .map(drop)
        }
    }
}
