//! The kept counts are those of counting anew, whatever happens to objects, contents and labels.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::Session;
use super::tests::{candidate, error, page, settle};
use crate::label::{Label, Labels};
use crate::scene::{Scene, Scenes};
use crate::store::model::{Counts, RunState, SkipReason, SourceKind};
use crate::store::read::{Check, Chosen, Facets, ImageState, Pick, Survey, SurveyQuery};
use crate::store::run::{RunContext, Span};
use crate::store::samples::{context, new_run};
use crate::store::sqlite::Store;
use crate::store::sqlite::count::{Places, Sums, is_counted, recount};
use crate::store::turn::{Claimed, Difference, Settled, Warning};
use crate::time::{UnixMillis, UnixSeconds};

/// More prefixes than are counted by themselves, and keys without one.
const KEYS: [&str; 9] = [
    "1.jpg",
    "a/2.jpg",
    "a/b/3.jpg",
    "a/b/c/4.jpg",
    "a/b/c/d/5.jpg",
    "e/6.jpg",
    "f/7.jpg",
    "g/h/8.jpg",
    "g/9.jpg",
];

#[derive(Debug, Clone)]
enum Step {
    /// The key has these bytes now, at this day, and is skipped or not.
    Put {
        key: usize,
        bytes: u8,
        day: u8,
        skipped: bool,
    },
    Remove {
        key: usize,
    },
    /// A line of a list names the key.
    Name {
        key: usize,
    },
    /// What is gone is held back from now on.
    Hold,
    /// What was held back is marked as gone.
    Conclude,
    Claim(usize),
    Settle {
        which: usize,
        what: u8,
        labels: Vec<(u8, u8, u8)>,
    },
    /// A person puts contents back.
    PutBack {
        every: i64,
    },
    /// The run ends and another one with these scenes begins, over a source.
    Night {
        scenes: u8,
        source: Source,
    },
}

/// Where the keys of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Bucket,
    OtherBucket,
    Urls,
}

fn step() -> impl Strategy<Value = Step> {
    let labels = proptest::collection::vec((0..2_u8, 0..5_u8, 0..=100_u8), 0..5);
    prop_oneof![
        6 => (0..KEYS.len(), 0..5_u8, 0..4_u8, prop::bool::weighted(0.2))
            .prop_map(|(key, bytes, day, skipped)| Step::Put { key, bytes, day, skipped }),
        2 => (0..KEYS.len()).prop_map(|key| Step::Remove { key }),
        3 => (1..4_usize).prop_map(Step::Claim),
        6 => (0..4_usize, 0..10_u8, labels)
            .prop_map(|(which, what, labels)| Step::Settle { which, what, labels }),
        1 => (1..3_i64).prop_map(|every| Step::PutBack { every }),
        2 => (0..KEYS.len()).prop_map(|key| Step::Name { key }),
        1 => Just(Step::Hold),
        1 => Just(Step::Conclude),
        1 => (1..4_u8, prop::sample::select(&[Source::Bucket, Source::OtherBucket, Source::Urls][..]))
            .prop_map(|(scenes, source)| Step::Night { scenes, source }),
    ]
}

struct World {
    session: Option<Session>,
    claimed: Vec<Claimed>,
    clock: i64,
    source: Source,
    /// How often a turn has told that the counts are not kept.
    told: usize,
}

impl World {
    fn new(path: &Path) -> Self {
        Self::of(Store::open(path).unwrap())
    }

    fn of(store: Store) -> Self {
        let mut world = Self {
            session: None,
            claimed: Vec::new(),
            clock: 86_400_000,
            source: Source::Bucket,
            told: 0,
        };
        world.begin(store, Scene::Camera.into());
        world
    }

    /// Begins a run over the source.
    fn begin(&mut self, mut store: Store, scenes: Scenes) {
        let mut new = new_run("", vec![Span::default()]);
        if self.source == Source::OtherBucket {
            new.bucket = "other-1250000000".to_owned();
        }
        let urls = self.source == Source::Urls;
        if urls {
            new.source = SourceKind::Urls;
        }
        let begun = store.begin_run(&new).unwrap();
        let run = RunContext { scenes, urls, list: urls, bucket: new.bucket, ..context(begun, "") };
        self.session = Some(Session::new(store, run, Counts::default()));
    }

    /// A key of the source.
    fn key(&self, key: usize) -> String {
        let host = if self.source == Source::Urls { "https://a.example/" } else { "" };
        format!("{host}{}", KEYS[key])
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().unwrap()
    }

    fn crash(&mut self) {
        let session = self.session.take().unwrap();
        let (path, run) = (session.store.path().to_owned(), (*session.run).clone());
        drop(session);
        let mut store = Store::open(&path).unwrap();
        store.recover(UnixMillis(1)).unwrap();
        store.reopen_run(run.id).unwrap();
        let counts = store.counts(run.id).unwrap();
        self.claimed.clear();
        self.session = Some(Session::new(store, run, counts));
    }

    fn end(&mut self) -> Store {
        for claimed in std::mem::take(&mut self.claimed) {
            let session = self.session();
            session.begin().unwrap();
            settle(session, &claimed, Settled::Released, 0);
            session.commit().unwrap();
        }
        self.session.take().unwrap().finish(RunState::Interrupted, None, UnixSeconds(1)).unwrap()
    }

    fn difference(&mut self, key: &str, now: Option<(u8, u8, bool)>) -> Option<Difference> {
        let (clock, session) = (self.clock, self.session());
        let known = session.reader().unwrap().known(session.run.bucket_id, key).unwrap();
        let Some((bytes, day, skipped)) = now else {
            let known = known.filter(|known| !known.gone)?;
            return Some(Difference::Gone {
                object_id: known.object_id,
                content_id: known.content_id,
            });
        };
        let modified = clock + i64::from(day) * 86_400_000;
        let mut candidate = candidate(key, &format!("bytes{bytes}"), modified);
        candidate.skip = skipped.then_some(SkipReason::Excluded);
        Some(match known {
            None => Difference::New(candidate),
            Some(known) => Difference::Changed {
                object_id: known.object_id,
                content_id: known.content_id,
                returned: known.gone,
                candidate,
            },
        })
    }

    /// What a line with this key comes to: the key is known, or was never seen and is missing.
    fn named(&mut self, key: String) -> Option<Difference> {
        let session = self.session();
        match session.reader().unwrap().known(session.run.bucket_id, &key).unwrap() {
            None => Some(Difference::Missing { key }),
            Some(known) if known.gone => None,
            Some(known) => {
                let object_id = known.object_id;
                known.content_id.map(|content_id| Difference::Named { object_id, content_id })
            }
        }
    }

    fn take(&mut self, step: &Step, killed: bool) {
        self.clock += 3_000;
        match step {
            Step::PutBack { every } => {
                let run = (*self.session().run).clone();
                let mut store = self.end();
                let redo = run.scenes;
                let sql = format!("SELECT id, scenes_done FROM content WHERE id % {every} = 0");
                let chosen: Vec<Chosen> = store
                    .rows(&sql)
                    .into_iter()
                    .map(|row| {
                        let done = Scenes::from_bits(row[1].parse().unwrap());
                        let redo = Scenes::from_bits(done.bits() & redo.bits());
                        Chosen { content_id: row[0].parse().unwrap(), redo, asks: redo }
                    })
                    .collect();
                store.put_back(&chosen).unwrap();
                self.begin(store, run.scenes);
                return;
            }
            Step::Night { scenes, source } => {
                let store = self.end();
                self.source = *source;
                self.begin(store, Scenes::from_bits(scenes << 1));
                return;
            }
            Step::Hold => return self.session().hold_gone(),
            _ => {}
        }
        let difference = match *step {
            Step::Put { key, bytes, day, skipped } => {
                self.difference(&self.key(key), Some((bytes, day, skipped)))
            }
            Step::Remove { key } => self.difference(&self.key(key), None),
            Step::Name { key } => self.named(self.key(key)),
            _ => None,
        };
        let clock = self.clock;
        let mut claimed_now = Vec::new();
        let settled = match step {
            Step::Settle { which, what, labels } if !self.claimed.is_empty() => {
                let claimed = self.claimed.remove(which % self.claimed.len());
                Some((settled(&claimed, *what, labels), claimed))
            }
            _ => None,
        };
        let session = self.session();
        session.begin().unwrap();
        if let Some(difference) = difference {
            session.page(&page("", vec![difference], false)).unwrap();
        }
        if matches!(step, Step::Conclude) {
            session.conclude_held().unwrap();
        }
        if let Step::Claim(limit) = step {
            session.adopt_waiting().unwrap();
            claimed_now = session.claim_of(*limit, &(0..=2)).unwrap();
        }
        if let Some((settled, claimed)) = settled {
            settle(session, &claimed, settled, clock);
        }
        if killed {
            self.crash();
        } else {
            session.commit().unwrap();
            session.caches.commit();
            let told = session.uncounted().is_some();
            self.told += usize::from(told);
            self.claimed.extend(claimed_now);
        }
    }

    /// What the page shows of all images, and what a report shows: from the kept counts, and from looking at every image.
    fn shown(&mut self) -> [(String, Survey); 2] {
        let reader = self.session().reader().unwrap();
        let read = || {
            let facets = reader.facets(&Pick::default(), &|| true).unwrap();
            let query = SurveyQuery { sampled: 9, samples: 2, beside: 9 };
            let mut survey = reader.survey(query, &|| true).unwrap().unwrap();
            for label in &mut survey.labels {
                // Both are of some images only.
                (label.samples, label.beside) = (Vec::new(), Vec::new());
            }
            (images_of(facets), survey)
        };
        let kept = read();
        let forget = "DELETE FROM meta WHERE name = 'counted'";
        self.session().store.connection.execute(forget, []).unwrap();
        [kept, read()]
    }

    /// The number of images behind single choices: from the kept counts, and from looking at every image.
    fn single_choices(&mut self) -> [Vec<Option<u64>>; 2] {
        let reader = self.session().reader().unwrap();
        let mut picks = Vec::new();
        for name in ["cat", "car", "sky"] {
            for min_confidence in [0, 40] {
                let named = vec![name.to_owned()];
                picks.push(Pick { all: named.clone(), min_confidence, ..Pick::default() });
                picks.push(Pick { any: named, min_confidence, ..Pick::default() });
            }
        }
        let category = Some("animal".to_owned());
        picks.push(Pick { category, ..Pick::default() });
        picks.push(Pick { min_confidence: 70, ..Pick::default() });
        picks.push(Pick { scenes: Scene::Camera.into(), ..Pick::default() });
        let states = ImageState::ALL.map(|state| Pick { state: Some(state), ..Pick::default() });
        picks.extend(states);
        let kept = picks.iter().map(|pick| reader.kept_images(pick).unwrap().or(Some(0)));
        let counted = picks.iter().map(|pick| {
            let facets = reader.facets(pick, &|| true).unwrap();
            facets.complete.then_some(facets.images)
        });
        [kept.collect(), counted.collect()]
    }

    fn check(&mut self) {
        let connection = &self.session().store.connection;
        assert!(is_counted(connection).unwrap());
        let kept = Sums::read(connection).unwrap();
        let mut places = Places::default();
        let counted = recount(connection, &mut places, true, &mut |_| true).unwrap().unwrap();
        assert_eq!(places.new, []);
        assert_eq!(counted.wrong, []);
        let differences: Vec<_> = kept
            .differences(&counted.sums)
            .into_iter()
            .map(|(counter, kept, counted)| (counter.described(), kept, counted))
            .collect();
        assert_eq!(differences, []);
    }
}

/// What is behind each choice, without what counts keys instead of images.
fn images_of(facets: Facets) -> String {
    let scenes: Vec<_> = facets.scenes.into_iter().filter(|(_, images)| *images > 0).collect();
    let labels =
        facets.labels.into_iter().map(|label| (label.name, (label.first_category, label.images)));
    let labels: BTreeMap<_, _> = labels.collect();
    let categories: BTreeMap<_, _> = facets.categories.into_iter().collect();
    let (images, confidence, states) = (facets.images, facets.confidence, facets.states);
    format!("{images} {scenes:?} {labels:?} {categories:?} {confidence:?} {states:?}")
}

/// What a call came to. Labels are of the scenes that were asked for; names 3 and 4 are one name in two categories.
fn settled(claimed: &Claimed, what: u8, labels: &[(u8, u8, u8)]) -> Settled {
    let attempts = claimed.attempts + 1;
    match what {
        0 => Settled::Released,
        1 if claimed.pass < 2 => {
            Settled::PutBack { attempts, pass: claimed.pass + 1, error: error() }
        }
        2 | 3 => Settled::GivenUp { attempts, error: error() },
        _ => {
            let mut all = Labels::default();
            for scene in claimed.scenes.iter() {
                let of_scene =
                    labels.iter().filter(|(odd, _, _)| scene.id() % 2 == *odd || *odd == 1);
                for (rank, (_, name, confidence)) in (1..).zip(of_scene) {
                    let category = name.to_string();
                    all.push(Label {
                        scene,
                        rank,
                        name: ["cat", "dog", "car", "sky", "sky"][usize::from(*name)],
                        first_category: if *name < 2 { "animal" } else { &category },
                        second_category: &category,
                        confidence: *confidence,
                    });
                }
            }
            Settled::Labels(all)
        }
    }
}

proptest! {
    #![proptest_config(crate::property::with_cases(48))]
    #[test]
    fn the_kept_counts_are_those_of_counting_anew_after_any_sequence(
        steps in proptest::collection::vec((step(), prop::bool::weighted(0.08)), 1..45),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(&folder.path().join("t.db"));
        for (step, killed) in &steps {
            world.take(step, *killed);
            world.check();
        }
        prop_assert_eq!(world.told, 0);
        let [kept, counted] = world.single_choices();
        prop_assert_eq!(kept, counted);
        let [kept, counted] = world.shown();
        prop_assert_eq!(kept, counted);
    }
}

#[test]
fn a_turn_that_is_rolled_back_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(&folder.path().join("t.db"));
    let difference = world.difference("a/1.jpg", Some((1, 1, false))).unwrap();
    let session = world.session();
    session.begin().unwrap();
    session.page(&page("", vec![difference.clone()], false)).unwrap();
    session.roll_back();
    session.begin().unwrap();
    session.page(&page("", vec![difference], false)).unwrap();
    session.commit().unwrap();
    world.check();
}

#[test]
fn a_database_without_counts_is_counted_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut world = World::new(&path);
    for key in 0..KEYS.len() {
        let day = u8::try_from(key % 3).unwrap();
        world.take(&Step::Put { key, bytes: day, day, skipped: key == 4 }, false);
    }
    world.take(&Step::Claim(2), false);
    world.take(&Step::Settle { which: 0, what: 9, labels: vec![(1, 0, 50), (1, 3, 70)] }, false);
    let store = world.end();
    store
        .connection
        .execute_batch(
            "DELETE FROM meta WHERE name = 'counted'; DELETE FROM prefix; DELETE FROM count_log;
             UPDATE content SET present = 1, skipped = 0; UPDATE image_count SET count = 99;",
        )
        .unwrap();
    drop(store);
    let mut told = Vec::new();
    let store = Store::open_with(&path, &mut |done, all| told.push((done, all))).unwrap();
    let mut world = World::of(store);
    world.check();
}

#[test]
fn damaged_counts_end_no_turn_and_are_made_anew_at_the_next_opening() {
    for damage in [
        "UPDATE label_count SET counts = x'ff'",
        "UPDATE count_log SET changes = x'ff'",
        "UPDATE count_log SET changes = 'none'",
        "UPDATE prefix SET prefix = CAST('a/' || id AS BLOB)",
        "UPDATE content SET present = 'none'",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut world = World::new(&path);
        let put = |bytes| Step::Put { key: usize::from(bytes) % 5, bytes, day: 1, skipped: false };
        // Each image has another confidence, so that what comes and what goes do not cancel each other out.
        let label = |world: &mut World, bytes| {
            world.take(&put(bytes), false);
            world.take(&Step::Claim(1), false);
            let labels = vec![(1, 0, bytes), (1, 3, bytes + 20)];
            world.take(&Step::Settle { which: 0, what: 9, labels }, false);
        };
        (0..30).for_each(|bytes| label(&mut world, bytes));
        drop(world.end());

        // Another program damages the counts during a run.
        let mut world = World::new(&path);
        world.session().store.connection.execute_batch(damage).unwrap();
        (30..60).for_each(|bytes| label(&mut world, bytes));
        assert_eq!(world.told, 1, "{damage}");
        assert!(!is_counted(&world.session().store.connection).unwrap());
        drop(world.end());
        let mut world = World::new(&path);
        label(&mut world, 61);
        assert_eq!(world.told, 0, "{damage}");
        world.check();
    }
}

#[test]
fn counts_that_were_damaged_between_two_runs_are_told_by_verify_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut world = World::new(&path);
    world.take(&Step::Put { key: 1, bytes: 1, day: 1, skipped: false }, false);
    let store = world.end();
    store.connection.execute_batch("UPDATE image_count SET count = 'many'").unwrap();
    store.connection.execute_batch("INSERT INTO image_count VALUES (0, 'many')").unwrap();
    let reader = store.reader().unwrap();
    let checked = reader.verify(|_| ()).unwrap();
    let counts = checked.iter().find(|checked| checked.check == Check::Counts).unwrap();
    assert!(counts.problems.shown[0].contains("the next run makes them anew"), "{counts:?}");
    assert_eq!(reader.facets(&Pick::default(), &|| true).unwrap().images, 1);
    assert_eq!(reader.frequencies(0).unwrap(), []);
    drop((reader, store));
    let mut world = World::new(&path);
    world.check();
}

#[test]
fn a_run_goes_on_without_counts_if_a_row_that_is_to_be_counted_is_unsound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut world = World::new(&path);
    world.take(&Step::Put { key: 1, bytes: 1, day: 1, skipped: true }, false);
    let store = world.end();
    store
        .connection
        .execute_batch(
            "UPDATE object SET content_id = 'none'; DELETE FROM meta WHERE name = 'counted'",
        )
        .unwrap();
    drop(store);
    let mut world = World::new(&path);
    let told = |world: &mut World| {
        let session = world.session();
        let turn = session.new_turn();
        session.turn(&turn).unwrap().warnings
    };
    let first = told(&mut world);
    assert!(matches!(first.as_slice(), [Warning::Uncounted { .. }]), "{first:?}");
    assert!(told(&mut world).is_empty());
    world.take(&Step::Put { key: 2, bytes: 1, day: 1, skipped: false }, false);
    assert!(!is_counted(&world.session().store.connection).unwrap());
}
