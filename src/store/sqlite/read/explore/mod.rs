//! Images that a person looks for: pages of them, and how many there are behind each choice.
//!
//! Both walk contents by descending number, in batches that are separate reads, until they have enough or the caller
//! loses patience. If a label is rare, the postings name the few contents to look at.

mod facets;
mod image;
mod kept;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use rusqlite::{OptionalExtension as _, named_params};

use super::ReadTransaction;
use crate::scene::{Scene, Scenes};
use crate::store::Error;
use crate::store::keyspace::prefix_end;
use crate::store::model::ContentState;
use crate::store::read::{Found, ImageState, Page, Pick, Sample};
use crate::store::sqlite::Reader;
use crate::store::sqlite::count::Facts;
use crate::store::sqlite::posting::SHIFT;
use crate::store::sqlite::rows::{LabelId, Mark};
use crate::store::sqlite::sql::{FAILED, IN_FLIGHT, PENDING, has_content, statements};
use crate::time::UnixMillis;

statements! {
    CONTENTS = "
        SELECT id, state, scenes_done, present, skipped FROM content
        WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3";

    LABELS_OF_CONTENT = "SELECT id, mark FROM label WHERE id BETWEEN ?1 AND ?2";

    /// Counts the present keys of a content, and how many of them are skipped.
    NUMBERS_OF_KEYS = "
        SELECT count(*), count(skip_reason) FROM object WHERE {has_content} AND gone_run IS NULL",
        has_content = has_content("?1");

    /// Selects the present keys of a content below a prefix and of some days. It has no order, so that a search ends with
    /// the first key. The signs keep SQLite from looking for the key instead of the content.
    KEYS_OF_CONTENT = "
        SELECT bucket_id, key, last_modified FROM object
        WHERE {has_content} AND gone_run IS NULL AND (skip_reason IS NULL OR NOT :wanted)
          AND +key >= :prefix AND (:end IS NULL OR +key < :end)
          AND (:since IS NULL OR last_modified >= :since AND last_modified < :before)", has_content = has_content(":content");

    A_KEY = "
        SELECT bucket.name, object.key FROM object JOIN bucket ON bucket.id = object.bucket_id
        WHERE {has_content} AND object.gone_run IS NULL
        ORDER BY object.skip_reason IS NOT NULL, object.id LIMIT 1", has_content = has_content("?1");

    DICTIONARY = "SELECT id, name, first_category FROM tag";

    BUCKETS = "SELECT id, name FROM bucket";

    CODE = "SELECT code FROM error WHERE content_id = ?1";

    FAILED_CONTENTS = "SELECT id FROM content WHERE state = {FAILED} LIMIT ?1";

    WAITING_CONTENTS = "
        SELECT id FROM content WHERE state = {PENDING}
        UNION ALL SELECT id FROM content WHERE state = {IN_FLIGHT} LIMIT ?1";

    CONTENTS_BELOW = "
        SELECT content_id FROM object
        WHERE bucket_id = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) AND +content_id IS NOT NULL LIMIT ?4";
}

/// The number of contents in a batch.
const BATCH: i64 = 500;

/// The most contents that are collected before the first of them is looked at.
const COLLECTED: u32 = if cfg!(test) { 5 } else { 200_000 };

/// A label of a content.
#[derive(Debug, Clone, Copy)]
struct Label {
    tag: i64,
    scene: Option<Scene>,
    confidence: u8,
}

/// A content of a batch.
#[derive(Debug, Clone, Copy)]
struct Content {
    id: i64,
    state: i64,
    scenes: Scenes,
    /// The present objects that have the content, and those of them that are skipped; `None` if the database does not
    /// keep these numbers.
    objects: Option<(i64, i64)>,
}

/// What is known of a content that is an image.
#[derive(Debug, Clone, Copy)]
struct Standing {
    state: ImageState,
    /// Whether a present object wants the content. Otherwise all of its keys are skipped.
    is_wanted: bool,
}

/// The names of the tags.
#[derive(Debug, Default)]
struct Dictionary {
    /// The name and the first category of each tag.
    tags: HashMap<i64, (String, String)>,
    buckets: HashMap<i64, String>,
}

impl Dictionary {
    /// The first category of each name. A name may have tags in several categories: then it is the least of them.
    fn first_categories(&self) -> HashMap<&str, &str> {
        let mut categories: HashMap<&str, &str> = HashMap::new();
        for (name, category) in self.tags.values() {
            let least = categories.entry(name).or_insert(category);
            *least = category.as_str().min(least);
        }
        categories
    }
}

/// A pick, with tags instead of names.
#[derive(Debug)]
struct Matcher<'p> {
    pick: &'p Pick,
    all: Vec<HashSet<i64>>,
    any: HashSet<i64>,
    none: HashSet<i64>,
    category: Option<HashSet<i64>>,
}

impl<'p> Matcher<'p> {
    fn new(pick: &'p Pick, dictionary: &Dictionary) -> Self {
        let named = |names: &[String]| -> HashSet<i64> {
            let tags = dictionary.tags.iter();
            tags.filter(|(_, (name, _))| names.contains(name)).map(|(id, _)| *id).collect()
        };
        let category = pick.category.as_ref().map(|category| {
            let tags = dictionary.tags.iter();
            tags.filter(|(_, (_, first))| first == category).map(|(id, _)| *id).collect()
        });
        Self {
            pick,
            all: pick.all.iter().map(|name| named(std::slice::from_ref(name))).collect(),
            any: named(&pick.any),
            none: named(&pick.none),
            category,
        }
    }

    /// Whether labels fulfil the conditions on labels. `scenes` and `least` take the place of those of the pick.
    fn labels(&self, labels: &[Label], scenes: Scenes, least: u8, with_category: bool) -> bool {
        let counts = |label: &&Label| counts(label, scenes, least);
        let has = |tags: &HashSet<i64>| labels.iter().filter(counts).any(|l| tags.contains(&l.tag));
        if (!scenes.is_empty() || least > 0) && !labels.iter().any(|label| counts(&label)) {
            return false;
        }
        self.all.iter().all(has)
            && (self.pick.any.is_empty() || has(&self.any))
            && !has(&self.none)
            && (!with_category || self.category.as_ref().is_none_or(has))
    }

    fn day(&self, modified: Option<UnixMillis>) -> bool {
        let within = |days: &Range<UnixMillis>| modified.is_some_and(|at| days.contains(&at));
        self.pick.days.as_ref().is_none_or(within)
    }
}

fn counts(label: &Label, scenes: Scenes, least: u8) -> bool {
    let of_scene = scenes.is_empty() || label.scene.is_some_and(|scene| scenes.contains(scene));
    of_scene && label.confidence >= least
}

/// What is left to look at.
struct Walk {
    /// Blocks of contents, ascending; `None` if every content has to be looked at.
    blocks: Option<Vec<i64>>,
    /// Only contents below this are left.
    before: i64,
}

impl Walk {
    /// The lowest and the highest content of the next batch.
    fn next(&mut self) -> Option<(i64, i64)> {
        if self.before <= 0 {
            return None;
        }
        let Some(blocks) = &mut self.blocks else { return Some((0, self.before - 1)) };
        while let Some(block) = blocks.pop() {
            let (first, last) = (block << SHIFT, (block << SHIFT) + (1 << SHIFT) - 1);
            if first < self.before {
                return Some((first, last.min(self.before - 1)));
            }
        }
        None
    }
}

/// Keeps the blocks that are in both; both are ascending.
fn both(blocks: &mut Option<Vec<i64>>, found: Vec<i64>) {
    match blocks {
        None => *blocks = Some(found),
        Some(all) => all.retain(|block| found.binary_search(block).is_ok()),
    }
}

/// The blocks of these contents, ascending; `None` if there are more than [`COLLECTED`].
fn blocks_with(mut contents: Vec<i64>) -> Option<Vec<i64>> {
    if contents.len() > COLLECTED as usize {
        return None;
    }
    for content in &mut contents {
        *content >>= SHIFT;
    }
    contents.sort_unstable();
    contents.dedup();
    Some(contents)
}

impl Reader {
    /// Finds up to `limit` images before the content `after`; from the last one if `None`. Each image has at most
    /// `most_labels` labels; all of them if `None`.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn pictures(
        &self,
        pick: &Pick,
        after: Option<i64>,
        limit: usize,
        most_labels: Option<usize>,
        continues: &dyn Fn() -> bool,
    ) -> Result<Page, Error> {
        self.answer(|| {
            let dictionary = self.names()?;
            let matcher = Matcher::new(pick, &dictionary);
            let mut walk = self.walk(&matcher, after, true)?;
            let mut page = Page { complete: true, ..Page::default() };
            'pages: while let Some((lowest, highest)) = walk.next() {
                let _snapshot = ReadTransaction::begin(&self.connection)?;
                let batch = self.batch(lowest, highest)?;
                for content in &batch {
                    if page.images.len() >= limit {
                        page.next = Some(walk.before);
                        break 'pages;
                    }
                    page.images.extend(self.found(*content, &matcher, &dictionary, most_labels)?);
                    walk.before = content.id;
                }
                if walk.blocks.is_none() && i64::try_from(batch.len()).is_ok_and(|n| n < BATCH) {
                    break;
                }
                if !continues() {
                    page.next = Some(walk.before);
                    page.complete = false;
                    break;
                }
            }
            Ok(page)
        })
    }

    /// A present key of a content, one that is not skipped if there is any. Returns `None` if there is none.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn a_key(&self, content_id: i64) -> Result<Option<Sample>, Error> {
        self.answer(|| {
            self.connection
                .prepare_cached(&A_KEY)?
                .query_row([content_id], |row| {
                    Ok(Sample { content_id, bucket: row.get(0)?, key: row.get(1)? })
                })
                .optional()
        })
    }

    fn answer<T>(&self, read: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, Error> {
        let answer = read().map_err(|source| self.error(source))?;
        self.unchanged()?;
        Ok(answer)
    }

    /// Finds what has to be looked at. `with_replaceable` says whether images may be left out because of a choice that
    /// another one would replace: the category or the state.
    fn walk(
        &self,
        matcher: &Matcher<'_>,
        after: Option<i64>,
        with_replaceable: bool,
    ) -> rusqlite::Result<Walk> {
        let any = (!matcher.pick.any.is_empty()).then_some(&matcher.any);
        let mut blocks: Option<Vec<i64>> = None;
        let category = matcher.category.as_ref().filter(|_| with_replaceable);
        for tags in matcher.all.iter().chain(any).chain(category) {
            let tags: Vec<i64> = tags.iter().copied().collect();
            if let Some(found) = self.blocks_of(&tags)? {
                both(&mut blocks, found);
            }
        }
        let state = matcher.pick.state.filter(|_| with_replaceable);
        if let Some(found) = self.blocks_in_state(state)? {
            both(&mut blocks, found);
        }
        if blocks.is_none()
            && !matcher.pick.prefix.is_empty()
            && let Some(found) = self.blocks_below(&matcher.pick.prefix)?
        {
            both(&mut blocks, found);
        }
        Ok(Walk { blocks, before: after.unwrap_or(i64::MAX) })
    }

    /// The blocks of the contents in a state for which there is an index. Returns `None` for other states, or if there are
    /// very many.
    fn blocks_in_state(&self, state: Option<ImageState>) -> rusqlite::Result<Option<Vec<i64>>> {
        let contents = match state {
            Some(ImageState::Failed) => &FAILED_CONTENTS,
            Some(ImageState::Waiting) => &WAITING_CONTENTS,
            _ => return Ok(None),
        };
        let mut statement = self.connection.prepare_cached(contents)?;
        let ids = statement.query_map([COLLECTED + 1], |row| row.get(0))?;
        Ok(blocks_with(ids.collect::<rusqlite::Result<_>>()?))
    }

    /// The blocks of the contents that have a key below a prefix. Returns `None` if there are very many.
    fn blocks_below(&self, prefix: &str) -> rusqlite::Result<Option<Vec<i64>>> {
        let end = prefix_end(prefix);
        let mut ids = Vec::new();
        for bucket in self.names()?.buckets.keys() {
            let mut statement = self.connection.prepare_cached(&CONTENTS_BELOW)?;
            let most = COLLECTED + 1;
            let found = statement.query_map((bucket, prefix, &end, most), |row| row.get(0))?;
            for id in found {
                ids.push(id?);
            }
            if ids.len() > COLLECTED as usize {
                return Ok(None);
            }
        }
        Ok(blocks_with(ids))
    }

    fn batch(&self, lowest: i64, highest: i64) -> rusqlite::Result<Vec<Content>> {
        let keeps_counts = self.keeps_counts()?;
        self.connection
            .prepare_cached(&CONTENTS)?
            .query_map((lowest, highest, BATCH), |row| {
                let scenes = Scenes::from_bits(row.get(2)?);
                let objects = keeps_counts.then_some((row.get(3)?, row.get(4)?));
                Ok(Content { id: row.get(0)?, state: row.get(1)?, scenes, objects })
            })?
            .collect()
    }

    fn found(
        &self,
        content: Content,
        matcher: &Matcher<'_>,
        dictionary: &Dictionary,
        most_labels: Option<usize>,
    ) -> rusqlite::Result<Option<Found>> {
        let pick = matcher.pick;
        let labels = self.labels_of(content)?;
        if !matcher.labels(&labels, pick.scenes, pick.min_confidence, true) {
            return Ok(None);
        }
        let Some(Standing { state, is_wanted }) = self.standing(content, &labels)? else {
            return Ok(None);
        };
        if pick.state.is_some_and(|wanted| wanted != state) {
            return Ok(None);
        }
        let mut found = None;
        self.each_key(content, is_wanted, &pick.prefix, pick.days.as_ref(), |bucket, key, _| {
            found = Some((bucket, key.to_owned()));
            false
        })?;
        let Some((bucket, key)) = found else { return Ok(None) };
        let code = if content.state == ContentState::Failed as i64 {
            self.connection
                .prepare_cached(&CODE)?
                .query_row([content.id], |row| row.get(0))
                .optional()?
        } else {
            None
        };
        let bucket = dictionary.buckets.get(&bucket).cloned().unwrap_or_default();
        Ok(Some(Found {
            sample: Sample { content_id: content.id, bucket, key },
            state,
            labels: told(&labels, pick, dictionary, most_labels),
            code,
        }))
    }

    fn labels_of(&self, content: Content) -> rusqlite::Result<Vec<Label>> {
        let span = LabelId::of_content(content.id);
        let mut labels = Vec::new();
        let mut statement = self.connection.prepare_cached(&LABELS_OF_CONTENT)?;
        let mut rows = statement.query((span.start(), span.end()))?;
        while let Some(row) = rows.next()? {
            let (id, mark): (i64, i64) = (row.get(0)?, row.get(1)?);
            let scene = Scene::from_id(LabelId::scene(id));
            if scene.is_some_and(|scene| content.scenes.contains(scene)) {
                let (tag, confidence) = (Mark::tag_id(mark), Mark::confidence(mark));
                labels.push(Label { tag, scene, confidence });
            }
        }
        Ok(labels)
    }

    /// What is known of a content; `None` if it is no image.
    fn standing(&self, content: Content, labels: &[Label]) -> rusqlite::Result<Option<Standing>> {
        let (present, skipped) = match content.objects {
            Some(numbers) => numbers,
            None => self
                .connection
                .prepare_cached(&NUMBERS_OF_KEYS)?
                .query_row([content.id], |row| Ok((row.get(0)?, row.get(1)?)))?,
        };
        let failed = content.state == ContentState::Failed as i64;
        let facts = Facts { present, skipped, failed, done: content.scenes };
        let (state, is_wanted) = (facts.state(!labels.is_empty()), facts.is_wanted());
        Ok(facts.is_image().then_some(Standing { state, is_wanted }))
    }

    /// Hands the present keys of an image to `each` until that returns false: the id of the bucket, the key and its time.
    /// Skipped keys are handed over only if no key of the image is wanted.
    fn each_key(
        &self,
        content: Content,
        is_wanted: bool,
        prefix: &str,
        days: Option<&Range<UnixMillis>>,
        mut each: impl FnMut(i64, &str, Option<UnixMillis>) -> bool,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(&KEYS_OF_CONTENT)?;
        let mut rows = statement.query(named_params! {
            ":content": content.id,
            ":wanted": is_wanted,
            ":prefix": prefix,
            ":end": prefix_end(prefix),
            ":since": days.map(|days| days.start),
            ":before": days.map(|days| days.end),
        })?;
        while let Some(row) = rows.next()? {
            if !each(row.get(0)?, row.get_ref(1)?.as_str()?, row.get(2)?) {
                break;
            }
        }
        Ok(())
    }

    fn names(&self) -> rusqlite::Result<Dictionary> {
        let tags = self
            .connection
            .prepare_cached(&DICTIONARY)?
            .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
            .collect::<rusqlite::Result<_>>()?;
        let buckets = self
            .connection
            .prepare_cached(&BUCKETS)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Dictionary { tags, buckets })
    }
}

/// The labels that are told of an image: those that were looked for, then the most confident. At most `most` of them, if
/// there is such a number.
fn told(
    labels: &[Label],
    pick: &Pick,
    dictionary: &Dictionary,
    most: Option<usize>,
) -> Vec<(String, u8)> {
    let mut best: BTreeMap<&str, u8> = BTreeMap::new();
    for label in labels.iter().filter(|label| counts(label, pick.scenes, pick.min_confidence)) {
        if let Some((name, _)) = dictionary.tags.get(&label.tag) {
            let known = best.entry(name).or_default();
            *known = label.confidence.max(*known);
        }
    }
    let looked_for =
        |name: &str| [&pick.all, &pick.any].iter().any(|names| names.iter().any(|n| n == name));
    let mut told: Vec<(String, u8)> =
        best.into_iter().map(|(name, confidence)| (name.to_owned(), confidence)).collect();
    told.sort_by_key(|(name, confidence)| (!looked_for(name), std::cmp::Reverse(*confidence)));
    told.truncate(most.unwrap_or(usize::MAX));
    told
}
