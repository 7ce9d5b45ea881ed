use std::cell::Cell;

use crate::scene::{Scene, Scenes};
use crate::store::read::{Changes, ImageCounts, ObjectCounts, Survey, SurveyQuery};
use crate::store::sqlite::Store;

const QUERY: SurveyQuery = SurveyQuery { sampled: 9, samples: 2, beside: 9 };

/// Two runs over a bucket. `a` and `b` are copies and keep their labels, `c` is new, `d` is overwritten by other bytes,
/// `e` is gone, `f` has no label, `g` failed, `h` failed and has labels of an earlier answer, `i` is skipped, and `j`
/// waits. The labels of a scene that is asked for again do not count.
fn survey(query: SurveyQuery) -> Survey {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let sql = "
        DELETE FROM meta WHERE name = 'counted';
        INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys'), (2, 'photos-1250000000', 'urls');
        INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals, tool_version, started_at, listed_at)
        VALUES (1, 1, 'bucket', 0, 'complete', '{}', 0, '0.1.0', 100, 110),
               (2, 1, 'bucket', 0, 'complete', '{}', 1, '0.1.0', 200, 210),
               (3, 1, 'bucket', 0, 'running', '{}', 1, '0.1.0', 300, NULL);
        INSERT INTO tag VALUES (1, 'cat', 'animal', 'pet'), (2, 'dog', 'animal', 'pet'), (3, 'sky', 'nature', ''),
                               (4, 'owl', 'animal', 'bird'), (5, 'unused', '', '');
        INSERT INTO content (id, scenes_wanted, scenes_done, state, run_id, error_kind) VALUES
            (1, 10, 10, 2, 1, 0), (3, 10, 10, 2, 2, 0), (4, 2, 2, 2, 1, 0), (5, 2, 2, 2, 1, 0), (6, 2, 2, 2, 1, 0),
            (7, 2, 0, 3, 1, 1), (8, 10, 2, 3, 1, 2), (9, 2, 0, 2, 1, 0), (10, 2, 0, 0, 2, 0), (14, 2, 2, 2, 2, 0),
            (15, 2, 0, 3, 1, 1);
        INSERT INTO error (content_id, verdict, code, status, message) VALUES
            (7, 'image', 'InvalidImageFormat', 400, ''), (8, 'retry', 'Timeout', NULL, ''),
            (15, 'image', 'InvalidImageFormat', 400, '');
        INSERT INTO object (id, bucket_id, key, content_id, fingerprint, first_run, gone_run, skip_reason) VALUES
            (1, 1, '2026/a', 1, 0, 1, NULL, NULL), (2, 1, '2026/b', 1, 0, 1, NULL, NULL),
            (3, 1, '2026/11/c', 3, 0, 2, NULL, NULL), (4, 1, 'd', 14, 0, 1, NULL, NULL),
            (5, 1, 'e', 5, 0, 1, 2, NULL), (6, 1, 'f', 6, 0, 1, NULL, NULL), (7, 1, 'g', 7, 0, 1, NULL, NULL),
            (8, 1, 'h', 8, 0, 1, NULL, NULL), (9, 1, 'i', 9, 0, 1, NULL, 'suffix'),
            (10, 2, 'https://a.example/j', 10, 0, 2, NULL, NULL), (15, 1, 'z', 15, 0, 1, 1, NULL);
        INSERT INTO change (run_id, kind, object_id, content_id) VALUES
            (2, 'added', 3, 3), (2, 'changed', 4, 4), (2, 'gone', 5, 5), (2, 'moved', 2, 1), (3, 'added', 10, 10);";
    store.connection.execute_batch(sql).unwrap();
    let label = |content: i64, scene: Scene, rank: i64, tag: i64, confidence: i64| {
        let id = 256 * content + 64 * i64::from(scene.id()) + rank;
        let row = (id, 128 * tag + confidence);
        store.connection.execute("INSERT INTO label (id, mark) VALUES (?1, ?2)", row).unwrap();
    };
    label(1, Scene::Camera, 1, 1, 90);
    label(1, Scene::Camera, 2, 3, 40);
    label(1, Scene::Web, 1, 1, 95);
    label(3, Scene::Camera, 1, 1, 50);
    label(3, Scene::Camera, 2, 3, 55);
    label(3, Scene::Web, 1, 4, 30);
    label(4, Scene::Camera, 1, 2, 80);
    label(5, Scene::Camera, 1, 2, 80);
    label(8, Scene::Camera, 1, 2, 100);
    label(8, Scene::Web, 1, 4, 100);
    label(14, Scene::Camera, 1, 1, 70);
    let read = |store: &Store| store.reader().unwrap().survey(query, &|| true).unwrap().unwrap();
    let of_rows = read(&store);
    drop(store);
    // Everything is counted now.
    let of_counts = read(&Store::open(&folder.path().join("t.db")).unwrap());
    assert_eq!(of_counts, of_rows);
    of_counts
}

#[test]
fn a_survey_counts_the_images_that_the_bucket_has() {
    let survey = survey(QUERY);
    let images = ImageCounts { labelled: 4, unlabelled: 1, given_up: 1, waiting: 1, failed: 2 };
    assert_eq!(survey.images, images);
    assert_eq!(survey.images.all(), 7);
    let objects = ObjectCounts { present: 9, skipped: 1, wanted: 8, copies: 1, gone: 2 };
    assert_eq!(survey.objects, objects);
    let codes: Vec<_> = survey
        .failures
        .iter()
        .map(|code| (code.code.as_deref().unwrap(), code.temporary, code.contents))
        .collect();
    assert_eq!(codes, [("InvalidImageFormat", false, 1), ("Timeout", true, 1)]);
    let best: Vec<_> = (0..).zip(&survey.confidence).filter(|(_, images)| **images > 0).collect();
    assert_eq!(best, [(55, &1), (70, &1), (95, &1), (100, &1)]);
}

#[test]
fn a_survey_counts_a_label_once_for_each_image_and_not_if_it_is_asked_for_again() {
    let survey = survey(QUERY);
    let told: Vec<_> = survey
        .labels
        .iter()
        .map(|label| (label.name.as_str(), label.images, label.uncertain, label.confidence))
        .collect();
    assert_eq!(
        told,
        [("cat", 3, 1, 215), ("sky", 2, 2, 95), ("dog", 1, 0, 100), ("owl", 1, 1, 30)]
    );
    assert_eq!(survey.labels[0].scenes, Scenes::from(Scene::Camera).union(Scene::Web.into()));
    let categories: Vec<_> = survey
        .categories
        .iter()
        .map(|category| (category.name.as_str(), category.images, &category.second[..]))
        .collect();
    let second = |name: &str, images| (name.to_owned(), images);
    assert_eq!(categories[0], ("animal", 4, &[second("pet", 4), second("bird", 1)][..]));
    assert_eq!(categories[1], ("nature", 2, &[second("", 2)][..]));
    assert_eq!(survey.labels[0].beside, [1], "the sky is in two of the pictures with a cat");
}

#[test]
fn a_survey_tells_which_labels_came_and_went_with_the_last_listing() {
    let survey = survey(QUERY);
    let changes = Changes { run_id: 2, added: 1, changed: 1, moved: 1, gone: 1 };
    assert_eq!(survey.changes, Some(changes));
    let moves: Vec<_> =
        survey.labels.iter().map(|label| (label.name.as_str(), label.came, label.went)).collect();
    assert_eq!(moves, [("cat", 2, 0), ("sky", 1, 0), ("dog", 0, 2), ("owl", 1, 0)]);
}

#[test]
fn samples_of_a_label_are_keys_that_the_bucket_has_the_most_confident_first() {
    let survey = survey(QUERY);
    let keys: Vec<Vec<&str>> = survey
        .labels
        .iter()
        .map(|label| label.samples.iter().map(|sample| sample.key.as_str()).collect())
        .collect();
    assert_eq!(keys[0], ["2026/a", "d"]);
    assert_eq!(keys[2], ["h"]);
    let none = self::survey(SurveyQuery::default());
    assert!(none.labels.iter().all(|label| label.samples.is_empty() && label.beside.is_empty()));
    assert_eq!(none.images, survey.images);
}

#[test]
fn prefixes_are_those_of_keys_and_of_hosts() {
    let survey = survey(QUERY);
    let roots: Vec<_> = survey
        .prefixes
        .iter()
        .map(|one| (one.urls, one.root.objects, one.root.labelled, one.root.children.len()))
        .collect();
    assert_eq!(roots, [(false, 7, 5, 1), (true, 1, 0, 1)]);
    let year = &survey.prefixes[0].root.children[0];
    assert_eq!((year.segment.as_str(), year.objects, year.labelled), ("2026/", 3, 3));
    assert_eq!(survey.prefixes[1].root.children[0].segment, "https://a.example/");
}

#[test]
fn an_empty_database_and_one_that_nobody_waits_for_give_no_survey() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    let reader = store.reader().unwrap();
    let survey = reader.survey(QUERY, &|| true).unwrap().unwrap();
    assert_eq!((survey.images.all(), survey.labels.len(), survey.changes), (0, 0, None));
    let rows = "INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys');
        INSERT INTO object (bucket_id, key, fingerprint, first_run)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        SELECT 1, i, 0, 1 FROM n";
    store.connection.execute_batch(rows).unwrap();
    let asked = Cell::new(0);
    let answer = reader.survey(QUERY, &|| {
        asked.set(asked.get() + 1);
        false
    });
    assert_eq!((answer.unwrap(), asked.get()), (None, 1));
}

#[test]
fn a_survey_of_many_images_looks_at_some_of_them_and_finds_samples_of_rare_labels_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let store = Store::open(&path).unwrap();
    store
        .connection
        .execute_batch(
            "DELETE FROM meta WHERE name = 'counted';
             INSERT INTO bucket VALUES (1, 'photos-1250000000', 'keys');
             INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals, tool_version, started_at)
             VALUES (1, 1, 'bucket', 0, 'complete', '{}', 0, '0.1.0', 100);
             INSERT INTO tag VALUES (1, 'cat', 'animal', ''), (2, 'owl', 'animal', 'bird');
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
             INSERT INTO content (id, scenes_wanted, scenes_done, state, run_id) SELECT i, 2, 2, 2, 1 FROM n;
             INSERT INTO object (id, bucket_id, key, content_id, fingerprint, first_run)
             SELECT id, 1, 'a/' || id, id, 0, 1 FROM content;
             INSERT INTO call (run_id, content_id, scenes, ended_at, outcome) SELECT 1, id, 2, 0, 0 FROM content;
             INSERT INTO label (id, mark) SELECT 256 * id + 64 + 1, 128 + 80 FROM content;
             INSERT INTO label (id, mark) VALUES (256 * 77 + 64 + 2, 256 + 50);",
        )
        .unwrap();
    let read = |store: &Store| store.reader().unwrap().survey(QUERY, &|| true).unwrap().unwrap();
    let of_rows = read(&store);
    drop(store);
    let of_counts = read(&Store::open(&path).unwrap());
    let cats = &of_counts.labels[0];
    assert_eq!((cats.images, cats.samples.len()), (100, 2));
    let owls = &of_counts.labels[1];
    assert_eq!(owls.samples.iter().map(|owl| owl.key.as_str()).collect::<Vec<_>>(), ["a/77"]);
    let without_samples = |mut survey: Survey| {
        for label in &mut survey.labels {
            (label.samples, label.beside) = (Vec::new(), Vec::new());
        }
        survey
    };
    assert_eq!(without_samples(of_counts), without_samples(of_rows));
}

#[test]
fn every_statement_of_a_survey_is_understood_by_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t.db")).unwrap();
    for sql in super::kept::STATEMENTS {
        store.connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql:?}"));
    }
}
