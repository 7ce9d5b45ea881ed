//! The key by which a content is called.

use rusqlite::OptionalExtension;

use super::Session;
use crate::store::Error;
use crate::store::keyspace::prefix_end;
use crate::store::sqlite::sql::{has_content, statements};
use crate::store::turn::Key;

/// The largest number of keys of a content that are searched for one that the listing has reached.
const OTHER_KEYS: usize = 100;

statements! {
    /// Finds a row if the listing of the run `?2` has reached the object `?1`.
    JUDGED = "
        SELECT 1 FROM object JOIN range ON run_id = ?2 AND start_after < key AND (done OR cursor >= key)
             AND (stop_at IS NULL OR stop_at >= key)
        WHERE object.id = ?1";

    /// Selects a present, wanted key of the content `?1`, after the first `?5` of them. The scope is bucket `?2` and the
    /// keys from `?3` to before `?4`.
    KEY_IN_SCOPE = "
        SELECT id, key FROM object
        WHERE {has_content} AND +bucket_id = ?2 AND gone_run IS NULL AND skip_reason IS NULL
          AND +key >= ?3 AND (?4 IS NULL OR +key < ?4)
        LIMIT 1 OFFSET ?5", has_content = has_content("?1");

    /// Selects a key of the content `?2` that the run `?1` has looked up and found, after the first `?3` of them.
    LOOKED_UP_KEY = "
        SELECT object.id, key FROM looked_up JOIN object ON object.id = object_id
        WHERE run_id = ?1 AND looked_up.content_id = ?2 AND object.content_id = ?2
          AND gone_run IS NULL AND skip_reason IS NULL
        LIMIT 1 OFFSET ?3";
}

impl Session {
    /// Returns the key if the listing of this run has reached it. Otherwise returns another key of the content that
    /// the listing has reached, if there is one, since the filter may leave the first key out.
    pub(super) fn judged_key(&self, content_id: i64, key: Key) -> Result<Key, Error> {
        if self.listed || self.run.list {
            return Ok(key);
        }
        let mut judged = self.prepare(&JUDGED)?;
        let mut is_judged = |key: &Key| {
            judged.exists((key.object_id, self.run.id)).map_err(|source| self.error(source))
        };
        if is_judged(&key)? {
            return Ok(key);
        }
        let mut unjudged = vec![key.object_id];
        while unjudged.len() < OTHER_KEYS
            && let Some(other) = self.key_of(content_id, &unjudged)?
        {
            if is_judged(&other)? {
                return Ok(other);
            }
            unjudged.push(other.object_id);
        }
        Ok(key)
    }

    /// Returns true if the listing of this run no longer has the object, although the object is not marked as gone
    /// yet.
    pub(super) fn is_held(&self, object_id: i64) -> bool {
        self.caches.held.has(object_id)
    }

    /// Finds a present, wanted key of the content in the bucket and the scope of this run, other than those in
    /// `tried`. The scope of a run over a list of keys is the keys that it has looked up.
    pub(super) fn key_of(&self, content_id: i64, tried: &[i64]) -> Result<Option<Key>, Error> {
        if self.run.calls_looked_up_keys() {
            return self.looked_up_key(content_id, tried);
        }
        // An empty prefix has no end. Neither has a prefix that consists of the highest code point only.
        let end = prefix_end(&self.run.prefix);
        let mut statement = self.prepare(&KEY_IN_SCOPE)?;
        // `tried` is short, since each key in it cost a call. If more than a hundred keys are held back as gone, the
        // content waits for the next run.
        let held = if self.caches.held.is_active() { 100 } else { 0 };
        for offset in 0..=tried.len() + held {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            let found = statement
                .query_row(
                    (content_id, self.run.bucket_id, &self.run.prefix, &end, offset),
                    |row| Ok(Key { object_id: row.get(0)?, key: row.get(1)? }),
                )
                .optional()
                .map_err(|source| self.error(source))?;
            match found {
                Some(key) if tried.contains(&key.object_id) || self.is_held(key.object_id) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }

    /// Finds a key of the list for a content that this run has looked up and that had these bytes then, other than
    /// those in `tried`.
    pub(super) fn looked_up_key(
        &self,
        content_id: i64,
        tried: &[i64],
    ) -> Result<Option<Key>, Error> {
        let mut statement = self.prepare(&LOOKED_UP_KEY)?;
        for offset in 0..=tried.len() {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            let found = statement
                .query_row((self.run.id, content_id, offset), |row| {
                    Ok(Key { object_id: row.get(0)?, key: row.get(1)? })
                })
                .optional()
                .map_err(|source| self.error(source))?;
            match found {
                Some(key) if tried.contains(&key.object_id) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }
}
