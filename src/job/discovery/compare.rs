//! Compares a page with the store's objects of the same span: each object is new, changed, unchanged or gone.
//!
//! Both are sorted by the bytes of the keys, so one merge compares them. Unchanged objects yield no difference, so a run
//! without changes writes nothing but cursors.

use std::collections::BTreeMap;

use crate::scene::Scenes;
use crate::store::compare::{Known, Standing};
use crate::store::model::{ContentState, SkipReason};
use crate::store::turn::{Candidate, Difference};

/// What a run compares objects with, besides their rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    /// `run.id`.
    pub(crate) run_id: i64,
    /// The scenes that each wanted content needs.
    pub(crate) scenes: Scenes,
}

/// The result of comparing a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Compared {
    pub(crate) differences: Vec<Difference>,
    /// The number of objects in the page.
    pub(crate) listed: u64,
    /// The number of objects that are wanted.
    pub(crate) wanted: u64,
    /// The number of objects that are skipped, by the reason.
    pub(crate) skipped: BTreeMap<SkipReason, u64>,
}

/// Merges the candidates of a page with the objects of the store, which are added one by one. Both must be in the order of
/// their keys.
#[derive(Debug)]
pub(crate) struct Merge<I: Iterator<Item = Candidate>> {
    comparison: Comparison,
    page: std::iter::Peekable<I>,
    compared: Compared,
}

impl<I: Iterator<Item = Candidate>> Merge<I> {
    pub(crate) fn new(comparison: Comparison, page: I) -> Self {
        Self { comparison, page: page.peekable(), compared: Compared::default() }
    }

    /// Adds the next object of the store. `concludes` says whether the object is gone if the page does not contain it.
    pub(crate) fn known<T: AsRef<str>>(&mut self, known: &Known<T>, concludes: bool) {
        let key = known.key.as_ref();
        while let Some(new) = self.page.next_if(|candidate| candidate.key.as_str() < key) {
            self.new_key(new);
        }
        match self.page.next_if(|candidate| candidate.key == key) {
            Some(candidate) => self.same_key(known, candidate),
            None if known.gone || !concludes => {}
            None => {
                let Known { object_id, content_id, .. } = *known;
                self.compared.differences.push(Difference::Gone { object_id, content_id });
            }
        }
    }

    /// Ends the merge: the rest of the page is new.
    pub(crate) fn finish(mut self) -> Compared {
        while let Some(candidate) = self.page.next() {
            self.new_key(candidate);
        }
        self.compared
    }

    fn new_key(&mut self, candidate: Candidate) {
        self.count(&candidate);
        self.compared.differences.push(Difference::New(candidate));
    }

    fn same_key<T: AsRef<str>>(&mut self, known: &Known<T>, candidate: Candidate) {
        self.count(&candidate);
        let Known { object_id, content_id, .. } = *known;
        if known.gone || known.fingerprint != candidate.fingerprint {
            let returned = known.gone;
            self.compared.differences.push(Difference::Changed {
                object_id,
                content_id,
                returned,
                candidate,
            });
        } else if self.must_be_reconsidered(known, &candidate) {
            self.compared.differences.push(Difference::Reconsider {
                object_id,
                content_id,
                candidate,
            });
        }
    }

    fn must_be_reconsidered<T: AsRef<str>>(&self, known: &Known<T>, candidate: &Candidate) -> bool {
        // This can differ even if the settings are the same: an archived object may have been restored.
        if known.skip_reason.as_ref().map(T::as_ref) != candidate.skip.map(SkipReason::name) {
            return true;
        }
        candidate.skip.is_none()
            && match known.standing {
                Some(standing) => self.comparison.needs(standing),
                // The standing is read only if objects are compared one by one. Otherwise nothing else can have changed.
                None => known.content_id.is_none(),
            }
    }

    fn count(&mut self, candidate: &Candidate) {
        self.compared.listed += 1;
        match candidate.skip {
            None => self.compared.wanted += 1,
            Some(reason) => *self.compared.skipped.entry(reason).or_default() += 1,
        }
    }
}

impl Comparison {
    /// Returns whether the writer has to look at the content of an unchanged, wanted object.
    pub(crate) fn needs(&self, standing: Standing) -> bool {
        let Standing { done, redo, state, run_id, temporary } = standing;
        let missing = !self.scenes.without(done).union(redo).is_empty();
        let own = run_id == Some(self.run_id);
        match state {
            ContentState::Pending | ContentState::InFlight => !own,
            ContentState::Done => missing,
            // If the content failed for a scene that is no longer asked for, nothing is missing.
            ContentState::Failed => !own && (temporary || !missing),
        }
    }
}

#[cfg(test)]
mod tests;
