//! No other program writes between the search for remaining work and the end of the run.

use rusqlite::Connection;

use super::tests::{begin, candidate, page, settlement};
use crate::label::Labels;
use crate::store::model::RunState;
use crate::store::sqlite::Store;
use crate::store::turn::{ClaimRequest, Claims, Difference, Reply, Request, Settled};
use crate::time::UnixSeconds;

#[test]
fn an_image_is_put_back_before_the_search_for_remaining_work_or_after_the_end_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut session = begin(Store::open(&path).unwrap(), "");
    let mut turn = session.new_turn();
    turn.requests = vec![
        Request::Page(page("", vec![Difference::New(candidate("a", "x", 1))], true)),
        Request::CompleteListing { now: UnixSeconds(1) },
        Request::Claim(ClaimRequest { limit: 1, passes: 0..=0, keeps_back: false }),
    ];
    let Some(Reply::Claims(Claims { claimed, .. })) = session.turn(&turn).unwrap().replies.pop()
    else {
        panic!("the last request is a claim");
    };
    let mut turn = session.new_turn();
    turn.requests =
        vec![Request::Settle(settlement(&claimed[0], Settled::Labels(Labels::default()), 2))];
    let _ = session.turn(&turn).unwrap();

    let other = Connection::open(&path).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    let put_back = || other.execute("UPDATE content SET state = 0, scenes_done = 0", []);
    session.begin_end().unwrap();
    assert!(!session.leaves_behind().unwrap());
    let refused = put_back().unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    let store = session.finish(RunState::Complete, None, UnixSeconds(3)).unwrap();
    assert_eq!(put_back().unwrap(), 1);
    let sql = "SELECT state FROM run";
    let state: String = store.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(state, "complete");
}
