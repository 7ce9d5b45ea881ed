//! A large listing as a session sees it: contents are shared, and `verify` knows what is not merged yet.

use rusqlite::OptionalExtension as _;

use super::Session;
use super::tests::{begin, candidate, one, page};
use crate::store::model::RunState;
use crate::store::read::{Check, Checked};
use crate::store::run::RunContext;
use crate::store::sqlite::Store;
use crate::store::turn::{Difference, Request};
use crate::time::{UnixMillis, UnixSeconds};

/// Lists pages of one key each. Each image has two keys.
fn list(session: &mut Session, pages: std::ops::Range<u32>) {
    for number in pages {
        let bytes = format!("bytes{}", number % 60);
        let new = Difference::New(candidate(&format!("{number:05}"), &bytes, 1));
        let mut turn = session.new_turn();
        turn.requests = vec![Request::Page(page("", vec![new], false))];
        assert_eq!(session.turn(&turn).unwrap().replies.len(), 1);
    }
}

fn mark(session: &Session) -> Option<i64> {
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'ident_upto'";
    session.store.connection.query_row(sql, [], |row| row.get(0)).optional().unwrap()
}

fn missing(session: &Session) -> i64 {
    let sql = "SELECT count(*) FROM content WHERE id NOT IN (SELECT content_id FROM ident)";
    one(&session.store.connection, sql)
}

fn problems(session: &Session) -> u64 {
    let checks = session.reader().unwrap().verify(|_| ()).unwrap();
    let of = |checked: &&Checked| checked.check == Check::Identities;
    checks.iter().find(of).unwrap().problems.count
}

#[test]
fn a_listing_that_is_killed_during_a_merge_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut session = begin(Store::open(&path).unwrap(), "");
    list(&mut session, 0..40);
    assert!(missing(&session) > 0);
    assert_eq!(problems(&session), 0, "these identities are to be merged later");
    let upto = mark(&session).unwrap();

    let context: RunContext = session.run().clone();
    drop(session);
    let mut store = Store::open(&path).unwrap();
    store.recover(UnixMillis(1)).unwrap();
    store.reopen_run(context.id).unwrap();
    let counts = store.counts(context.id).unwrap();
    let mut session = Session::new(store, context, counts);
    list(&mut session, 40..120);
    assert_eq!(one::<i64>(&session.store.connection, "SELECT count(*) FROM content"), 60);
    assert!(mark(&session).unwrap() > upto);
    let connection = &session.store.connection;
    connection.execute_batch("DELETE FROM ident WHERE content_id = 1").unwrap();
    assert_eq!(problems(&session), 1, "this one was merged");

    let store = session.finish(RunState::Complete, None, UnixSeconds(1)).unwrap();
    let after = begin(store, "");
    assert_eq!((mark(&after), missing(&after)), (None, 1));
}
