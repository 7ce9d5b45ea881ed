//! A process may be killed at any point of a turn: the run that goes on labels each content once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::Session;
use super::tests::{begin, candidate, error, label, one, page, settle};
use crate::store::run::{RangeProgress, RunContext};
use crate::store::sqlite::Store;
use crate::store::turn::{Claimed, Difference, Settled};
use crate::time::{UnixMillis, UnixSeconds};

const WORKERS: usize = 2;
const IN_FLIGHT: usize = 2 * WORKERS;

/// A run that is cut at any moment, without the network: the listing, what was sent, what is in flight.
struct World {
    session: Option<Session>,
    context: RunContext,
    /// Keys in order, each with the bytes it has.
    bucket: BTreeMap<String, u8>,
    claimed: Vec<Claimed>,
    /// Calls that the service has counted, by bytes.
    sent: BTreeMap<u8, u32>,
    crashes: u32,
    unknown: usize,
}

#[derive(Debug, Clone)]
enum Step {
    List(usize),
    Claim(usize),
    Settle(usize, u8),
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_usize..5).prop_map(Step::List),
        4 => (1_usize..6).prop_map(Step::Claim),
        6 => (0_usize..8, 0_u8..6).prop_map(|(which, what)| Step::Settle(which, what)),
        1 => Just(Step::Cut),
    ]
}

impl World {
    fn new(path: &Path, bucket: BTreeMap<String, u8>) -> Self {
        let session = begin(Store::open(path).unwrap(), "");
        let context = session.run().clone();
        Self {
            session: Some(session),
            context,
            bucket,
            claimed: Vec::new(),
            sent: BTreeMap::new(),
            crashes: 0,
            unknown: 0,
        }
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().unwrap()
    }

    /// The process dies, in the middle of a turn or between two; the next one takes over.
    fn crash(&mut self) {
        let path = self.session().store.path().to_owned();
        drop(self.session.take());
        let mut store = Store::open(&path).unwrap();
        let lost = usize::try_from(store.recover(UnixMillis(1)).unwrap()).unwrap();
        assert_eq!(lost, self.claimed.len(), "what was in flight, and nothing else");
        assert!(lost <= IN_FLIGHT);
        self.unknown += lost;
        self.claimed.clear();
        self.crashes += 1;
        let unfinished = store.unfinished().unwrap();
        assert_eq!(unfinished.len(), 1);
        store.reopen_run(self.context.id).unwrap();
        let counts = store.counts(self.context.id).unwrap();
        self.session = Some(Session::new(store, self.context.clone(), counts));
    }

    /// The end of a turn; a cut one never was.
    fn end_turn(&mut self, cut: bool) -> bool {
        if cut {
            self.crash();
        } else {
            self.session().commit().unwrap();
            let session = self.session();
            let waits: i64 = one(
                &session.store.connection,
                "SELECT count(*) FROM content WHERE state IN (0, 1)",
            );
            assert_eq!(i64::try_from(session.counts().pending()), Ok(waits));
        }
        !cut
    }

    fn take(&mut self, step: &Step, cut: bool) {
        match *step {
            Step::Cut => self.crash(),
            Step::List(keys) => self.list(keys, cut),
            Step::Claim(limit) => self.claim(limit, cut),
            Step::Settle(which, what) => self.settle(which, what, cut),
        }
    }

    fn list(&mut self, keys: usize, cut: bool) {
        let run_id = self.context.id;
        let range = self.session().store.ranges(run_id).unwrap().remove(0);
        if range.done {
            return;
        }
        let RangeProgress::Span { up_to: reached } = range.progress else { panic!("{range:?}") };
        let next: Vec<_> =
            self.bucket.iter().filter(|(key, _)| **key > reached).take(keys).collect();
        let cursor = next.last().map_or(reached.clone(), |(key, _)| (*key).clone());
        let done = next.len() < keys;
        let new = |(key, bytes): (&String, &u8)| {
            Difference::New(candidate(key, &format!("bytes{bytes}"), 1))
        };
        let differences = next.into_iter().map(new).collect();
        let session = self.session();
        session.begin().unwrap();
        session.page(&page(&cursor, differences, done)).unwrap();
        if done {
            session.complete_listing(UnixSeconds(1)).unwrap();
        }
        self.end_turn(cut);
    }

    fn claim(&mut self, limit: usize, cut: bool) {
        let limit = limit.min(IN_FLIGHT - self.claimed.len());
        let session = self.session();
        session.begin().unwrap();
        let claimed = session.claim_of(limit, &(0..=2)).unwrap();
        if !self.end_turn(cut) {
            return;
        }
        let bytes: Vec<u8> = claimed.iter().map(|claimed| self.bucket[&claimed.key.key]).collect();
        for claimed in &claimed {
            let again = self.claimed.iter().any(|other| other.content_id == claimed.content_id);
            assert!(!again, "a content is in flight once");
        }
        for bytes in bytes {
            *self.sent.entry(bytes).or_default() += 1;
        }
        self.claimed.extend(claimed);
    }

    fn settle(&mut self, which: usize, what: u8, cut: bool) {
        if self.claimed.is_empty() {
            return;
        }
        let claimed = self.claimed.remove(which % self.claimed.len());
        let bytes = self.bucket[&claimed.key.key];
        let attempts = claimed.attempts + 1;
        let settled = match what {
            0 if claimed.pass < 2 => {
                Settled::PutBack { attempts, pass: claimed.pass + 1, error: error() }
            }
            // Released before it was sent.
            1 => {
                *self.sent.get_mut(&bytes).unwrap() -= 1;
                Settled::Released
            }
            2 => Settled::GivenUp { attempts, error: error() },
            _ => Settled::Labels(label(&format!("label{bytes}"))),
        };
        let released = settled == Settled::Released;
        let session = self.session();
        session.begin().unwrap();
        settle(session, &claimed, settled, 1);
        if cut {
            // It is in flight still, as far as the store knows.
            self.claimed.push(claimed);
            if released {
                *self.sent.get_mut(&bytes).unwrap() += 1;
            }
        }
        self.end_turn(cut);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is cut, and when: each content is done or failed in the end, labelled once, and called once
    /// but for what was in flight at a cut or failed.
    #[test]
    fn resuming_after_a_kill_at_any_point_labels_each_content_once(
        bucket in prop::collection::btree_map("[a-e]{1,3}", 0_u8..12, 1..25),
        steps in prop::collection::vec((step(), prop::bool::weighted(0.1)), 0..50),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(&folder.path().join("t.db"), bucket);
        for (step, cut) in &steps {
            world.take(step, *cut);
        }
        // The last process comes to the end.
        world.list(100, false);
        loop {
            world.claim(IN_FLIGHT, false);
            if world.claimed.is_empty() {
                break;
            }
            while !world.claimed.is_empty() {
                world.settle(0, 5, false);
            }
        }
        let World { session, bucket, sent, unknown, crashes, .. } = world;
        let session = session.unwrap();
        prop_assert!(unknown <= crashes as usize * IN_FLIGHT);
        let database = &session.store.connection;
        let contents: BTreeSet<u8> = bucket.values().copied().collect();
        let in_state = |states: &str| -> usize {
            let sql = format!("SELECT count(*) FROM content WHERE state IN ({states})");
            usize::try_from(one::<i64>(database, &sql)).unwrap()
        };
        prop_assert_eq!((in_state("2, 3"), in_state("0, 1")), (contents.len(), 0));
        let objects: i64 = one(database, "SELECT count(*) FROM object");
        prop_assert_eq!(usize::try_from(objects).unwrap(), bucket.len());
        // Labels are those of the bytes, once each.
        let wrong: i64 = one(database, "SELECT count(*) FROM content LEFT JOIN label ON content_id = content.id
            LEFT JOIN tag ON tag.id = tag_id
            WHERE (state = 2) <> (tag.id IS NOT NULL)
               OR replace(tag.name, 'label', 'bytes') <> content.etag");
        prop_assert_eq!(wrong, 0);
        // The ledger: settled <= sent <= settled + unknown, and an answer each for what is done.
        let outcome = |what: &str| -> u32 {
            let sql = format!("SELECT count(*) FROM call WHERE outcome {what}");
            u32::try_from(one::<i64>(database, &sql)).unwrap()
        };
        let (settled, in_ledger) = (outcome("<> 4"), outcome("= 4"));
        let sent: u32 = sent.values().sum();
        prop_assert_eq!(in_ledger as usize, unknown);
        prop_assert!(settled <= sent && sent <= settled + in_ledger, "{settled} {sent} {in_ledger}");
        prop_assert_eq!(outcome("= 0") as usize, in_state("2"));
        let counts = session.counts();
        prop_assert_eq!(counts.calls, u64::from(settled + in_ledger));
        prop_assert_eq!(counts.done + counts.failed, contents.len() as u64);
        prop_assert_eq!(counts.queued, contents.len() as u64);
    }
}
