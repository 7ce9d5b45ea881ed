//! Labelled objects, in batches.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement, named_params};

use super::ReadTransaction;
use super::posting::{KEYS, Place, Places};
use crate::object::ETag;
use crate::scene::{Scene, Scenes};
use crate::store::Error;
use crate::store::read::export::{
    Batch, BatchLabel, BatchObject, BatchTag, ExportFilter, Standing,
};
use crate::store::sqlite::Reader;
use crate::store::sqlite::ids::IdSet;
use crate::store::sqlite::posting::SHIFT;
use crate::store::sqlite::rows::Size;
use crate::store::sqlite::sql::{FAILED, has_content, is_label_of, statements};
use crate::time::UnixMillis;

/// The number of objects in a batch: few enough to keep a batch small, and many enough to make the fixed cost of a
/// read small.
const BATCH: i64 = 2_000;

/// The number of tags that are kept in memory. The service knows a few thousand, so in practice this is never reached.
const TAGS: usize = 100_000;

/// Keys by the id of their bucket, the last one first.
type KeysByBucket = HashMap<i64, Vec<String>>;

/// An export under way. It keeps one batch in memory, whose buffers are used again for the next one.
#[derive(Debug)]
pub struct Export<'r> {
    reader: &'r Reader,
    filter: ExportFilter,
    /// The buckets that are left, the next one last.
    buckets: Vec<Bucket>,
    /// The last key read of the present bucket; `None` at its beginning.
    after: Option<String>,
    /// The keys to look at, by bucket, the next one last; `None` to look at every key.
    places: Option<KeysByBucket>,
    /// The blocks of contents to look at; `None` to look at every content.
    blocks: Option<IdSet>,
    batch: Batch,
    /// The indexes of the tags in the batch, by `tag.id`.
    tag_index: HashMap<i64, usize>,
}

/// A bucket, or the URLs called through it.
#[derive(Debug)]
struct Bucket {
    id: i64,
    name: String,
    urls: bool,
}

impl Reader {
    /// Begins an export of labelled objects, by bucket, then by the bytes of the key.
    ///
    /// An object that changes during the export appears as it is when its batch is read.
    pub fn export(&self, filter: ExportFilter) -> Result<Export<'_>, Error> {
        let mut buckets = self.buckets().map_err(|source| self.error(source))?;
        if !filter.buckets.is_empty() {
            buckets.retain(|bucket| filter.buckets.contains(&bucket.name));
        }
        buckets.reverse();
        let (places, blocks) = self.places(&filter)?;
        Ok(Export {
            reader: self,
            filter,
            buckets,
            after: None,
            places,
            blocks,
            batch: Batch::default(),
            tag_index: HashMap::new(),
        })
    }

    /// Finds the keys to look at, by bucket, or the blocks of contents. Both are `None` if every object has to be looked
    /// at.
    fn places(
        &self,
        filter: &ExportFilter,
    ) -> Result<(Option<KeysByBucket>, Option<IdSet>), Error> {
        // An export of changes also has the objects that have lost a label, and the postings do not name those.
        if filter.since_run.is_some() {
            return Ok((None, None));
        }
        let mut places = match filter.standing {
            Standing::Failed => {
                let places = self.failed_places().map_err(|source| self.error(source))?;
                let Some(places) = places else { return Ok((None, None)) };
                places
            }
            _ => match self.places_of(filter)? {
                Places::Everywhere => return Ok((None, None)),
                Places::Blocks(blocks) => return Ok((None, Some(blocks))),
                Places::Keys(places) => places,
            },
        };
        places.sort_unstable_by(|a, b| b.cmp(a));
        let mut by_bucket = KeysByBucket::new();
        for (bucket, key) in places {
            by_bucket.entry(bucket).or_default().push(key);
        }
        Ok((Some(by_bucket), None))
    }

    /// The keys of the images that are given up. Returns `None` if there are too many of them to be held in memory.
    fn failed_places(&self) -> rusqlite::Result<Option<Vec<Place>>> {
        let most = i64::try_from(KEYS + 1).unwrap_or(i64::MAX);
        let mut failed = self.connection.prepare_cached(&FAILED_KEYS)?;
        let places = failed.query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let places = places.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok((places.len() <= KEYS).then_some(places))
    }

    /// Reads the buckets, in the order of an export.
    fn buckets(&self) -> rusqlite::Result<Vec<Bucket>> {
        self.connection
            .prepare_cached("SELECT id, name, kind = 'urls' FROM bucket ORDER BY name, kind")?
            .query_map([], |row| {
                Ok(Bucket { id: row.get(0)?, name: row.get(1)?, urls: row.get(2)? })
            })?
            .collect()
    }
}

// `IS NOT` lets the first read, which has no last key yet, begin with the prefix itself.
const OBJECTS: &str = "
    SELECT object.key, object.last_modified, content.id, content.etag, content.size,
           content.tagged_at, content.scenes_done,
           coalesce(object.changed_run > :since, 0) OR coalesce(content.labels_run > :since, 0),
           content.state, object.skip_reason IS NULL
    FROM (SELECT key, last_modified, content_id, gone_run, changed_run, skip_reason FROM object
          WHERE bucket_id = :bucket AND key >= :from AND key IS NOT :after
          ORDER BY key LIMIT :batch) AS object
    LEFT JOIN content ON content.id = object.content_id AND (object.gone_run IS NULL OR :gone)
    ORDER BY object.key";

statements! {
    /// Selects keys and contents in the order of [`OBJECTS`].
    CONTENTS_OF_KEYS = "
        SELECT key, content_id FROM object
        WHERE bucket_id = ?1 AND key >= ?2 AND key IS NOT ?3 ORDER BY key LIMIT ?4";

    FAILED_KEYS = "
        SELECT object.bucket_id, object.key
        FROM content JOIN object ON {has_content} AND gone_run IS NULL AND skip_reason IS NULL
        WHERE content.state = {FAILED} LIMIT ?1", has_content = has_content("content.id");

    LABELS = "
        SELECT scene, rank, tag_id, confidence FROM label WHERE {of_content} AND confidence >= ?2 ORDER BY id",
        of_content = is_label_of("id", "?1");
}

impl Export<'_> {
    /// Reads the next batch, which may be empty. Returns `None` once everything was read.
    ///
    /// # Errors
    /// [`Error::Unsound`] for a label that no run can have written.
    pub fn next_batch(&mut self) -> Result<Option<&Batch>, Error> {
        let Some(bucket) = self.buckets.last_mut() else { return Ok(None) };
        let id = bucket.id;
        if self.after.is_none() {
            self.batch.bucket = std::mem::take(&mut bucket.name);
            self.batch.urls = bucket.urls;
        }
        self.batch.clear();
        if self.batch.tags.len() > TAGS {
            self.batch.tags.clear();
            self.tag_index.clear();
        }
        let reader = self.reader;
        // Rows of a file that changed meanwhile may look damaged, so that is checked before any other error counts.
        let more = match self.fill(id) {
            Ok(more) => reader.unchanged().map(|()| more),
            Err(error) => reader.unchanged().and(Err(error)),
        };
        if !more? {
            self.buckets.pop();
            self.after = None;
        }
        Ok(Some(&self.batch))
    }

    /// Reads up to [`BATCH`] objects of a bucket. Returns true if there may be more.
    fn fill(&mut self, bucket: i64) -> Result<bool, Error> {
        let reader = self.reader;
        let connection = &reader.connection;
        let sqlite = |source| reader.error(source);
        let _snapshot = ReadTransaction::begin(connection).map_err(sqlite)?;
        if let Some(places) = &mut self.places {
            let mut keys = places.remove(&bucket).unwrap_or_default();
            let rest = keys.len().saturating_sub(usize::try_from(BATCH).unwrap_or(usize::MAX));
            let batch = keys.split_off(rest);
            places.insert(bucket, keys);
            self.after = Some(String::new());
            for key in batch.iter().rev() {
                self.read(bucket, key, None, 1)?;
            }
            return Ok(rest > 0);
        }
        let after = self.after.take();
        let from = after.clone().unwrap_or_else(|| self.filter.prefix.clone());
        if self.blocks.is_some() {
            let (keys, last) =
                self.keys_in_blocks(bucket, &from, after.as_deref()).map_err(sqlite)?;
            for key in &keys {
                self.read(bucket, key, None, 1)?;
            }
            let more = last.is_some();
            self.after = Some(last.unwrap_or_default());
            return Ok(more);
        }
        let (seen, last) = self.read(bucket, &from, after.as_deref(), BATCH)?;
        self.after = Some(last);
        Ok(seen == BATCH)
    }

    /// Walks up to [`BATCH`] keys of a bucket. Returns those whose contents are in the blocks to look at, and the last key;
    /// `None` instead of the last key if there are no more.
    fn keys_in_blocks(
        &self,
        bucket: i64,
        from: &str,
        after: Option<&str>,
    ) -> rusqlite::Result<(Vec<String>, Option<String>)> {
        let mut objects = self.reader.connection.prepare_cached(&CONTENTS_OF_KEYS)?;
        let mut rows = objects.query((bucket, from, after, BATCH))?;
        let (mut keys, mut last, mut seen) = (Vec::new(), String::new(), 0);
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_str()?;
            if !key.starts_with(&self.filter.prefix) {
                return Ok((keys, None)); // Keys are sorted, so no later key has the prefix.
            }
            seen += 1;
            last.clear();
            last.push_str(key);
            let content: Option<i64> = row.get(1)?;
            let blocks = self.blocks.as_ref();
            if content.is_some_and(|id| blocks.is_none_or(|blocks| blocks.contains(id >> SHIFT))) {
                keys.push(last.clone());
            }
        }
        Ok((keys, (seen == BATCH).then_some(last)))
    }

    /// Reads up to `batch` objects of a bucket. Returns how many there were, and the last key.
    fn read(
        &mut self,
        bucket: i64,
        from: &str,
        after: Option<&str>,
        batch: i64,
    ) -> Result<(i64, String), Error> {
        let reader = self.reader;
        let connection = &reader.connection;
        let sqlite = |source| reader.error(source);
        let mut objects = connection.prepare_cached(OBJECTS).map_err(sqlite)?;
        let mut labels = connection.prepare_cached(&LABELS).map_err(sqlite)?;
        let mut rows = objects
            .query(named_params! {
                ":bucket": bucket,
                ":from": from,
                ":after": after,
                ":gone": self.filter.include_gone,
                ":since": self.filter.since_run,
                ":batch": batch,
            })
            .map_err(sqlite)?;
        let mut seen = 0;
        let mut last = String::new();
        while let Some(row) = rows.next().map_err(sqlite)? {
            seen += 1;
            let key = text(row.get_ref(0).map_err(sqlite)?)?;
            if !key.starts_with(&self.filter.prefix) {
                return Ok((0, last)); // Keys are sorted, so no later key has the prefix.
            }
            last.clear();
            last.push_str(key);
            let increment = self.filter.since_run.is_some();
            if increment && !row.get::<_, bool>(7).map_err(sqlite)? {
                continue;
            }
            let done: Option<u8> = row.get(6).map_err(sqlite)?;
            let scenes = Scenes::from_bits(done.unwrap_or(0));
            let hidden = scenes.without(self.filter.scenes);
            let last_modified: Option<UnixMillis> = row.get(1).map_err(sqlite)?;
            if self.filter.since.is_some_and(|since| last_modified.is_none_or(|at| at < since)) {
                continue;
            }
            let standing = self.filter.standing;
            if standing == Standing::Failed {
                let state: Option<i64> = row.get(8).map_err(sqlite)?;
                if state != Some(FAILED) || !row.get::<_, bool>(9).map_err(sqlite)? {
                    continue;
                }
            }
            let from = self.batch.labels.len();
            let mut is_deleted = scenes.without(hidden).is_empty();
            if !is_deleted {
                self.read_labels(&mut labels, row.get(2).map_err(sqlite)?, scenes)?;
                let has_labels = self.batch.labels.len() > from;
                if standing == Standing::NoLabels && has_labels {
                    self.batch.labels.truncate(from);
                    continue;
                }
                is_deleted =
                    standing == Standing::Answered && !self.filter.names.is_empty() && !has_labels;
            }
            if is_deleted && standing != Standing::Failed {
                if increment {
                    let key = self.batch.keep(&last);
                    self.batch.objects.push(BatchObject::deleted(key));
                }
                continue;
            }
            let etag = etag(row.get_ref(3).map_err(sqlite)?)?;
            let key = self.batch.keep(&last);
            self.batch.objects.push(BatchObject {
                key,
                etag,
                size: row.get::<_, Option<Size>>(4).map_err(sqlite)?.map(|Size(size)| size),
                last_modified,
                tagged_at: row.get(5).map_err(sqlite)?,
                scenes,
                is_deleted: false,
                labels: from..self.batch.labels.len(),
            });
        }
        Ok((seen, last))
    }

    /// Adds the labels of a content to the batch, as far as the filter lets them through. `statement` is [`LABELS`],
    /// and `done` are the scenes that the content is labelled for.
    fn read_labels(
        &mut self,
        statement: &mut Statement<'_>,
        content: i64,
        done: Scenes,
    ) -> Result<(), Error> {
        let reader = self.reader;
        let sqlite = |source| reader.error(source);
        let mut found = statement.query((content, self.filter.min_confidence)).map_err(sqlite)?;
        while let Some(label) = found.next().map_err(sqlite)? {
            let number = |column| label.get::<_, i64>(column).map_err(sqlite);
            let scene = u8::try_from(number(0)?).ok().and_then(Scene::from_id);
            let scene = scene.ok_or_else(|| unsound("a label whose scene is unknown"))?;
            // The labels of a scene that is asked for again stay until the new answer. They do not count here.
            if !done.contains(scene) || !self.filter.scenes.contains(scene) {
                continue;
            }
            let tag = self.tag_in_batch(number(2)?)?;
            if self.batch.tags[tag].wanted {
                self.batch.labels.push(BatchLabel {
                    scene,
                    rank: label.get(1).map_err(sqlite)?,
                    tag,
                    confidence: label.get(3).map_err(sqlite)?,
                });
            }
        }
        Ok(())
    }

    /// Returns the index in the batch of the tag with this id, and reads the tag if it is not in the batch yet.
    fn tag_in_batch(&mut self, id: i64) -> Result<usize, Error> {
        if let Some(index) = self.tag_index.get(&id) {
            return Ok(*index);
        }
        let tag = load_tag(&self.reader.connection, id, &self.filter)
            .map_err(|source| self.reader.error(source))?
            .ok_or_else(|| unsound("a label without its name"))?;
        let index = self.batch.tags.len();
        self.batch.tags.push(tag);
        self.tag_index.insert(id, index);
        Ok(index)
    }
}

/// Converts the stored form of an `ETag`.
fn etag(value: ValueRef<'_>) -> Result<Option<ETag>, Error> {
    Ok(match value {
        ValueRef::Null => None,
        ValueRef::Blob(bytes) => {
            let md5 = bytes.try_into().map_err(|_| unsound("an ETag that is not an MD5"))?;
            Some(ETag::Md5(md5))
        }
        value @ ValueRef::Text(_) => ETag::new(text(value)?),
        ValueRef::Integer(number) => ETag::new(&number.to_string()),
        ValueRef::Real(number) => ETag::new(&number.to_string()),
    })
}

fn text(value: ValueRef<'_>) -> Result<&str, Error> {
    value.as_str().map_err(|_| unsound("text that is not UTF-8"))
}

fn unsound(what: &str) -> Error {
    Error::Unsound { what: what.to_owned() }
}

fn load_tag(
    connection: &Connection,
    id: i64,
    filter: &ExportFilter,
) -> rusqlite::Result<Option<BatchTag>> {
    let mut statement = connection
        .prepare_cached("SELECT name, first_category, second_category FROM tag WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let name: String = row.get(0)?;
    let wanted = filter.names.is_empty() || filter.names.contains(&name);
    let (first, second): (String, String) = (row.get(1)?, row.get(2)?);
    let aliases = &filter.aliases;
    Ok(Some(BatchTag {
        name: aliases.label(&name).to_owned(),
        first_category: aliases.first_category(&first).to_owned(),
        second_category: aliases.second_category(&second).to_owned(),
        wanted,
    }))
}
