//! Collects the changes of the kept counts, and stores them with the turn that brought them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _};

use crate::scene::Scenes;
use crate::store::model::ContentState;
use crate::store::sqlite::count::{
    COUNTED, Counter, Dictionary, Facts, Found, Kind, Place, Places, count_image, damaged,
    decode_changes, decode_counts, encode_changes, encode_counts, found_label,
};
use crate::store::sqlite::error::is_unsound;
use crate::store::sqlite::rows::{LabelId, Numbered};
use crate::store::sqlite::sql::{has_content, statements};
use crate::time::UnixMillis;

/// The size in bytes from which the log of changes is added to the counts. A larger log makes adding cheaper for each
/// change, and reading the counts slower.
const LOG_BYTES: usize = if cfg!(test) { 150 } else { 2 << 20 };

statements! {
    READ_FACTS = "SELECT state, scenes_done, present, skipped FROM content WHERE id = ?1";

    READ_LABELS = "SELECT id, mark FROM label WHERE id BETWEEN ?1 AND ?2";

    READ_OBJECT = "
        SELECT bucket_id, key, content_id, last_modified, skip_reason IS NOT NULL FROM object
        WHERE id = ?1 AND gone_run IS NULL";

    /// Selects the keys of the present objects that want the content `?1`.
    WANTED_KEYS = "
        SELECT bucket_id, key FROM object WHERE {has_content} AND gone_run IS NULL AND skip_reason IS NULL",
        has_content = has_content("?1");

    ADD_OBJECTS = "UPDATE content SET present = present + ?2, skipped = skipped + ?3 WHERE id = ?1";

    INSERT_PREFIX = "INSERT INTO prefix (id, bucket_id, prefix) VALUES (?1, ?2, ?3)";

    INSERT_LOG = "INSERT INTO count_log (changes) VALUES (?1)";

    SIZE_OF_LOG = "SELECT coalesce(sum(length(changes)), 0) FROM count_log";

    READ_LOG = "SELECT changes FROM count_log";

    DELETE_LOG = "DELETE FROM count_log";

    FORGET_COUNTS = "DELETE FROM meta WHERE name = '{COUNTED}'";

    READ_LABEL_COUNT = "SELECT counts FROM label_count WHERE id = ?1";

    REPLACE_LABEL_COUNT = "INSERT OR REPLACE INTO label_count (id, counts) VALUES (?1, ?2)";

    ADD_IMAGE_COUNT = "
        INSERT INTO image_count (id, count) VALUES (?1, ?2)
        ON CONFLICT (id) DO UPDATE SET count = count + excluded.count";
}

/// A present object, as far as counts depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted<'k> {
    pub(super) bucket_id: i64,
    pub(super) key: &'k str,
    pub(super) content_id: Option<i64>,
    pub(super) last_modified: Option<UnixMillis>,
    pub(super) skipped: bool,
}

/// A content before it changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    has_labels: bool,
}

/// What was counted in the turn under way, and what counting has read so far.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    /// The changes of the turn under way.
    changes: Vec<(Counter, i64)>,
    dictionary: Dictionary,
    places: Places,
    /// Contents in flight that one wanted object has and that have no label, with the place of the object. A change of
    /// such a content is counted without reading anything.
    simple: HashMap<i64, Place>,
    /// The size of the log in bytes; `None` until it was read.
    log: Option<usize>,
    /// The content that is being changed.
    pub(super) open: Option<i64>,
    /// What was unsound, if counting was given up in the turn under way. Nothing is counted any more then.
    damage: Option<String>,
}

impl Counting {
    /// Counts something. Returns `None` if nothing is counted any more.
    ///
    /// Counting reads rows that can be made anew at any time. If one of them is unsound, counting is given up instead of
    /// the turn, and [`Counting::store`] notes that the counts are not kept.
    pub(super) fn part<T>(
        &mut self,
        count: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        if self.damage.is_some() {
            return Ok(None);
        }
        match count(self) {
            Err(source) if is_unsound(&source) => {
                *self = Self { damage: Some(source.to_string()), ..Self::default() };
                Ok(None)
            }
            counted => counted.map(Some),
        }
    }

    /// Returns what was unsound, if counting was given up in the turn that has ended.
    pub(super) fn take_damage(&mut self) -> Option<String> {
        self.damage.take()
    }

    fn add(&mut self, counter: Counter, by: i64) {
        self.changes.push((counter, by));
    }

    /// Counts a content as it is now, with the sign of `by`.
    fn image(&mut self, facts: Facts, labels: &mut [Found], by: i64) {
        let Self { changes, dictionary, .. } = self;
        count_image(facts, labels, dictionary, |counter| changes.push((counter, by)));
    }

    fn facts(connection: &Connection, content_id: i64) -> rusqlite::Result<Option<Facts>> {
        connection
            .prepare_cached(&READ_FACTS)?
            .query_row([content_id], |row| {
                let Numbered(state): Numbered<ContentState> = row.get(0)?;
                Ok(Facts {
                    failed: state == ContentState::Failed,
                    done: Scenes::from_bits(row.get(1)?),
                    present: row.get(2)?,
                    skipped: row.get(3)?,
                })
            })
            .optional()
    }

    /// Reads the labels of the scenes that are done.
    fn labels(
        &mut self,
        connection: &Connection,
        content_id: i64,
        done: Scenes,
    ) -> rusqlite::Result<Vec<Found>> {
        let mut found = Vec::new();
        if done.is_empty() {
            return Ok(found);
        }
        let ids = LabelId::of_content(content_id);
        let mut labels = connection.prepare_cached(&READ_LABELS)?;
        let mut rows = labels.query((ids.start(), ids.end()))?;
        while let Some(row) = rows.next()? {
            if let Some(label) = found_label(row.get(0)?, row.get(1)?, done) {
                self.dictionary.find(connection, label.tag_id)?;
                found.push(label);
            }
        }
        Ok(found)
    }

    /// Counts an object that came (`by` is 1) or went (-1). The row of the object may have been changed before or after.
    ///
    /// `made` is true if the content was made for this object, so that its row counts the object already.
    pub(super) fn object(
        &mut self,
        connection: &Connection,
        object: Counted<'_>,
        by: i64,
        made: bool,
    ) -> rusqlite::Result<()> {
        self.add(Counter::of(Kind::Present), by);
        if object.skipped {
            self.add(Counter::of(Kind::Skipped), by);
        }
        let Some(content_id) = object.content_id else { return Ok(()) };
        let mut has_labels = false;
        if made {
            let facts = Facts { present: 1, skipped: 0, failed: false, done: Scenes::NONE };
            self.image(facts, &mut [], by);
        } else {
            self.simple.remove(&content_id);
            let Some(before) = Self::facts(connection, content_id)? else { return Ok(()) };
            let skipped = if object.skipped { by } else { 0 };
            let after =
                Facts { present: before.present + by, skipped: before.skipped + skipped, ..before };
            let differs =
                (before.is_image(), before.is_wanted()) != (after.is_image(), after.is_wanted());
            let mut labels = if differs || !object.skipped {
                self.labels(connection, content_id, before.done)?
            } else {
                Vec::new()
            };
            has_labels = !labels.is_empty();
            if differs {
                self.image(before, &mut labels, -1);
                self.image(after, &mut labels, 1);
            }
            connection.prepare_cached(&ADD_OBJECTS)?.execute((content_id, by, skipped))?;
        }
        if !object.skipped {
            let place = self.places.find(connection, object.bucket_id, object.key)?;
            self.add(Counter::prefix(place, false), by);
            if has_labels {
                self.add(Counter::prefix(place, true), by);
            }
            self.add(Counter::day(object.last_modified), by);
        }
        Ok(())
    }

    /// Counts an object that is gone (`by` is 1), or gone no longer (-1).
    pub(super) fn gone(&mut self, by: i64) {
        self.add(Counter::of(Kind::Gone), by);
    }

    /// Counts that an object has another time.
    pub(super) fn time(&mut self, before: Option<UnixMillis>, after: Option<UnixMillis>) {
        if Counter::day(before) != Counter::day(after) {
            self.add(Counter::day(before), -1);
            self.add(Counter::day(after), 1);
        }
    }

    /// Takes a content out of the counts before it changes.
    pub(super) fn before(
        &mut self,
        connection: &Connection,
        content_id: i64,
    ) -> rusqlite::Result<Before> {
        self.simple.remove(&content_id);
        self.of_content(connection, content_id, -1)
    }

    /// Puts a content back into the counts after it changed.
    pub(super) fn after(
        &mut self,
        connection: &Connection,
        content_id: i64,
        before: Before,
    ) -> rusqlite::Result<()> {
        let after = self.of_content(connection, content_id, 1)?;
        if before.has_labels == after.has_labels {
            return Ok(());
        }
        let by = if after.has_labels { 1 } else { -1 };
        let mut keys = connection.prepare_cached(&WANTED_KEYS)?;
        let mut rows = keys.query([content_id])?;
        while let Some(row) = rows.next()? {
            let place = self.places.find(connection, row.get(0)?, row.get_ref(1)?.as_str()?)?;
            self.add(Counter::prefix(place, true), by);
        }
        Ok(())
    }

    fn of_content(
        &mut self,
        connection: &Connection,
        content_id: i64,
        by: i64,
    ) -> rusqlite::Result<Before> {
        let Some(facts) = Self::facts(connection, content_id)? else {
            return Ok(Before { has_labels: false });
        };
        let mut labels = self.labels(connection, content_id, facts.done)?;
        self.image(facts, &mut labels, by);
        Ok(Before { has_labels: !labels.is_empty() })
    }

    /// Notes that a content without labels is in flight, and that only the object with this key has it and wants it.
    pub(super) fn note_simple(
        &mut self,
        connection: &Connection,
        content_id: i64,
        bucket_id: i64,
        key: &str,
    ) -> rusqlite::Result<()> {
        let place = self.places.find(connection, bucket_id, key)?;
        self.simple.insert(content_id, place);
        Ok(())
    }

    /// Forgets what was noted of a content in flight, which comes back from there unchanged.
    pub(super) fn forget(&mut self, content_id: i64) {
        self.simple.remove(&content_id);
    }

    /// Takes a content out of the counts that was noted as simple. Returns its place.
    pub(super) fn take_simple(&mut self, content_id: i64) -> Option<Place> {
        let place = self.simple.remove(&content_id)?;
        let facts = Facts { present: 1, skipped: 0, failed: false, done: Scenes::NONE };
        self.image(facts, &mut [], -1);
        Some(place)
    }

    /// Puts a content back into the counts that [`Counting::take_simple`] took out.
    pub(super) fn give_simple(
        &mut self,
        connection: &Connection,
        place: Place,
        failed: bool,
        done: Scenes,
        labels: &mut [Found],
    ) -> rusqlite::Result<()> {
        for label in labels.iter() {
            self.dictionary.find(connection, label.tag_id)?;
        }
        self.image(Facts { present: 1, skipped: 0, failed, done }, labels, 1);
        if !labels.is_empty() {
            self.add(Counter::prefix(place, true), 1);
        }
        Ok(())
    }

    /// Stores the changes of the turn, or that the counts are not kept.
    pub(super) fn store(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.part(|counting| counting.store_changes(connection))?;
        if self.damage.is_some() {
            connection.prepare_cached(&FORGET_COUNTS)?.execute([])?;
        }
        Ok(())
    }

    fn store_changes(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        for new in self.places.new.drain(..) {
            let row = (new.id, new.bucket_id, new.prefix);
            connection.prepare_cached(&INSERT_PREFIX)?.execute(row)?;
        }
        merge(&mut self.changes);
        let bytes = encode_changes(&self.changes);
        self.changes.clear();
        if bytes.is_empty() {
            return Ok(());
        }
        let size = match self.log {
            Some(size) => size,
            None => connection
                .prepare_cached(&SIZE_OF_LOG)?
                .query_row([], |row| row.get::<_, i64>(0))
                .map(|size| usize::try_from(size).unwrap_or_default())?,
        };
        connection.prepare_cached(&INSERT_LOG)?.execute([&bytes])?;
        self.log = Some(size + bytes.len());
        if size + bytes.len() > LOG_BYTES {
            add_log(connection)?;
            self.log = Some(0);
        }
        Ok(())
    }
}

/// Sorts changes, and adds up those of one counter.
fn merge(changes: &mut Vec<(Counter, i64)>) {
    changes.sort_unstable_by_key(|(counter, _)| *counter);
    changes.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0;
        if is_same {
            kept.1 = kept.1.saturating_add(later.1);
        }
        is_same
    });
    changes.retain(|(_, by)| *by != 0);
}

/// Adds the log of changes to the counts, and empties it.
fn add_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut changes = Vec::new();
    let mut log = connection.prepare_cached(&READ_LOG)?;
    let mut rows = log.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob()?;
        decode_changes(bytes, |counter, by| changes.push((counter, by))).ok_or_else(damaged)?;
    }
    drop(rows);
    merge(&mut changes);
    let mut labels: Vec<(i64, u8, i64)> = Vec::new();
    let mut add = connection.prepare_cached(&ADD_IMAGE_COUNT)?;
    for (counter, by) in changes {
        if counter.kind() == Kind::Label {
            let (row, confidence) = counter.row_and_confidence();
            labels.push((row, confidence, by));
        } else {
            add.execute((counter.number(), by))?;
        }
    }
    labels.sort_unstable();
    let mut read = connection.prepare_cached(&READ_LABEL_COUNT)?;
    let mut replace = connection.prepare_cached(&REPLACE_LABEL_COUNT)?;
    for changes in labels.chunk_by(|a, b| a.0 == b.0) {
        let Some((row, _, _)) = changes.first() else { continue };
        let mut counts = [0; 128];
        let mut rows = read.query([row])?;
        if let Some(found) = rows.next()? {
            decode_counts(found.get_ref(0)?.as_blob()?, &mut counts).ok_or_else(damaged)?;
        }
        drop(rows);
        for (_, confidence, by) in changes {
            let count = &mut counts[usize::from(*confidence)];
            *count = count.saturating_add(*by);
        }
        replace.execute((row, encode_counts(&counts)))?;
    }
    connection.prepare_cached(&DELETE_LOG)?.execute([])?;
    Ok(())
}

/// Reads a present object. Returns `None` if it is gone, or if there is none.
pub(super) fn read_object<T>(
    connection: &Connection,
    object_id: i64,
    then: impl FnOnce(Counted<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut read = connection.prepare_cached(&READ_OBJECT)?;
    let mut rows = read.query([object_id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    then(Counted {
        bucket_id: row.get(0)?,
        key: row.get_ref(1)?.as_str()?,
        content_id: row.get(2)?,
        last_modified: row.get(3)?,
        skipped: row.get(4)?,
    })
    .map(Some)
}
