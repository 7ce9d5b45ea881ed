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

    /// Compares the next object of the store with the page. `concludes` says whether the object is gone if the page does
    /// not contain it.
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
            // Another run tries a temporary failure again. If no wanted scene is missing, the failure was about a scene
            // that is no longer asked for, and the content counts as done.
            ContentState::Failed => !own && (temporary || !missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::object::StorageClass;
    use ContentState::{Done, Failed, InFlight, Pending};

    const RUN: i64 = 7;

    fn comparison() -> Comparison {
        Comparison { run_id: RUN, scenes: Scenes::from_bits(2) }
    }

    fn candidate(key: &str, fingerprint: i64, skip: Option<SkipReason>) -> Candidate {
        Candidate {
            key: key.to_owned(),
            etag: None,
            size: Some(0),
            last_modified: None,
            storage_class: StorageClass::Standard,
            skip,
            fingerprint,
        }
    }

    fn known(object_id: i64, key: &str, fingerprint: i64, gone: bool) -> Known {
        Known {
            object_id,
            key: key.to_owned(),
            fingerprint,
            gone,
            content_id: Some(object_id),
            skip_reason: None,
            standing: None,
        }
    }

    fn compare(known: &[Known], page: Vec<Candidate>) -> Compared {
        let mut merge = Merge::new(comparison(), page.into_iter());
        for known in known {
            merge.known(known, true);
        }
        merge.finish()
    }

    #[test]
    fn a_restored_archived_object_is_always_reconsidered() {
        for content_id in [None, Some(1)] {
            let mut archived = known(1, "a.jpg", 5, false);
            archived.skip_reason = Some(SkipReason::Archive.name().to_owned());
            archived.content_id = content_id;
            let compared = compare(&[archived.clone()], vec![candidate("a.jpg", 5, None)]);
            assert!(
                matches!(compared.differences[..], [Difference::Reconsider { .. }]),
                "{content_id:?}"
            );
            let still = vec![candidate("a.jpg", 5, Some(SkipReason::Archive))];
            assert_eq!(compare(&[archived], still).differences, []);
        }
    }

    #[test]
    fn an_unchanged_object_is_reconsidered_if_its_content_needs_more() {
        let standing = |state, done, run_id, temporary| Standing {
            done: Scenes::from_bits(done),
            redo: Scenes::NONE,
            state,
            run_id,
            temporary,
        };
        for (standing, looks) in [
            (standing(Done, 2, Some(1), false), false),
            (standing(Done, 8, Some(1), false), true),
            (Standing { redo: Scenes::from_bits(2), ..standing(Done, 2, None, false) }, true),
            (standing(Pending, 0, Some(1), false), true),
            (standing(Pending, 0, None, false), true),
            (standing(Pending, 0, Some(RUN), false), false),
            (standing(InFlight, 0, Some(RUN), false), false),
            (standing(Failed, 0, Some(1), true), true),
            (standing(Failed, 0, Some(RUN), true), false),
            (standing(Failed, 0, Some(1), false), false),
        ] {
            let known = Known { standing: Some(standing), ..known(1, "a", 5, false) };
            let differences = compare(&[known], vec![candidate("a", 5, None)]).differences;
            assert_eq!(!differences.is_empty(), looks, "{standing:?}");
        }
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        /// The merge against maps: new, changed, returned and gone are set differences.
        #[test]
        fn comparing_finds_the_difference_of_two_sets(
            listed in prop::collection::btree_map("[a-c\u{e9}\u{10ffff}]{0,3}x", 0_i64..3, 0..30),
            stored in prop::collection::btree_map("[a-c\u{e9}\u{10ffff}]{0,3}x", (0_i64..3, any::<bool>()), 0..30),
            unsure in prop::collection::btree_set("[a-c\u{e9}\u{10ffff}]{0,3}x", 0..5),
        ) {
            let page = listed.iter().map(|(key, print)| candidate(key, *print, None));
            let mut merge = Merge::new(comparison(), page);
            let ids: BTreeMap<&String, i64> = stored.keys().zip(1..).collect();
            for (key, (print, gone)) in &stored {
                merge.known(&known(ids[key], key, *print, *gone), !unsure.contains(key));
            }
            let compared = merge.finish();
            prop_assert_eq!(compared.listed, listed.len() as u64);
            let (mut new, mut changed, mut returned, mut gone) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for difference in compared.differences {
                let first = match difference {
                    Difference::New(candidate) => new.insert(candidate.key),
                    Difference::Changed { candidate, object_id, returned: again, .. } => {
                        prop_assert_eq!(ids[&candidate.key], object_id);
                        if again { returned.insert(candidate.key) } else { changed.insert(candidate.key) }
                    }
                    Difference::Gone { object_id, .. } => gone.insert(object_id),
                    _ => false,
                };
                prop_assert!(first, "each key once");
            }
            let expect = |is: &dyn Fn(&String, i64) -> bool| -> BTreeSet<String> {
                listed.iter().filter(|(key, print)| is(key, **print)).map(|(key, _)| key.clone()).collect()
            };
            prop_assert_eq!(new, expect(&|key, _| !stored.contains_key(key)));
            prop_assert_eq!(returned, expect(&|key, _| stored.get(key).is_some_and(|(_, gone)| *gone)));
            prop_assert_eq!(changed, expect(&|key, print| {
                stored.get(key).is_some_and(|(old, gone)| !gone && *old != print)
            }));
            let absent = stored.iter().filter(|(key, (_, gone))| {
                !gone && !listed.contains_key(*key) && !unsure.contains(*key)
            });
            prop_assert_eq!(gone, absent.map(|(key, _)| ids[key]).collect::<BTreeSet<_>>());
        }
    }
}
