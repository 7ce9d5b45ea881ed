//! A page of candidates, compared, becomes rows: objects, their contents, the journal and the cursor.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::content::Sight;
use super::{RunContext, SLACK, Session};
use crate::store::Error;
use crate::store::ident::Identity;
use crate::store::model::{ContentState, SkipReason};

/// One listed key, with what the run's filter says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The key, or the URL.
    pub key: String,
    /// Without quotes; empty if there is none.
    pub etag: String,
    /// In bytes; `None` if the service does not tell it.
    pub size: Option<i64>,
    /// Unix milliseconds.
    pub last_modified: Option<i64>,
    /// As listed; `STANDARD` is stored as NULL.
    pub storage_class: String,
    /// `None`: wanted.
    pub skip: Option<SkipReason>,
    /// See [`crate::store::ident::fingerprint`].
    pub fingerprint: i64,
}

/// What comparing a page with the store found for one key; keys found unchanged are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A key the store has never seen.
    New(Candidate),
    /// A known key with another fingerprint, or one that had been gone.
    Changed {
        /// `object.id`.
        object_id: i64,
        /// The content it had.
        content_id: Option<i64>,
        /// Whether it had been gone.
        returned: bool,
        /// As listed now.
        candidate: Candidate,
    },
    /// An unchanged object to be judged anew: settings differ, or its content waits for a run.
    Reconsider {
        /// `object.id`.
        object_id: i64,
        /// The content it has.
        content_id: Option<i64>,
        /// As listed now, with what the filter says now.
        candidate: Candidate,
    },
    /// A key of a list that the store knows as it is; wanted now, whatever a listing skipped it for.
    Listed {
        /// `object.id`.
        object_id: i64,
        /// The content it has.
        content_id: i64,
    },
    /// A key of a list that the bucket does not have.
    Missing {
        /// The key.
        key: String,
    },
    /// A known key that the page would have shown.
    Gone {
        /// `object.id`.
        object_id: i64,
        /// The content it had.
        content_id: Option<i64>,
    },
}

/// How far a page takes its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `range.seq`.
    pub seq: i64,
    /// Everything up to and including this key is in the store once the page is.
    pub cursor: String,
    /// Whether the range ends with this page.
    pub done: bool,
}

/// A compared page on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The range's progress, committed with the rows.
    pub reach: Reach,
    /// What is not as it was.
    pub differences: Vec<Difference>,
    /// Keys on the page.
    pub listed: u64,
    /// Keys on the page that are wanted.
    pub wanted: u64,
    /// Keys on the page that are skipped, by reason.
    pub skipped: Vec<(SkipReason, u64)>,
    /// Keys on the page that no request can carry.
    pub rejected: u64,
}

/// Objects that pages no longer have, until it is clear that the listing comes to its end.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By `object.id`: the content that it has.
    objects: BTreeMap<i64, Option<i64>>,
    /// Set once there were too many to remember: nothing is concluded by this run then.
    too_many: bool,
}

/// Objects held at most: memory must not grow with the bucket. The next run concludes what this one did not.
const HELD: usize = 100_000;

impl Held {
    fn hold(&mut self, object_id: i64, content_id: Option<i64>) {
        if self.objects.len() >= HELD {
            self.too_many = true;
            self.objects.clear();
        }
        if !self.too_many {
            self.objects.insert(object_id, content_id);
        }
    }

    /// Whether the object is known to be gone.
    pub(super) fn has(&self, object_id: i64) -> bool {
        self.objects.contains_key(&object_id)
    }
}

impl Session {
    /// Applies a page: its rows and its range's cursor. Returns whether contents were queued.
    ///
    /// # Errors
    /// Those of any write.
    pub fn page(&mut self, page: Page) -> Result<bool, Error> {
        self.simulates |= self.run.plan;
        let queued = self.counts.queued;
        self.counts.listed += page.listed;
        self.counts.wanted += page.wanted;
        self.counts.rejected += page.rejected;
        for (reason, count) in page.skipped {
            *self.counts.skipped.entry(reason.name().to_owned()).or_default() += count;
        }
        for difference in page.differences {
            self.difference(difference)?;
        }
        self.reach(&page.reach)?;
        Ok(self.counts.queued > queued)
    }

    /// Moves a range's cursor.
    pub(super) fn reach(&self, reach: &Reach) -> Result<(), Error> {
        let Reach { seq, cursor, done } = reach;
        self.execute(
            "UPDATE range SET cursor = ?3, done = ?4 WHERE run_id = ?1 AND seq = ?2",
            (self.run.id, seq, cursor, done),
        )
        .map(drop)
    }

    fn difference(&mut self, difference: Difference) -> Result<(), Error> {
        let Some(difference) = self.seen_before(difference)? else { return Ok(()) };
        match difference {
            Difference::New(candidate) => {
                // Known before the row is there: a new content names the object that brings it.
                let object_id = self.next_number()?;
                let content_id = self.wanted_content(&candidate, object_id, None, Sight::New)?;
                self.execute(
                    "INSERT INTO object (id, bucket_id, key, content_id, fingerprint, last_modified,
                            storage_class, skip_reason, first_run)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
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
                self.counts.added += 1;
                self.journal("added", object_id, content_id)
            }
            Difference::Changed { object_id, content_id, returned, candidate } => {
                let sight = if returned { Sight::Returned } else { Sight::Changed };
                let now = self.rewrite(object_id, content_id, &candidate, sight)?;
                if returned {
                    self.counts.added += 1;
                    // What it has now, not what it had: by that it may be where a gone key went.
                    self.journal("added", object_id, now)
                } else {
                    self.counts.changed += 1;
                    self.journal("changed", object_id, content_id)
                }
            }
            Difference::Reconsider { object_id, content_id, candidate } => {
                self.rewrite(object_id, content_id, &candidate, Sight::Unchanged).map(drop)
            }
            Difference::Listed { object_id, content_id } => {
                self.execute("UPDATE object SET skip_reason = NULL WHERE id = ?1", [object_id])?;
                let content = self.content_by_id(content_id)?;
                self.want(content, Sight::Unchanged)
            }
            Difference::Missing { key } => {
                let object_id = self.next_number()?;
                self.execute(
                    "INSERT INTO object (id, bucket_id, key, fingerprint, first_run, gone_run)
                     VALUES (?1, ?2, ?3, 0, ?4, ?4)",
                    (object_id, self.run.bucket_id, key, self.run.id),
                )?;
                self.counts.gone += 1;
                self.journal("gone", object_id, None)
            }
            Difference::Gone { object_id, content_id } => match &mut self.held {
                Some(held) => {
                    held.hold(object_id, content_id);
                    Ok(())
                }
                None => self.gone(object_id, content_id),
            },
        }
    }

    /// In a simulation, what a difference is to an object that the simulation has made. A list may name a key twice, and
    /// readers do not see what is never committed. `None`: nothing new.
    fn seen_before(&self, difference: Difference) -> Result<Option<Difference>, Error> {
        let key = match &difference {
            Difference::New(candidate) if self.simulates && self.run.list => &candidate.key,
            Difference::Missing { key } if self.simulates && self.run.list => key,
            _ => return Ok(Some(difference)),
        };
        let seen = self
            .prepare("SELECT id, content_id FROM object WHERE bucket_id = ?1 AND key = ?2")?
            .query_row((self.run.bucket_id, key), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(match (seen, difference) {
            (None, difference) => Some(difference),
            (Some((object_id, content_id)), Difference::New(candidate)) => {
                Some(Difference::Reconsider { object_id, content_id, candidate })
            }
            (Some(_), _) => None,
        })
    }

    /// An object is no longer there.
    fn gone(&mut self, object_id: i64, content_id: Option<i64>) -> Result<(), Error> {
        self.execute("UPDATE object SET gone_run = ?2 WHERE id = ?1", (object_id, self.run.id))?;
        self.counts.gone += 1;
        if let Some(content_id) = content_id {
            self.release_if_unwanted(content_id)?;
        }
        self.journal("gone", object_id, content_id)
    }

    /// From now on nothing is concluded to be gone before the listing is complete: a trial may cut it short.
    pub fn hold_gone(&mut self) {
        self.held = Some(Held::default());
    }

    /// The listing is complete: what its pages no longer had is gone.
    pub(super) fn conclude_held(&mut self) -> Result<(), Error> {
        let held = self.held.take().unwrap_or_default();
        held.objects
            .into_iter()
            .try_for_each(|(object_id, content_id)| self.gone(object_id, content_id))
    }

    /// Brings a known object up to what was listed, and its old and new content with it. Returns the new one.
    fn rewrite(
        &mut self,
        object_id: i64,
        old: Option<i64>,
        candidate: &Candidate,
        sight: Sight,
    ) -> Result<Option<i64>, Error> {
        let new = self.wanted_content(candidate, object_id, old, sight)?;
        self.execute(
            "UPDATE object SET content_id = ?2, fingerprint = ?3, last_modified = ?4,
                    storage_class = ?5, skip_reason = ?6, gone_run = NULL
             WHERE id = ?1",
            (
                object_id,
                new,
                candidate.fingerprint,
                candidate.last_modified,
                stored_class(&candidate.storage_class),
                candidate.skip.map(SkipReason::name),
            ),
        )?;
        let Some(old) = old else { return Ok(new) };
        if new != Some(old) || candidate.skip.is_some() {
            let content = self.content_by_id(old)?;
            match content.state {
                ContentState::Pending => self.take_from(content.run_id)?,
                ContentState::InFlight if new != Some(old) => {
                    self.overwritten.insert(object_id);
                }
                _ => {}
            }
        }
        if sight != Sight::Unchanged
            && new != Some(old)
            && (self.was_overwritten_before_call(old, object_id, candidate)?
                || self.was_given_up_by(old, object_id, candidate)?)
        {
            self.drop_labels(old)?;
        }
        self.release_if_unwanted(old)?;
        Ok(new)
    }

    /// The content of a candidate, queued if it needs a call. A skipped object keeps the content it has
    /// as long as it is that content still: its labels stay.
    fn wanted_content(
        &mut self,
        candidate: &Candidate,
        object_id: i64,
        old: Option<i64>,
        sight: Sight,
    ) -> Result<Option<i64>, Error> {
        let run = Arc::clone(&self.run);
        let identity = identity(&run, candidate);
        if candidate.skip.is_some() {
            let Some(old) = old else { return Ok(None) };
            let same = sight == Sight::Unchanged || self.content_of_bytes(old, identity)?.is_some();
            return Ok(same.then_some(old));
        }
        if let Some(old) = old
            && let Some((content, shared)) = self.content_of_bytes(old, identity)?
            && (shared == matches!(identity, Identity::Bytes { .. }) || content.is_kept())
        {
            self.want(content, sight)?;
            return Ok(Some(old));
        }
        let before = self.counts.queued;
        let content = self.content(identity, object_id)?;
        let made = self.counts.queued > before;
        if !made {
            self.want(content, sight)?;
        }
        Ok(Some(content.id))
    }

    /// Whether the labels of `content_id` came from a call of this key that ended after its bytes had
    /// become the candidate's: then they are labels of the candidate's bytes.
    fn was_overwritten_before_call(
        &self,
        content_id: i64,
        object_id: i64,
        candidate: &Candidate,
    ) -> Result<bool, Error> {
        let Some(overwritten) = candidate.last_modified else { return Ok(false) };
        self.prepare(
            "SELECT 1 FROM content
             WHERE id = ?1 AND (object_id = ?2 OR object_id IS NULL) AND scenes_done
               AND tagged_at >= ?3",
        )?
        .exists((content_id, object_id, overwritten.saturating_sub(SLACK).div_euclid(1000)))
        .map_err(|source| self.error(source))
    }

    /// Whether `content_id` has nothing but a failure, and that came from a call of this key which ended after its
    /// bytes had become the candidate's: then it is a failure of the candidate's bytes.
    fn was_given_up_by(
        &self,
        content_id: i64,
        object_id: i64,
        candidate: &Candidate,
    ) -> Result<bool, Error> {
        // Without a time on either side the bytes may have been others already.
        self.prepare(
            "SELECT 1 FROM content JOIN error ON content_id = content.id
             WHERE content.id = ?1 AND object_id = ?2 AND state = 3 AND NOT scenes_done
               AND (failed_at IS NULL OR ?3 IS NULL OR failed_at >= ?3)",
        )?
        .exists((content_id, object_id, candidate.last_modified.map(|at| at.saturating_sub(SLACK))))
        .map_err(|source| self.error(source))
    }

    fn journal(&self, kind: &str, object_id: i64, content_id: Option<i64>) -> Result<(), Error> {
        if !self.run.journals {
            return Ok(());
        }
        self.execute(
            "INSERT INTO change (run_id, kind, object_id, content_id) VALUES (?1, ?2, ?3, ?4)",
            (self.run.id, kind, object_id, content_id),
        )
        .map(drop)
    }
}

/// What makes this candidate's content the same as another's in this run.
fn identity<'a>(run: &'a RunContext, candidate: &'a Candidate) -> Identity<'a> {
    let Candidate { key, etag, size, .. } = candidate;
    if run.urls {
        Identity::Url(key)
    } else if let Some(size) = size.filter(|_| run.dedupe && !etag.is_empty()) {
        Identity::Bytes { etag, size }
    } else {
        Identity::Key { bucket: &run.bucket, key, etag, size: *size }
    }
}

/// The class as stored: most objects are `STANDARD`, which takes no byte.
fn stored_class(class: &str) -> Option<&str> {
    (!class.is_empty() && class != "STANDARD").then_some(class)
}
