//! A page against the store's rows of the same span: new, changed, unchanged, gone.
//!
//! Both sides come in the byte order of their keys, so comparing is one merge. What is unchanged yields
//! nothing; a night without changes writes nothing but cursors.

use std::collections::BTreeMap;

use crate::scene::Scenes;
use crate::store::compare::{Known, Standing};
use crate::store::model::{ContentState, SkipReason};
use crate::store::turn::{Candidate, Difference};

/// Which run compares, and with what in mind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    /// The run's id.
    pub(crate) run_id: i64,
    /// What each wanted content needs.
    pub(crate) scenes: Scenes,
}

/// What a page came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Compared {
    pub(crate) differences: Vec<Difference>,
    pub(crate) listed: u64,
    pub(crate) wanted: u64,
    pub(crate) skipped: BTreeMap<SkipReason, u64>,
}

/// The merge: candidates of the page in key order, against the store's rows fed one by one.
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

    /// The next row of the store's span. `concludes`: whether its absence from the page means that it
    /// is gone.
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

    /// The span has ended: what is left of the page is new.
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
        // Also with the settings of the last listing: an archived object may have been restored since.
        if known.skip_reason.as_ref().map(T::as_ref) != candidate.skip.map(SkipReason::name) {
            return true;
        }
        candidate.skip.is_none()
            && match known.standing {
                Some(standing) => self.comparison.needs(standing),
                // Without a standing nothing else is different: the settings are those of the last listing.
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
    /// Whether a content that an unchanged, wanted object has is to be looked at by the writer.
    pub(crate) fn needs(&self, standing: Standing) -> bool {
        let Standing { done, redo, state, run_id, temporary } = standing;
        let missing = !self.scenes.without(done).union(redo).is_empty();
        let own = run_id == Some(self.run_id);
        match state {
            ContentState::Pending | ContentState::InFlight => !own,
            ContentState::Done => missing,
            // Nothing is missing of what failed for a scene that nobody asks for any more.
            ContentState::Failed => !own && (temporary || !missing),
        }
    }
}

#[cfg(test)]
mod tests;
