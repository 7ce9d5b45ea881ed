//! The dictionary of labels: the ids of `tag` rows that this session has met.

use std::collections::HashMap;

use crate::label::Label;

/// The largest number of tags remembered. The service has some thousands of names, but could invent more.
const MOST: usize = 50_000;

/// Ids of tags by name and categories.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    ids: HashMap<Vec<u8>, i64>,
    /// The key of the last look-up, kept so that looking up a known name allocates nothing.
    key: Vec<u8>,
}

impl Tags {
    /// The id of the tag with the name and the categories of this label; `None` if it is not remembered.
    pub(crate) fn find(&mut self, label: Label<'_>) -> Option<i64> {
        self.key.clear();
        // Each part follows its length, so that no two different tags have equal keys.
        for part in [label.name, label.first_category, label.second_category] {
            self.key.extend(part.len().to_ne_bytes());
            self.key.extend(part.as_bytes());
        }
        self.ids.get(&self.key).copied()
    }

    /// Remembers the id of the label that was looked up last.
    pub(crate) fn remember(&mut self, id: i64) {
        if self.ids.len() >= MOST {
            self.ids.clear();
        }
        self.ids.insert(self.key.clone(), id);
    }

    pub(super) fn clear(&mut self) {
        self.ids.clear();
    }
}
