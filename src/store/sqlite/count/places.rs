//! The prefixes whose objects are counted: three levels, and no more than [`MOST`] of a bucket.

use std::collections::HashMap;

use rusqlite::Connection;

/// How many levels of prefixes are counted below the bucket.
const LEVELS: usize = 3;

/// How many prefixes of a bucket are counted, the bucket itself included. What comes later counts for the longest of
/// them that it has.
const MOST: usize = if cfg!(test) { 6 } else { 10_000 };

/// Where an object is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// `prefix.id`
    pub(crate) prefix_id: i64,
    /// True if the object has a further prefix, which is not counted by itself.
    pub(crate) is_other: bool,
}

#[derive(Debug)]
struct Bucket {
    urls: bool,
    prefixes: HashMap<String, i64>,
}

/// A prefix that has no row yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewPrefix {
    pub(crate) id: i64,
    pub(crate) bucket_id: i64,
    pub(crate) prefix: String,
}

/// The prefixes of the buckets that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Places {
    buckets: HashMap<i64, Bucket>,
    last_id: Option<i64>,
    /// Prefixes that were found and have no row yet.
    pub(crate) new: Vec<NewPrefix>,
    /// True to use no rows of the table.
    anew: bool,
}

impl Places {
    /// Begins without any prefix, whatever the table has.
    pub(crate) fn anew() -> Self {
        Self { anew: true, last_id: Some(0), ..Self::default() }
    }

    /// Finds the place of a key. A prefix that is new is noted in `new` if there is room.
    pub(crate) fn find(
        &mut self,
        connection: &Connection,
        bucket_id: i64,
        key: &str,
    ) -> rusqlite::Result<Place> {
        if !self.buckets.contains_key(&bucket_id) {
            let bucket = self.load(connection, bucket_id)?;
            self.buckets.insert(bucket_id, bucket);
        }
        let Self { buckets, last_id, new, .. } = self;
        let Some(Bucket { urls, prefixes }) = buckets.get_mut(&bucket_id) else {
            return Ok(Place { prefix_id: 0, is_other: true });
        };
        let mut place = Place { prefix_id: 0, is_other: false };
        let mut end = 0;
        let levels = segments(key, *urls).take(LEVELS).map(str::len);
        for length in std::iter::once(0).chain(levels) {
            end += length;
            let prefix = &key[..end];
            if let Some(id) = prefixes.get(prefix) {
                place.prefix_id = *id;
            } else if prefixes.len() < MOST {
                let id = last_id.unwrap_or_default() + 1;
                *last_id = Some(id);
                prefixes.insert(prefix.to_owned(), id);
                new.push(NewPrefix { id, bucket_id, prefix: prefix.to_owned() });
                place.prefix_id = id;
            } else {
                place.is_other = true;
                break;
            }
        }
        Ok(place)
    }

    fn load(&mut self, connection: &Connection, bucket_id: i64) -> rusqlite::Result<Bucket> {
        let mut kind =
            connection.prepare_cached("SELECT kind = 'urls' FROM bucket WHERE id = ?1")?;
        let mut rows = kind.query([bucket_id])?;
        let urls = rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or_default();
        let mut prefixes = HashMap::new();
        if !self.anew {
            let mut read =
                connection.prepare_cached("SELECT prefix, id FROM prefix WHERE bucket_id = ?1")?;
            let rows = read.query_map([bucket_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            prefixes = rows.collect::<rusqlite::Result<_>>()?;
            if self.last_id.is_none() {
                let last = "SELECT coalesce(max(id), 0) FROM prefix";
                self.last_id = Some(connection.query_row(last, [], |row| row.get(0))?);
            }
        }
        Ok(Bucket { urls, prefixes })
    }
}

/// The segments of a key that end in `/`: the rest after the last `/` is no prefix. In a URL, the scheme and the host
/// are the first segment.
pub(crate) fn segments(key: &str, urls: bool) -> impl Iterator<Item = &str> {
    let host = if urls { key.find("://").map_or(0, |at| at + 3) } else { 0 };
    let first = key[host..].find('/').map(|at| host + at + 1);
    let (first, rest) = first.map_or((None, ""), |end| (Some(&key[..end]), &key[end..]));
    let rest = rest.split_inclusive('/').filter(|segment| segment.ends_with('/'));
    first.into_iter().chain(rest)
}
