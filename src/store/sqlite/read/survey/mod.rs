//! A survey: what images the bucket has, and which labels they have.
//!
//! Everything is counted in one read transaction, so that all numbers belong to one state of the database. If the counts
//! are kept, nearly all of them come from there: see `kept.rs`. Otherwise every row is read, in these passes: the journal,
//! the objects, the contents together with their labels, the keys, and the failures. Memory grows with the number of
//! different labels, and then by a few bits with the number of images.

mod kept;
mod prefixes;
mod tally;

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Row, Rows};

use self::prefixes::PrefixTree;
use self::tally::{Found, Sums, Tally};
use super::ReadTransaction;
use super::failure::failed_lines;
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::model::{ChangeKind, ContentState};
use crate::store::read::{
    BucketPrefixes, Changes, FailureCode, ImageCounts, ObjectCounts, Sample, Survey, SurveyQuery,
};
use crate::store::sqlite::Reader;
use crate::store::sqlite::ids::IdSet;
use crate::store::sqlite::rows::{Count, LabelId, Named};
use crate::store::sqlite::sql::{FAILED, TEMPORARY, has_content, statements};
use crate::store::turn::UNUSABLE_LINE;

statements! {
    LAST_JOURNAL = "SELECT max(id) FROM run WHERE journals AND NOT plan AND listed_at IS NOT NULL";

    JOURNAL = "
        SELECT change.kind, change.content_id, object.content_id
        FROM change LEFT JOIN object ON object.id = change.object_id
        WHERE change.run_id = ?1";

    OBJECTS = "SELECT content_id, gone_run IS NULL, skip_reason IS NULL FROM object";

    CONTENTS = "SELECT id, state, scenes_done FROM content ORDER BY id";

    LABELS = "SELECT id, mark FROM label ORDER BY id";

    DICTIONARY = "SELECT id, name, first_category, second_category FROM tag";

    BUCKETS = "SELECT id, name, kind = 'urls' FROM bucket ORDER BY name, kind";

    /// Keys come in the order of the index, so that a prefix is complete when the next one begins.
    WANTED_KEYS = "
        SELECT key, content_id FROM object
        WHERE bucket_id = ?1 AND +gone_run IS NULL AND +skip_reason IS NULL AND +content_id IS NOT NULL
        ORDER BY key";

    FAILURES = "
        SELECT id, code, status, error_kind = {TEMPORARY}, present, skipped
        FROM content LEFT JOIN error ON content_id = id WHERE state = {FAILED}";

    FAILED_LINES = "
        SELECT code, status, code <> '{UNUSABLE_LINE}', count(*) FROM {failed_lines}
        GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT ?1", failed_lines = failed_lines();

    /// A present key of a content, one that is not skipped if there is any.
    A_KEY = "
        SELECT bucket.name, object.key FROM object JOIN bucket ON bucket.id = object.bucket_id
        WHERE {has_content} AND object.gone_run IS NULL
        ORDER BY object.skip_reason IS NOT NULL, object.id LIMIT 1", has_content = has_content("?1");
}

/// How many rows are read between two questions whether the survey should go on.
const PATIENCE: u32 = 10_000;

/// The most codes of failures that are told.
const CODES: u32 = 100;

/// Why a pass ended early.
enum Stop {
    /// The caller does not want the survey any longer.
    Unwanted,
    /// A read failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The objects of the bucket, and what they say about contents.
#[derive(Default)]
struct Present {
    counts: ObjectCounts,
    /// Contents that a present object has.
    there: IdSet,
    /// Contents that a present object has that is not skipped.
    wanted: IdSet,
}

/// By how much the last listing changed the number of objects of a content, and how many objects it has now.
#[derive(Debug, Clone, Copy, Default)]
struct Move {
    difference: i64,
    now: i64,
}

impl Move {
    fn came(self) -> bool {
        self.now > 0 && self.now - self.difference <= 0
    }

    fn went(self) -> bool {
        self.now == 0 && self.difference < 0
    }
}

impl Reader {
    /// Counts the images that the bucket has, and their labels. Returns `None` once `continues` returns false.
    ///
    /// # Errors
    /// [`Error::Unsound`] for a label whose name is unknown.
    pub fn survey(
        &self,
        query: SurveyQuery,
        continues: &dyn Fn() -> bool,
    ) -> Result<Option<Survey>, Error> {
        let _snapshot =
            ReadTransaction::begin(&self.connection).map_err(|source| self.error(source))?;
        let survey = Surveyor { reader: self, query, continues }.survey();
        self.unchanged()?;
        match survey {
            Ok(survey) => Ok(Some(survey)),
            Err(Stop::Unwanted) => Ok(None),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

/// A survey under way.
struct Surveyor<'r> {
    reader: &'r Reader,
    query: SurveyQuery,
    continues: &'r dyn Fn() -> bool,
}

impl Surveyor<'_> {
    fn survey(&self) -> Result<Survey, Stop> {
        match self.of_counts()? {
            Some(survey) => Ok(survey),
            None => self.of_rows(),
        }
    }

    fn of_rows(&self) -> Result<Survey, Stop> {
        let (changes, mut moves) = self.journal()?;
        let objects = self.objects(&mut moves)?;
        let (images, labelled, tally) = self.contents(&objects, &moves)?;
        let prefixes = self.prefixes(&labelled)?;
        let failures = self.failures(|row| Ok(objects.wanted.contains(row.get(0)?)))?;
        let lines = self.lines()?;
        let found = self.finished(tally)?;
        let objects = objects.counts;
        Ok(Survey { images, objects, prefixes, failures, lines, changes, ..found })
    }

    /// The part of a survey that is about labels.
    fn finished(&self, tally: Tally) -> Result<Survey, Stop> {
        let Sums { mut labels, samples, categories, confidence } = tally.finish();
        for (label, contents) in labels.iter_mut().zip(samples) {
            for content_id in contents {
                label.samples.extend(self.sample(content_id)?);
            }
        }
        Ok(Survey { labels, categories, confidence, ..Survey::default() })
    }

    /// What the last listing found different, and what that means for contents.
    fn journal(&self) -> Result<(Option<Changes>, HashMap<i64, Move>), Stop> {
        let mut moves: HashMap<i64, Move> = HashMap::new();
        let run_id: Option<i64> =
            self.read(|connection| connection.query_row(&LAST_JOURNAL, [], |row| row.get(0)))?;
        let Some(run_id) = run_id else { return Ok((None, moves)) };
        let mut changes = Changes { run_id, ..Changes::default() };
        let mut statement = self.read(|connection| connection.prepare_cached(&JOURNAL))?;
        let mut rows = self.read(|_| statement.query([run_id]))?;
        let mut add = |content: Option<i64>, by: i64| {
            if let Some(content) = content {
                moves.entry(content).or_default().difference += by;
            }
        };
        self.each(&mut rows, |row| {
            let (Named(kind), then, now) = (row.get(0)?, row.get(1)?, row.get(2)?);
            match kind {
                ChangeKind::Added => {
                    changes.added += 1;
                    add(then, 1);
                }
                ChangeKind::Changed => {
                    changes.changed += 1;
                    add(then, -1);
                    add(now, 1);
                }
                ChangeKind::Gone => {
                    changes.gone += 1;
                    add(then, -1);
                }
                ChangeKind::Moved => changes.moved += 1,
            }
            Ok(())
        })?;
        moves.retain(|_, moved| moved.difference != 0);
        Ok((Some(changes), moves))
    }

    fn objects(&self, moves: &mut HashMap<i64, Move>) -> Result<Present, Stop> {
        let mut found = Present::default();
        let mut statement = self.read(|connection| connection.prepare_cached(&OBJECTS))?;
        let mut rows = self.read(|_| statement.query([]))?;
        self.each(&mut rows, |row| {
            let (content, present, kept): (Option<i64>, bool, bool) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            if !present {
                found.counts.gone += 1;
                return Ok(());
            }
            found.counts.present += 1;
            if !kept {
                found.counts.skipped += 1;
            }
            let Some(content) = content else { return Ok(()) };
            found.there.insert(content);
            if kept {
                found.counts.wanted += 1;
                if !found.wanted.insert(content) {
                    found.counts.copies += 1;
                }
            }
            if let Some(moved) = moves.get_mut(&content) {
                moved.now += 1;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Counts images and their labels. Both tables are read in the order of contents.
    fn contents(
        &self,
        objects: &Present,
        moves: &HashMap<i64, Move>,
    ) -> Result<(ImageCounts, IdSet, Tally), Stop> {
        let Count(all) = self.read(|connection| {
            connection.query_row("SELECT count(*) FROM content", [], |row| row.get(0))
        })?;
        let mut tally = Tally::new(self.query, self.dictionary()?, all);
        let mut images = ImageCounts::default();
        let mut labelled = IdSet::default();
        let mut contents = self.read(|connection| connection.prepare_cached(&CONTENTS))?;
        let mut labels = self.read(|connection| connection.prepare_cached(&LABELS))?;
        let mut labels = self.read(|_| labels.query([]))?;
        let mut next = self.next_label(&mut labels)?;
        let mut found: Vec<Found> = Vec::new();
        let mut rows = self.read(|_| contents.query([]))?;
        let mut seen = 0;
        while let Some(row) = self.read(|_| rows.next())? {
            self.patiently(&mut seen)?;
            let (id, state, done) = self.read(|_| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, u8>(2)?))
            })?;
            let scenes = Scenes::from_bits(done);
            found.clear();
            while let Some((label, mark)) = next.filter(|(label, _)| LabelId::content(*label) <= id)
            {
                if LabelId::content(label) == id {
                    found.extend(Found::of(label, mark, scenes));
                }
                next = self.next_label(&mut labels)?;
            }
            let is_wanted = objects.wanted.contains(id);
            let is_image = is_wanted || (!scenes.is_empty() && objects.there.contains(id));
            let change = moves.get(&id).copied().unwrap_or_default();
            if !is_image {
                if change.went() {
                    tally.went(&mut found);
                }
                continue;
            }
            let failed = is_wanted && state == ContentState::Failed as i64;
            images.failed += u64::from(failed);
            match (found.is_empty(), failed, scenes.is_empty()) {
                (false, _, _) => {
                    images.labelled += 1;
                    labelled.insert(id);
                    if !tally.image(id, &mut found, change.came()) {
                        return Err(unnamed());
                    }
                }
                (true, true, _) => images.given_up += 1,
                (true, false, false) => images.unlabelled += 1,
                (true, false, true) => images.waiting += 1,
            }
        }
        Ok((images, labelled, tally))
    }

    fn next_label(&self, labels: &mut Rows<'_>) -> Result<Option<(i64, i64)>, Stop> {
        self.read(|_| match labels.next()? {
            Some(row) => Ok(Some((row.get(0)?, row.get(1)?))),
            None => Ok(None),
        })
    }

    /// The id and the name of each bucket, and whether its keys are URLs.
    fn buckets(&self) -> Result<Vec<(i64, String, bool)>, Stop> {
        self.read(|connection| {
            connection
                .prepare_cached(&BUCKETS)?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })
    }

    fn prefixes(&self, labelled: &IdSet) -> Result<Vec<BucketPrefixes>, Stop> {
        let mut all = Vec::new();
        for (id, bucket, urls) in self.buckets()? {
            let mut tree = PrefixTree::new(urls);
            let mut statement = self.read(|connection| connection.prepare_cached(&WANTED_KEYS))?;
            let mut rows = self.read(|_| statement.query([id]))?;
            self.each(&mut rows, |row| {
                let has_labels = labelled.contains(row.get(1)?);
                tree.add(row.get_ref(0)?.as_str()?, 1, has_labels.into());
                Ok(())
            })?;
            all.push(BucketPrefixes { bucket, urls, root: tree.finish() });
        }
        Ok(most_first(all))
    }

    /// The codes with which wanted images failed.
    ///
    /// `is_wanted` gets a row of [`FAILURES`].
    fn failures(
        &self,
        is_wanted: impl Fn(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<Vec<FailureCode>, Stop> {
        type Code = (Option<String>, Option<i64>, bool);
        let mut counted: HashMap<Code, u64> = HashMap::new();
        let mut statement = self.read(|connection| connection.prepare_cached(&FAILURES))?;
        let mut rows = self.read(|_| statement.query([]))?;
        self.each(&mut rows, |row| {
            if is_wanted(row)? {
                *counted.entry((row.get(1)?, row.get(2)?, row.get(3)?)).or_default() += 1;
            }
            Ok(())
        })?;
        let mut codes: Vec<FailureCode> = counted
            .into_iter()
            .map(|((code, http_status, temporary), contents)| FailureCode {
                code,
                http_status,
                temporary,
                contents,
            })
            .collect();
        codes.sort_by(|a, b| {
            let key = |code: &FailureCode| (code.code.clone(), code.http_status, code.temporary);
            b.contents.cmp(&a.contents).then_with(|| key(a).cmp(&key(b)))
        });
        codes.truncate(CODES as usize);
        Ok(codes)
    }

    fn lines(&self) -> Result<Vec<FailureCode>, Stop> {
        self.read(|connection| {
            connection
                .prepare_cached(&FAILED_LINES)?
                .query_map([CODES], |row| {
                    let Count(contents) = row.get(3)?;
                    Ok(FailureCode {
                        code: row.get(0)?,
                        http_status: row.get(1)?,
                        temporary: row.get(2)?,
                        contents,
                    })
                })?
                .collect()
        })
    }

    /// The id, the name and the categories of every tag.
    fn dictionary(&self) -> Result<Vec<(i64, [String; 3])>, Stop> {
        self.read(|connection| {
            connection
                .prepare_cached(&DICTIONARY)?
                .query_map([], |row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?])))?
                .collect()
        })
    }

    /// A present key of a content: the one that its labels came from, if it is still there.
    fn sample(&self, content_id: i64) -> Result<Option<Sample>, Stop> {
        self.read(|connection| {
            connection
                .prepare_cached(&A_KEY)?
                .query_row([content_id], |row| {
                    Ok(Sample { content_id, bucket: row.get(0)?, key: row.get(1)? })
                })
                .optional()
        })
    }

    /// Hands each row to `each`, and asks now and then whether the survey should go on.
    fn each(
        &self,
        rows: &mut Rows<'_>,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Stop> {
        let mut seen = 0;
        loop {
            self.patiently(&mut seen)?;
            let more = self.read(|_| match rows.next()? {
                Some(row) => each(row).map(|()| true),
                None => Ok(false),
            })?;
            if !more {
                return Ok(());
            }
        }
    }

    fn patiently(&self, seen: &mut u32) -> Result<(), Stop> {
        *seen += 1;
        if *seen < PATIENCE {
            return Ok(());
        }
        *seen = 0;
        if (self.continues)() { Ok(()) } else { Err(Stop::Unwanted) }
    }

    fn read<'c, T>(
        &'c self,
        read: impl FnOnce(&'c rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Stop> {
        read(&self.reader.connection).map_err(|source| Stop::Failed(self.reader.error(source)))
    }
}

/// The buckets that have objects, the one with the most of them first.
fn most_first(buckets: impl IntoIterator<Item = BucketPrefixes>) -> Vec<BucketPrefixes> {
    let mut all: Vec<_> = buckets.into_iter().filter(|one| one.root.objects > 0).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.root.objects));
    all
}

/// The error for a label whose name is unknown.
fn unnamed() -> Stop {
    Stop::Failed(Error::Unsound { what: "a label without its name".to_owned() })
}

#[cfg(test)]
mod tests;
