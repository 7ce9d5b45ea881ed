//! Contents that a person puts back on purpose.

use std::collections::BTreeMap;

use rusqlite::Transaction;

use super::apply::SET_COUNTS;
use super::content::IS_WANTED;
use super::counting::Counting;
use super::listing::list_again;
use crate::store::Error;
use crate::store::model::ContentState;
use crate::store::read::Chosen;
use crate::store::sqlite::Store;
use crate::store::sqlite::error::sorted;
use crate::store::sqlite::rows::{CountsJson, Numbered, StoredCounts};
use crate::store::sqlite::sql::{DONE, FAILED, INTERRUPTED, PENDING, STOPPED, statements};

/// How many contents that a run has counted were put back.
#[derive(Debug, Clone, Copy, Default)]
struct Returned {
    done: u64,
    failed: u64,
}

statements! {
    READ_STATE = "SELECT state, run_id FROM content WHERE id = ?1";

    /// Asks again for the scenes `?2` of the content `?1`, which waits already.
    ASK_AGAIN = "
        UPDATE content SET scenes_redo = scenes_redo | (scenes_done & ?2), pass = 0, attempts = 0, error_kind = 0
        WHERE id = ?1";

    /// Puts the content `?1` back with the scenes `?2`. It waits for no run, and the next run that finds an object which
    /// wants it adopts it. If no present object wants it (`?3`), it stays done with what it has, and the scenes stay
    /// noted.
    PUT_BACK = "
        UPDATE content
        SET scenes_redo = scenes_redo | (scenes_done & ?2), pass = 0, attempts = 0, error_kind = 0,
            run_id = NULL, state = CASE WHEN ?3 THEN {PENDING} ELSE {DONE} END,
            scenes_wanted = CASE WHEN ?3 THEN scenes_wanted ELSE scenes_done END
        WHERE id = ?1 AND state IN ({DONE}, {FAILED})";

    UNFINISHED = "SELECT id FROM run WHERE state IN ('{INTERRUPTED}', '{STOPPED}') AND NOT plan";

    pub(super) READ_COUNTS = "SELECT counts FROM run WHERE id = ?1";
}

impl Store {
    /// Puts contents back in one transaction: they wait, with no attempt used, for the next run that wants them. What
    /// is in the queue of an unfinished run stays there. Labels stay until a new answer settles.
    ///
    /// Unfinished runs list again once they are resumed, and so find what was put back in their scope.
    ///
    /// Doing it twice changes nothing more.
    pub fn put_back(&mut self, contents: &[Chosen]) -> Result<(), Error> {
        if contents.is_empty() {
            return Ok(());
        }
        let path = self.path.clone();
        let keeps_counts = self.keeps_counts.get();
        let put_back = |tx: &Transaction<'_>| {
            let mut returned: BTreeMap<i64, Returned> = BTreeMap::new();
            let mut left_queues = false;
            let mut counting = Counting::default();
            for chosen in contents {
                let (Numbered(state), run_id): (Numbered<ContentState>, Option<i64>) = tx
                    .prepare_cached(&READ_STATE)?
                    .query_row([chosen.content_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let redo = chosen.redo.bits();
                if state == ContentState::Pending {
                    tx.prepare_cached(&ASK_AGAIN)?.execute((chosen.content_id, redo))?;
                    continue;
                }
                let wanted = tx.prepare_cached(&IS_WANTED)?.exists([chosen.content_id])?;
                let is_counted = keeps_counts && state == ContentState::Failed;
                let before = if is_counted {
                    counting.part(|counting| counting.before(tx, chosen.content_id))?
                } else {
                    None
                };
                tx.prepare_cached(&PUT_BACK)?.execute((chosen.content_id, redo, wanted))?;
                if let Some(before) = before {
                    counting.part(|counting| counting.after(tx, chosen.content_id, before))?;
                }
                left_queues = true;
                if let Some(run_id) = run_id {
                    let of_run = returned.entry(run_id).or_default();
                    of_run.done += u64::from(state == ContentState::Done);
                    of_run.failed += u64::from(state == ContentState::Failed);
                }
            }
            counting.store(tx)?;
            if left_queues {
                let unfinished: Vec<i64> = tx
                    .prepare_cached(&UNFINISHED)?
                    .query_map([], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                for run_id in unfinished {
                    give_back(tx, run_id, returned.get(&run_id).copied().unwrap_or_default())?;
                    list_again(tx, run_id)?;
                }
            }
            Ok(counting.take_damage())
        };
        let damage = self.transaction(put_back).map_err(|source| sorted(&path, source))?;
        if damage.is_some() {
            self.keeps_counts.set(false);
            self.uncounted.replace(damage);
        }
        Ok(())
    }
}

/// Removes contents from the counts of an unfinished run, which counts them again when it meets them.
fn give_back(tx: &Transaction<'_>, run_id: i64, returned: Returned) -> rusqlite::Result<()> {
    let StoredCounts(mut counts) =
        tx.prepare_cached(&READ_COUNTS)?.query_row([run_id], |row| row.get(0))?;
    counts.done = counts.done.saturating_sub(returned.done);
    counts.failed = counts.failed.saturating_sub(returned.failed);
    counts.queued = counts.queued.saturating_sub(returned.done + returned.failed);
    tx.prepare_cached(&SET_COUNTS)?.execute((run_id, CountsJson(&counts))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;
    use crate::store::read::Choice;
    use crate::time::UnixSeconds;

    /// Content 1 failed. 2 and 3 are labelled, in camera and in camera and web. 4 is labelled, and a filter leaves its
    /// key out. 5 waits for run 1.
    fn database(folder: &std::path::Path) -> Store {
        let store = Store::open(&folder.join("t.db")).unwrap();
        store
            .connection
            .execute_batch(
                "INSERT INTO bucket VALUES (1, 'a-1', 'keys'), (2, 'b-1', 'keys');
                 INSERT INTO run (id, bucket_id, source, eligibility, state, settings, journals,
                                  tool_version, started_at)
                 VALUES (1, 1, 'bucket', 0, 'stopped', '{}', 0, '', 0);
                 INSERT INTO content (id, scenes_wanted, scenes_done, state, run_id, tagged_at, attempts)
                 VALUES (1, 2, 0, 3, 1, NULL, 9), (2, 2, 2, 2, 1, 100, 1),
                        (3, 10, 10, 2, 1, 200, 1), (4, 2, 2, 2, 1, 100, 1),
                        (5, 10, 2, 0, 1, 100, 0);
                 INSERT INTO error (content_id, verdict, code, status, message, request_id) VALUES (1, 'gone', 'NoSuchKey', 404, '', NULL);
                 INSERT INTO object (bucket_id, key, content_id, fingerprint, skip_reason, first_run,
                                     gone_run)
                 VALUES (1, 'x/1.jpg', 1, 0, NULL, 1, NULL), (1, 'x/2.jpg', 2, 0, NULL, 1, NULL),
                        (2, 'y/3.jpg', 3, 0, NULL, 1, NULL), (1, 'x/4.jpg', 4, 0, NULL, 1, 1),
                        (1, 'x/4.txt', 4, 0, 'suffix', 1, NULL), (1, 'x/5.jpg', 5, 0, NULL, 1, NULL);
                 INSERT INTO tag VALUES (1, 'cat', '', ''), (2, 'dog', '', '');
                 INSERT INTO label (id, mark)
                 SELECT 256 * content + 64 * scene + rank, 128 * tag + confidence FROM (
                     SELECT 2 AS content, 1 AS scene, 1 AS rank, 1 AS tag, 90 AS confidence
                     UNION VALUES (2, 1, 2, 2, 20), (3, 1, 1, 2, 60), (3, 3, 1, 1, 30),
                                  (4, 1, 1, 1, 90), (5, 1, 1, 2, 50));
                 INSERT INTO call (run_id, content_id, scenes, ended_at, outcome)
                 VALUES (1, 2, 2, 0, 0), (1, 3, 10, 0, 0), (1, 4, 2, 0, 0), (1, 5, 2, 0, 0);
                 DELETE FROM meta WHERE name = 'counted';",
            )
            .unwrap();
        // Everything is counted when the database is opened again.
        drop(store);
        Store::open(&folder.join("t.db")).unwrap()
    }

    fn chosen(store: &Store, choice: &Choice) -> Vec<(i64, u8)> {
        let mut all = Vec::new();
        store
            .reader()
            .unwrap()
            .chosen(
                choice,
                |key| !key.contains("never"),
                |batch| {
                    all.extend(batch.iter().map(|chosen| (chosen.content_id, chosen.asks.bits())));
                    Ok::<_, Error>(())
                },
            )
            .unwrap();
        all
    }

    #[test]
    fn each_condition_of_a_choice_chooses_the_contents_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = database(folder.path());
        let all = Choice::default;
        assert_eq!(chosen(&store, &all()), [(2, 2), (3, 10), (4, 2), (5, 10)]);
        let failed = Choice { failed: true, ..all() };
        assert_eq!(chosen(&store, &failed), [(1, 2)]);
        let codes = |code: &str| Choice { codes: vec![code.to_owned()], ..failed.clone() };
        assert_eq!(chosen(&store, &codes("NoSuchKey")), [(1, 2)]);
        assert_eq!(chosen(&store, &codes("Timeout")), []);
        assert_eq!(chosen(&store, &Choice { prefix: "y/".into(), ..all() }), [(3, 10)]);
        let bucket = Choice { bucket: Some("a-1".into()), ..all() };
        assert_eq!(chosen(&store, &bucket), [(2, 2), (4, 2), (5, 10)]);
        let label = |name: &str, below| Choice { label: Some(name.into()), below, ..all() };
        assert_eq!(chosen(&store, &label("cat", None)), [(2, 2), (3, 10), (4, 2)]);
        assert_eq!(chosen(&store, &label("cat", Some(40))), [(3, 10)]);
        assert_eq!(chosen(&store, &Choice { below: Some(60), ..all() }), [(5, 10)]);
        let web = Choice { scenes: Scene::Web.into(), ..all() };
        assert_eq!(chosen(&store, &web), [(3, 8)]);
        assert_eq!(
            chosen(&store, &Choice { tagged_before: Some(UnixSeconds(200)), ..all() }),
            [(2, 2), (4, 2), (5, 10)]
        );
    }

    #[test]
    fn a_content_that_is_put_back_waits_for_the_next_run_and_keeps_its_labels() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = database(folder.path());
        for failed in [true, false] {
            let choice = Choice { failed, ..Choice::default() };
            let reader = store.reader().unwrap();
            reader.chosen(&choice, |_| true, |batch| store.put_back(batch)).unwrap();
            assert_eq!(chosen(&store, &choice), [], "a second time there is nothing to put back");
        }
        let rows: Vec<(i64, i64, i64, Option<i64>, i64)> = store
            .connection
            .prepare(
                "SELECT state, scenes_done, scenes_redo, run_id, attempts FROM content ORDER BY id",
            )
            .unwrap()
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(
            rows,
            [
                (0, 0, 0, None, 0),
                (0, 2, 2, None, 0),
                (0, 10, 10, None, 0),
                // No object wants it: the wish is kept until one does.
                (2, 2, 2, None, 0),
                (0, 2, 2, Some(1), 0)
            ]
        );
        let reader = store.reader().unwrap();
        assert!(reader.must_reconsider(2, 1, "", 0).unwrap(), "the next run adopts them");
    }
}
