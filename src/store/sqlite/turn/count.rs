//! Where a session tells the kept counts what changes. A plan changes nothing, so it counts nothing. Counts that are
//! damaged end no turn: see [`super::counting::Counting::part`].

use super::Session;
use super::counting::{Counted, read_object};
use super::session::Keeping;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::sqlite::count::Found;
use crate::store::turn::Candidate;

impl Session {
    fn keeps_counts(&self) -> bool {
        self.keeping == Keeping::Commits && self.store.keeps_counts.get()
    }

    /// A candidate as an object that has this content now.
    pub(super) fn counted<'c>(
        &self,
        candidate: &'c Candidate,
        content_id: Option<i64>,
    ) -> Counted<'c> {
        Counted {
            bucket_id: self.run.bucket_id,
            key: &candidate.key,
            content_id,
            last_modified: candidate.last_modified,
            skipped: candidate.skip.is_some(),
        }
    }

    /// Counts a new object. `made` is true if its content was made for it.
    pub(super) fn count_came(&mut self, object: Counted<'_>, made: bool) -> Result<(), Error> {
        if !self.keeps_counts() {
            return Ok(());
        }
        let Self { caches, store, .. } = self;
        let connection = &store.connection;
        let counted = caches.counting.part(|counting| counting.object(connection, object, 1, made));
        counted.map(drop).map_err(|source| self.error(source))
    }

    /// Counts objects that are gone.
    pub(super) fn count_gone(&mut self, by: i64) {
        if self.keeps_counts() {
            self.caches.counting.gone(by);
        }
    }

    /// Takes an object out of the counts that is about to change, or to be marked as gone.
    pub(super) fn count_went(&mut self, object_id: i64) -> Result<(), Error> {
        self.count_by_row(object_id, -1)
    }

    /// Puts an object back into the counts that [`Session::count_went`] took out.
    pub(super) fn count_is_back(&mut self, object_id: i64) -> Result<(), Error> {
        self.count_by_row(object_id, 1)
    }

    fn count_by_row(&mut self, object_id: i64, by: i64) -> Result<(), Error> {
        if !self.keeps_counts() {
            return Ok(());
        }
        let Self { caches, store, .. } = self;
        let connection = &store.connection;
        let counted = caches.counting.part(|counting| {
            read_object(connection, object_id, |object| {
                counting.gone(-by);
                counting.object(connection, object, by, false)
            })
        });
        counted.map(drop).map_err(|source| self.error(source))
    }

    /// Counts that an object is about to be what `now` says. `made` is true if its content was made for it.
    pub(super) fn count_rewritten(
        &mut self,
        object_id: i64,
        now: Counted<'_>,
        made: bool,
    ) -> Result<(), Error> {
        if !self.keeps_counts() {
            return Ok(());
        }
        let Self { caches, store, .. } = self;
        let connection = &store.connection;
        let counted = caches.counting.part(|counting| {
            let stays = read_object(connection, object_id, |before| {
                let stays =
                    Counted { last_modified: now.last_modified, key: now.key, ..before } == now;
                if !stays {
                    counting.object(connection, before, -1, false)?;
                } else if !now.skipped {
                    counting.time(before.last_modified, now.last_modified);
                }
                Ok(stays)
            })?;
            match stays {
                Some(true) => Ok(()),
                Some(false) => counting.object(connection, now, 1, made),
                None => {
                    counting.gone(-1);
                    counting.object(connection, now, 1, made)
                }
            }
        });
        counted.map(drop).map_err(|source| self.error(source))
    }

    /// Makes a change of a content: of its labels, of the scenes that are done, or of whether it has failed. Counts the
    /// content anew.
    pub(super) fn counting_anew<T>(
        &mut self,
        content_id: i64,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !self.keeps_counts() || self.caches.counting.open.is_some() {
            return change(self);
        }
        let Self { caches, store, .. } = self;
        let connection = &store.connection;
        let before = caches.counting.part(|counting| counting.before(connection, content_id));
        let Some(before) = before.map_err(|source| self.error(source))? else {
            return change(self);
        };
        self.caches.counting.open = Some(content_id);
        let changed = change(self)?;
        let Self { caches, store, .. } = self;
        caches.counting.open = None;
        let connection = &store.connection;
        let after = caches.counting.part(|counting| counting.after(connection, content_id, before));
        after.map_err(|source| self.error(source))?;
        Ok(changed)
    }

    /// Notes a content that was claimed, if nothing has to be read to count its result: it has no label, and one object
    /// has it, the one with this key.
    pub(super) fn note_claimed(
        &mut self,
        content_id: i64,
        key: &str,
        is_simple: bool,
    ) -> Result<(), Error> {
        if !is_simple || !self.keeps_counts() {
            return Ok(());
        }
        let Self { caches, store, run, .. } = self;
        let (connection, bucket_id) = (&store.connection, run.bucket_id);
        let noted = caches
            .counting
            .part(|counting| counting.note_simple(connection, content_id, bucket_id, key));
        noted.map(drop).map_err(|source| self.error(source))
    }

    /// Makes the change of a content in flight whose result is `failed`, or these scenes and labels.
    pub(super) fn counting_result<T>(
        &mut self,
        content_id: i64,
        failed: bool,
        done: Scenes,
        labels: &mut [Found],
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(place) = self.caches.counting.take_simple(content_id) else {
            return self.counting_anew(content_id, change);
        };
        let changed = change(self)?;
        let Self { caches, store, .. } = self;
        let connection = &store.connection;
        let given = caches
            .counting
            .part(|counting| counting.give_simple(connection, place, failed, done, labels));
        given.map_err(|source| self.error(source))?;
        Ok(changed)
    }

    /// Stores what the turn has changed about the counts.
    pub(super) fn store_counts(&mut self) -> Result<(), Error> {
        if !self.keeps_counts() {
            return Ok(());
        }
        let Self { caches, store, .. } = self;
        let stored = caches.counting.store(&store.connection);
        stored.map_err(|source| self.error(source))
    }

    /// The turn is committed. Returns why the counts are not kept any more, if that is to be told.
    pub(super) fn uncounted(&mut self) -> Option<String> {
        let damage = self.caches.counting.take_damage();
        if damage.is_some() {
            self.store.keeps_counts.set(false);
        }
        damage.or_else(|| self.store.uncounted.take())
    }
}
