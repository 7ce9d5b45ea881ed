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
