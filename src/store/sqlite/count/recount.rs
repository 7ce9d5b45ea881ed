//! Counts every row anew.

use std::collections::HashMap;

use rusqlite::{Connection, Rows};

use super::counter::{Counter, Kind};
use super::dictionary::Dictionary;
use super::image::{Facts, Found, count_image};
use super::places::Places;
use super::sums::Sums;
use crate::scene::{Scene, Scenes};
use crate::store::model::ContentState;
use crate::store::sqlite::ids::IdSet;
use crate::store::sqlite::rows::{LabelId, Mark};

const OBJECTS: &str = "SELECT content_id, gone_run IS NULL, skip_reason IS NOT NULL FROM object";

const KEYS: &str = "
    SELECT bucket_id, key, content_id, last_modified FROM object
    WHERE gone_run IS NULL AND skip_reason IS NULL AND content_id IS NOT NULL";

const LABELS: &str = "SELECT id, mark FROM label ORDER BY id";

/// How many rows are read between two calls of `continues`.
const PATIENCE: u64 = 10_000;

/// The number of contents in a block of [`Numbers`].
const BLOCK: u16 = 512;

/// What counting anew found.
#[derive(Debug, Default)]
pub(crate) struct Recount {
    pub(crate) sums: Sums,
    /// Contents whose own numbers of objects are wrong: the content, and the present and the skipped objects that it has.
    pub(crate) wrong: Vec<(i64, i64, i64)>,
}

/// The numbers of present and of skipped objects of each content.
#[derive(Default)]
struct Numbers(HashMap<i64, Box<[(u32, u32); BLOCK as usize]>>);

impl Numbers {
    fn place(id: i64) -> (i64, usize) {
        let block = i64::from(BLOCK);
        (id.div_euclid(block), usize::try_from(id.rem_euclid(block)).unwrap_or_default())
    }

    fn entry(&mut self, id: i64) -> &mut (u32, u32) {
        let (block, at) = Self::place(id);
        &mut self.0.entry(block).or_insert_with(|| Box::new([(0, 0); BLOCK as usize]))[at]
    }

    fn get(&self, id: i64) -> (i64, i64) {
        let (block, at) = Self::place(id);
        let (present, skipped) = self.0.get(&block).map_or((0, 0), |block| block[at]);
        (present.into(), skipped.into())
    }
}

/// Counts every object, content and label. `stored` says whether contents have their own numbers of objects.
///
/// `continues` gets the number of rows that were read, of which there are one for each content and two for each object.
/// Once it returns false, this returns `None`.
pub(crate) fn recount(
    connection: &Connection,
    places: &mut Places,
    stored: bool,
    continues: &mut dyn FnMut(u64) -> bool,
) -> rusqlite::Result<Option<Recount>> {
    let mut counting = Counting { connection, continues, rows: 0, found: Recount::default() };
    let Some(numbers) = counting.objects()? else { return Ok(None) };
    let Some(labelled) = counting.contents(&numbers, stored)? else { return Ok(None) };
    Ok(counting.keys(places, &labelled)?.then_some(counting.found))
}

struct Counting<'c> {
    connection: &'c Connection,
    continues: &'c mut dyn FnMut(u64) -> bool,
    rows: u64,
    found: Recount,
}

impl Counting<'_> {
    fn goes_on(&mut self) -> bool {
        self.rows += 1;
        !self.rows.is_multiple_of(PATIENCE) || (self.continues)(self.rows)
    }

    fn objects(&mut self) -> rusqlite::Result<Option<Numbers>> {
        let mut numbers = Numbers::default();
        let (mut all, mut gone, mut left_out) = (0, 0, 0);
        let mut statement = self.connection.prepare_cached(OBJECTS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if !self.goes_on() {
                return Ok(None);
            }
            let (content, present, skipped): (Option<i64>, bool, bool) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            if !present {
                gone += 1;
                continue;
            }
            all += 1;
            left_out += i64::from(skipped);
            if let Some(content) = content {
                let number = numbers.entry(content);
                number.0 = number.0.saturating_add(1);
                number.1 = number.1.saturating_add(skipped.into());
            }
        }
        let sums = &mut self.found.sums;
        sums.add(Counter::of(Kind::Present), all);
        sums.add(Counter::of(Kind::Gone), gone);
        sums.add(Counter::of(Kind::Skipped), left_out);
        Ok(Some(numbers))
    }

    /// Counts images and their labels. Both tables are read in the order of contents. Returns the contents with labels.
    fn contents(&mut self, numbers: &Numbers, stored: bool) -> rusqlite::Result<Option<IdSet>> {
        let dictionary = Dictionary::load(self.connection)?;
        let numbers_of_row = if stored { "present, skipped" } else { "NULL, NULL" };
        let mut contents = self.connection.prepare_cached(&format!(
            "SELECT id, state, scenes_done, {numbers_of_row} FROM content ORDER BY id"
        ))?;
        let mut labels = self.connection.prepare_cached(LABELS)?;
        let mut labels = labels.query([])?;
        let mut next = next_label(&mut labels)?;
        let mut labelled = IdSet::default();
        let mut found = Vec::new();
        let mut rows = contents.query([])?;
        while let Some(row) = rows.next()? {
            if !self.goes_on() {
                return Ok(None);
            }
            let (id, state): (i64, i64) = (row.get(0)?, row.get(1)?);
            let done = Scenes::from_bits(row.get(2)?);
            found.clear();
            while let Some((label, mark)) = next.filter(|(label, _)| LabelId::content(*label) <= id)
            {
                if LabelId::content(label) == id {
                    found.extend(found_label(label, mark, done));
                }
                next = next_label(&mut labels)?;
            }
            let (present, skipped) = numbers.get(id);
            // What is no number is wrong too.
            let own = [row.get_ref(3)?.as_i64().ok(), row.get_ref(4)?.as_i64().ok()];
            if stored && own != [Some(present), Some(skipped)] {
                self.found.wrong.push((id, present, skipped));
            }
            if !found.is_empty() {
                labelled.insert(id);
            }
            let failed = state == ContentState::Failed as i64;
            let facts = Facts { present, skipped, failed, done };
            let sums = &mut self.found.sums;
            count_image(facts, &mut found, &dictionary, |counter| sums.add(counter, 1));
        }
        Ok(Some(labelled))
    }

    fn keys(&mut self, places: &mut Places, labelled: &IdSet) -> rusqlite::Result<bool> {
        let mut statement = self.connection.prepare_cached(KEYS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if !self.goes_on() {
                return Ok(false);
            }
            let key = row.get_ref(1)?.as_str()?;
            let place = places.find(self.connection, row.get(0)?, key)?;
            let sums = &mut self.found.sums;
            sums.add(Counter::prefix(place, false), 1);
            if labelled.contains(row.get(2)?) {
                sums.add(Counter::prefix(place, true), 1);
            }
            sums.add(Counter::day(row.get(3)?), 1);
        }
        Ok(true)
    }
}

fn next_label(labels: &mut Rows<'_>) -> rusqlite::Result<Option<(i64, i64)>> {
    labels.next()?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// The label in a row; `None` if its scene is not done.
pub(crate) fn found_label(id: i64, mark: i64, done: Scenes) -> Option<Found> {
    let scene = LabelId::scene(id);
    Scene::from_id(scene).filter(|scene| done.contains(*scene))?;
    Some(Found { tag_id: Mark::tag_id(mark), scene, confidence: Mark::confidence(mark) })
}
