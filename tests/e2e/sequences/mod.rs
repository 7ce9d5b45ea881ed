//! Random sequences of commands, checked against a model: whatever commands come between,
//! each image is called if, and only if, somebody asked for it.
//!
//! `COSTAG_TEST_SEQUENCES=500 cargo test --test e2e sequences` runs this many sequences for each seed, and
//! `COSTAG_TEST_SEED=7` is added to the seeds. A failing sequence is shortened before it is shown.

mod increments;
mod model;
mod steps;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use md5::{Digest as _, Md5};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use rstest::rstest;
use rusqlite::Connection;

use crate::support::{Ended, Site, wait_until};
use increments::Earlier;
use model::{Call, Expected, Model, Unfinished};
use steps::{Bucket, Chosen, Filter, Reference, Scenes, Source, Step, Wish, change};

/// The program with its database, and the model.
struct Played {
    site: Site,
    model: Model,
    /// How many seconds the next object is newer than the previous one.
    later: i64,
    /// The number of ledger rows that the model has read.
    last_call: i64,
    earlier: Earlier,
}

const LIST: &str = "keys.txt";

/// The text of each `ETag` that can occur.
static TEXTS: LazyLock<Vec<(String, &'static str)>> = LazyLock::new(|| {
    ["moon", "sun", "tree", "river", "house", "broken moon", "broken sun"]
        .into_iter()
        .map(|text| (hex::encode_upper(Md5::digest(text)), text))
        .collect()
});

fn text_of(etag: &str) -> &'static str {
    TEXTS.iter().find(|(known, _)| known == etag).unwrap().1
}

impl Played {
    fn begin(bucket: &Bucket) -> Self {
        let site = Site::plain(0);
        let mut played = Self {
            site,
            model: Model::default(),
            later: 0,
            last_call: 0,
            earlier: Earlier::default(),
        };
        for (key, text) in bucket {
            played.change(&Step::Put { key, text });
        }
        played
    }

    fn change(&mut self, step: &Step) {
        // Each object is newer than every call so far. Otherwise a label could seem to belong to newer bytes.
        self.later += 1_000;
        match step {
            Step::Put { key, text } => self.site.put_at(key, text, self.later),
            Step::Delete { key } => self.site.delete(&[key]),
            Step::Rename { from, to } => {
                let text = self.model.bucket[from];
                self.site.delete(&[from]);
                self.site.put_at(to, text, self.later);
            }
            _ => {}
        }
        change(&mut self.model.bucket, step);
    }

    fn database(&self) -> Option<Connection> {
        self.site.path("costag.db").exists().then(|| self.site.database())
    }

    /// The new calls in the ledger, without those for keys that were gone.
    fn new_calls(&mut self) -> Vec<Call> {
        let Some(database) = self.database() else { return Vec::new() };
        let mut rows = database
            .prepare(
                "SELECT call.id, coalesce(object.key, ''), hex(content.etag), call.scenes, call.outcome, code
                 FROM call JOIN content ON content.id = call.content_id
                 LEFT JOIN object ON object.id = call.object_id
                 LEFT JOIN call_error ON call_error.call_id = call.id
                 WHERE call.id > ?1 ORDER BY call.id",
            )
            .unwrap();
        let all: Vec<(i64, i64, Call)> = rows
            .query_map([self.last_call], |row| {
                let outcome = row.get::<_, i64>(4)?;
                let call = Call {
                    key: row.get(1)?,
                    text: text_of(&row.get::<_, String>(2)?),
                    scenes: row.get(3)?,
                    answered: outcome == 0,
                    code: row.get(5)?,
                };
                Ok((row.get(0)?, outcome, call))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        self.last_call = all.last().map_or(self.last_call, |(id, _, _)| *id);
        // An unknown call was cut off by a kill. It counts as paid, but its answer is lost.
        all.into_iter().filter(|(_, outcome, _)| *outcome != 4).map(|(_, _, call)| call).collect()
    }

    fn arguments(&self, command: &str, wish: &Wish, max_calls: Option<u64>) -> Vec<String> {
        if let Source::List(keys) = &wish.source {
            self.site.write(LIST, keys.join("\n"));
        }
        let mut arguments = vec![command.to_owned()];
        arguments.extend(wish.arguments(LIST));
        arguments.extend(max_calls.map(|calls| format!("--max-calls={calls}")));
        arguments
    }

    fn costag(&self, arguments: &[String]) -> Ended {
        self.site.costag(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Checks the calls of a run that has ended by itself, and updates the model. Returns whether a budget cut it
    /// short.
    fn check(
        &mut self,
        ended: &Ended,
        expected: &Expected,
        wish: &Wish,
        held: &Bucket,
        max_calls: Option<u64>,
    ) -> bool {
        let all = self.new_calls();
        let made = all.len() as u64;
        let is_gone = |call: &Call| call.code.as_deref() == Some("NoSuchKey") && !call.answered;
        for call in all.iter().filter(|call| is_gone(call)) {
            assert!(!self.model.bucket.contains_key(call.key.as_str()), "{call:?} is there");
        }
        let was_gone = all.iter().any(is_gone);
        let calls: Vec<_> = all.into_iter().filter(|call| !is_gone(call)).collect();
        let mut called = BTreeSet::new();
        for call in &calls {
            assert!(expected.may.contains(call.text), "{call:?} was not asked for: {expected:?}");
            assert!(called.insert(call.text), "{call:?} was made twice");
            assert!(wish.wants(&call.key), "{call:?} is of a key that {wish:?} leaves out");
            if let Some(scenes) = expected.must.get(call.text) {
                assert_eq!(call.scenes, *scenes, "{call:?}");
            }
        }
        let cut_short = ended.code == Some(8);
        if cut_short {
            assert_eq!(Some(made), max_calls, "the budget was not used up: {ended:?}");
        } else {
            // A resumed run also reports what had failed before the interruption.
            let failed = calls.iter().any(|call| !call.answered);
            let failed_before = held.values().any(|text| self.model.has_failed(text));
            let is_list = matches!(wish.source, Source::List(_));
            assert!(
                ended.code == Some(0)
                    || (ended.code == Some(3) && (failed || failed_before || was_gone || is_list)),
                "{ended:?}"
            );
            assert!(ended.code == Some(3) || !failed, "{ended:?}");
            let forgotten: Vec<_> =
                expected.must.keys().filter(|text| !called.contains(**text)).collect();
            assert!(forgotten.is_empty(), "{forgotten:?} were not called: {expected:?}, {ended:?}");
        }
        self.model.learn(&calls, held);
        cut_short
    }

    fn run(&mut self, wish: &Wish, max_calls: Option<u64>) {
        let expected = self.model.of_new_run(wish);
        let held = self.model.wanted(wish);
        let ended = self.costag(&self.arguments("run", wish, max_calls));
        self.model.supersede(wish);
        let cut_short = self.check(&ended, &expected, wish, &held, max_calls);
        if cut_short {
            self.model.listed_perhaps(wish);
            self.model.unfinished.push(Unfinished { wish: wish.clone(), held });
        } else {
            self.model.listed(wish);
        }
    }

    /// Checks a plan and returns the number of calls that it predicted.
    fn plan(&mut self, wish: &Wish) -> u64 {
        let expected = self.model.of_new_run(wish);
        let before = self.site.calls();
        let mut arguments = self.arguments("plan", wish, None);
        arguments.push("--json".to_owned());
        let ended = self.costag(&arguments);
        let plan: serde_json::Value = serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        assert_eq!(self.site.calls(), before, "a plan calls nothing");
        let told = plan["calls"].as_u64().unwrap();
        let (least, most) = (expected.must.len() as u64, expected.may.len() as u64);
        assert!((least..=most).contains(&told), "told {told}: {expected:?}, {ended:?}");
        self.model.listed_perhaps(wish);
        told
    }

    /// Kills a run after this many calls, or lets it end if it needs fewer.
    fn kill(&mut self, wish: &Wish, calls: u64) {
        let held = self.model.wanted(wish);
        self.site.change(r#"{"latency_ms":20}"#);
        let before = self.site.calls();
        let arguments = self.arguments("run", wish, None);
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--workers", "2"]);
        let mut run = self.site.start(&arguments);
        wait_until("the calls, or the end", || {
            run.has_ended() || self.site.calls() >= before + calls
        });
        let was_running = run.kill();
        self.site.change(r#"{"latency_ms":0}"#);
        self.model.supersede(wish);
        let learned = self.new_calls();
        self.model.learn(&learned, &held);
        self.model.listed_perhaps(wish);
        let state: Option<String> = self.database().and_then(|database| {
            database
                .query_row(
                    // The run may be an earlier one that this command continued.
                    "SELECT state FROM run WHERE NOT plan
                     ORDER BY state = 'running' DESC, id DESC LIMIT 1",
                    [],
                    |row| row.get(0),
                )
                .ok()
        });
        if was_running && state.as_deref() == Some("running") {
            self.model.unfinished.push(Unfinished { wish: wish.clone(), held });
        }
    }

    fn resume(&mut self, max_calls: Option<u64>) -> bool {
        let mut arguments = vec!["resume".to_owned()];
        // Without a number, the one of the interrupted command would hold.
        arguments.push(format!("--max-calls={}", max_calls.unwrap_or(1_000)));
        if self.database().is_none() {
            return false;
        }
        let run = self.model.unfinished.pop();
        let ended = self.costag(&arguments);
        let Some(run) = run else {
            assert!(ended.stderr.contains("nothing to resume"), "{ended:?}");
            assert_eq!(ended.code, Some(0));
            return false;
        };
        let expected = self.model.of_resume(&run);
        let cut_short = self.check(&ended, &expected, &run.wish, &run.held, max_calls);
        self.model.listed_perhaps(&run.wish);
        if cut_short {
            self.model.unfinished.push(run);
        }
        true
    }

    fn retag(&mut self, chosen: Chosen) {
        if self.database().is_none() {
            return;
        }
        let must = self.model.chosen(chosen);
        let choice: &[&str] = match chosen {
            Chosen::All => &["--all"],
            Chosen::Prefix(prefix) => &["--prefix", prefix],
            Chosen::CameraOnly => &["--scene", "camera"],
        };
        self.site.costag(&[&["retag", "--yes"], choice].concat()).with(0);
        let database = self.site.database();
        let mut rows = database
            .prepare("SELECT hex(etag), scenes_redo FROM content WHERE scenes_redo")
            .unwrap();
        let put_back: Vec<(&str, u8)> = rows
            .query_map([], |row| Ok((text_of(&row.get::<_, String>(0)?), row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for text in must {
            let scenes = if chosen == Chosen::CameraOnly { 2 } else { self.model.done(text) };
            let redo =
                put_back.iter().find(|(other, _)| *other == text).map_or(0, |(_, redo)| *redo);
            assert_eq!(redo & scenes, scenes, "{text} was not put back");
        }
        for (text, scenes) in put_back {
            self.model.retagged(text, scenes);
        }
    }
}

struct Sequences;

impl StateMachineTest for Sequences {
    type SystemUnderTest = Played;
    type Reference = Reference;

    fn init_test(bucket: &Bucket) -> Played {
        Played::begin(bucket)
    }

    fn apply(mut played: Played, _: &Bucket, step: Step) -> Played {
        match &step {
            Step::Put { .. } | Step::Delete { .. } | Step::Rename { .. } => played.change(&step),
            Step::Plan { wish } => {
                played.plan(wish);
            }
            Step::PlanRun { wish } => {
                let told = played.plan(wish);
                let before = played.site.calls();
                played.run(wish, None);
                assert_eq!(played.site.calls() - before, told, "calls, and what the plan told");
            }
            Step::Run { wish, max_calls } => played.run(wish, *max_calls),
            Step::Kill { wish, calls } => played.kill(wish, *calls),
            Step::Resume { max_calls } => {
                played.resume(*max_calls);
            }
            Step::Retag { chosen } => played.retag(*chosen),
            Step::Retry if played.database().is_some() => {
                played.site.costag(&["retry"]).with(0);
                played.model.retried();
            }
            Step::Prune { keep_runs } if played.database().is_some() => {
                let before = played.site.json(&["ledger", "--by", "run", "--json"]);
                played.site.costag(&["prune", "--keep-runs", &keep_runs.to_string()]).with(0);
                assert_eq!(played.site.json(&["ledger", "--by", "run", "--json"]), before);
                played.site.assert_sound();
            }
            Step::Retry | Step::Prune { .. } => {}
        }
        if played.database().is_some() {
            played.earlier.check(&played.site);
        }
        played
    }

    /// Resumes everything that was interrupted. After one more run over everything, nothing is left to call.
    fn teardown(mut played: Played, _: Bucket) {
        while played.resume(None) {}
        let all = Wish { source: Source::Prefix(""), scenes: Scenes::Both, filter: Filter::All };
        played.run(&all, None);
        played.site.assert_sound();
        // The number of labels in an answer depends on the scenes of the call. The first label of each scene does not.
        let pictures = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
            rows.into_iter()
                .filter(|row| row[2] == "1")
                .filter(|row| Path::new(&row[0]).extension().is_some_and(|name| name != "txt"))
                .collect()
        };
        let exported = pictures(played.site.export(&[]));
        let expected = pictures(played.site.expected("camera,web"));
        let certain = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
            rows.into_iter()
                .filter(|row| !played.model.is_uncertain(text_of(&row[7].to_uppercase())))
                .collect()
        };
        let (exported, expected) = (certain(exported), certain(expected));
        let first = exported.iter().zip(&expected).find(|(one, other)| one != other);
        assert_eq!(first, None, "the first row that differs");
        assert_eq!(exported.len(), expected.len());
        let before = played.site.calls();
        let again = played.costag(&played.arguments("run", &all, None)).with(0);
        assert_eq!(played.site.calls(), before, "a second night calls something: {again:?}");
        let (settled, unknown) = played.site.ledger();
        assert!(
            settled <= before && before <= settled + unknown,
            "{settled} settled, {unknown} unknown, {before} made"
        );
    }
}

fn number(name: &str, usually: u64) -> u64 {
    std::env::var(name).map_or(usually, |text| text.parse().unwrap())
}

#[rstest]
fn each_image_is_called_once_for_each_request_in_any_sequence_of_commands(
    #[values(1, 2, 3, 4)] seed: u64,
) {
    let config = Config {
        cases: u32::try_from(number("COSTAG_TEST_SEQUENCES", 3)).unwrap(),
        rng_seed: RngSeed::Fixed(seed + number("COSTAG_TEST_SEED", 0)),
        failure_persistence: None,
        max_shrink_iters: 1_000,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config.clone());
    let played = runner.run(&Reference::sequential_strategy(4..25), |(bucket, steps, seen)| {
        Sequences::test_sequential(config.clone(), bucket, steps, seen);
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
}
