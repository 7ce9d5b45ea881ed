//! Remembers the objects that were overwritten while their content was in flight.

use std::collections::HashSet;

/// The objects, by `object.id`; there are few.
#[derive(Debug, Default)]
pub(crate) struct Overwritten {
    objects: HashSet<i64>,
    /// The changes of the turn under way: true if the object was added, false if it was removed.
    changes: Vec<(bool, i64)>,
}

impl Overwritten {
    /// Adds an object.
    pub(crate) fn insert(&mut self, object_id: i64) {
        if self.objects.insert(object_id) {
            self.changes.push((true, object_id));
        }
    }

    /// Removes an object. Returns true if it was there.
    pub(crate) fn remove(&mut self, object_id: i64) -> bool {
        let removed = self.objects.remove(&object_id);
        if removed {
            self.changes.push((false, object_id));
        }
        removed
    }

    pub(super) fn commit(&mut self) {
        self.changes.clear();
    }

    pub(super) fn roll_back(&mut self) {
        while let Some((added, object_id)) = self.changes.pop() {
            if added {
                self.objects.remove(&object_id);
            } else {
                self.objects.insert(object_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_undoes_the_changes_of_the_turn_in_reverse() {
        let mut overwritten = Overwritten::default();
        overwritten.insert(1);
        overwritten.commit();
        overwritten.insert(2);
        assert!(overwritten.remove(2) && overwritten.remove(1));
        overwritten.insert(1);
        assert!(overwritten.remove(1));
        overwritten.roll_back();
        assert!(overwritten.remove(1) && !overwritten.remove(2));
    }
}
