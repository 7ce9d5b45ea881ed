use proptest::collection::vec;
use proptest::prelude::*;

use crate::scene::Scene;
use crate::store::read::{ImageState, Page, Pick};
use crate::store::sqlite::{Reader, Store};
use crate::time::UnixMillis;

const SCENES: [Scene; 2] = [Scene::Camera, Scene::Web];
const NAMES: [&str; 4] = ["cat", "dog", "sky", "owl"];
const PREFIXES: [&str; 8] = ["", "a/", "a/b/", "b/", "c/", "d/", "e/", "f/"];

/// An image: its state, its labels (place of the scene, place of the name, confidence), and its keys (place of the
/// prefix, month, kept, present).
type Drawn = (i64, Vec<(usize, usize, u8)>, Vec<(usize, i64, bool, bool)>);

fn drawn() -> impl Strategy<Value = Drawn> {
    let labels = vec((0..2_usize, 0..4_usize, 0..=100_u8), 0..4);
    let keys = vec((0..3_usize, 0..3_i64, any::<bool>(), any::<bool>()), 0..4);
    (0..4_i64, labels, keys)
}

fn write(store: &Store, images: &[Drawn]) {
    let db = &store.connection;
    db.execute_batch(
        "DELETE FROM meta WHERE name = 'counted';
         INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys');
         INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals, tool_version, started_at)
         VALUES (1, 1, 'bucket', 0, 'complete', '{}', 0, '0.1.0', 100);
         INSERT INTO tag VALUES (1, 'cat', 'animal', ''), (2, 'dog', 'animal', ''), (3, 'sky', 'nature', ''),
                                (4, 'owl', 'animal', 'bird');",
    )
    .unwrap();
    for (id, (state, labels, keys)) in (1_000_i64..).step_by(10).zip(images) {
        db.execute(
            "INSERT INTO content (id, scenes_wanted, scenes_done, state, run_id) VALUES (?1, 10, ?2, ?3, 1)",
            (id, if *state == 2 { 10 } else { 0 }, state),
        )
        .unwrap();
        // Labels are found by the calls that brought them.
        db.execute(
            "INSERT INTO call (run_id, content_id, scenes, ended_at, outcome) VALUES (1, ?1, 10, 0, 0)",
            [id],
        )
        .unwrap();
        for (rank, (scene, name, confidence)) in (1_i64..).zip(labels) {
            let row = 256 * id + 64 * i64::from(SCENES[*scene].id()) + rank;
            let mark = 128 * (i64::try_from(*name).unwrap() + 1) + i64::from(*confidence);
            db.execute("INSERT INTO label (id, mark) VALUES (?1, ?2)", (row, mark)).unwrap();
        }
        for (place, (prefix, month, kept, present)) in keys.iter().enumerate() {
            db.execute(
                "INSERT INTO object (bucket_id, key, content_id, fingerprint, first_run, last_modified, skip_reason,
                                     gone_run)
                 VALUES (1, ?1, ?2, 0, 1, ?3, ?4, ?5)",
                (
                    format!("{}{id}-{place}", PREFIXES[*prefix]),
                    id,
                    month * 31 * 86_400_000,
                    if *kept { None } else { Some("suffix") },
                    if *present { None } else { Some(1) },
                ),
            )
            .unwrap();
        }
    }
}

fn picks() -> impl Strategy<Value = Pick> {
    let names = || {
        vec(0..4_usize, 0..2).prop_map(|names| names.iter().map(|n| NAMES[*n].to_owned()).collect())
    };
    let state =
        prop::option::of(0..4_usize).prop_map(|place| place.map(|place| ImageState::ALL[place]));
    (
        (names(), names(), names(), prop::option::of(prop::bool::ANY)),
        (vec(0..2_usize, 0..2), 0..3_u8, 0..3_usize, prop::option::of(0..3_i64), state),
    )
        .prop_map(|((all, any, none, category), (scenes, tens, prefix, month, state))| Pick {
            all,
            any,
            none,
            category: category.map(|is| if is { "animal".to_owned() } else { "nature".to_owned() }),
            scenes: scenes.into_iter().map(|place| SCENES[place]).collect(),
            min_confidence: tens * 30,
            prefix: PREFIXES[prefix].to_owned(),
            days: month.map(days),
            state,
        })
}

/// The span of a month in which keys of these tests lie.
fn days(month: i64) -> std::ops::Range<UnixMillis> {
    let starts = [0, 31, 59, 90].map(|day: i64| UnixMillis(day * 86_400_000));
    let place = usize::try_from(month).unwrap();
    starts[place]..starts[place + 1]
}

/// The number of images of a pick, counted page by page.
fn count(reader: &Reader, pick: &Pick) -> u64 {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page: Page = reader.pictures(pick, after, 2, None, &|| true).unwrap();
        assert!(page.complete && page.images.len() <= 2);
        seen.extend(page.images.iter().map(|image| image.sample.content_id));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
    seen.len() as u64
}

proptest! {
    #![proptest_config(crate::property::with_cases(60))]

    #[test]
    fn the_number_of_a_choice_is_the_number_of_the_images_to_which_it_leads(
        images in vec(drawn(), 0..12),
        pick in picks(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t.db")).unwrap();
        write(&store, &images);
        let reader = store.reader().unwrap();
        let facets = reader.facets(&pick, &|| true).unwrap();
        let leads = |change: &dyn Fn(&mut Pick)| {
            let mut other = pick.clone();
            change(&mut other);
            count(&reader, &other)
        };
        prop_assert_eq!(facets.images, count(&reader, &pick));
        for scene in SCENES {
            let told = facets.scenes.get(&scene).copied().unwrap_or_default();
            prop_assert_eq!(told, leads(&|pick| pick.scenes = [scene].into_iter().collect()));
        }
        for (tens, told) in (0_u8..).zip(facets.confidence) {
            prop_assert_eq!(told, leads(&|pick| pick.min_confidence = tens * 10));
        }
        for name in NAMES {
            let told = facets.labels.iter().find(|label| label.name == name);
            let told = told.map_or(0, |label| label.images);
            prop_assert_eq!(told, leads(&|pick| pick.all.push(name.to_owned())));
        }
        for (name, told) in &facets.categories {
            prop_assert_eq!(*told, leads(&|pick| pick.category = Some(name.clone())));
        }
        for (prefix, told) in &facets.prefixes {
            prop_assert_eq!(*told, leads(&|pick| pick.prefix.clone_from(prefix)));
        }
        for state in ImageState::ALL {
            let told = facets.states.get(&state).copied().unwrap_or_default();
            prop_assert_eq!(told, leads(&|pick| pick.state = Some(state)));
        }
        for (month, told) in &facets.months {
            let place = i64::from(month - 1_970 * 12);
            prop_assert_eq!(*told, leads(&|pick| pick.days = Some(days(place))));
        }
    }
}

#[test]
fn every_statement_about_an_image_is_understood_by_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    for sql in super::image::STATEMENTS {
        store.connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql:?}"));
    }
}

#[test]
fn a_search_that_is_stopped_says_so_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let image = || (2, vec![(0, 0, 90)], vec![(1, 0, true, true)]);
    write(&store, &(0..1_200).map(|_| image()).collect::<Vec<_>>());
    let reader = store.reader().unwrap();
    let page = reader.pictures(&Pick::default(), None, 2_000, None, &|| false).unwrap();
    assert_eq!((page.images.len(), page.complete), (500, false));
    let rest = reader.pictures(&Pick::default(), page.next, 2_000, None, &|| true).unwrap();
    assert_eq!((rest.images.len(), rest.next, rest.complete), (700, None, true));
    assert_eq!(rest.images[0].labels, [("cat".to_owned(), 90)]);
    let facets = reader.facets(&Pick::default(), &|| false).unwrap();
    assert_eq!((facets.images, facets.complete), (500, false));
    assert_eq!(reader.a_key(1_000).unwrap().unwrap().key, "a/1000-0");
    assert_eq!(reader.a_key(1).unwrap(), None);
    let record = reader.image(1_000).unwrap().unwrap();
    assert_eq!((record.labels[0].name.as_str(), record.all_keys), ("cat", 1));
    assert_eq!(reader.image(7).unwrap(), None);
}

#[test]
fn the_keys_of_an_image_are_found_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    for sql in [&super::KEYS_OF_CONTENT, &super::NUMBERS_OF_KEYS] {
        let plan: Vec<String> = store
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", &**sql))
            .unwrap()
            .raw_query()
            .mapped(|row| row.get(3))
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(plan[0], "MULTI-INDEX OR", "{plan:?}");
        assert!(plan.iter().all(|step| !step.contains("SCAN")), "{plan:?}");
    }
}

#[test]
fn an_image_is_found_by_a_key_that_comes_after_very_many_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let skipped = |month| (0, month, false, true);
    let mut unwanted: Vec<_> = (0..1_001).map(|_| skipped(0)).collect();
    unwanted.push((1, 1, true, true));
    let mut elsewhere: Vec<_> = (0..1_001).map(|_| (0, 0, true, true)).collect();
    elsewhere.push((1, 2, true, true));
    write(&store, &[(2, vec![(0, 0, 90)], unwanted), (2, vec![(0, 0, 90)], elsewhere)]);
    let reader = store.reader().unwrap();
    let found = |pick: &Pick| {
        let page = reader.pictures(pick, None, 9, None, &|| true).unwrap();
        page.images.into_iter().map(|image| image.sample.key).collect::<Vec<_>>()
    };
    let below = Pick { prefix: "a/".to_owned(), ..Pick::default() };
    assert_eq!(found(&below), ["a/1010-1001", "a/1000-1001"]);
    let later = Pick { days: Some(days(2)), ..Pick::default() };
    assert_eq!(found(&later), ["a/1010-1001"]);
    assert_eq!(found(&Pick::default())[1], "a/1000-1001");
    assert_eq!(reader.facets(&below, &|| true).unwrap().images, 2);
    assert_eq!(reader.facets(&later, &|| true).unwrap().images, 1);
    let facets = reader.facets(&Pick::default(), &|| true).unwrap();
    assert_eq!(facets.prefixes, [("a/".to_owned(), 2)]);
    assert_eq!(facets.months.into_values().collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn a_prefix_that_is_counted_goes_on_counting_when_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let image = |prefix| (2, vec![(0, 0, 90)], vec![(prefix, 0, true, true)]);
    write(&store, &[3, 4, 5, 6, 7, 3, 4, 5, 6, 7].map(image));
    let pick = Pick { min_confidence: 1, ..Pick::default() };
    let facets = store.reader().unwrap().facets(&pick, &|| true).unwrap();
    assert_eq!(facets.prefixes.len(), 4, "{:?}", facets.prefixes);
    assert!(facets.prefixes.iter().all(|(_, images)| *images == 2), "{:?}", facets.prefixes);
}
