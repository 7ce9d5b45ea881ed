//! Random runs and prunes, each of which may be cut short, against a model that counts every call.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use crate::store::prune::{Pruned, Prunes};
use crate::store::read::{LedgerGrouping, LedgerQuery, LedgerSums};
use crate::store::sqlite::posting::SEGMENT;
use crate::store::sqlite::{Reader, Store};
use crate::time::{UnixMillis, UnixSeconds};

const DAY_MS: i64 = 24 * 3_600_000;
const QUARTER_MS: i64 = 15 * 60_000;

/// A call of the ledger: day, scenes, outcome, and whether an earlier call for the same image had failed.
type Call = (i64, u8, u8, bool);

#[derive(Debug, Clone)]
struct Run {
    state: &'static str,
    is_plan: bool,
    /// Whether the listing came to its end.
    is_listed: bool,
    eligibility: i64,
    changes: usize,
    calls: Vec<Call>,
}

#[derive(Debug, Clone)]
enum Step {
    Run(Run),
    /// A run that was begun before some others calls again, as one that is resumed does.
    Again {
        run: usize,
        calls: Vec<Call>,
    },
    /// After `transactions` the command is killed.
    Prune {
        keep_runs: u32,
        ended_before: i64,
        calls_before: i64,
        transactions: usize,
    },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    proptest::collection::vec((0..8_i64, 1..16_u8, 0..5_u8, any::<bool>()), 0..9)
}

fn step() -> impl Strategy<Value = Step> {
    let state = proptest::sample::select(vec!["complete", "complete", "superseded", "stopped"]);
    let run = (state, proptest::bool::weighted(0.2), any::<bool>(), 0..2_i64, 0..8_usize, calls());
    prop_oneof![
        4 => run.prop_map(|(state, is_plan, is_listed, eligibility, changes, calls)| {
            Step::Run(Run { state, is_plan, is_listed, eligibility, changes, calls })
        }),
        1 => (0..9_usize, calls()).prop_map(|(run, calls)| Step::Again { run, calls }),
        3 => (1..5_u32, 0..12_i64, 0..9_i64, 0..12_usize).prop_map(
            |(keep_runs, ended_before, calls_before, transactions)| {
                Step::Prune { keep_runs, ended_before, calls_before, transactions }
            }
        ),
    ]
}

/// The model: every call that was ever made.
#[derive(Default)]
struct Model {
    runs: Vec<Run>,
    calls: Vec<(i64, i64, Call)>,
    /// Since when no call can have been removed, in Unix milliseconds.
    kept_since: i64,
}

impl Model {
    fn sums(&self, query: &LedgerQuery) -> BTreeMap<i64, LedgerSums> {
        let mut sums: BTreeMap<i64, LedgerSums> = BTreeMap::new();
        for (run, ended, (_, scenes, outcome, repeated)) in &self.calls {
            if query.within.as_ref().is_some_and(|within| !within.contains(&UnixMillis(*ended))) {
                continue;
            }
            let group = match query.grouping {
                LedgerGrouping::Run => *run,
                LedgerGrouping::Scenes => i64::from(*scenes),
                LedgerGrouping::Time { unit_ms } => ended / unit_ms,
            };
            let of = |number: u8| u64::from(*outcome == number);
            *sums.entry(group).or_default() += LedgerSums {
                calls: 1,
                answered: of(0),
                failed: of(1),
                throttled: of(2),
                thrown_away: of(3),
                unknown: of(4),
                retries: u64::from(*repeated),
                scenes_asked: u64::from(scenes.count_ones()),
            };
        }
        sums
    }

    /// The number of the last row of the ledger.
    fn last_call(&self) -> i64 {
        i64::try_from(self.calls.len()).unwrap()
    }

    /// The last row whose labels are posted.
    fn posted(&self) -> i64 {
        self.last_call() / SEGMENT * SEGMENT
    }

    fn insert_calls(&mut self, store: &Store, run: i64, calls: &[Call]) {
        for call in calls {
            let (day, scenes, outcome, repeated) = *call;
            let id = self.last_call() + 1;
            let ended = day * DAY_MS + run * 977_777 + id * 333_333;
            store
                .connection
                .execute(
                    "INSERT INTO call (run_id, content_id, scenes, ended_at, outcome, repeated)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    (run, id, scenes, ended, outcome, repeated),
                )
                .unwrap();
            assert_eq!(store.connection.last_insert_rowid(), id, "no number is given twice");
            if matches!(outcome, 1 | 2) {
                store
                    .connection
                    .execute("INSERT INTO call_error (call_id, code) VALUES (?1, 'x')", [id])
                    .unwrap();
            }
            self.calls.push((run, ended, *call));
        }
        store
            .connection
            .execute(
                "INSERT OR REPLACE INTO meta (name, value) VALUES ('posted_call', ?1)",
                [self.posted().to_string()],
            )
            .unwrap();
    }

    fn begin(&mut self, store: &Store, run: &Run) {
        self.runs.push(run.clone());
        let id = i64::try_from(self.runs.len()).unwrap();
        let listed = (run.is_listed && run.state != "stopped").then_some(id * 86_400);
        store
            .connection
            .execute(
                "INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals, plan, tool_version,
                                  started_at, listed_at, ended_at)
                 VALUES (?1, 1, 'bucket', ?2, ?3, '{}', 1, ?4, '0.1.0', ?5, ?6, ?5)",
                (id, run.eligibility, run.state, if run.is_plan { 2 } else { 0 }, id * 86_400, listed),
            )
            .unwrap();
        for (seq, after, upto, done) in [(0, "", Some("m"), true), (1, "m", None, listed.is_some())]
        {
            store
                .connection
                .execute(
                    "INSERT INTO range VALUES (?1, ?2, ?3, ?4, ?3, ?5)",
                    (id, seq, after, upto, done),
                )
                .unwrap();
        }
        for _ in 0..run.changes {
            store
                .connection
                .execute(
                    "INSERT INTO change (run_id, kind, object_id) VALUES (?1, 'added', 1)",
                    [id],
                )
                .unwrap();
        }
        self.insert_calls(store, id, &run.calls);
    }
}

/// Checks what commands read against the model.
fn check(reader: &Reader, model: &Model, reconsiders: &mut BTreeMap<i64, bool>) {
    let groupings = [
        LedgerGrouping::Run,
        LedgerGrouping::Scenes,
        LedgerGrouping::Time { unit_ms: QUARTER_MS },
        LedgerGrouping::Time { unit_ms: DAY_MS },
    ];
    for grouping in groupings {
        for within in [None, Some(UnixMillis(2 * DAY_MS)..UnixMillis(5 * DAY_MS))] {
            let query = LedgerQuery { grouping, within };
            let mut found: BTreeMap<i64, LedgerSums> = BTreeMap::new();
            reader
                .ledger_sums(&query, |group, sums| *found.entry(group).or_default() += sums)
                .unwrap();
            assert_eq!(found, model.sums(&query), "{query:?}");
        }
    }
    let end = reader.ledger_end().unwrap();
    assert_eq!(end.0, model.last_call());
    let since = model.kept_since;
    let of_day = model.calls.iter().filter(|(_, ended, _)| *ended >= since).count();
    assert_eq!(
        reader.calls_since(UnixMillis(since), end).unwrap(),
        of_day as u64,
        "for budgets of a day"
    );
    assert_eq!(
        reader.has_been_answered().unwrap(),
        model.calls.iter().any(|(.., (_, _, outcome, _))| *outcome == 0)
    );
    // What a next run has to look at again does not depend on what was pruned.
    for eligibility in 0..2 {
        let reconsider = reader.must_reconsider(-1, 1, "", eligibility).unwrap();
        assert_eq!(*reconsiders.entry(eligibility).or_insert(reconsider), reconsider);
    }
    let count =
        |sql: &str| -> i64 { reader.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    for nothing in [
        "SELECT count(*) FROM call_error WHERE call_id NOT IN (SELECT id FROM call)",
        "SELECT count(*) FROM call WHERE outcome IN (1, 2) AND id NOT IN (SELECT call_id FROM call_error)",
        "SELECT count(*) FROM run WHERE pruned_at AND state = 'stopped'",
        "SELECT count(*) FROM call_sum WHERE run_id IN (SELECT id FROM run WHERE pruned_at IS NULL)",
    ] {
        assert_eq!(count(nothing), 0, "{nothing}");
    }
    let posted = model.posted();
    assert_eq!(
        count(&format!("SELECT count(*) FROM call WHERE id > {posted}")),
        model.last_call() - posted,
        "labels that are not posted are found through their calls"
    );
    assert_eq!(reader.runs(100).unwrap().len(), model.runs.len());
}

fn open(folder: &Path) -> Store {
    let store = Store::open(&folder.join("t.db")).unwrap();
    store
        .connection
        .execute("INSERT OR IGNORE INTO bucket VALUES (1, 'photos-1250000000', 'keys')", [])
        .unwrap();
    store
}

proptest! {
    #![proptest_config(crate::property::with_cases(64))]
    #[test]
    fn pruning_leaves_every_sum_as_it_was(steps in proptest::collection::vec(step(), 1..14)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut model = Model::default();
        for step in steps {
            let mut reconsiders = BTreeMap::new();
            match step {
                Step::Run(run) => model.begin(&store, &run),
                Step::Again { run, calls } => {
                    let found = model.runs.get(run).is_some_and(|run| run.state == "stopped");
                    if found {
                        model.insert_calls(&store, i64::try_from(run).unwrap() + 1, &calls);
                    }
                }
                Step::Prune { keep_runs, ended_before, calls_before, transactions } => {
                    check(&store.reader().unwrap(), &model, &mut reconsiders);
                    let prunes = Prunes {
                        keep_runs,
                        ended_before: UnixSeconds(ended_before * 86_400),
                        calls_before: UnixMillis(calls_before * DAY_MS),
                        now: UnixSeconds(1),
                    };
                    let expected = store.reader().unwrap().prunable(&prunes).unwrap();
                    model.kept_since = model.kept_since.max(prunes.calls_before.0);
                    let (mut removed, mut left) = (Pruned::default(), transactions);
                    let is_complete = store
                        .prune(&prunes, |so_far| {
                            removed = *so_far;
                            left = left.saturating_sub(1);
                            left > 0
                        })
                        .unwrap();
                    // The next process sees what was committed.
                    drop(store);
                    store = open(folder.path());
                    let left = store.reader().unwrap().prunable(&prunes).unwrap();
                    let both = Pruned {
                        runs: removed.runs + left.runs,
                        changes: removed.changes + left.changes,
                        calls: removed.calls + left.calls,
                    };
                    prop_assert_eq!(both, expected, "what was done, and what is left");
                    prop_assert!(!is_complete || left == Pruned::default(), "{:?}", left);
                }
            }
            check(&store.reader().unwrap(), &model, &mut reconsiders);
        }
        // Nothing of the old runs is left once it is done to the end.
        let prunes =
            Prunes {
                keep_runs: 1,
                ended_before: UnixSeconds::MAX,
                calls_before: UnixMillis::MAX,
                now: UnixSeconds(2),
            };
        prop_assert!(store.prune(&prunes, |_| true).unwrap());
        let reader = store.reader().unwrap();
        model.kept_since = i64::MAX;
        check(&reader, &model, &mut BTreeMap::new());
        let left: i64 = reader
            .connection
            .query_row("SELECT count(*) FROM change JOIN run ON run.id = run_id WHERE pruned_at", [], |row| {
                row.get(0)
            })
            .unwrap();
        prop_assert_eq!(left, 0);
    }
}
