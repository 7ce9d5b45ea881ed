//! What failed and why, one row for each object.

use rusqlite::Row;

use super::ReadTransaction;
use crate::store::Error;
use crate::store::read::Failure;
use crate::store::sqlite::Reader;
use crate::store::sqlite::sql::{DONE, FAILED, MISSING_LINE, has_content, statements};

/// The number of failed contents in a batch.
const BATCH: i64 = 500;

statements! {
    /// Selects failed contents in the order of the index `content_failed`, so that each batch begins where the last one
    /// ended. A failed content always has the run that settled it.
    CONTENTS = "
        SELECT error_kind, run_id, id FROM content
        WHERE state = {FAILED} AND (error_kind, run_id, id) > (?1, ?2, ?3)
        ORDER BY error_kind, run_id, id LIMIT ?4";

    OBJECTS = "
        SELECT bucket.name, object.key, error.code, error.status, error.message, error.request_id,
               content.attempts, content.run_id
        FROM content
        JOIN object ON {has_content}
        JOIN bucket ON bucket.id = object.bucket_id
        LEFT JOIN error ON error.content_id = content.id
        WHERE content.id = ?1 AND object.gone_run IS NULL AND object.skip_reason IS NULL
        ORDER BY bucket.name, object.key", has_content = has_content("content.id");

    LINES = "
        SELECT bucket.name, item, code, status, message, request_id, 0, line_failure.run_id, bucket.id
        FROM bucket JOIN {failed_lines} AND line_failure.bucket_id = bucket.id
            AND (bucket.id, item) > (?1, ?2)
        ORDER BY bucket.id, item LIMIT ?3", failed_lines = failed_lines();
}

/// The lines of lists that ended without a call, except those that a later run has made up for: it has found the key
/// that was missing, or labelled the image that could not be looked up.
pub(super) fn failed_lines() -> String {
    format!(
        "line_failure
         LEFT JOIN object ON object.bucket_id = line_failure.bucket_id AND key = item AND gone_run IS NULL
         LEFT JOIN content ON content.id = content_id
             AND content.state = {DONE} AND scenes_done AND tagged_at >= failed_at
         WHERE (verdict <> '{MISSING_LINE}' OR object.id IS NULL) AND content.id IS NULL"
    )
}

fn failure(row: &Row<'_>) -> rusqlite::Result<Failure> {
    Ok(Failure {
        bucket: row.get(0)?,
        key: row.get(1)?,
        code: row.get(2)?,
        http_status: row.get(3)?,
        message: row.get(4)?,
        request_id: row.get(5)?,
        attempts: row.get(6)?,
        run_id: row.get(7)?,
    })
}

type Position = (i64, i64, i64);

impl Reader {
    /// Hands every failure to `each`: first those of images, the final ones before the temporary ones, by run; then
    /// lines of lists that ended without a call. Stops at the first error.
    ///
    /// Memory is that of a batch, and no read is open while `each` is at work.
    pub fn failures<E: From<Error>>(
        &self,
        mut each: impl FnMut(&Failure) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut position: Position = (-1, -1, -1);
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let next =
                self.failure_batch(position, &mut batch).map_err(|source| self.error(source))?;
            self.unchanged()?;
            for failure in &batch {
                each(failure)?;
            }
            match next {
                Some(next) => position = next,
                None => return self.line_failures(each),
            }
        }
    }

    fn line_failures<E: From<Error>>(
        &self,
        mut each: impl FnMut(&Failure) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = (0_i64, String::new());
        loop {
            let read = || {
                let mut statement = self.connection.prepare_cached(&LINES)?;
                let rows = statement.query_map((after.0, &after.1, BATCH), |row| {
                    Ok((row.get::<_, i64>(8)?, failure(row)?))
                })?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            };
            let batch = read().map_err(|source| self.error(source))?;
            let Some((bucket_id, last)) = batch.last() else { return Ok(()) };
            after = (*bucket_id, last.key.clone());
            for (_, failure) in &batch {
                each(failure)?;
            }
        }
    }

    fn failure_batch(
        &self,
        after: Position,
        batch: &mut Vec<Failure>,
    ) -> rusqlite::Result<Option<Position>> {
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        let mut contents = self.connection.prepare_cached(&CONTENTS)?;
        let mut objects = self.connection.prepare_cached(&OBJECTS)?;
        let mut rows = contents.query((after.0, after.1, after.2, BATCH))?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            let position: Position = (row.get(0)?, row.get(1)?, row.get(2)?);
            last = Some(position);
            for found in objects.query_map([position.2], failure)? {
                batch.push(found?);
            }
        }
        Ok(last)
    }
}
