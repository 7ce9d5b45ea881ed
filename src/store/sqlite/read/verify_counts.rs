//! The checks of what is kept beside the rows themselves: counts and postings.

use std::collections::HashSet;

use rusqlite::OptionalExtension as _;

use super::ReadTransaction;
use super::verify::Reached;
use crate::store::read::Problems;
use crate::store::sqlite::Reader;
use crate::store::sqlite::count::{COUNTS_SINCE, Places, Sums, recount, rows_to_count};
use crate::store::sqlite::error::is_unsound;
use crate::store::sqlite::ids::IdSet;
use crate::store::sqlite::posting::{POSTED, SEGMENT, SHIFT, decode};
use crate::store::sqlite::rows::{LabelId, Mark};
use crate::store::sqlite::sql::{ANSWERED, IMPORTED, statements};

statements! {
    ANSWERED_IN = "
        SELECT content_id FROM call
        WHERE id > ?1 AND id <= ?2 AND outcome IN ({ANSWERED}, {IMPORTED}) ORDER BY content_id";

    LABELS = "SELECT id, mark FROM label WHERE id BETWEEN ?1 AND ?2";
}

impl Reader {
    /// The kept counts are those that counting every row gives.
    pub(super) fn counts_agree(
        &self,
        problems: &mut Problems,
        notes: &mut Vec<String>,
        reached: Reached<'_>,
    ) -> rusqlite::Result<()> {
        let _snapshot = ReadTransaction::begin(&self.connection)?;
        if !self.keeps_counts()? {
            // A file of a version that kept none has nothing to tell.
            if self.version >= COUNTS_SINCE {
                let what = "no counts are kept, so questions about labels read every row until a run has counted them";
                notes.push(what.to_owned());
            }
            return Ok(());
        }
        let kept = match Sums::read(&self.connection) {
            Err(source) if is_unsound(&source) => {
                problems.add(|| {
                    format!("the counts cannot be read ({source}): the next run makes them anew")
                });
                return Ok(());
            }
            read => read?,
        };
        let mut places = Places::default();
        let all = rows_to_count(&self.connection)?;
        let counted = recount(&self.connection, &mut places, true, &mut |rows| {
            reached(rows, all);
            true
        })?;
        let Some(counted) = counted else { return Ok(()) };
        for new in places.new {
            problems.add(|| format!("objects below {:?} are not counted by prefix", new.prefix));
        }
        for (content, present, skipped) in counted.wrong {
            problems.add(|| {
                format!("content {content} has {present} objects, {skipped} of them skipped, and says otherwise")
            });
        }
        for (counter, kept, counted) in kept.differences(&counted.sums) {
            problems.add(|| {
                format!("{kept} {} are counted, and there are {counted}", counter.described())
            });
        }
        Ok(())
    }

    /// The labels of a content are in the postings of its last answered call, if that call is posted: otherwise `find`
    /// would not find it.
    pub(super) fn postings_are_complete(
        &self,
        problems: &mut Problems,
        reached: Reached<'_>,
    ) -> rusqlite::Result<()> {
        let connection = &self.connection;
        let posted: i64 = connection
            .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?1")?
            .query_row([POSTED], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        // Contents that were answered after the calls that are looked at.
        let mut later = IdSet::default();
        let mut after = posted;
        let end: i64 =
            connection.query_row("SELECT coalesce(max(id), 0) FROM call", [], |row| row.get(0))?;
        while after < end {
            for content in self.answered(after, after + SEGMENT)? {
                later.insert(content);
            }
            after += SEGMENT;
        }
        for segment in (1..=posted / SEGMENT).rev() {
            let done = u64::try_from(posted - segment * SEGMENT).unwrap_or_default();
            reached(done, u64::try_from(posted).unwrap_or_default());
            let last_call = segment * SEGMENT;
            let _snapshot = ReadTransaction::begin(connection)?;
            let mut contents = self.answered(last_call - SEGMENT, last_call)?;
            contents.retain(|content| later.insert(*content));
            self.are_posted(last_call, &contents, problems)?;
        }
        Ok(())
    }

    fn answered(&self, after: i64, upto: i64) -> rusqlite::Result<Vec<i64>> {
        let mut calls = self.connection.prepare_cached(&ANSWERED_IN)?;
        let mut contents = calls
            .query_map((after, upto), |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        contents.dedup();
        Ok(contents)
    }

    fn are_posted(
        &self,
        last_call: i64,
        contents: &[i64],
        problems: &mut Problems,
    ) -> rusqlite::Result<()> {
        let mut posted: HashSet<(i64, i64)> = HashSet::new();
        let mut common: HashSet<i64> = HashSet::new();
        let mut postings = self
            .connection
            .prepare_cached("SELECT tag_id, blocks FROM posting WHERE last_call = ?1")?;
        let mut rows = postings.query([last_call])?;
        while let Some(row) = rows.next()? {
            let tag: i64 = row.get(0)?;
            match decode(row.get_ref(1)?.as_blob()?) {
                Some(blocks) if !blocks.is_empty() => {
                    posted.extend(blocks.into_iter().map(|block| (tag, block)));
                }
                // A search reads all labels then.
                _ => {
                    common.insert(tag);
                }
            }
        }
        let mut labels = self.connection.prepare_cached(&LABELS)?;
        for content in contents {
            let ids = LabelId::of_content(*content);
            let mut rows = labels.query((ids.start(), ids.end()))?;
            while let Some(row) = rows.next()? {
                let (id, mark): (i64, i64) = (row.get(0)?, row.get(1)?);
                let tag = Mark::tag_id(mark);
                let block = id >> (LabelId::CONTENT_SHIFT + SHIFT);
                if !common.contains(&tag) && !posted.contains(&(tag, block)) {
                    problems.add(|| {
                        format!("content {content} has a label of tag {tag} that a search would not find")
                    });
                }
            }
        }
        Ok(())
    }
}
