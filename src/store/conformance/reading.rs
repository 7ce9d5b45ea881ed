//! What read commands get after a run that labelled and failed.

use super::*;
use crate::store::model::RunState;
use crate::store::read::{Choice, ExportFilter};
use crate::time::{UnixMillis, UnixSeconds};

/// A complete run: `a` and `b` share labels, `c` has none, `d` failed for good and `e` for now.
fn labelled(site: &Site) -> Store {
    let mut session = site.begin();
    let mut requests = listing(&[("a", "1"), ("b", "1"), ("c", "3"), ("d", "4"), ("e", "5")]);
    requests.push(claim(9));
    let claimed = claimed(send(&mut session, requests).unwrap());
    let settle_all = claimed.iter().map(|claimed| {
        let settled = match claimed.key.key.as_str() {
            "a" => labels(&["cat", "dog"]),
            "c" => labels(&[]),
            "d" => given_up(false),
            _ => given_up(true),
        };
        settle(claimed, settled)
    });
    send(&mut session, settle_all.collect()).unwrap();
    session.finish(RunState::Complete, None, UnixSeconds(130)).unwrap()
}

#[test]
fn an_export_holds_every_labelled_object_in_the_order_of_keys() {
    for site in sites() {
        let reader = labelled(&site).reader().unwrap();
        let rows = |filter| {
            let mut export = reader.export(filter).unwrap();
            let mut rows = Vec::new();
            while let Some(batch) = export.next_batch().unwrap() {
                rows.extend(batch.objects().map(|object| {
                    let names: Vec<_> =
                        object.labels().map(|label| label.name.to_owned()).collect();
                    (object.key.to_owned(), names.join(","))
                }));
            }
            rows
        };
        let row = |key: &str, names: &str| (key.to_owned(), names.to_owned());
        let all = rows(ExportFilter::default());
        assert_eq!(all, [row("a", "cat,dog"), row("b", "cat,dog"), row("c", "")]);
        let dogs = ExportFilter { names: vec!["dog".to_owned()], ..ExportFilter::default() };
        assert_eq!(rows(dogs), [row("a", "dog"), row("b", "dog")]);
        let prefix = ExportFilter { prefix: "c".to_owned(), ..ExportFilter::default() };
        assert_eq!(rows(prefix), [row("c", "")]);
        let tags = reader.top_tags(9).unwrap();
        let tags: Vec<_> = tags.iter().map(|tag| (tag.name.as_str(), tag.labels)).collect();
        assert_eq!(tags, [("cat", 1), ("dog", 1)], "labels belong to the content, not to its keys");
    }
}

#[test]
fn failures_are_listed_the_final_ones_first() {
    for site in sites() {
        let reader = labelled(&site).reader().unwrap();
        let mut keys = Vec::new();
        reader
            .failures(|failure| {
                keys.push(failure.key.clone());
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(keys, ["d", "e"]);
        let codes = reader.failure_codes(9).unwrap();
        let codes: Vec<_> = codes.iter().map(|code| (code.temporary, code.contents)).collect();
        assert_eq!(codes, [(false, 1), (true, 1)]);
        let counts = reader.content_counts().unwrap();
        assert_eq!((counts.pending, counts.in_flight, counts.done, counts.failed), (0, 0, 2, 2));
        assert_eq!(
            reader.left(1).unwrap().calls(),
            1,
            "the next run tries the temporary one again"
        );
    }
}

#[test]
fn what_is_chosen_and_put_back_is_called_by_the_next_run_and_keeps_its_labels() {
    for site in sites() {
        let mut store = labelled(&site);
        let choice = Choice { label: Some("cat".to_owned()), ..Choice::default() };
        let reader = store.reader().unwrap();
        let mut chosen = Vec::new();
        let each = |batch: &[crate::store::read::Chosen]| {
            chosen.extend(batch.iter().map(|chosen| (chosen.content_id, chosen.asks)));
            store.put_back(batch)
        };
        reader.chosen(&choice, |key| key != "b", each).unwrap();
        assert_eq!(chosen, [(1, Scene::Camera.into())]);
        let mut session = begin(store, "");
        let unchanged = Difference::Reconsider {
            object_id: 1,
            content_id: Some(1),
            candidate: candidate("a", "1"),
        };
        let replies =
            send(&mut session, vec![page(0, "m", true, vec![unchanged]), claim(9)]).unwrap();
        let claimed = claimed(replies);
        assert_eq!((claimed.len(), claimed[0].again), (1, Scene::Camera.into()));
        let reader = session.reader().unwrap();
        let mut export = reader.export(ExportFilter::default()).unwrap();
        let batch = export.next_batch().unwrap().unwrap();
        assert_eq!(batch.objects().next().unwrap().labels().count(), 2);
    }
}

#[test]
fn the_ledger_ends_before_what_is_written_later() {
    for site in sites() {
        let store = labelled(&site);
        let reader = store.reader().unwrap();
        let end = reader.ledger_end().unwrap();
        assert!(reader.has_been_answered().unwrap());
        assert_eq!(reader.calls_since(UnixMillis(0), end).unwrap(), 4);
        assert_eq!(reader.calls_since(UnixMillis(120_001), end).unwrap(), 0);
        let mut session = begin(store, "");
        let call = CallRow {
            content_id: 1,
            object_id: 1,
            scenes: Scene::Camera.into(),
            ended_at: UnixMillis(200_000),
            clock_offset: 0,
            duration_ms: 1,
            outcome: CallOutcome::Throttled,
            retry: false,
            http_status: Some(503),
            code: Some("SlowDown".to_owned()),
            request_id: None,
        };
        send(&mut session, vec![Request::Call(call)]).unwrap();
        assert_eq!(reader.calls_since(UnixMillis(0), end).unwrap(), 4);
        let end = reader.ledger_end().unwrap();
        assert_eq!(reader.calls_since(UnixMillis(0), end).unwrap(), 5);
    }
}
