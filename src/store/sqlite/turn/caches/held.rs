//! Holds back the objects that pages no longer have until the listing is complete, because a trial may cut it short.

use std::collections::BTreeMap;

/// The largest number of objects held back: memory must not grow with the bucket. If there are more, this run marks
/// none of them as gone, and the next run does.
const MOST: usize = 100_000;

/// Objects that are known to be gone and are not marked as gone yet.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// True if objects are held back. Otherwise they are marked as gone at once.
    is_active: bool,
    /// By `object.id`: the content that the object has.
    objects: BTreeMap<i64, Option<i64>>,
    /// True once there were too many objects to remember.
    too_many: bool,
    /// Objects that the turn under way added.
    added: Vec<i64>,
    /// What the turn under way has marked as gone.
    concluded: Option<BTreeMap<i64, Option<i64>>>,
}

impl Held {
    /// Begins to hold objects back.
    pub(crate) fn activate(&mut self) {
        self.is_active = true;
    }

    /// Returns true if objects are held back.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Holds an object back.
    pub(crate) fn hold(&mut self, object_id: i64, content_id: Option<i64>) {
        if self.objects.len() >= MOST {
            self.too_many = true;
            self.objects.clear();
            self.added.clear();
        }
        if !self.too_many && self.objects.insert(object_id, content_id).is_none() {
            self.added.push(object_id);
        }
    }

    /// Returns true if the object is held back.
    pub(crate) fn has(&self, object_id: i64) -> bool {
        self.objects.contains_key(&object_id)
    }

    /// Stops holding back, and returns what was held. Give it back by [`Held::concluded`].
    pub(crate) fn conclude(&mut self) -> BTreeMap<i64, Option<i64>> {
        self.is_active = false;
        std::mem::take(&mut self.objects)
    }

    /// Keeps what [`Held::conclude`] returned until the turn ends.
    pub(crate) fn concluded(&mut self, objects: BTreeMap<i64, Option<i64>>) {
        self.concluded = Some(objects);
    }

    pub(super) fn commit(&mut self) {
        self.added.clear();
        self.concluded = None;
    }

    pub(super) fn roll_back(&mut self) {
        if let Some(objects) = self.concluded.take() {
            self.objects = objects;
            self.is_active = true;
        }
        for object_id in self.added.drain(..) {
            self.objects.remove(&object_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolled_back_turn_leaves_the_objects_of_earlier_turns() {
        let mut held = Held::default();
        held.activate();
        held.hold(1, None);
        held.commit();
        held.hold(2, None);
        let objects = held.conclude();
        assert_eq!(objects.len(), 2);
        held.concluded(objects);
        held.roll_back();
        assert!(held.is_active() && held.has(1) && !held.has(2));
        let objects = held.conclude();
        held.concluded(objects);
        held.commit();
        assert!(!held.is_active() && !held.has(1));
    }
}
