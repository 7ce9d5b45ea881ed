//! The journal of a run: what its listing found different from the listing before it.

use rusqlite::Row;

use super::ReadTransaction;
use crate::store::Error;
use crate::store::read::Change;
use crate::store::sqlite::Reader;
use crate::store::sqlite::rows::{Named, Size, StoredEtag};

/// The number of rows in a batch.
const BATCH: i64 = 1_000;

const CHANGES: &str = "
    SELECT change.id, change.run_id, change.kind, bucket.name, object.key, origin.key,
           content.etag, content.size
    FROM change
    JOIN object ON object.id = change.object_id
    JOIN bucket ON bucket.id = object.bucket_id
    LEFT JOIN object AS origin ON origin.id = change.from_object_id
    LEFT JOIN content ON content.id = change.content_id
    WHERE change.run_id = ?1 AND change.id > ?2
    ORDER BY change.id LIMIT ?3";

/// Reads the columns of [`CHANGES`]: the id of the entry, and the entry.
fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Change)> {
    let StoredEtag(etag) = row.get(6)?;
    let Named(kind) = row.get(2)?;
    let change = Change {
        run_id: row.get(1)?,
        kind,
        bucket: row.get(3)?,
        key: row.get(4)?,
        from_key: row.get(5)?,
        etag,
        size: row.get::<_, Option<Size>>(7)?.map(|Size(size)| size),
    };
    Ok((row.get(0)?, change))
}

impl Reader {
    /// Hands every journal entry of a run to `each`, in the order in which they were found. Stops at the first error.
    ///
    /// Memory is that of a batch, and no read is open while `each` is at work.
    pub fn changes<E: From<Error>>(
        &self,
        run_id: i64,
        mut each: impl FnMut(&Change) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = 0;
        loop {
            let batch =
                self.change_batch(run_id, after).map_err(|source| E::from(self.error(source)))?;
            self.unchanged()?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            after = *last;
            for (_, change) in &batch {
                each(change)?;
            }
        }
    }

    fn change_batch(&self, run_id: i64, after: i64) -> rusqlite::Result<Vec<(i64, Change)>> {
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        self.connection.prepare_cached(CHANGES)?.query_map((run_id, after, BATCH), read)?.collect()
    }
}
