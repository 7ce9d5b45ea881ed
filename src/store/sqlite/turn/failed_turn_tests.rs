//! A turn that fails midway leaves nothing behind, neither in the database nor in the session.

use rusqlite::types::Value;

use super::tests::{begin, candidate, label, page, settlement};
use super::*;
use crate::store::Error;
use crate::store::model::{Counts, RunState};
use crate::store::run::RunContext;
use crate::store::sqlite::Store;
use crate::store::turn::{ClaimRequest, Claims, Difference, Reply, Request, Settled, Turn};
use crate::time::UnixSeconds;

fn send(session: &mut Session, requests: Vec<Request>) -> Vec<Reply> {
    let mut turn = session.new_turn();
    turn.requests = requests;
    session.turn(&turn).unwrap().replies
}

fn claim(limit: usize) -> Request {
    Request::Claim(ClaimRequest { limit, passes: 0..=0, keeps_back: false })
}

fn claims(reply: Option<Reply>) -> Claims {
    match reply {
        Some(Reply::Claims(claims)) => claims,
        other => panic!("{other:?}"),
    }
}

fn new_objects(keys: &[&str]) -> Request {
    let new = keys.iter().map(|key| Difference::New(candidate(key, key, 1)));
    Request::Page(page(keys.last().copied().unwrap_or_default(), new.collect(), false))
}

/// From now on recording a limit fails, and with it the turn.
fn break_limits(session: &Session) {
    let trigger =
        "CREATE TEMP TRIGGER broken BEFORE INSERT ON meta WHEN new.name LIKE 'found_limit%'
                   BEGIN SELECT RAISE(FAIL, 'broken'); END";
    session.store.connection.execute_batch(trigger).unwrap();
}

fn mend_limits(session: &Session) {
    session.store.connection.execute_batch("DROP TRIGGER temp.broken").unwrap();
}

/// Every row of every table.
fn rows(session: &Session) -> Vec<(String, Vec<Vec<Value>>)> {
    let connection = &session.store.connection;
    let names = "SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = connection.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    names
        .map(|name| {
            let mut all = connection.prepare(&format!("SELECT * FROM main.{name}")).unwrap();
            let columns = all.column_count();
            let rows = all.query_map([], |row| (0..columns).map(|at| row.get(at)).collect());
            (name, rows.unwrap().map(Result::unwrap).collect())
        })
        .collect()
}

/// A session with a sample, two contents in flight and one that waits, and a turn that uses every cache.
fn session_and_turn(folder: &std::path::Path) -> (Session, Turn) {
    let mut session = begin(Store::open(&folder.join("t.db")).unwrap(), "");
    session.hold_gone();
    let listing = vec![new_objects(&["a", "b", "c"]), Request::Sample { size: 3 }, claim(2)];
    let claimed = claims(send(&mut session, listing).pop()).claimed;
    let [first, second] = <[_; 2]>::try_from(claimed).unwrap();
    let overwritten = Difference::Changed {
        object_id: second.key.object_id,
        content_id: Some(second.content_id),
        returned: false,
        candidate: candidate(&second.key.key, "other bytes", 40_000),
    };
    let gone = Difference::Gone { object_id: 3, content_id: Some(3) };
    let mut turn = session.new_turn();
    turn.requests = vec![
        Request::Page(page("c", vec![overwritten, gone], false)),
        new_objects(&["d", "e"]),
        Request::Settle(settlement(&first, Settled::Labels(label("a new tag")), 50_000)),
        Request::Settle(settlement(&second, Settled::Labels(label("of which bytes?")), 50_000)),
        Request::CompleteListing { now: UnixSeconds(5) },
        claim(1),
        Request::Limit { rate: 7.0 },
    ];
    (session, turn)
}

/// The rows without the moments at which contents were made.
fn without_moments(session: &Session) -> Vec<(String, Vec<Vec<Value>>)> {
    let moments = "UPDATE content SET tagged_at = NULL WHERE scenes_done = 0";
    session.store.connection.execute_batch(moments).unwrap();
    rows(session)
}

#[test]
fn a_turn_that_failed_midway_leaves_nothing_and_can_be_sent_again() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut session, turn) = session_and_turn(folder.path());
    let (before, counts) = (rows(&session), session.counts().clone());
    break_limits(&session);
    session.turn(&turn).unwrap_err();
    assert_eq!(rows(&session), before, "the database is as it was");
    assert_eq!(*session.counts(), counts);

    mend_limits(&session);
    let replies = session.turn(&turn).unwrap().replies;
    let (mut undisturbed, same_turn) = session_and_turn(other.path());
    assert_eq!(same_turn, turn);
    assert_eq!(undisturbed.turn(&turn).unwrap().replies, replies);
    assert_eq!(without_moments(&session), without_moments(&undisturbed));
    let checks = session.reader().unwrap().verify(|_| ()).unwrap();
    assert!(checks.iter().all(|checked| checked.problems.count == 0), "{checks:?}");
}

#[test]
fn another_turn_may_follow_one_that_failed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut session, failing) = session_and_turn(folder.path());
    break_limits(&session);
    session.turn(&failing).unwrap_err();
    let (mut undisturbed, _) = session_and_turn(other.path());
    for session in [&mut session, &mut undisturbed] {
        let replies = send(session, vec![new_objects(&["x", "a new tag"]), claim(9)]);
        assert_eq!(claims(replies.into_iter().next_back()).claimed.len(), 3);
    }
    assert_eq!(without_moments(&session), without_moments(&undisturbed));
}

#[test]
fn a_plan_whose_turn_failed_is_undone_and_accepts_no_further_turn() {
    let folder = tempfile::tempdir().unwrap();
    let session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    let context = RunContext { plan: true, ..session.run().clone() };
    let mut store = session.store;
    store.simulate().unwrap();
    let mut plan = Session::new(store, context, Counts::default());
    send(&mut plan, vec![new_objects(&["a", "b"])]);
    break_limits(&plan);
    let mut turn = plan.new_turn();
    turn.requests = vec![new_objects(&["c"]), Request::Limit { rate: 1.0 }];
    plan.turn(&turn).unwrap_err();
    let objects = |plan: &Session| -> i64 {
        let sql = "SELECT count(*) FROM object";
        plan.store.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(objects(&plan), 0);
    assert!(matches!(plan.turn(&turn), Err(Error::Undone)));
    let store = plan.finish(RunState::Stopped, Some("broken"), UnixSeconds(1)).unwrap();
    let sql = "SELECT state FROM run";
    let state: String = store.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(state, "stopped");
}
