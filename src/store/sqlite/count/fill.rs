//! Fills the counts of a database that has none, in one transaction: a kill leaves it as it was.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::code::encode_counts;
use super::places::Places;
use super::recount::recount;
use super::sums::Sums;
use crate::store::sqlite::error::is_unsound;
use crate::store::sqlite::rows::Count;

/// The row of `meta` that says that the counts are kept.
pub(crate) const COUNTED: &str = "counted";

/// The value of this row. It is raised when something else is counted, so that a database is counted again.
const COUNTED_AS: &str = "1";

/// Notes that the counts are not kept.
const FORGET: &str = "DELETE FROM meta WHERE name = ?1";

/// The first version of the schema that keeps counts.
pub(crate) const COUNTS_SINCE: i64 = 7;

/// Returns true if a database of [`COUNTS_SINCE`] or a later version keeps its counts.
pub(crate) fn is_counted(connection: &Connection) -> rusqlite::Result<bool> {
    let value: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([COUNTED], |row| row.get(0))
        .optional()?;
    Ok(value.as_deref() == Some(COUNTED_AS))
}

/// Makes sure that the counts are kept: counts everything if they are not, or if they cannot be read. `progress` gets the
/// number of rows that were counted, and of all rows.
///
/// Returns why they are not kept, if rows that have to be counted are unsound. The counts can be made from the rows at any
/// time, so nothing but their readers has to wait for them.
pub(crate) fn keep(
    connection: &mut Connection,
    progress: &mut dyn FnMut(u64, u64),
) -> rusqlite::Result<Option<String>> {
    if is_counted(connection)? {
        match Sums::read(connection) {
            Err(source) if is_unsound(&source) => {}
            read => return read.map(|_| None),
        }
    }
    match fill(connection, progress) {
        Err(source) if is_unsound(&source) => {
            connection.prepare_cached(FORGET)?.execute([COUNTED])?;
            Ok(Some(source.to_string()))
        }
        filled => filled.map(|()| None),
    }
}

/// The number of rows that [`recount`] reads.
pub(crate) fn rows_to_count(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT 2 * (SELECT count(*) FROM object) + (SELECT count(*) FROM content)";
    connection.query_row(sql, [], |row| row.get(0)).map(|Count(all)| all)
}

/// Counts everything, and stores the counts. `progress` gets the number of rows that were read, and of all rows.
fn fill(connection: &mut Connection, progress: &mut dyn FnMut(u64, u64)) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "DELETE FROM label_count; DELETE FROM image_count; DELETE FROM count_log; DELETE FROM prefix;",
    )?;
    let all = rows_to_count(&tx)?;
    let mut places = Places::anew();
    let counted = recount(&tx, &mut places, true, &mut |rows| {
        progress(rows, all);
        true
    })?;
    let Some(counted) = counted else { return Ok(()) };
    {
        let mut set = tx.prepare("UPDATE content SET present = ?2, skipped = ?3 WHERE id = ?1")?;
        for (id, present, skipped) in &counted.wrong {
            set.execute((id, present, skipped))?;
        }
        let mut insert =
            tx.prepare("INSERT INTO prefix (id, bucket_id, prefix) VALUES (?1, ?2, ?3)")?;
        for new in &places.new {
            insert.execute((new.id, new.bucket_id, &new.prefix))?;
        }
        let mut insert = tx.prepare("INSERT INTO label_count (id, counts) VALUES (?1, ?2)")?;
        let mut labels: Vec<_> = counted.sums.labels.iter().collect();
        labels.sort_unstable_by_key(|(row, _)| **row);
        for (row, counts) in labels {
            insert.execute((row, encode_counts(counts)))?;
        }
        let mut insert = tx.prepare("INSERT INTO image_count (id, count) VALUES (?1, ?2)")?;
        let mut others: Vec<_> = counted.sums.others.iter().collect();
        others.sort_unstable();
        for (counter, count) in others {
            insert.execute((counter.number(), count))?;
        }
        let says_so = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
        tx.execute(says_so, [COUNTED, COUNTED_AS])?;
    }
    tx.commit()
}
