//! Runs: begun, interrupted, recovered, gone on with and superseded.

use super::*;
use crate::store::model::{Recogniser, RunState};
use crate::store::read::{LedgerGrouping, LedgerQuery, LedgerSums};
use crate::time::{UnixMillis, UnixSeconds};

#[test]
fn a_killed_run_is_recovered_with_its_cursor_and_its_calls_are_in_the_ledger() {
    for site in sites() {
        let mut session = site.begin();
        let new = ["a", "b", "c"].map(|key| Difference::New(candidate(key, key)));
        send(&mut session, vec![page(0, "c", false, new.into()), claim(2)]).unwrap();
        let run_id = session.run().id;
        // The process ends here.
        drop(session);

        let mut store = site.open();
        assert_eq!(store.recover(UnixMillis(130_000)).unwrap(), 2);
        let unfinished = store.unfinished().unwrap();
        assert_eq!(unfinished.len(), 1);
        assert_eq!((unfinished[0].id, unfinished[0].listed), (run_id, false));
        let ranges = store.ranges(run_id).unwrap();
        assert_eq!((&ranges[0].progress, ranges[0].done), (&up_to("c"), false));
        assert_eq!((&ranges[1].progress, ranges[1].done), (&up_to("m"), false));
        store.reopen_run(run_id).unwrap();
        let counts = store.counts(run_id).unwrap();
        assert_eq!((counts.calls, counts.unknown, counts.pending()), (2, 2, 3));
        let reader = store.reader().unwrap();
        let mut sums = LedgerSums::default();
        let query = LedgerQuery { grouping: LedgerGrouping::Run, within: None };
        reader
            .ledger_sums(&query, |run, of_run| {
                assert_eq!(run, run_id);
                sums += of_run;
            })
            .unwrap();
        assert_eq!((sums.calls, sums.unknown, sums.scenes_asked), (2, 2, 2));
        let counts_of_contents = reader.content_counts().unwrap();
        assert_eq!((counts_of_contents.pending, counts_of_contents.in_flight), (3, 0));
    }
}

#[test]
fn a_run_keeps_its_last_exit_code_and_the_time_of_its_last_success() {
    for site in sites() {
        let end = |mut session: Session, code, is_success, at: i64| {
            session.set_exit_code(code, is_success);
            session.finish(RunState::Stopped, Some("window"), UnixSeconds(at)).unwrap()
        };
        let session = site.begin();
        let context = session.run().clone();
        let mut store = end(session, 10, true, 120);
        let run = store.unfinished().unwrap().remove(0);
        let stored = |store: &Store| {
            let reader = store.reader().unwrap();
            let success = reader.last_success().unwrap().map(|success| success.at.0);
            (reader.run(run.id).unwrap().unwrap().exit_code, success)
        };
        assert_eq!(stored(&store), (Some(10), Some(120)));
        store.reopen_run(run.id).unwrap();
        assert_eq!(stored(&store), (None, Some(120)), "the run is under way again");
        let again = Session::new(store, context, Counts::default());
        let store = end(again, 5, false, 200);
        assert_eq!(
            stored(&store),
            (Some(5), Some(120)),
            "a failure does not undo an earlier success"
        );
    }
}

#[test]
fn a_finished_run_is_not_among_the_unfinished_and_an_interrupted_one_is() {
    for site in sites() {
        let mut session = site.begin();
        send(&mut session, listing(&[("a", "x")])).unwrap();
        let mut store =
            session.finish(RunState::Interrupted, Some("SIGINT"), UnixSeconds(120)).unwrap();
        let run_id = store.unfinished().unwrap()[0].id;
        assert_eq!(store.reader().unwrap().unfinished_run().unwrap(), Some(run_id));
        store.supersede(run_id).unwrap();
        assert_eq!(store.unfinished().unwrap(), []);
        let run = store.reader().unwrap().run(run_id).unwrap().unwrap();
        assert_eq!(
            (run.state, run.started_at, run.ended_at),
            (RunState::Superseded, UnixSeconds(100), Some(UnixSeconds(120)))
        );
    }
}

#[test]
fn a_new_run_adopts_what_a_superseded_one_left_pending() {
    for site in sites() {
        let mut session = site.begin();
        send(&mut session, listing(&[("a", "x")])).unwrap();
        let mut store =
            session.finish(RunState::Stopped, Some("budget"), UnixSeconds(120)).unwrap();
        let first = store.unfinished().unwrap()[0].id;
        store.supersede(first).unwrap();
        let mut session = begin(store, "");
        let reader = session.reader().unwrap();
        let run = session.run().clone();
        assert!(run.journals, "there is a listing to compare with");
        assert!(reader.must_reconsider(run.id, run.bucket_id, "", 1).unwrap());
        let unchanged = Difference::Reconsider {
            object_id: 1,
            content_id: Some(1),
            candidate: candidate("a", "x"),
        };
        let replies = send(&mut session, vec![page(0, "m", true, vec![unchanged]), claim(9)]);
        assert_eq!(claimed(replies.unwrap()).len(), 1);
        assert!(!session.leaves_behind().unwrap());
    }
}

#[test]
fn recogniser_clock_and_limit_are_read_back() {
    for site in sites() {
        let mut session = site.begin();
        let requests = vec![
            Request::Recogniser { recogniser: Recogniser::Emulator },
            Request::Recogniser { recogniser: Recogniser::DetectLabel },
            Request::ClockOffset { seconds: -90 },
            Request::Limit { rate: 12.5 },
        ];
        send(&mut session, requests).unwrap();
        let store = session.finish(RunState::Complete, None, UnixSeconds(120)).unwrap();
        assert_eq!(store.recogniser().unwrap(), Some(Recogniser::Emulator), "the first one stays");
        assert_eq!(store.clock_offset().unwrap(), -90);
        assert_eq!(store.found_limit(BUCKET).unwrap(), Some(12.5));
        assert_eq!(store.found_limit("other-1250000000").unwrap(), None);
        assert_eq!(store.last_settings(BUCKET).unwrap().as_deref(), Some("{}"));
    }
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    for site in sites() {
        let store = site.open();
        assert!(matches!(Store::open(&site.path()), Err(Error::Locked { .. })));
        let reader = store.reader().unwrap();
        assert!(reader.is_running());
        drop(store);
        assert!(!reader.is_running());
    }
}

#[test]
fn a_plan_leaves_nothing_but_its_row() {
    for site in sites() {
        let session = site.begin();
        let context = RunContext { plan: true, ..session.run().clone() };
        let mut store = session.finish(RunState::Complete, None, UnixSeconds(120)).unwrap();
        store.simulate().unwrap();
        let mut plan = Session::new(store, context, Counts::default());
        send(&mut plan, listing(&[("a", "x"), ("b", "y")])).unwrap();
        assert_eq!(plan.needed().unwrap().calls(), 2);
        let store = plan.finish(RunState::Complete, None, UnixSeconds(130)).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(reader.content_counts().unwrap().pending, 0);
        assert_eq!(reader.last_run().unwrap().unwrap().counts.listed, 2);
    }
}
