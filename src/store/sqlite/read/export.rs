//! Objects with their labels, in batches: what an export is made of.

use std::collections::HashMap;
use std::ops::Range;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, named_params};

use super::Snapshot;
use crate::label::Label;
use crate::object::ETag;
use crate::scene::{Scene, Scenes};
use crate::store::Error;
use crate::store::sqlite::Reader;

/// Objects read at a time: few enough that a batch is small, many enough that a read's fixed cost is too.
const BATCH: i64 = 2_000;

/// Names kept in memory; the service knows a few thousand, so a database never fills this in practice.
const TAGS: usize = 100_000;

/// Which objects and labels an export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFilter {
    /// Names of buckets; empty: all.
    pub buckets: Vec<String>,
    /// How a key must begin; "" is every key.
    pub prefix: String,
    /// Scenes whose labels are wanted.
    pub scenes: Scenes,
    /// 0 to 100; labels below are left out.
    pub min_confidence: i64,
    /// Names of labels, exact; empty: all.
    pub names: Vec<String>,
    /// Names that an object must have, each of them, to be of interest: others may be left out.
    pub having: Vec<String>,
    /// Whether objects that are no longer in the bucket are wanted too.
    pub include_gone: bool,
}

impl Default for ExportFilter {
    fn default() -> Self {
        Self {
            buckets: Vec::new(),
            prefix: String::new(),
            scenes: Scene::ALL.into_iter().collect(),
            min_confidence: 0,
            names: Vec::new(),
            having: Vec::new(),
            include_gone: false,
        }
    }
}

/// An object that has been tagged, with those of its labels that the filter lets through.
#[derive(Debug, Clone, Copy)]
pub struct Exported<'a> {
    /// The bucket's name.
    pub bucket: &'a str,
    /// The key; of a list of URLs, the URL.
    pub key: &'a str,
    /// None: a URL, or the service gave none.
    pub etag: Option<&'a ETag>,
    /// Bytes; none: a URL.
    pub size: Option<i64>,
    /// Milliseconds of the unix epoch; none: a URL.
    pub last_modified: Option<i64>,
    /// Seconds of the unix epoch.
    pub tagged_at: Option<i64>,
    /// The scenes whose labels are there, perhaps none of them, whatever the filter says.
    pub scenes: Scenes,
    labels: &'a [Read],
    tags: &'a [Tag],
}

impl<'a> Exported<'a> {
    /// The labels, by scene and rank.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = Label<'a>> + use<'a> {
        let (labels, tags) = (self.labels, self.tags);
        labels.iter().map(move |label| {
            let tag = &tags[label.tag];
            Label {
                scene: label.scene,
                rank: label.rank,
                name: &tag.name,
                first_category: &tag.first_category,
                second_category: &tag.second_category,
                confidence: label.confidence,
            }
        })
    }
}

/// A label as it is read; its texts are those of a tag.
#[derive(Debug)]
struct Read {
    scene: Scene,
    rank: u32,
    tag: usize,
    confidence: u8,
}

#[derive(Debug)]
struct Tag {
    name: String,
    first_category: String,
    second_category: String,
    wanted: bool,
}

#[derive(Debug)]
struct Object {
    key: Range<usize>,
    etag: Option<ETag>,
    size: Option<i64>,
    last_modified: Option<i64>,
    tagged_at: Option<i64>,
    scenes: Scenes,
    labels: Range<usize>,
}

/// A batch of objects, in the order of their keys' bytes.
#[derive(Debug)]
pub struct Batch<'a> {
    bucket: &'a str,
    text: &'a str,
    objects: &'a [Object],
    labels: &'a [Read],
    tags: &'a [Tag],
}

impl Batch<'_> {
    /// The objects.
    pub fn objects(&self) -> impl Iterator<Item = Exported<'_>> {
        self.objects.iter().map(|object| Exported {
            bucket: self.bucket,
            key: &self.text[object.key.clone()],
            etag: object.etag.as_ref(),
            size: object.size,
            last_modified: object.last_modified,
            tagged_at: object.tagged_at,
            scenes: object.scenes,
            labels: &self.labels[object.labels.clone()],
            tags: self.tags,
        })
    }
}

/// An export under way; its memory is that of one batch, reused for each.
#[derive(Debug)]
pub struct Export<'r> {
    reader: &'r Reader,
    filter: ExportFilter,
    /// Still to come, the next one last.
    buckets: Vec<(i64, String)>,
    bucket: String,
    after: Option<String>,
    /// The keys that are looked at, by bucket, the next one last; none: all.
    places: Option<HashMap<i64, Vec<String>>>,
    text: String,
    objects: Vec<Object>,
    labels: Vec<Read>,
    tags: Vec<Tag>,
    tag_index: HashMap<i64, usize>,
}

impl Reader {
    /// Begins an export of tagged objects, by bucket, then by the bytes of the key.
    ///
    /// An object that changes while the export is under way appears as it is when its batch is read.
    ///
    /// # Errors
    /// As any read.
    pub fn export(&self, filter: ExportFilter) -> Result<Export<'_>, Error> {
        let mut buckets = self.buckets().map_err(|source| self.error(source))?;
        if !filter.buckets.is_empty() {
            buckets.retain(|(_, name)| filter.buckets.contains(name));
        }
        buckets.reverse();
        let places = self.places(&filter)?;
        Ok(Export {
            reader: self,
            filter,
            buckets,
            bucket: String::new(),
            after: None,
            places,
            text: String::new(),
            objects: Vec::new(),
            labels: Vec::new(),
            tags: Vec::new(),
            tag_index: HashMap::new(),
        })
    }

    /// Where the rarest of the names that are to be there is, if that is known.
    fn places(&self, filter: &ExportFilter) -> Result<Option<HashMap<i64, Vec<String>>>, Error> {
        if filter.include_gone {
            return Ok(None);
        }
        let mut rarest: Option<Vec<(i64, String)>> = None;
        for name in &filter.having {
            let Some(places) = self.places_of(name, &filter.prefix)? else { continue };
            if rarest.as_ref().is_none_or(|rarest| places.len() < rarest.len()) {
                rarest = Some(places);
            }
        }
        Ok(rarest.map(|mut places| {
            places.sort_unstable_by(|a, b| b.cmp(a));
            let mut by_bucket: HashMap<i64, Vec<String>> = HashMap::new();
            for (bucket, key) in places {
                by_bucket.entry(bucket).or_default().push(key);
            }
            by_bucket
        }))
    }

    /// Ids and names of buckets, in the order of an export.
    fn buckets(&self) -> rusqlite::Result<Vec<(i64, String)>> {
        self.connection
            .prepare_cached("SELECT id, name FROM bucket ORDER BY name, kind")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }
}

// `IS NOT` lets the first read, which has no last key yet, begin with the prefix itself.
const OBJECTS: &str = "
    SELECT object.key, object.last_modified, content.id, content.etag, content.size,
           content.tagged_at, content.scenes_done
    FROM (SELECT key, last_modified, content_id, gone_run FROM object
          WHERE bucket_id = :bucket AND key >= :from AND key IS NOT :after
          ORDER BY key LIMIT :batch) AS object
    LEFT JOIN content ON content.id = object.content_id AND (object.gone_run IS NULL OR :gone)
    ORDER BY object.key";

const LABELS: &str = "
    SELECT scene, rank, tag_id, confidence FROM label
    WHERE id BETWEEN 256 * ?1 AND 256 * ?1 + 255 AND confidence >= ?2 ORDER BY id";

impl Export<'_> {
    /// Reads the next batch; none when everything has been read. A batch may be empty.
    ///
    /// # Errors
    /// As any read; [`Error::Unsound`] for a label that no run can have written.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, Error> {
        let Some((id, name)) = self.buckets.last_mut() else { return Ok(None) };
        let id = *id;
        if self.after.is_none() {
            self.bucket = std::mem::take(name);
        }
        self.text.clear();
        self.objects.clear();
        self.labels.clear();
        if self.tags.len() > TAGS {
            self.tags.clear();
            self.tag_index.clear();
        }
        let reader = self.reader;
        // Rows of several moments could look like anything: whether they are is asked first.
        let more = match self.fill(id) {
            Ok(more) => reader.unchanged().map(|()| more),
            Err(error) => reader.unchanged().and(Err(error)),
        };
        if !more? {
            self.buckets.pop();
            self.after = None;
        }
        Ok(Some(Batch {
            bucket: &self.bucket,
            text: &self.text,
            objects: &self.objects,
            labels: &self.labels,
            tags: &self.tags,
        }))
    }

    /// Reads up to [`BATCH`] objects of a bucket; whether there may be more.
    fn fill(&mut self, bucket: i64) -> Result<bool, Error> {
        let reader = self.reader;
        let connection = &reader.connection;
        let sqlite = |source| reader.error(source);
        let _snapshot = Snapshot::begin(connection).map_err(sqlite)?;
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
        let (seen, last) = self.read(bucket, &from, after.as_deref(), BATCH)?;
        self.after = Some(last);
        Ok(seen == BATCH)
    }

    /// Reads up to so many objects of a bucket; how many there were, and the last key.
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
        let mut labels = connection.prepare_cached(LABELS).map_err(sqlite)?;
        let mut rows = objects
            .query(named_params! {
                ":bucket": bucket,
                ":from": from,
                ":after": after,
                ":gone": self.filter.include_gone,
                ":batch": batch,
            })
            .map_err(sqlite)?;
        let mut seen = 0;
        let mut last = String::new();
        while let Some(row) = rows.next().map_err(sqlite)? {
            seen += 1;
            let key = text(row.get_ref(0).map_err(sqlite)?)?;
            if !key.starts_with(&self.filter.prefix) {
                return Ok((0, last)); // keys are sorted: none of those to come has the prefix
            }
            last.clear();
            last.push_str(key);
            let done: Option<u8> = row.get(6).map_err(sqlite)?;
            let scenes = Scenes::from_bits(done.unwrap_or(0));
            let hidden = scenes.without(self.filter.scenes);
            if scenes.without(hidden).is_empty() {
                continue;
            }
            let from = self.labels.len();
            let content: i64 = row.get(2).map_err(sqlite)?;
            let mut found = labels.query((content, self.filter.min_confidence)).map_err(sqlite)?;
            while let Some(label) = found.next().map_err(sqlite)? {
                let number = |column| label.get::<_, i64>(column).map_err(sqlite);
                let scene = u8::try_from(number(0)?).ok().and_then(Scene::from_id);
                let scene = scene.ok_or_else(|| unsound("a label of no known scene"))?;
                // Labels stay until a new answer settles; what is not done does not count.
                if !scenes.contains(scene) || !self.filter.scenes.contains(scene) {
                    continue;
                }
                let tag = number(2)?;
                let tag = if let Some(index) = self.tag_index.get(&tag) {
                    *index
                } else {
                    let loaded = load_tag(connection, tag, &self.filter.names)
                        .map_err(sqlite)?
                        .ok_or_else(|| unsound("a label without its name"))?;
                    self.tags.push(loaded);
                    self.tag_index.insert(tag, self.tags.len() - 1);
                    self.tags.len() - 1
                };
                if self.tags[tag].wanted {
                    self.labels.push(Read {
                        scene,
                        rank: label.get(1).map_err(sqlite)?,
                        tag,
                        confidence: label.get(3).map_err(sqlite)?,
                    });
                }
            }
            if !self.filter.names.is_empty() && self.labels.len() == from {
                continue;
            }
            let etag = match row.get_ref(3).map_err(sqlite)? {
                ValueRef::Null => None,
                ValueRef::Blob(bytes) => {
                    let md5 = bytes.try_into().map_err(|_| unsound("an ETag that is no MD5"))?;
                    Some(ETag::Md5(md5))
                }
                value @ ValueRef::Text(_) => ETag::new(text(value)?),
                ValueRef::Integer(number) => ETag::new(&number.to_string()),
                ValueRef::Real(number) => ETag::new(&number.to_string()),
            };
            self.objects.push(Object {
                key: keep(&mut self.text, &last),
                etag,
                size: row.get(4).map_err(sqlite)?,
                last_modified: row.get(1).map_err(sqlite)?,
                tagged_at: row.get(5).map_err(sqlite)?,
                scenes,
                labels: from..self.labels.len(),
            });
        }
        Ok((seen, last))
    }
}

fn keep(buffer: &mut String, text: &str) -> Range<usize> {
    let start = buffer.len();
    buffer.push_str(text);
    start..buffer.len()
}

fn text(value: ValueRef<'_>) -> Result<&str, Error> {
    value.as_str().map_err(|_| unsound("text that is not UTF-8"))
}

fn unsound(what: &str) -> Error {
    Error::Unsound { what: what.to_owned() }
}

fn load_tag(connection: &Connection, id: i64, names: &[String]) -> rusqlite::Result<Option<Tag>> {
    let mut statement = connection
        .prepare_cached("SELECT name, first_category, second_category FROM tag WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let name: String = row.get(0)?;
    let wanted = names.is_empty() || names.contains(&name);
    Ok(Some(Tag { name, first_category: row.get(1)?, second_category: row.get(2)?, wanted }))
}
