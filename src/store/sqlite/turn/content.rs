//! Contents: found or made by identity, wanted by a run, let go when nobody wants them.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row};

use super::Session;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::ident::{Identity, StoredEtag};
use crate::store::keyspace::prefix_end;
use crate::store::model::{ContentState, ErrorKind};
use crate::store::sqlite::has_content;

/// How the run came to an object that wants a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// The object is as it was when it was last listed.
    Unchanged,
    /// The key was not known before.
    New,
    /// The key was gone and is back.
    Returned,
    /// The bytes, the storage class or the time is another one.
    Changed,
}

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

    /// This run wants the content, with its own scenes: queues it if anything is missing, or was asked for again.
    ///
    /// `sight` is how its object was found: see [`Session::is_worth_another_try`].
    pub(super) fn want(&mut self, content: ContentRow, sight: Sight) -> Result<(), Error> {
        let run = &self.run;
        let missing = run.scenes.without(content.done).union(content.redo);
        let own = content.run_id == Some(run.id);
        if missing.is_empty() {
            if content.state != ContentState::Done && !own {
                // Another run wants more of it, or has failed to get it; this one wants what is there.
                if content.state != ContentState::Failed {
                    self.take_from(content.run_id)?;
                }
                self.settle_as_done(content.id)?;
            }
            return Ok(());
        }
        let again = match content.state {
            ContentState::Pending | ContentState::InFlight => !own,
            ContentState::Done if !content.final_error => true,
            ContentState::Failed if content.temporary => !own,
            ContentState::Done | ContentState::Failed => {
                self.is_worth_another_try(content.id, sight)?
            }
        };
        match content.state {
            ContentState::Done if !again => return self.fail_again(content.id),
            _ if !again => return Ok(()),
            // It is in this run's account already.
            ContentState::Failed if own => {
                self.counts.failed = self.counts.failed.saturating_sub(1);
            }
            ContentState::Pending => {
                self.take_from(content.run_id)?;
                self.counts.queued += 1;
            }
            _ => self.counts.queued += 1,
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

    /// Whether the final failure of a content may be over, now that an object which has it was found so.
    ///
    /// A verdict belongs to the bytes, whatever keys come and go. But an archived object that changed may have been
    /// restored.
    fn is_worth_another_try(&self, content_id: i64, sight: Sight) -> Result<bool, Error> {
        if sight != Sight::Changed {
            return Ok(false);
        }
        let verdict: Option<String> = self
            .prepare("SELECT verdict FROM error WHERE content_id = ?1")?
            .query_row([content_id], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(verdict.as_deref() == Some("archived"))
    }

    /// It was given up, and was no failure while nobody asked for what it lacks: now it is one again.
    fn fail_again(&self, content_id: i64) -> Result<(), Error> {
        self.execute(
            "UPDATE content SET state = 3, scenes_wanted = scenes_done | ?3, run_id = ?2 WHERE id = ?1",
            (content_id, self.run.id, self.run.scenes.bits()),
        )
        .map(drop)
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

    /// Nothing more is wanted than what is there, which may be nothing. What was asked for again on purpose is kept: it
    /// is called once an object wants the content.
    pub(super) fn settle_as_done(&self, content_id: i64) -> Result<(), Error> {
        self.execute(
            "UPDATE content SET state = 2, scenes_wanted = scenes_done, run_id = NULL WHERE id = ?1",
            [content_id],
        )
        .map(drop)
    }

    /// Drops labels, or a failure, that turned out to be of other bytes.
    ///
    /// A content in this run's queue stays there. Any other waits for nobody: a run that finds an object which has it
    /// and is wanted by that run's own filter adopts it, see [`Session::adopt_waiting`].
    pub(super) fn drop_labels(&mut self, content_id: i64) -> Result<(), Error> {
        let content = self.content_by_id(content_id)?;
        self.execute(
            "DELETE FROM label WHERE id BETWEEN 256 * ?1 AND 256 * ?1 + 255",
            [content_id],
        )?;
        self.execute(
            "UPDATE content SET scenes_done = 0, tagged_at = NULL, error_kind = 0 WHERE id = ?1",
            [content_id],
        )?;
        let waits = content.state == ContentState::Pending;
        let own = waits && content.run_id == Some(self.run.id);
        if own || content.state == ContentState::InFlight {
            // The dropped scenes are wanted again by this run only if it asks for them.
            return self
                .execute(
                    "UPDATE content SET scenes_wanted = ?2 WHERE id = ?1",
                    (content_id, self.run.scenes.bits()),
                )
                .map(drop);
        }
        if waits {
            self.take_from(content.run_id)?;
        }
        if self.is_wanted(content_id)? {
            self.execute(
                "UPDATE content SET state = 0, pass = 0, attempts = 0, run_id = NULL WHERE id = ?1",
                [content_id],
            )
            .map(drop)
        } else {
            self.settle_as_done(content_id)
        }
    }

    /// Queues for this run what waits for nobody and has a present object that the run wants. Returns whether there
    /// was anything.
    ///
    /// Call it once everything is listed: then every object of the scope was judged by this run's filter.
    ///
    /// # Errors
    /// Those of any write.
    pub fn adopt_waiting(&mut self) -> Result<bool, Error> {
        let run = Arc::clone(&self.run);
        let adopted = if run.list {
            self.execute(ADOPT_LISTED, (run.id, run.scenes.bits(), run.bucket_id, run.urls))?
        } else {
            let end = prefix_end(&run.prefix);
            let bounds = (run.id, run.scenes.bits(), run.bucket_id, &run.prefix, end);
            self.execute(&adopt(), bounds)?
        };
        self.counts.queued += adopted as u64;
        Ok(adopted > 0)
    }

    /// Whether a content waits, for whichever run, that this run should have called: one that lacks a scene of this
    /// run's, or was asked for again, and has a present object which the run wants.
    ///
    /// # Errors
    /// Those of any read.
    pub fn leaves_behind(&self) -> Result<bool, Error> {
        let run = &self.run;
        if run.list {
            return self
                .prepare(LEFT_BEHIND_OF_LIST)?
                .exists((run.id, run.scenes.bits(), run.bucket_id, run.urls))
                .map_err(|source| self.error(source));
        }
        let end = prefix_end(&run.prefix);
        self.prepare(&left_behind())?
            .exists((run.id, run.scenes.bits(), run.bucket_id, &run.prefix, end))
            .map_err(|source| self.error(source))
    }
}

/// The condition that a present object wants `content` within the scope: bucket `?3`, keys from `?4` to before `?5`.
fn wanted_in_scope() -> String {
    format!(
        "EXISTS (SELECT 1 FROM object
                 WHERE {} AND +bucket_id = ?3 AND gone_run IS NULL AND skip_reason IS NULL
                   AND +key >= ?4 AND (?5 IS NULL OR +key < ?5))",
        has_content("content.id")
    )
}

/// Adopts, for the run `?1` and its scenes `?2`, what waits for nobody and is wanted in the scope.
pub(super) fn adopt() -> String {
    let content = wanted_in_scope();
    format!(
        "UPDATE content SET run_id = ?1, scenes_wanted = scenes_done | ?2, pass = 0, attempts = 0
         WHERE state = 0 AND run_id IS NULL AND ((?2 & ~scenes_done) | scenes_redo) AND {content}"
    )
}

/// As [`adopt`], of the lines of a list: of URLs if `?4`, else of keys, which must have been looked up.
const ADOPT_LISTED: &str = "
    UPDATE content SET run_id = ?1, scenes_wanted = scenes_done | ?2, pass = 0, attempts = 0
    WHERE state = 0 AND run_id IS NULL AND ((?2 & ~scenes_done) | scenes_redo) AND id IN (
        SELECT content_id FROM list_item JOIN object ON bucket_id = ?3 AND key = item
        WHERE list_item.run_id = ?1 AND gone_run IS NULL AND skip_reason IS NULL
          AND (?4 OR (list_item.run_id, content_id, object.id) IN (
              SELECT run_id, content_id, object_id FROM looked_up)))";

/// A content that waits for the run `?1`, or that it should have called.
pub(super) fn left_behind() -> String {
    let content = wanted_in_scope();
    format!(
        "SELECT 1 FROM content INDEXED BY content_queue
         WHERE state = 0 AND (
             run_id = ?1 OR ((?2 & ~scenes_done) | scenes_redo) AND {content})
         LIMIT 1"
    )
}

/// As [`left_behind`], of the lines of a list.
const LEFT_BEHIND_OF_LIST: &str = "
    SELECT 1 FROM content INDEXED BY content_queue
    WHERE state = 0 AND (
        run_id = ?1 OR ((?2 & ~scenes_done) | scenes_redo) AND id IN (
            SELECT content_id FROM list_item JOIN object ON bucket_id = ?3 AND key = item
            WHERE list_item.run_id = ?1 AND gone_run IS NULL AND skip_reason IS NULL
              AND (?4 OR (list_item.run_id, content_id, object.id) IN (
                  SELECT run_id, content_id, object_id FROM looked_up))))
    LIMIT 1";
