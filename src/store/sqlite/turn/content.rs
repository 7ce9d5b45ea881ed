//! Finds or creates contents by their identity, queues them when a run wants them, and releases them when no object
//! wants them any longer.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row};

use super::Session;
use super::identities::Found;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::decide::{self, ContentFacts, Dropped, Sight, Want};
use crate::store::ident::Identity;
use crate::store::keyspace::prefix_end;
use crate::store::model::{ContentState, ErrorVerdict};
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::{EtagColumn, LabelId, Numbered, Size, StoredEtag};
use crate::store::sqlite::sql::{
    DONE, FAILED, PENDING, TEMPORARY, change_of, has_content, lacks, statements,
};
use crate::time::UnixMillis;

/// The columns of [`ContentFacts`].
const COLUMNS: &str = "id, scenes_done, scenes_redo, state, run_id, error_kind";

/// Reads [`COLUMNS`].
fn read(row: &Row<'_>) -> rusqlite::Result<ContentFacts> {
    let Numbered(state) = row.get(3)?;
    let Numbered(error) = row.get(5)?;
    Ok(ContentFacts {
        id: row.get(0)?,
        done: Scenes::from_bits(row.get(1)?),
        redo: Scenes::from_bits(row.get(2)?),
        state,
        run_id: row.get(4)?,
        error,
    })
}

statements! {
    /// Selects a content with its identity.
    READ_IDENTITY = "SELECT {COLUMNS}, identity, etag, size FROM content WHERE id = ?1";

    INSERT = "
        INSERT INTO content (id, identity, etag, size, scenes_wanted, state, run_id, object_id, tagged_at)
        VALUES (?1, ?2, ?3, ?4, ?5, {PENDING}, ?6, ?7, ?8)";

    EXISTS = "SELECT 1 FROM content WHERE id = ?1";

    NEXT_NUMBER = "
        SELECT 1 + max((SELECT coalesce(max(id), 0) FROM object), (SELECT coalesce(max(id), 0) FROM content))";

    READ = "SELECT {COLUMNS} FROM content WHERE id = ?1";

    /// Does what [`READ`] does, if the content has these bytes. If the size `?3` is not known, the `ETag` alone decides.
    READ_BYTES = "
        SELECT {COLUMNS}, identity IS NULL FROM content
        WHERE id = ?1 AND etag IS ?2 AND (size IS ?3 OR ?3 IS NULL)";

    /// Puts the content `?1` into the queue of the run `?2` with its scenes `?3`. A temporary error stays noted.
    QUEUE = "
        UPDATE content SET state = {PENDING}, run_id = ?2, scenes_wanted = scenes_done | ?3, pass = 0, attempts = 0,
               error_kind = error_kind & {TEMPORARY}
        WHERE id = ?1";

    READ_VERDICT = "SELECT verdict FROM error WHERE content_id = ?1";

    FAIL_AGAIN = "
        UPDATE content SET state = {FAILED}, scenes_wanted = scenes_done | ?3, run_id = ?2 WHERE id = ?1";

    /// Finds a row if a present object wants the content `?1`.
    pub(super) IS_WANTED = "
        SELECT 1 FROM object WHERE {has_content} AND gone_run IS NULL AND skip_reason IS NULL",
        has_content = has_content("?1");

    SETTLE_AS_DONE = "
        UPDATE content SET state = {DONE}, scenes_wanted = scenes_done, run_id = NULL WHERE id = ?1";

    DELETE_LABELS = "DELETE FROM label WHERE id BETWEEN ?1 AND ?2";

    FORGET_ANSWER = "
        UPDATE content SET scenes_done = 0, tagged_at = NULL, error_kind = 0,
               labels_run = iif(scenes_done, {change}, labels_run)
        WHERE id = ?1", change = change_of("?2");

    WANT_SCENES = "UPDATE content SET scenes_wanted = ?2 WHERE id = ?1";

    /// Puts a content into the queue of no run.
    LET_WAIT = "
        UPDATE content SET state = {PENDING}, pass = 0, attempts = 0, run_id = NULL WHERE id = ?1";

    /// Adopts contents for the run `?1` and its scenes `?2`, if they wait for no run and are wanted in the scope.
    ADOPT = "{adopt} AND {wanted}", adopt = adopt(), wanted = wanted_in_scope();

    /// Does what [`ADOPT`] does for the lines of a list.
    ADOPT_LISTED = "{adopt} AND id IN ({listed})", adopt = adopt(), listed = wanted_of_list();

    /// Finds a content that waits for the run `?1`, or that the run should have called.
    LEFT_BEHIND = "
        SELECT 1 FROM content INDEXED BY content_queue
        WHERE state = {PENDING} AND (run_id = ?1 OR {lacks} AND {wanted})
        LIMIT 1", lacks = lacks("?2"), wanted = wanted_in_scope();

    /// Does what [`LEFT_BEHIND`] does for the lines of a list.
    LEFT_BEHIND_OF_LIST = "
        SELECT 1 FROM content INDEXED BY content_queue
        WHERE state = {PENDING} AND (run_id = ?1 OR {lacks} AND id IN ({listed}))
        LIMIT 1", lacks = lacks("?2"), listed = wanted_of_list();
}

/// Adopts contents that wait for no run. The caller appends which ones.
fn adopt() -> String {
    format!(
        "UPDATE content SET run_id = ?1, scenes_wanted = scenes_done | ?2, pass = 0, attempts = 0
         WHERE state = {PENDING} AND run_id IS NULL AND {}",
        lacks("?2")
    )
}

/// The condition that a present object in the scope wants `content`. The scope is bucket `?3` and the keys from `?4` to
/// before `?5`.
fn wanted_in_scope() -> String {
    format!(
        "EXISTS (SELECT 1 FROM object
                 WHERE {} AND +bucket_id = ?3 AND gone_run IS NULL AND skip_reason IS NULL
                   AND +key >= ?4 AND (?5 IS NULL OR +key < ?5))",
        has_content("content.id")
    )
}

/// Selects the contents of the lines of the list of the run `?1` in the bucket `?3`: of URLs if `?4` is true, otherwise
/// of keys, which must have been looked up.
fn wanted_of_list() -> &'static str {
    "SELECT content_id FROM list_item JOIN object ON bucket_id = ?3 AND key = item
     WHERE list_item.run_id = ?1 AND gone_run IS NULL AND skip_reason IS NULL
       AND (?4 OR (list_item.run_id, content_id, object.id) IN (
           SELECT run_id, content_id, object_id FROM looked_up))"
}

impl Session {
    /// Finds the content of this identity, or creates it in the queue of this run.
    ///
    /// `object_id` is the object that has the content. `is_new` tells that its number was just drawn.
    pub(super) fn content(
        &mut self,
        identity: Identity<'_>,
        object_id: i64,
        is_new: bool,
    ) -> Result<ContentFacts, Error> {
        let (etag, size) = identity.etag_and_size();
        let hash = match self.identities(|identities, connection| {
            identities.find(connection, identity.hash(), |id| {
                connection
                    .prepare_cached(&READ_IDENTITY)?
                    .query_row([id], |row| {
                        let same = row.get::<_, Option<String>>(6)? == identity.text()
                            && row.get::<_, StoredEtag>(7)?.0.as_ref() == etag
                            && row.get::<_, Option<Size>>(8)? == size.map(Size);
                        if same { read(row).map(Some) } else { Ok(None) }
                    })
                    .optional()
                    .map(Option::flatten)
            })
        })? {
            Found::Content(content) => return Ok(content),
            Found::Free(hash) => hash,
        };
        let (id, is_last) = self.id_of_new_content(object_id, is_new)?;
        self.execute(
            &INSERT,
            (
                id,
                identity.text(),
                etag.map(EtagColumn),
                size.map(Size),
                self.run.scenes.bits(),
                self.run.id,
                object_id,
                // Milliseconds take two bytes more than seconds do, and the answer makes the rest of the row two bytes
                // longer. So the row keeps its length when the answer replaces this number, and its page is not split.
                UnixMillis::now(),
            ),
        )?;
        self.identities(|identities, connection| identities.add(connection, hash, id, is_last))?;
        self.counts.queued += 1;
        // The row is pending for this run already, so wanting the content writes nothing more.
        Ok(ContentFacts {
            id,
            done: Scenes::NONE,
            redo: Scenes::NONE,
            state: ContentState::Pending,
            run_id: Some(self.run.id),
            error: None,
        })
    }

    /// Returns an id for a new content: the id of the object that introduces it, unless a content has that id already.
    /// An object that shares the id of its content needs no entry in the index of objects by content. Also returns
    /// whether the id is greater than that of any other content.
    fn id_of_new_content(&mut self, object_id: i64, is_new: bool) -> Result<(i64, bool), Error> {
        if is_new {
            return Ok((object_id, true));
        }
        let taken =
            self.prepare(&EXISTS)?.exists([object_id]).map_err(|source| self.error(source))?;
        if taken { Ok((self.next_number()?, true)) } else { Ok((object_id, false)) }
    }

    /// The next free id. Objects and contents are numbered in one sequence.
    pub(super) fn next_number(&mut self) -> Result<i64, Error> {
        let Self { caches, store, .. } = self;
        caches.numbers.take(|| {
            store
                .connection
                .query_row(&NEXT_NUMBER, [], |row| row.get(0))
                .map_err(|source| sorted(&store.path, source))
        })
    }

    /// The row of a content that an object refers to.
    pub(super) fn content_by_id(&self, id: i64) -> Result<ContentFacts, Error> {
        self.prepare(&READ)?.query_row([id], read).map_err(|source| self.error(source))
    }

    /// Reads the content that an object has, if it has these bytes, and whether other keys may share it. If the size
    /// is not known, the `ETag` alone decides.
    pub(super) fn content_of_bytes(
        &self,
        id: i64,
        identity: Identity<'_>,
    ) -> Result<Option<(ContentFacts, bool)>, Error> {
        let (etag, size) = identity.etag_and_size();
        self.prepare(&READ_BYTES)?
            .query_row((id, etag.map(EtagColumn), size.map(Size)), |row| {
                Ok((read(row)?, row.get(6)?))
            })
            .optional()
            .map_err(|source| self.error(source))
    }

    /// Notes that this run wants the content with the scenes of the run. Queues it if a scene is missing, or was asked
    /// for again.
    ///
    /// `sight` says how its object was found.
    pub(super) fn want(&mut self, content: &ContentFacts, sight: Sight) -> Result<(), Error> {
        let want = decide::want(content, self.asker(), sight, || self.is_archived(content.id))?;
        match want {
            Want::Leave => Ok(()),
            Want::Finish { take_from } => {
                self.take_from(take_from)?;
                self.counting_anew(content.id, |session| session.settle_as_done(content.id))
            }
            Want::FailAgain => {
                self.counting_anew(content.id, |session| session.fail_again(content.id))
            }
            Want::Queue { take_from, was_own_failure } => {
                self.take_from(take_from)?;
                if was_own_failure {
                    // The content is counted among the queued ones already.
                    self.counts.failed = self.counts.failed.saturating_sub(1);
                } else {
                    self.counts.queued += 1;
                }
                let queue = |session: &mut Self| {
                    let (run_id, scenes) = (session.run.id, session.run.scenes.bits());
                    session.execute(&QUEUE, (content.id, run_id, scenes)).map(drop)
                };
                // Only whether a content has failed makes a difference to the counts.
                if content.state == ContentState::Failed {
                    self.counting_anew(content.id, queue)
                } else {
                    queue(self)
                }
            }
        }
    }

    /// Returns true if the last error of the content says that its object is in an archive class.
    fn is_archived(&self, content_id: i64) -> Result<bool, Error> {
        let verdict: Option<String> = self
            .prepare(&READ_VERDICT)?
            .query_row([content_id], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(verdict.as_deref() == Some(ErrorVerdict::Archived.name()))
    }

    /// Marks a done content as failed. It was given up for a scene that no later run wanted, so it counted as done;
    /// this run wants such a scene again.
    fn fail_again(&self, content_id: i64) -> Result<(), Error> {
        self.execute(&FAIL_AGAIN, (content_id, self.run.id, self.run.scenes.bits())).map(drop)
    }

    /// Takes a pending content out of the queue if no present object wants it any longer.
    pub(super) fn release_if_unwanted(&mut self, content_id: i64) -> Result<(), Error> {
        let content = self.content_by_id(content_id)?;
        if decide::leaves_queue(&content, || self.is_wanted(content_id))? {
            self.counts.left += u64::from(content.run_id == Some(self.run.id));
            self.settle_as_done(content_id)?;
        }
        Ok(())
    }

    /// Returns true if a present object wants the content.
    pub(super) fn is_wanted(&self, content_id: i64) -> Result<bool, Error> {
        self.prepare(&IS_WANTED)?.exists([content_id]).map_err(|source| self.error(source))
    }

    /// Marks a content as done with the labels that it has, if any. Scenes that were asked for again stay noted, and
    /// are called once an object wants the content.
    pub(super) fn settle_as_done(&self, content_id: i64) -> Result<(), Error> {
        self.execute(&SETTLE_AS_DONE, [content_id]).map(drop)
    }

    /// Drops labels, or a failure, that belong to other bytes.
    ///
    /// A content in the queue of this run stays there. Any other one waits for no run, and a run whose filter wants an
    /// object that has it adopts it: see [`Session::adopt_waiting`].
    pub(super) fn drop_labels(&mut self, content_id: i64) -> Result<(), Error> {
        self.counting_anew(content_id, |session| session.forget_labels(content_id))
    }

    fn forget_labels(&mut self, content_id: i64) -> Result<(), Error> {
        let content = self.content_by_id(content_id)?;
        let labels = LabelId::of_content(content_id);
        self.execute(&DELETE_LABELS, (labels.start(), labels.end()))?;
        self.execute(&FORGET_ANSWER, [content_id, self.run.id])?;
        match decide::drop_labels(&content, self.run.id, || self.is_wanted(content_id))? {
            // The dropped scenes are wanted again by this run only if it asks for them.
            Dropped::StaysQueued => {
                self.execute(&WANT_SCENES, (content_id, self.run.scenes.bits())).map(drop)
            }
            Dropped::Waits { take_from } => {
                self.take_from(take_from)?;
                self.execute(&LET_WAIT, [content_id]).map(drop)
            }
            Dropped::Finish { take_from } => {
                self.take_from(take_from)?;
                self.settle_as_done(content_id)
            }
        }
    }

    /// Puts pending contents that belong to no run into the queue of this run, if a present object in its scope wants
    /// them. Returns true if there were any.
    ///
    /// This is called once everything is listed, because the filter of the run has judged every object of the scope
    /// then.
    pub(super) fn adopt_waiting(&mut self) -> Result<bool, Error> {
        let run = Arc::clone(&self.run);
        let adopted = if run.list {
            self.execute(&ADOPT_LISTED, (run.id, run.scenes.bits(), run.bucket_id, run.urls))?
        } else {
            let end = prefix_end(&run.prefix);
            let bounds = (run.id, run.scenes.bits(), run.bucket_id, &run.prefix, end);
            self.execute(&ADOPT, bounds)?
        };
        self.counts.queued += adopted as u64;
        Ok(adopted > 0)
    }

    /// Returns true if this run leaves a content behind that it should have called. That is a pending content of this
    /// run, or a pending content of any run that lacks a scene which this run wants, or that was asked for again, if a
    /// present object in the scope wants it.
    pub fn leaves_behind(&self) -> Result<bool, Error> {
        let run = &self.run;
        if run.list {
            return self
                .prepare(&LEFT_BEHIND_OF_LIST)?
                .exists((run.id, run.scenes.bits(), run.bucket_id, run.urls))
                .map_err(|source| self.error(source));
        }
        let end = prefix_end(&run.prefix);
        self.prepare(&LEFT_BEHIND)?
            .exists((run.id, run.scenes.bits(), run.bucket_id, &run.prefix, end))
            .map_err(|source| self.error(source))
    }
}
