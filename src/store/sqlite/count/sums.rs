//! The counts in memory.

use std::collections::HashMap;

use rusqlite::Connection;

use super::code::{CONFIDENCES, decode_changes, decode_counts};
use super::counter::{Counter, Kind};

/// The counts of a label by its confidence.
pub(crate) type ByConfidence = [i64; CONFIDENCES];

/// Every count, by counter. A counter that is not there is 0.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// The counts of labels, by the number of the row in `label_count`.
    pub(crate) labels: HashMap<i64, Box<ByConfidence>>,
    /// All other counts.
    pub(crate) others: HashMap<Counter, i64>,
}

impl Sums {
    /// Adds to a count.
    pub(crate) fn add(&mut self, counter: Counter, by: i64) {
        if counter.kind() == Kind::Label {
            let (row, confidence) = counter.row_and_confidence();
            let counts = self.labels.entry(row).or_insert_with(|| Box::new([0; CONFIDENCES]));
            let count = &mut counts[usize::from(confidence)];
            *count = count.saturating_add(by);
        } else {
            let count = self.others.entry(counter).or_default();
            *count = count.saturating_add(by);
        }
    }

    /// Reads the counts that are kept.
    ///
    /// # Errors
    /// A row that is damaged is a value that no run writes.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut sums = Self::default();
        let mut labels = connection.prepare_cached("SELECT id, counts FROM label_count")?;
        let mut rows = labels.query([])?;
        while let Some(row) = rows.next()? {
            let counts =
                sums.labels.entry(row.get(0)?).or_insert_with(|| Box::new([0; CONFIDENCES]));
            decode_counts(row.get_ref(1)?.as_blob()?, counts).ok_or_else(damaged)?;
        }
        let mut images = connection.prepare_cached("SELECT id, count FROM image_count")?;
        let mut rows = images.query([])?;
        while let Some(row) = rows.next()? {
            sums.others.insert(Counter::from_number(row.get(0)?), row.get(1)?);
        }
        let mut log = connection.prepare_cached("SELECT changes FROM count_log")?;
        let mut rows = log.query([])?;
        while let Some(row) = rows.next()? {
            let changes = row.get_ref(0)?.as_blob()?;
            decode_changes(changes, |counter, by| sums.add(counter, by)).ok_or_else(damaged)?;
        }
        Ok(sums)
    }

    /// The count of a counter that is not one of labels.
    pub(crate) fn get(&self, counter: Counter) -> u64 {
        let count = self.others.get(&counter).copied().unwrap_or_default();
        u64::try_from(count).unwrap_or_default()
    }

    /// The counters in which this differs from `other`, with the count here and there, in the order of the counters.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(Counter, i64, i64)> {
        let mut all: HashMap<Counter, (i64, i64)> = HashMap::new();
        self.each(|counter, count| all.entry(counter).or_default().0 = count);
        other.each(|counter, count| all.entry(counter).or_default().1 = count);
        let mut differ: Vec<_> =
            all.into_iter().filter(|(_, (a, b))| a != b).map(|(c, (a, b))| (c, a, b)).collect();
        differ.sort_unstable();
        differ
    }

    fn each(&self, mut each: impl FnMut(Counter, i64)) {
        for (counter, count) in self.others.iter().filter(|(_, count)| **count != 0) {
            each(*counter, *count);
        }
        for (row, counts) in &self.labels {
            let (tag_id, slot) = Counter::tag_and_slot(*row);
            for (confidence, count) in (0..).zip(counts.iter()).filter(|(_, count)| **count != 0) {
                each(Counter::label(slot, tag_id, confidence), *count);
            }
        }
    }
}

/// The error for a row of the counts that is damaged.
pub(crate) fn damaged() -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Blob,
        "a row of the counts is damaged".into(),
    )
}
