//! A database made by real writes is sound; each thing that may break is found, and by the right check.

use std::collections::BTreeMap;
use std::path::Path;

use crate::label::{Label, Labels};
use crate::object::ETag;
use crate::scene::{Scene, Scenes};
use crate::store::Error;
use crate::store::model::{CallOutcome, ChangeKind, Counts, ErrorVerdict, RunState};
use crate::store::read::{Change, Check, LedgerGrouping, LedgerQuery, LedgerSums, Progress};
use crate::store::run::RunContext;
use crate::store::samples;
use crate::store::sqlite::turn::Session;
use crate::store::sqlite::{Reader, Store};
use crate::store::turn::{
    CallRow, Candidate, ClaimRequest, Claimed, Difference, ErrorRow, Page, Reach, Reply, Request,
    Settled, Settlement,
};
use crate::time::{UnixMillis, UnixSeconds};

/// A candidate with bytes of its own, or those of all copies.
fn candidate(key: &str) -> Candidate {
    let etag = if key.starts_with("copy") { "same" } else { &format!("etag of {key}") };
    samples::candidate(key, etag)
}

fn begin(mut store: Store, journals_expected: bool) -> Session {
    let begun = store.begin_run(&samples::new_run("", samples::two_spans())).unwrap();
    assert_eq!(begun.journals, journals_expected);
    Session::new(store, samples::context(begun, ""), Counts::default())
}

fn turn(session: &mut Session, requests: Vec<Request>) -> Vec<Reply> {
    let mut turn = session.new_turn();
    turn.requests = requests;
    session.turn(&turn).unwrap().replies
}

/// Claims all that waits.
fn claim(session: &mut Session) -> Vec<Claimed> {
    let request = ClaimRequest { limit: 10, passes: 0..=0, keeps_back: false };
    match turn(session, vec![Request::Claim(request)]).pop() {
        Some(Reply::Claims(claims)) => claims.claimed,
        other => panic!("{other:?}"),
    }
}

fn page(seq: i64, cursor: &str, differences: Vec<Difference>) -> Page {
    Page {
        reach: Reach { seq, progress: samples::up_to(cursor), done: true },
        listed: differences.len() as u64,
        wanted: differences.len() as u64,
        differences,
        skipped: Vec::new(),
        rejected: 0,
    }
}

/// A first run that labels some, fails at one, and a second one that finds changes.
fn database(folder: &Path) -> Store {
    let mut session = begin(Store::open(&folder.join("t.db")).unwrap(), false);
    let new = |keys: &[&str]| keys.iter().map(|key| Difference::New(candidate(key))).collect();
    let listing = vec![
        Request::Page(page(0, "m", new(&["a.jpg", "bad.jpg", "copy1.jpg", "copy2.jpg"]))),
        Request::Page(page(1, "x.jpg", new(&["x.jpg"]))),
        Request::CompleteListing { now: UnixSeconds(110) },
    ];
    turn(&mut session, listing);
    let claimed = claim(&mut session);
    assert_eq!(claimed.len(), 4, "copies are one content");
    for claimed in claimed {
        let call = |outcome| CallRow {
            content_id: claimed.content_id,
            object_id: claimed.key.object_id,
            scenes: claimed.scenes,
            ended_at: UnixMillis(120_000),
            clock_offset: 0,
            duration_ms: 80,
            outcome,
            retry: false,
            http_status: None,
            code: (outcome == CallOutcome::Failed).then(|| "InvalidImageFormat".to_owned()),
            request_id: None,
        };
        let label = |rank, name| Label {
            scene: Scene::Camera,
            rank,
            name,
            first_category: "",
            second_category: "",
            confidence: 90,
        };
        let labels = Labels::from_iter([label(1, "label 1"), label(2, "label 2")]);
        let error = ErrorRow {
            verdict: ErrorVerdict::Image,
            temporary: false,
            code: "InvalidImageFormat".to_owned(),
            status: Some(400),
            message: "no image".to_owned(),
            request_id: None,
        };
        let (outcome, settled) = if claimed.key.key == "bad.jpg" {
            (CallOutcome::Failed, Settled::GivenUp { attempts: 1, error })
        } else {
            (CallOutcome::Answered, Settled::Labels(labels))
        };
        let (content_id, scenes) = (claimed.content_id, claimed.scenes);
        let call = Some(call(outcome));
        let settlement = Settlement { content_id, scenes, again: Scenes::NONE, call, settled };
        turn(&mut session, vec![Request::Settle(settlement)]);
    }
    let store = session.finish(RunState::Complete, None, UnixSeconds(130)).unwrap();
    // The second night: copy2 was renamed, x is gone, a has other bytes, new.jpg is new.
    let mut session = begin(store, true);
    let gone = |object_id, content_id| Difference::Gone { object_id, content_id: Some(content_id) };
    let changed = Difference::Changed {
        object_id: 1,
        content_id: Some(1),
        returned: false,
        candidate: Candidate {
            etag: ETag::new("other"),
            last_modified: Some(UnixMillis(200_000)),
            ..candidate("a.jpg")
        },
    };
    let added = Difference::New(candidate("copy3.jpg"));
    let first = page(0, "m", vec![changed, gone(4, 3), added]);
    let added = Difference::New(candidate("new.jpg"));
    let second = page(1, "new.jpg", vec![gone(5, 5), added]);
    let complete = Request::CompleteListing { now: UnixSeconds(210) };
    turn(&mut session, vec![Request::Page(first), Request::Page(second), complete]);
    session.finish(RunState::Interrupted, Some("SIGINT"), UnixSeconds(230)).unwrap()
}

/// The checks that found something.
fn found(reader: &Reader) -> Vec<Check> {
    let checks = reader.verify(|_| ()).unwrap();
    checks.into_iter().filter(|c| c.problems.count > 0).map(|c| c.check).collect()
}

#[test]
fn verify_finds_no_problem_in_what_runs_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    let reader = store.reader().unwrap();
    assert_eq!(found(&reader), []);
    let mut begun = Vec::new();
    let mut reached: Vec<(Check, u64, u64)> = Vec::new();
    let tell = |progress| match progress {
        Progress::Begun(check) => begun.push(check),
        Progress::Reached { check, done, all } => reached.push((check, done, all)),
    };
    reader.verify(tell).unwrap();
    assert!(
        reached.is_sorted_by_key(|(check, done, _)| (
            Check::ALL.iter().position(|c| c == check),
            *done
        ))
    );
    for check in [Check::Texts, Check::Identities, Check::Ledger] {
        assert!(
            reached.iter().any(|(found, done, all)| *found == check && done <= all),
            "{reached:?}"
        );
    }

    assert_eq!(begun, Check::ALL);
}

#[test]
fn each_kind_of_damage_is_found_by_its_check() {
    for (sql, check) in [
        ("UPDATE content SET state = 9 WHERE id = 1", Check::States),
        ("UPDATE content SET scenes_wanted = 16 | scenes_wanted WHERE id = 1", Check::States),
        ("UPDATE content SET scenes_redo = 16 WHERE id = 2", Check::States),
        ("UPDATE content SET scenes_wanted = 10 WHERE id = 1", Check::States),
        ("UPDATE content SET state = 0 WHERE id = 1", Check::States),
        ("UPDATE content SET run_id = 1 WHERE state = 0", Check::States),
        ("UPDATE content SET state = 1 WHERE state = 0", Check::InFlight),
        ("UPDATE range SET start_after = 'n' WHERE seq = 1 AND run_id = 2", Check::Ranges),
        ("INSERT INTO range VALUES (2, 2, 'm', 'p', 'm', 1)", Check::Ranges),
        ("UPDATE range SET stop_at = 'z' WHERE seq = 1 AND run_id = 2", Check::Ranges),
        ("UPDATE range SET cursor = 'n' WHERE seq = 0 AND run_id = 2", Check::Ranges),
        ("UPDATE range SET done = 0 WHERE seq = 0 AND run_id = 1", Check::Ranges),
        ("DELETE FROM range WHERE run_id = 2", Check::Ranges),
        ("UPDATE run SET listed_at = NULL WHERE id = 1", Check::Runs),
        ("UPDATE run SET counts = '{' WHERE id = 1", Check::Runs),
        ("UPDATE run SET counts = '{\"calls\": 1}' WHERE id = 1", Check::Ledger),
        (
            "DELETE FROM call WHERE content_id = 1; UPDATE run SET counts = '{\"calls\":3,\"answered\":2}' WHERE id = 1",
            Check::Ledger,
        ),
        ("UPDATE label SET mark = mark | 127 WHERE content_id = 1 AND rank = 1", Check::Labels),
        ("DELETE FROM label WHERE content_id = 1 AND rank = 1", Check::Labels),
        ("UPDATE label SET id = id | 192 WHERE content_id = 1", Check::Labels),
        ("UPDATE label SET mark = 99 * 128 WHERE content_id = 1", Check::References),
        ("DELETE FROM tag", Check::References),
        ("UPDATE object SET content_id = 99 WHERE id = 3", Check::References),
        ("UPDATE object SET content_id = NULL WHERE id = 3", Check::Objects),
        ("UPDATE object SET skip_reason = 'mood' WHERE id = 3", Check::Objects),
        ("DELETE FROM error", Check::Failures),
        ("UPDATE ident SET hash = hash - 1 WHERE content_id = 1", Check::Identities),
        ("DELETE FROM ident WHERE content_id = 1", Check::Identities),
        ("UPDATE content SET size = 6 WHERE id = 1", Check::Identities),
        ("UPDATE content SET present = present + 1 WHERE id = 1", Check::Counts),
        ("DELETE FROM count_log WHERE id = 1", Check::Counts),
        ("INSERT INTO image_count VALUES (16 * 90 + 9, 1)", Check::Counts),
        ("INSERT INTO label_count VALUES (8 * 1, x'0502')", Check::Counts),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = database(folder.path());
        store.connection.execute_batch(sql).unwrap();
        let path = store.path().to_owned();
        drop(store);
        let mut checks = found(&Reader::open(&path).unwrap());
        // The kept counts no longer agree with the damaged rows.
        checks.retain(|found| *found != Check::Counts || check == Check::Counts);
        assert_eq!(checks, [check], "{sql}");
    }
}

#[test]
fn verify_finds_a_wanted_object_whose_content_waits_for_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    store
        .connection
        .execute_batch("UPDATE content SET state = 2, scenes_wanted = 0 WHERE state = 0")
        .unwrap();
    assert_eq!(found(&store.reader().unwrap()), [Check::Objects]);
}

#[test]
fn a_claim_leaves_a_content_that_only_another_scope_wants() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = begin(Store::open(&folder.path().join("t.db")).unwrap(), false);
    let added = ["copy1.jpg", "copy2.jpg"].map(|key| Difference::New(candidate(key)));
    turn(&mut session, vec![Request::Page(page(0, "m", added.into()))]);
    // The run's own scope has lost its key, and the bucket has another one.
    let context = RunContext { prefix: "elsewhere/".to_owned(), ..session.run().clone() };
    let counts = session.counts().clone();
    let store = session.finish(RunState::Interrupted, None, UnixSeconds(130)).unwrap();
    let mut session = Session::new(store, context, counts);
    assert_eq!(claim(&mut session), []);
    let store = session.finish(RunState::Interrupted, None, UnixSeconds(140)).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(found(&reader), []);
    assert_eq!(reader.content_counts().unwrap().pending, 1);
    assert!(reader.must_reconsider(2, 1, "", 7).unwrap(), "the next run looks for it");
}

#[test]
fn verify_accepts_contents_in_flight_of_a_killed_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    let path = store.path().to_owned();
    store
        .connection
        .execute_batch(
            "UPDATE content SET state = 1 WHERE state = 0;
             UPDATE run SET state = 'running', ended_at = NULL WHERE id = 2",
        )
        .unwrap();
    drop(store);
    assert_eq!(found(&Reader::open(&path).unwrap()), []);
}

#[test]
fn verify_finds_or_refuses_a_damaged_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    let path = store.path().to_owned();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 4096 / 2 * 4096;
    bytes[half..half + 2048].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    match Reader::open(&path).unwrap().verify(|_| ()) {
        Ok(checks) => assert!(checks[0].problems.count > 0, "{checks:?}"),
        Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
    }
}

#[test]
fn the_journal_names_each_difference_that_a_listing_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    let reader = store.reader().unwrap();
    let journal = |run| {
        let mut all: Vec<Change> = Vec::new();
        reader
            .changes(run, |change| {
                all.push(change.clone());
                Ok::<_, Error>(())
            })
            .unwrap();
        all
    };
    assert_eq!(journal(1), [], "nothing to compare with");
    let all = journal(2);
    let told: Vec<_> = all
        .iter()
        .map(|c| {
            let etag = c.etag.as_ref().unwrap().to_string();
            (c.kind, c.key.as_str(), c.from_key.as_deref(), etag)
        })
        .collect();
    assert_eq!(
        told,
        [
            (ChangeKind::Changed, "a.jpg", None, "etag of a.jpg".to_owned()),
            (ChangeKind::Moved, "copy3.jpg", Some("copy2.jpg"), "same".to_owned()),
            (ChangeKind::Gone, "x.jpg", None, "etag of x.jpg".to_owned()),
            (ChangeKind::Added, "new.jpg", None, "etag of new.jpg".to_owned()),
        ]
    );
    assert_eq!((all[0].size, all[0].bucket.as_str()), (Some(5), "photos-1250000000"));
}

#[test]
fn sums_of_the_ledger_and_its_rate_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(folder.path());
    let reader = store.reader().unwrap();
    let sums = |grouping, within| {
        let mut groups = BTreeMap::<i64, LedgerSums>::new();
        let query = LedgerQuery { grouping, within };
        reader
            .ledger_sums(&query, |group, sums| *groups.entry(group).or_default() += sums)
            .unwrap();
        groups
    };
    let of_run_1 =
        LedgerSums { calls: 4, answered: 3, failed: 1, scenes_asked: 4, ..LedgerSums::default() };
    assert_eq!(sums(LedgerGrouping::Run, None), [(1, of_run_1)].into());
    assert_eq!(sums(LedgerGrouping::Scenes, None), [(2, of_run_1)].into());
    let minutes = LedgerGrouping::Time { unit_ms: 60_000 };
    assert_eq!(sums(minutes, None), [(2, of_run_1)].into());
    assert_eq!(sums(minutes, Some(UnixMillis(0)..UnixMillis(120_000))), BTreeMap::new());
    assert_eq!(
        sums(minutes, Some(UnixMillis(120_000)..UnixMillis(120_001))),
        [(2, of_run_1)].into()
    );
    assert_eq!(reader.measured_pace().unwrap(), None, "four calls say nothing");
    // Twenty-five calls, one each 100 ms, with an hour between two of them.
    store
        .connection
        .execute_batch(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 24)
             INSERT INTO call (run_id, content_id, scenes, ended_at, outcome, repeated)
             SELECT 2, 1, 2, 200000 + n * 100 + (n > 12) * 3600000, 0, n > 0 FROM n",
        )
        .unwrap();
    let measured = reader.measured_pace().unwrap().unwrap();
    assert_eq!((measured.run_id, measured.calls), (2, 23));
    assert!((measured.per_second - 10.0).abs() < 0.01, "{measured:?}");
    assert_eq!(sums(LedgerGrouping::Run, None)[&2].retries, 24);
    store.connection.execute_batch("UPDATE call SET outcome = 9 WHERE id = 3").unwrap();
    let query = LedgerQuery { grouping: minutes, within: None };
    assert!(matches!(reader.ledger_sums(&query, |_, _| ()), Err(Error::Unsound { .. })));
}
