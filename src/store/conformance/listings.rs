//! Listings: pages, ranges, the journal and the order of keys.

use super::*;
use crate::store::model::{ChangeKind, RunState, SkipReason};
use crate::time::UnixSeconds;

fn gone(object_id: i64, content_id: i64) -> Difference {
    Difference::Gone { object_id, content_id: Some(content_id) }
}

#[test]
fn a_span_is_walked_in_the_order_of_the_bytes_of_its_keys() {
    for site in sites() {
        let mut session = site.begin();
        let keys = ["b", "a/2", "a/1", "a/\u{e9}", "a/\u{10ffff}", "a/\u{ff}"];
        let objects: Vec<_> = keys.iter().map(|key| (*key, *key)).collect();
        send(&mut session, listing(&objects)).unwrap();
        let (reader, bucket_id) = (session.reader().unwrap(), session.run().bucket_id);
        let walked = |prefix, after, up_to| {
            let mut keys = Vec::new();
            let each = |known: crate::store::compare::Known<&str>| keys.push(known.key.to_owned());
            reader.span(bucket_id, prefix, after, up_to, false, each).unwrap();
            keys
        };
        let all = ["a/1", "a/2", "a/\u{e9}", "a/\u{ff}", "a/\u{10ffff}", "b"];
        assert_eq!(walked("", "", None), all);
        assert_eq!(walked("a/", "", None), all[..5]);
        assert_eq!(walked("a/", "a/1", Some("a/\u{ff}")), all[1..4]);
        assert_eq!(walked("a/", "", Some("c")), all[..5], "the prefix ends first");
    }
}

#[test]
fn the_journal_names_what_was_added_changed_moved_and_gone() {
    for site in sites() {
        let mut session = site.begin();
        send(&mut session, listing(&[("a", "1"), ("b", "2"), ("c", "3")])).unwrap();
        let first = session.run().id;
        let store = session.finish(RunState::Complete, None, UnixSeconds(120)).unwrap();
        let mut session = begin(store, "");
        let changed = Difference::Changed {
            object_id: 1,
            content_id: Some(1),
            returned: false,
            candidate: candidate("a", "other"),
        };
        let moved = Difference::New(candidate("d", "2"));
        let added = Difference::New(candidate("e", "5"));
        let differences = vec![changed, gone(2, 2), gone(3, 3), moved, added];
        let complete = Request::CompleteListing { now: UnixSeconds(210) };
        send(&mut session, vec![page(0, "m", true, differences), complete]).unwrap();
        let reader = session.reader().unwrap();
        let journal = |run_id| {
            let mut entries = Vec::new();
            reader
                .changes(run_id, |change| {
                    let from = change.from_key.clone();
                    entries.push((change.key.clone(), change.kind, from));
                    Ok::<_, Error>(())
                })
                .unwrap();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries
        };
        assert_eq!(journal(first), [], "the first listing has nothing to compare with");
        let entry =
            |key: &str, kind, from: Option<&str>| (key.to_owned(), kind, from.map(str::to_owned));
        let expected = [
            entry("a", ChangeKind::Changed, None),
            entry("c", ChangeKind::Gone, None),
            entry("d", ChangeKind::Moved, Some("b")),
            entry("e", ChangeKind::Added, None),
        ];
        assert_eq!(journal(session.run().id), expected);
        let counts = session.counts();
        assert_eq!((counts.added, counts.changed, counts.gone), (2, 1, 2));
    }
}

#[test]
fn a_split_range_ends_where_the_new_one_begins() {
    for site in sites() {
        let mut session = site.begin();
        let span = Span { start_after: "g".to_owned(), stop_at: Some("m".to_owned()) };
        let split = Request::SplitRange { seq: 0, new_seq: 2, span: span.clone() };
        send(&mut session, vec![page(0, "c", false, Vec::new()), split]).unwrap();
        let run_id = session.run().id;
        let store = session.finish(RunState::Interrupted, None, UnixSeconds(120)).unwrap();
        let ranges = store.ranges(run_id).unwrap();
        assert_eq!(ranges.len(), 3);
        assert_eq!(
            (&ranges[0].progress, ranges[0].span.stop_at.as_deref()),
            (&up_to("c"), Some("g"))
        );
        assert_eq!(
            (&ranges[2].span, &ranges[2].progress, ranges[2].done),
            (&span, &up_to("g"), false)
        );
    }
}

#[test]
fn a_skipped_object_wants_no_call_and_its_content_leaves_the_queue() {
    for site in sites() {
        let mut session = site.begin();
        send(&mut session, listing(&[("a", "x"), ("b", "y")])).unwrap();
        let skipped = Candidate { skip: Some(SkipReason::Excluded), ..candidate("a", "x") };
        let judged =
            Difference::Reconsider { object_id: 1, content_id: Some(1), candidate: skipped };
        let replies = send(&mut session, vec![page(0, "m", true, vec![judged]), claim(9)]).unwrap();
        let keys: Vec<_> = claimed(replies).into_iter().map(|claimed| claimed.key.key).collect();
        assert_eq!(keys, ["b"]);
        assert_eq!(session.reader().unwrap().skip_reasons().unwrap(), [(SkipReason::Excluded, 1)]);
    }
}

#[test]
fn an_object_that_is_held_back_is_gone_once_the_listing_is_complete() {
    for site in sites() {
        let mut session = site.begin();
        send(&mut session, listing(&[("a", "x"), ("b", "y")])).unwrap();
        let store = session.finish(RunState::Complete, None, UnixSeconds(120)).unwrap();
        let mut session = begin(store, "");
        session.hold_gone();
        let is_gone = |session: &Session| {
            let (mut gone, reader) = (None, session.reader().unwrap());
            let each = |known: crate::store::compare::Known<&str>| gone = Some(known.gone);
            reader.span(session.run().bucket_id, "a", "", Some("a"), false, each).unwrap();
            gone
        };
        send(&mut session, vec![page(0, "m", true, vec![gone(1, 1)])]).unwrap();
        assert_eq!(is_gone(&session), Some(false));
        send(&mut session, vec![Request::CompleteListing { now: UnixSeconds(210) }]).unwrap();
        assert_eq!(is_gone(&session), Some(true));
    }
}
