//! The dictionary of labels as counting sees it: which tags have one name, or one category.

use std::collections::HashMap;

use rusqlite::Connection;

/// A tag by the first tags that have its name, its first category, and its pair of categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: i64,
    pub(crate) first: i64,
    pub(crate) pair: i64,
}

/// The tags that were read so far. A tag never changes, so only later ones have to be read.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    entries: HashMap<i64, Entry>,
    names: HashMap<String, i64>,
    firsts: HashMap<String, i64>,
    pairs: HashMap<(String, String), i64>,
    last: i64,
}

impl Dictionary {
    /// Reads every tag.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut dictionary = Self::default();
        dictionary.read_further(connection)?;
        Ok(dictionary)
    }

    /// Reads the tags after those that were read.
    pub(crate) fn read_further(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut tags = connection.prepare_cached(
            "SELECT id, name, first_category, second_category FROM tag WHERE id > ?1 ORDER BY id",
        )?;
        let mut rows = tags.query([self.last])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let (name, first, second): (String, String, String) =
                (row.get(1)?, row.get(2)?, row.get(3)?);
            let entry = Entry {
                name: *self.names.entry(name).or_insert(id),
                first: *self.firsts.entry(first.clone()).or_insert(id),
                pair: *self.pairs.entry((first, second)).or_insert(id),
            };
            self.entries.insert(id, entry);
            self.last = id;
        }
        Ok(())
    }

    /// The entry of a tag; `None` if no tag has this id.
    pub(crate) fn get(&self, tag_id: i64) -> Option<Entry> {
        self.entries.get(&tag_id).copied()
    }

    /// The entry of a tag, which is read if it is new.
    pub(crate) fn find(
        &mut self,
        connection: &Connection,
        tag_id: i64,
    ) -> rusqlite::Result<Option<Entry>> {
        if let Some(entry) = self.get(tag_id) {
            return Ok(Some(entry));
        }
        self.read_further(connection)?;
        Ok(self.get(tag_id))
    }
}
