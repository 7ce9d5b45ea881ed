//! Writes the rows of a compared page: objects, their contents, the journal and the cursor.

use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::Session;
use super::session::Keeping;
use crate::object::StorageClass;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::decide::{self, Origin, Sight};
use crate::store::ident::Identity;
use crate::store::model::{ChangeKind, SkipReason};
use crate::store::run::RunContext;
use crate::store::sqlite::rows::{Cursor, Numbered};
use crate::store::sqlite::sql::{change_of, statements, was_shown};
use crate::store::turn::{Candidate, Difference, Page, Reach};

statements! {
    MOVE_CURSOR = "UPDATE range SET cursor = ?3, done = ?4 WHERE run_id = ?1 AND seq = ?2";

    WANT_OBJECT = "UPDATE object SET skip_reason = NULL WHERE id = ?1";

    INSERT_OBJECT = "
        INSERT INTO object (id, bucket_id, key, content_id, fingerprint, last_modified, storage_class, skip_reason,
                            first_run, changed_run)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, iif({shown}, {change}, NULL))",
        shown = was_shown("?4"), change = change_of("?9");

    INSERT_MISSING = "
        INSERT INTO object (id, bucket_id, key, fingerprint, first_run, gone_run) VALUES (?1, ?2, ?3, 0, ?4, ?4)";

    FIND_OBJECT = "SELECT id, content_id FROM object WHERE bucket_id = ?1 AND key = ?2";

    MARK_GONE = "
        UPDATE object SET gone_run = ?2, changed_run = iif({shown}, {change}, changed_run) WHERE id = ?1",
        shown = was_shown("object.content_id"), change = change_of("?2");

    UPDATE_OBJECT = "
        UPDATE object SET content_id = ?2, fingerprint = ?3, last_modified = ?4, storage_class = ?5, skip_reason = ?6,
               gone_run = NULL,
               changed_run = CASE
                   WHEN content_id IS ?2 AND last_modified IS ?4 AND gone_run IS NULL THEN changed_run
                   WHEN {before} OR {now} THEN {change}
                   ELSE changed_run END
        WHERE id = ?1",
        before = was_shown("object.content_id"), now = was_shown("?2"), change = change_of("?7");

    READ_ORIGIN = "
        SELECT object_id, scenes_done, state, tagged_at, error.content_id IS NOT NULL, failed_at
        FROM content LEFT JOIN error ON content_id = content.id WHERE content.id = ?1";

    INSERT_CHANGE = "INSERT INTO change (run_id, kind, object_id, content_id) VALUES (?1, ?2, ?3, ?4)";
}

impl Session {
    /// Applies a page: its rows and the cursor of its range. Returns true if contents were queued.
    pub(super) fn page(&mut self, page: &Page) -> Result<bool, Error> {
        if self.run.plan {
            self.keeping = Keeping::Simulates;
        }
        let queued = self.counts.queued;
        self.counts.listed += page.listed;
        self.counts.wanted += page.wanted;
        self.counts.rejected += page.rejected;
        for (reason, count) in &page.skipped {
            *self.counts.skipped.entry(reason.name().to_owned()).or_default() += count;
        }
        for difference in &page.differences {
            self.difference(difference)?;
        }
        self.reach(&page.reach)?;
        Ok(self.counts.queued > queued)
    }

    /// Moves the cursor of a range.
    pub(super) fn reach(&self, reach: &Reach) -> Result<(), Error> {
        let Reach { seq, progress, done } = reach;
        self.execute(&MOVE_CURSOR, (self.run.id, seq, Cursor::of(progress), done)).map(drop)
    }

    /// Applies one difference between the page and the store.
    fn difference(&mut self, difference: &Difference) -> Result<(), Error> {
        match *difference {
            Difference::New(ref candidate) => match self.seen_in_plan(&candidate.key)? {
                None => self.add_object(candidate),
                Some((object_id, content_id)) => {
                    self.rewrite(object_id, content_id, candidate, Sight::Unchanged).map(drop)
                }
            },
            Difference::Changed { object_id, content_id, returned, ref candidate } => {
                let sight = if returned { Sight::Returned } else { Sight::Changed };
                let now = self.rewrite(object_id, content_id, candidate, sight)?;
                if returned {
                    self.counts.added += 1;
                    // The journal gets the content that the object has now. If a key that is gone had the same content,
                    // the two entries become one: the content was moved here.
                    self.journal(ChangeKind::Added, object_id, now)
                } else {
                    self.counts.changed += 1;
                    self.journal(ChangeKind::Changed, object_id, content_id)
                }
            }
            Difference::Reconsider { object_id, content_id, ref candidate } => {
                self.rewrite(object_id, content_id, candidate, Sight::Unchanged).map(drop)
            }
            Difference::Named { object_id, content_id } => {
                self.count_went(object_id)?;
                self.execute(&WANT_OBJECT, [object_id])?;
                self.count_is_back(object_id)?;
                let content = self.content_by_id(content_id)?;
                self.want(&content, Sight::Unchanged)
            }
            Difference::Missing { ref key } => match self.seen_in_plan(key)? {
                None => self.add_missing(key),
                Some(_) => Ok(()),
            },
            Difference::Gone { object_id, content_id } => {
                if self.caches.held.is_active() {
                    self.caches.held.hold(object_id, content_id);
                    return Ok(());
                }
                self.gone(object_id, content_id)
            }
        }
    }

    /// Adds an object that the store has never seen.
    fn add_object(&mut self, candidate: &Candidate) -> Result<(), Error> {
        // The id is drawn before the row is written: a new content takes the id of the object that brings it.
        let object_id = self.next_number()?;
        let (content_id, made) = self.wanted_content(candidate, object_id, None, Sight::New)?;
        self.execute(
            &INSERT_OBJECT,
            (
                object_id,
                self.run.bucket_id,
                &candidate.key,
                content_id,
                candidate.fingerprint,
                candidate.last_modified,
                stored_class(&candidate.storage_class),
                candidate.skip.map(SkipReason::name),
                self.run.id,
            ),
        )?;
        self.count_came(self.counted(candidate, content_id), made)?;
        self.counts.added += 1;
        self.journal(ChangeKind::Added, object_id, content_id)
    }

    /// Adds the key of a list that the bucket does not have, as an object that is gone.
    fn add_missing(&mut self, key: &str) -> Result<(), Error> {
        let object_id = self.next_number()?;
        self.execute(&INSERT_MISSING, (object_id, self.run.bucket_id, key, self.run.id))?;
        self.count_gone(1);
        self.counts.gone += 1;
        self.journal(ChangeKind::Gone, object_id, None)
    }

    /// Finds the object that the plan of a list has made for this key. Returns its id and its content.
    ///
    /// A list may name a key twice, and readers do not see what a plan writes, since it is never committed.
    fn seen_in_plan(&self, key: &str) -> Result<Option<(i64, Option<i64>)>, Error> {
        if self.keeping != Keeping::Simulates || !self.run.list {
            return Ok(None);
        }
        self.prepare(&FIND_OBJECT)?
            .query_row((self.run.bucket_id, key), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(|source| self.error(source))
    }

    /// Marks an object as gone.
    fn gone(&mut self, object_id: i64, content_id: Option<i64>) -> Result<(), Error> {
        self.count_went(object_id)?;
        self.execute(&MARK_GONE, (object_id, self.run.id))?;
        self.counts.gone += 1;
        if let Some(content_id) = content_id {
            self.release_if_unwanted(content_id)?;
        }
        self.journal(ChangeKind::Gone, object_id, content_id)
    }

    /// Stops marking objects as gone before the listing is complete, because a trial may cut the listing short.
    pub fn hold_gone(&mut self) {
        self.caches.held.activate();
    }

    /// Marks the objects as gone that were held back, now that the listing is complete.
    pub(super) fn conclude_held(&mut self) -> Result<(), Error> {
        let objects = self.caches.held.conclude();
        let concluded = objects
            .iter()
            .try_for_each(|(object_id, content_id)| self.gone(*object_id, *content_id));
        self.caches.held.concluded(objects);
        concluded
    }

    /// Updates a known object to what was listed, and updates its old and its new content. Returns the new content.
    fn rewrite(
        &mut self,
        object_id: i64,
        old: Option<i64>,
        candidate: &Candidate,
        sight: Sight,
    ) -> Result<Option<i64>, Error> {
        let (new, made) = self.wanted_content(candidate, object_id, old, sight)?;
        self.count_rewritten(object_id, self.counted(candidate, new), made)?;
        self.execute(
            &UPDATE_OBJECT,
            (
                object_id,
                new,
                candidate.fingerprint,
                candidate.last_modified,
                stored_class(&candidate.storage_class),
                candidate.skip.map(SkipReason::name),
                self.run.id,
            ),
        )?;
        let Some(old) = old else { return Ok(new) };
        let keeps_content = new == Some(old);
        let is_skipped = candidate.skip.is_some();
        if !keeps_content || is_skipped {
            let content = self.content_by_id(old)?;
            let decided = decide::rewrite(&content, keeps_content, is_skipped);
            self.take_from(decided.take_from)?;
            if decided.overwritten_in_flight {
                self.caches.overwritten.insert(object_id);
            }
        }
        if sight != Sight::Unchanged
            && !keeps_content
            && self.origin(old)?.is_of_new_bytes(object_id, candidate.last_modified)
        {
            self.drop_labels(old)?;
        }
        self.release_if_unwanted(old)?;
        Ok(new)
    }

    /// Finds or creates the content of a candidate, and queues it if it needs a call. A skipped object keeps its
    /// content, and the labels of it, as long as its bytes do not change. Also returns whether the content is new.
    fn wanted_content(
        &mut self,
        candidate: &Candidate,
        object_id: i64,
        old: Option<i64>,
        sight: Sight,
    ) -> Result<(Option<i64>, bool), Error> {
        let run = Arc::clone(&self.run);
        let identity = identity(&run, candidate);
        if candidate.skip.is_some() {
            let Some(old) = old else { return Ok((None, false)) };
            let same = sight == Sight::Unchanged || self.content_of_bytes(old, identity)?.is_some();
            return Ok((same.then_some(old), false));
        }
        let may_be_shared = matches!(identity, Identity::Bytes { .. });
        // An object with the same bytes keeps its content. If deduplication was switched on or off since it got that
        // content, it keeps it only if the content has labels or was given up.
        if let Some(old) = old
            && let Some((content, is_shared)) = self.content_of_bytes(old, identity)?
            && (is_shared == may_be_shared || content.is_kept())
        {
            self.want(&content, sight)?;
            return Ok((Some(old), false));
        }
        let before = self.counts.queued;
        let content = self.content(identity, object_id, sight == Sight::New)?;
        // A content that was created just now is in the queue already.
        let is_new = self.counts.queued > before;
        if !is_new {
            self.want(&content, sight)?;
        }
        Ok((Some(content.id), is_new))
    }

    /// Reads where the labels or the failure of a content came from.
    fn origin(&self, content_id: i64) -> Result<Origin, Error> {
        self.prepare(&READ_ORIGIN)?
            .query_row([content_id], |row| {
                let Numbered(state) = row.get(2)?;
                Ok(Origin {
                    object_id: row.get(0)?,
                    done: Scenes::from_bits(row.get(1)?),
                    state,
                    tagged_at: row.get(3)?,
                    has_error: row.get(4)?,
                    failed_at: row.get(5)?,
                })
            })
            .map_err(|source| self.error(source))
    }

    /// Adds an entry to the journal, if the run keeps one.
    fn journal(
        &self,
        kind: ChangeKind,
        object_id: i64,
        content_id: Option<i64>,
    ) -> Result<(), Error> {
        if !self.run.journals {
            return Ok(());
        }
        self.execute(&INSERT_CHANGE, (self.run.id, kind.name(), object_id, content_id)).map(drop)
    }
}

/// The identity of a candidate's content in this run.
fn identity<'a>(run: &'a RunContext, candidate: &'a Candidate) -> Identity<'a> {
    let Candidate { key, etag, size, .. } = candidate;
    if run.urls {
        Identity::Url(key)
    } else if let (true, Some(etag), Some(size)) = (run.dedupe, etag, *size) {
        Identity::Bytes { etag, size }
    } else {
        Identity::Key { bucket: &run.bucket, key, etag: etag.as_ref(), size: *size }
    }
}

/// The storage class as it is stored. Most objects are `STANDARD`, which is stored as NULL and takes no space.
fn stored_class(class: &StorageClass) -> Option<&str> {
    (*class != StorageClass::Standard).then(|| class.name())
}
