//! The journal of a run: what its listing found different from the one before.

use rusqlite::Row;

use super::Snapshot;
use crate::object::ETag;
use crate::store::Error;
use crate::store::model::ChangeKind;
use crate::store::sqlite::Reader;
use crate::store::sqlite::rows::StoredEtag;

/// Rows read at a time.
const BATCH: i64 = 1_000;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The run whose listing found it.
    pub run_id: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// The bucket's name.
    pub bucket: String,
    /// The key; of what moved, the new one.
    pub key: String,
    /// Of what moved: the key it had.
    pub from_key: Option<String>,
    /// The content's `ETag`; of what changed, that of the content it had before. None: never wanted, or none told.
    pub etag: Option<ETag>,
    /// Bytes of the same content.
    pub size: Option<i64>,
}

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

impl Change {
    fn read(row: &Row<'_>) -> rusqlite::Result<(i64, String, Self)> {
        let etag: StoredEtag = row.get(6)?;
        let change = Self {
            run_id: row.get(1)?,
            kind: ChangeKind::Added,
            bucket: row.get(3)?,
            key: row.get(4)?,
            from_key: row.get(5)?,
            etag: etag.0,
            size: row.get(7)?,
        };
        Ok((row.get(0)?, row.get(2)?, change))
    }
}

impl Reader {
    /// Hands every journal entry of a run to `each`, in the order in which they were found.
    ///
    /// Memory is that of a batch; no read is open while `each` is at work. Stops at the first error.
    ///
    /// # Errors
    /// As any read, and what `each` answers.
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
            let Some((last, ..)) = batch.last() else { return Ok(()) };
            after = *last;
            for (_, kind, mut change) in batch {
                change.kind = ChangeKind::from_name(&kind).ok_or_else(|| Error::Unsound {
                    what: format!("a change of the unknown kind {kind:?}"),
                })?;
                each(&change)?;
            }
        }
    }

    fn change_batch(
        &self,
        run_id: i64,
        after: i64,
    ) -> rusqlite::Result<Vec<(i64, String, Change)>> {
        let _snapshot = Snapshot::begin(&self.connection)?;
        self.connection
            .prepare_cached(CHANGES)?
            .query_map((run_id, after, BATCH), Change::read)?
            .collect()
    }
}
