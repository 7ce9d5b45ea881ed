//! A reader that holds a transaction open makes the write-ahead log grow.

use super::Session;
use super::tests::begin;
use crate::store::sqlite::store::LOG_KEPT;
use crate::store::sqlite::{Reader, Store};
use crate::store::turn::{Request, Warning};

/// Commits a turn, and returns the length of a held log if this turn noticed it.
fn notices(session: &mut Session, seconds: i64) -> Option<u64> {
    let mut turn = session.new_turn();
    turn.requests = vec![Request::ClockOffset { seconds }];
    let replies = session.turn(&turn).unwrap();
    assert!(replies.lost.is_none(), "a log that costag shortens was not cut by another program");
    match replies.warnings.as_slice() {
        [] => None,
        [Warning::HeldLog { bytes }] => Some(*bytes),
        other => panic!("{other:?}"),
    }
}

/// Writes more than the log keeps, in one transaction.
fn write_much(session: &Session) {
    // SQLite would not write the same bytes again.
    let sql = "INSERT OR REPLACE INTO meta (name, value)
               SELECT 'much', zeroblob(coalesce(max(length(value)), 6000000) + 1)
               FROM meta WHERE name = 'much'";
    session.store.connection.execute(sql, []).unwrap();
}

#[test]
fn a_log_that_a_reader_holds_is_told_once_and_shortened_after_the_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let log = || std::fs::metadata(folder.path().join("t.db-wal")).unwrap().len();
    let mut session = begin(Store::open(&path).unwrap(), "");
    write_much(&session);
    assert_eq!(notices(&mut session, 1), None, "no reader holds it");
    assert_eq!(notices(&mut session, 2), None);
    let kept = log();
    assert!(kept <= LOG_KEPT, "{kept}");

    let reader = Reader::open(&path).unwrap();
    reader.connection.execute_batch("BEGIN; SELECT count(*) FROM meta").unwrap();
    write_much(&session);
    assert!(notices(&mut session, 3).is_some_and(|length| length > LOG_KEPT));
    assert_eq!(notices(&mut session, 4), None, "it is told once");
    assert!(log() > LOG_KEPT);

    reader.connection.execute_batch("COMMIT").unwrap();
    for seconds in 5..8 {
        assert_eq!(notices(&mut session, seconds), None);
    }
    assert!(log() <= LOG_KEPT, "{}", log());

    // The shorter log is watched like the longer one.
    let shorter = log() - 1;
    let file = std::fs::File::options().write(true).open(folder.path().join("t.db-wal")).unwrap();
    file.set_len(shorter).unwrap();
    assert!(session.store.check_in_place().is_err());
}

#[test]
fn a_log_that_cannot_be_moved_into_the_database_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), "");
    write_much(&session);
    // The length of the log is measured by the check after each turn.
    session.store.check_in_place().unwrap();
    session.store.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let warning = session.store.shorten_log();
    assert!(
        matches!(&warning, Some(Warning::LongLog { bytes, .. }) if *bytes > LOG_KEPT),
        "{warning:?}"
    );
    assert!(session.store.shorten_log().is_none());
    session.store.connection.execute_batch("COMMIT").unwrap();
    assert_eq!(notices(&mut session, 1), None);
}
