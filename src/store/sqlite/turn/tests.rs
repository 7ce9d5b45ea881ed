use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::label::{Label, Labels};
use crate::object::{ETag, StorageClass};
use crate::scene::Scene;
use crate::store::Error;
use crate::store::ident::fingerprint;
use crate::store::model::{CallOutcome, Counts, ErrorVerdict, RunState};
use crate::store::read::Chosen;
use crate::store::run::Span;
use crate::store::samples::{context, new_run, up_to};
use crate::store::sqlite::{Reader, Store};
use crate::store::turn::{
    CallRow, Candidate, Claimed, Difference, ErrorRow, Key, Page, Reach, Settled, Settlement,
};
use crate::time::{UnixMillis, UnixSeconds};

pub(super) fn begin(mut store: Store, prefix: &str) -> Session {
    let begun = store.begin_run(&new_run(prefix, vec![Span::default()])).unwrap();
    Session::new(store, context(begun, prefix), Counts::default())
}

pub(super) fn candidate(key: &str, etag: &str, last_modified: i64) -> Candidate {
    let last_modified = Some(UnixMillis(last_modified));
    Candidate {
        key: key.to_owned(),
        etag: ETag::new(etag),
        size: Some(1),
        last_modified,
        storage_class: StorageClass::Standard,
        skip: None,
        fingerprint: fingerprint(ETag::new(etag).as_ref(), Some(1), "", last_modified),
    }
}

pub(super) fn page(cursor: &str, differences: Vec<Difference>, done: bool) -> Page {
    Page {
        reach: Reach { seq: 0, progress: up_to(cursor), done },
        differences,
        listed: 0,
        wanted: 0,
        skipped: Vec::new(),
        rejected: 0,
    }
}

fn call(claimed: &Claimed, outcome: CallOutcome, ended_at: i64) -> CallRow {
    CallRow {
        content_id: claimed.content_id,
        object_id: claimed.key.object_id,
        scenes: claimed.scenes,
        ended_at: UnixMillis(ended_at),
        clock_offset: 0,
        duration_ms: 1,
        outcome,
        retry: false,
        http_status: None,
        code: None,
        request_id: None,
    }
}

pub(super) fn error() -> ErrorRow {
    ErrorRow {
        verdict: ErrorVerdict::Retry,
        temporary: true,
        code: "InternalError".to_owned(),
        status: Some(500),
        message: String::new(),
        request_id: None,
    }
}

pub(super) fn label(name: &str) -> Labels {
    let (scene, rank, confidence) = (Scene::Camera, 1, 90);
    Labels::from_iter([Label {
        scene,
        rank,
        name,
        first_category: "",
        second_category: "",
        confidence,
    }])
}

fn turn<T>(session: &mut Session, body: impl FnOnce(&mut Session) -> Result<T, Error>) -> T {
    session.begin().unwrap();
    let done = body(session).unwrap();
    session.commit().unwrap();
    done
}

pub(super) fn settlement(claimed: &Claimed, settled: Settled, ended_at: i64) -> Settlement {
    let outcome = match &settled {
        Settled::Labels(_) => Some(CallOutcome::Answered),
        Settled::Released => None,
        _ => Some(CallOutcome::Failed),
    };
    Settlement {
        content_id: claimed.content_id,
        scenes: claimed.scenes,
        again: claimed.again,
        call: outcome.map(|outcome| call(claimed, outcome, ended_at)),
        settled,
    }
}

pub(super) fn settle(session: &mut Session, claimed: &Claimed, settled: Settled, ended_at: i64) {
    session.settle(&settlement(claimed, settled, ended_at)).unwrap();
}

pub(super) fn one<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> T {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_content_that_another_scope_wants_waits_for_a_run_over_that_scope() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    let both = ["a/1.jpg", "b/1.jpg"].map(|key| Difference::New(candidate(key, "old", 1)));
    let claimed = turn(&mut session, |session| {
        session.page(&page("", both.into(), true))?;
        session.complete_listing(UnixSeconds(1))?;
        session.claim_of(10, &(0..=0))
    });
    // The call of a/1.jpg ends when its bytes are others already, and nobody knows it yet.
    assert_eq!(claimed[0].key.key, "a/1.jpg");
    turn(&mut session, |session| {
        settle(session, &claimed[0], Settled::Labels(label("of the new bytes")), 50);
        Ok(())
    });
    let store = session.finish(RunState::Complete, None, UnixSeconds(2)).unwrap();

    let mut session = begin(store, "a/");
    let claimed = turn(&mut session, |session| {
        let changed = Difference::Changed {
            object_id: 1,
            content_id: Some(1),
            returned: false,
            candidate: candidate("a/1.jpg", "new", 40),
        };
        session.page(&page("", vec![changed], true))?;
        session.complete_listing(UnixSeconds(3))?;
        session.claim_of(10, &(0..=0))
    });
    assert_eq!(claimed.len(), 1, "the old bytes are in b/ only, which is none of this run's");
    turn(&mut session, |session| {
        settle(session, &claimed[0], Settled::Labels(Labels::default()), 60);
        Ok(())
    });
    let store = session.finish(RunState::Complete, None, UnixSeconds(4)).unwrap();
    let labels: i64 = one(&store.connection, "SELECT count(*) FROM label WHERE content_id = 1");
    assert_eq!(labels, 0, "they were of other bytes");
    let state: i64 = one(&store.connection, "SELECT state FROM content WHERE id = 1");
    assert_eq!(state, 0, "b/1.jpg still wants it");
    let next = begin(store, "");
    let reader = Reader::open(next.store.path()).unwrap();
    assert!(reader.must_reconsider(next.run.id, 1, "", 1).unwrap(), "the next run adopts it");
}

/// The ledger's time is the local clock's with whole seconds of the service's; a listing tells seconds.
#[test]
fn labels_of_a_call_that_may_have_met_the_new_bytes_are_dropped() {
    for (overwritten, kept) in [(9_000, 0), (10_000, 0), (11_000, 0), (13_000, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
        let both = ["a", "b"].map(|key| Difference::New(candidate(key, "old", 1)));
        let claimed = turn(&mut session, |session| {
            session.page(&page("", both.into(), true))?;
            session.complete_listing(UnixSeconds(1))?;
            session.claim_of(10, &(0..=0))
        });
        turn(&mut session, |session| {
            settle(session, &claimed[0], Settled::Labels(label("of which bytes?")), 10_000);
            Ok(())
        });
        let mut session =
            begin(session.finish(RunState::Complete, None, UnixSeconds(2)).unwrap(), "");
        turn(&mut session, |session| {
            let changed = Difference::Changed {
                object_id: claimed[0].key.object_id,
                content_id: Some(claimed[0].content_id),
                returned: false,
                candidate: candidate(&claimed[0].key.key, "new", overwritten),
            };
            session.page(&page("", vec![changed], true))
        });
        let labels: i64 = one(&session.store.connection, "SELECT count(*) FROM label");
        assert_eq!(labels, kept, "written over at {overwritten}");
    }
}

/// Two keys of one content, the first of them claimed.
fn one_content_of_two_keys(folder: &Path) -> (Session, Claimed) {
    let mut session = begin(Store::open(&folder.join("t.db")).unwrap(), "");
    let both = ["a.jpg", "b.jpg"].map(|key| Difference::New(candidate(key, "old", 1)));
    let claimed = turn(&mut session, |session| {
        session.page(&page("", both.into(), true))?;
        session.complete_listing(UnixSeconds(1))?;
        session.claim_of(10, &(0..=0))
    });
    let [claimed] = <[Claimed; 1]>::try_from(claimed).unwrap();
    assert_eq!(claimed.key.key, "a.jpg");
    (session, claimed)
}

/// The first of them has other bytes now.
fn overwritten(claimed: &Claimed) -> Page {
    let changed = Difference::Changed {
        object_id: claimed.key.object_id,
        content_id: Some(claimed.content_id),
        returned: false,
        candidate: candidate("a.jpg", "new", 40_000),
    };
    page("", vec![changed], true)
}

fn given_up() -> Settled {
    Settled::GivenUp { attempts: 1, error: ErrorRow { temporary: false, ..error() } }
}

#[rstest::rstest]
#[case::while_it_is_in_flight(true)]
#[case::after_it_was_given_up(false)]
fn a_failure_of_overwritten_bytes_does_not_count_for_the_content(#[case] in_flight: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, claimed) = one_content_of_two_keys(folder.path());
    let settles = |session: &mut Session| settle(session, &claimed, given_up(), 50_000);
    turn(&mut session, |session| {
        if in_flight {
            session.page(&overwritten(&claimed))?;
        }
        settles(session);
        if !in_flight {
            session.page(&overwritten(&claimed))?;
        }
        Ok(())
    });
    let state = format!("SELECT state FROM content WHERE id = {}", claimed.content_id);
    assert_eq!(one::<i64>(&session.store.connection, &state), 0, "b.jpg has its bytes still");
    let claimed = turn(&mut session, |session| {
        session.complete_listing(UnixSeconds(2))?;
        session.claim_of(10, &(0..=0))
    });
    let keys: Vec<String> = claimed.into_iter().map(|claimed| claimed.key.key).collect();
    assert!(keys.contains(&"b.jpg".to_owned()), "{keys:?}");
}

#[test]
fn a_key_that_the_listing_has_reached_is_called_before_one_that_it_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    let keys = ["m.jpg", "z.png", "a.jpg"];
    let claimed = turn(&mut session, |session| {
        let new = keys.map(|key| Difference::New(candidate(key, "same", 1)));
        session.page(&page("", new.into(), true))?;
        session.complete_listing(UnixSeconds(1))?;
        session.claim_of(10, &(0..=0))
    });
    turn(&mut session, |session| {
        // The labels came from a key that this run's filter may leave out.
        let key = Key { object_id: claimed[0].key.object_id + 1, key: "z.png".to_owned() };
        let by_png = Claimed { key, ..claimed[0].clone() };
        settle(session, &by_png, Settled::Labels(label("old")), 50_000);
        Ok(())
    });
    let mut store = session.finish(RunState::Complete, None, UnixSeconds(2)).unwrap();
    let content_id = claimed[0].content_id;
    let redo = Scene::Camera.into();
    store.put_back(&[Chosen { content_id, redo, asks: redo }]).unwrap();
    let mut session = begin(store, "");
    let object_id = claimed[0].key.object_id + 2;
    let called = turn(&mut session, |session| {
        let candidate = candidate("a.jpg", "same", 1);
        let wanted = Difference::Reconsider { object_id, content_id: Some(content_id), candidate };
        session.page(&page("a.jpg", vec![wanted], false))?;
        session.claim_of(10, &(0..=0))
    });
    let called: Vec<_> = called.into_iter().map(|claimed| claimed.key.key).collect();
    assert_eq!(called, ["a.jpg"]);
}

#[test]
fn labels_from_two_keys_are_dropped_if_one_key_had_other_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, by_a) = one_content_of_two_keys(folder.path());
    let by_b = Claimed {
        key: Key { object_id: by_a.key.object_id + 1, key: "b.jpg".to_owned() },
        scenes: Scene::Web.into(),
        ..by_a.clone()
    };
    turn(&mut session, |session| {
        settle(session, &by_a, Settled::Labels(label("of the new bytes")), 50_000);
        settle(session, &by_b, Settled::Labels(Labels::default()), 60_000);
        session.page(&overwritten(&by_a)).map(drop)
    });
    let labels: i64 = one(&session.store.connection, "SELECT count(*) FROM label");
    assert_eq!(labels, 0);
}

#[test]
fn a_key_that_returns_is_paired_as_moved_by_its_new_content() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    turn(&mut session, |session| {
        let two = [("a", "x"), ("b", "y")];
        let new = two.map(|(key, etag)| Difference::New(candidate(key, etag, 1)));
        session.page(&page("", new.into(), true))?;
        session.complete_listing(UnixSeconds(1))
    });
    let mut session = begin(session.finish(RunState::Complete, None, UnixSeconds(2)).unwrap(), "");
    turn(&mut session, |session| {
        let gone = Difference::Gone { object_id: 1, content_id: Some(1) };
        session.page(&page("", vec![gone], true))?;
        session.complete_listing(UnixSeconds(2))
    });
    // b's bytes come back under the name of a.
    let mut session = begin(session.finish(RunState::Complete, None, UnixSeconds(3)).unwrap(), "");
    assert!(session.run.journals);
    turn(&mut session, |session| {
        let returned = Difference::Changed {
            object_id: 1,
            content_id: Some(1),
            returned: true,
            candidate: candidate("a", "y", 9),
        };
        let gone = Difference::Gone { object_id: 2, content_id: Some(2) };
        session.page(&page("", vec![returned, gone], true))?;
        session.complete_listing(UnixSeconds(3))
    });
    let store = session.finish(RunState::Complete, None, UnixSeconds(4)).unwrap();
    let journal: String = one(
        &store.connection,
        "SELECT group_concat(kind || ' ' || object_id || ' ' || ifnull(from_object_id, '-') || ' '
                || content_id) FROM change WHERE run_id = 3",
    );
    assert_eq!(journal, "moved 1 2 2");
}

#[test]
fn a_sample_is_filled_up_if_contents_leave_the_queue_without_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    let keys = ["a", "b", "c", "d", "e", "f"];
    let drawn = turn(&mut session, |session| {
        let new = keys.map(|key| Difference::New(candidate(key, key, 1)));
        session.page(&page("", new.into(), true))?;
        session.complete_listing(UnixSeconds(1))?;
        session.sample(3)?;
        Ok(session.caches.sample.ids().to_vec())
    });
    // The first two of the sample are wanted by nobody any more.
    for content_id in &drawn[1..] {
        session
            .store
            .connection
            .execute("UPDATE object SET skip_reason = 'suffix' WHERE content_id = ?1", [content_id])
            .unwrap();
    }
    let mut claimed = Vec::new();
    for _ in 0..3 {
        let one = turn(&mut session, |session| session.claim_of(1, &(0..=0)));
        assert_eq!(one.len(), 1, "there are four left");
        claimed.push(one[0].content_id);
    }
    assert_eq!(claimed[0], drawn[0]);
    claimed.dedup();
    assert_eq!(claimed.len(), 3);
    assert!(drawn[1..].iter().all(|left| !claimed.contains(left)));
    assert_eq!(turn(&mut session, |session| session.claim_of(5, &(0..=0))).len(), 1);
    assert_eq!(turn(&mut session, |session| session.claim_of(5, &(0..=0))), []);
}

#[test]
fn a_call_that_ends_during_a_correction_of_the_clock_is_moved_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    let keys = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"];
    let differences = keys.map(|key| Difference::New(candidate(key, key, 1)));
    let claimed = turn(&mut session, |session| {
        session.page(&page("", differences.into(), true))?;
        session.complete_listing(UnixSeconds(1))?;
        session.claim_of(10, &(0..=0))
    });
    // All four ended at 50 ms by this machine, which turns out to be an hour slow. The first two are written before the
    // correction, the last two after it; each time one that knew of it and one that did not.
    let call_at = |at: usize, clock_offset: i64| CallRow {
        clock_offset,
        ..call(&claimed[at], CallOutcome::Answered, 50 + clock_offset * 1000)
    };
    turn(&mut session, |session| {
        session.call(&call_at(0, 0))?;
        session.call(&call_at(1, 3600))
    });
    turn(&mut session, |session| session.set_clock_offset(3600));
    turn(&mut session, |session| {
        session.call(&call_at(2, 0))?;
        session.call(&call_at(3, 3600))
    });
    let store = session.finish(RunState::Complete, None, UnixSeconds(2)).unwrap();
    let times: String = one(&store.connection, "SELECT group_concat(DISTINCT ended_at) FROM call");
    assert_eq!(times, "3600050");
}
