//! The objects of the bucket in key order: computed ones with the changes that tests make, or the files of a folder.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use super::folder::Folder;
use super::object::Object;
use super::synthetic::Synthetic;

/// Objects by key. `None` hides the computed object with that key.
type Overlay = BTreeMap<Vec<u8>, Option<Object>>;

pub(super) enum Catalogue {
    Folder(Folder),
    Synthetic { bucket: Synthetic, overlay: RwLock<Arc<Overlay>> },
}

impl Catalogue {
    pub(super) fn synthetic(bucket: Synthetic) -> Self {
        Self::Synthetic { bucket, overlay: RwLock::default() }
    }

    /// Returns the bucket as it is now. A folder is read from disk.
    pub(super) fn view(&self) -> View<'_> {
        match self {
            Self::Folder(folder) => View { bucket: None, stored: folder.rescan() },
            Self::Synthetic { bucket, overlay } => {
                let stored = Arc::clone(&overlay.read().unwrap_or_else(PoisonError::into_inner));
                View { bucket: Some(bucket), stored }
            }
        }
    }

    /// Returns the object with this key; `None` if there is none.
    pub(super) fn get(&self, key: &[u8]) -> Option<Object> {
        match self {
            Self::Folder(folder) => folder.get(key),
            Self::Synthetic { bucket, overlay } => {
                let overlay = overlay.read().unwrap_or_else(PoisonError::into_inner);
                match overlay.get(key) {
                    Some(stored) => stored.clone(),
                    None => bucket.index_of(key).map(|index| bucket.object(index)),
                }
            }
        }
    }

    /// Adds, replaces and removes objects of a synthetic bucket. Returns `false` for a folder, whose files can be changed
    /// instead.
    pub(super) fn change(&self, put: Vec<Object>, delete: Vec<Vec<u8>>) -> bool {
        let Self::Synthetic { overlay, .. } = self else { return false };
        let mut overlay = overlay.write().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::make_mut(&mut overlay);
        changed.extend(delete.into_iter().map(|key| (key, None)));
        changed.extend(put.into_iter().map(|object| (object.key.clone(), Some(object))));
        true
    }
}

/// The bucket at one moment.
pub(super) struct View<'a> {
    bucket: Option<&'a Synthetic>,
    stored: Arc<Overlay>,
}

impl View<'_> {
    /// Returns the objects in key order, beginning at the key `bound`, or after it if `exclusive` is set.
    pub(super) fn walk(&self, bound: &[u8], exclusive: bool) -> Walk<'_> {
        let start = if exclusive { Bound::Excluded(bound) } else { Bound::Included(bound) };
        let stored = self.stored.range::<[u8], _>((start, Bound::Unbounded)).peekable();
        let next_index = self.bucket.map_or(0, |bucket| bucket.seek(bound, exclusive));
        Walk { bucket: self.bucket, stored, next_index, computed: None }
    }
}

/// Merges computed and stored objects. A stored object hides the computed one with the same key.
pub(super) struct Walk<'a> {
    bucket: Option<&'a Synthetic>,
    stored: std::iter::Peekable<std::collections::btree_map::Range<'a, Vec<u8>, Option<Object>>>,
    next_index: u64,
    computed: Option<Object>,
}

impl Iterator for Walk<'_> {
    type Item = Object;

    fn next(&mut self) -> Option<Object> {
        loop {
            if self.computed.is_none()
                && let Some(bucket) = self.bucket.filter(|bucket| self.next_index < bucket.objects)
            {
                self.computed = Some(bucket.object(self.next_index));
                self.next_index += 1;
            }
            let Some((key, _)) = self.stored.peek() else { return self.computed.take() };
            match &self.computed {
                Some(object) if object.key < **key => return self.computed.take(),
                Some(object) if object.key == **key => self.computed = None,
                _ => {}
            }
            if let Some((_, Some(object))) = self.stored.next() {
                return Some(object.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_hide_replace_and_add_in_order() {
        let catalogue = Catalogue::synthetic(Synthetic { objects: 20, ..Synthetic::default() });
        let before: Vec<Object> = catalogue.view().walk(b"", false).collect();
        assert_eq!(before.len(), 20);
        let (gone, replaced) = (before[3].key.clone(), before[7].key.clone());
        let replacement =
            Object::put(String::from_utf8(replaced.clone()).unwrap(), "new", Some(9), 5, None);
        let added = Object::put("zz.jpg".into(), "added", None, 5, None);
        assert!(catalogue.change(vec![replacement.clone(), added.clone()], vec![gone.clone()]));
        let after: Vec<Object> = catalogue.view().walk(b"", false).collect();
        assert_eq!(after.len(), 20);
        assert!(after.is_sorted_by(|a, b| a.key < b.key));
        assert!(!after.iter().any(|object| object.key == gone));
        assert_eq!(catalogue.get(&gone), None);
        assert_eq!(catalogue.get(&replaced), Some(replacement));
        assert_eq!(after.last(), Some(&added));
        let rest: Vec<Object> = catalogue.view().walk(&replaced, true).collect();
        assert_eq!(rest[0], before[8]);
    }
}
