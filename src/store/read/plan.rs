//! What a run over a plan's source would call.

use rusqlite::{Params, named_params};

use crate::scene::Scenes;
use crate::store::keyspace::prefix_end;
use crate::store::{Error, Reader, has_content};

/// What is left to be called within the scope of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// Contents that need a call, by what it asks for, in the order of the stored bits.
    pub by_scenes: Vec<(Scenes, u64)>,
    /// Contents that failed, and that only new bytes or `costag retry` bring back.
    pub given_up: u64,
}

/// A present, wanted object of the run's bucket and prefix has it.
fn is_in_scope() -> String {
    format!(
        "EXISTS (
             SELECT 1 FROM object
             WHERE {} AND gone_run IS NULL AND skip_reason IS NULL
               AND +bucket_id = (SELECT bucket_id FROM run WHERE id = :run)
               AND +key >= :prefix AND (:end IS NULL OR +key < :end))",
        has_content("content.id")
    )
}

// Failed for good; done with such an error is what nobody asked more of since.
const GIVEN_UP: &str = "
    (state IN (2, 3) AND error_kind = 1)";

/// Of a listing: what each missing set of scenes is missing from, given up or not.
fn in_scope() -> String {
    format!(
        "SELECT (:scenes & ~scenes_done) | scenes_redo AS missing, {GIVEN_UP}, count(*)
         FROM content WHERE missing AND {} GROUP BY 1, 2 ORDER BY 1",
        is_in_scope()
    )
}

// The lines of a plan's list are kept until the next run.
const NAMED: &str = "
    WITH named AS (
        SELECT DISTINCT content_id FROM list_item JOIN object
            ON bucket_id = (SELECT bucket_id FROM run WHERE id = :run) AND key = item
        WHERE run_id = :run AND gone_run IS NULL AND skip_reason IS NULL)";

impl Reader {
    /// What a run over the same listing, with these scenes, would call for now: what waits, whoever wants it,
    /// what is labelled and lacks a scene, what failed for a passing reason. Looks at every content.
    ///
    /// # Errors
    /// As any read.
    pub fn needed(&self, run_id: i64, prefix: &str, scenes: Scenes) -> Result<Needed, Error> {
        let end = prefix_end(prefix);
        self.needed_from(
            &in_scope(),
            named_params! {
                ":scenes": scenes.bits(), ":run": run_id, ":prefix": prefix, ":end": end,
            },
        )
    }

    /// As [`Reader::needed`], over the list that a plan has just looked up.
    ///
    /// # Errors
    /// As any read.
    pub fn needed_of_list(&self, run_id: i64, scenes: Scenes) -> Result<Needed, Error> {
        self.needed_from(
            &format!(
                "{NAMED}
                 SELECT (:scenes & ~scenes_done) | scenes_redo AS missing, {GIVEN_UP}, count(*)
                 FROM named JOIN content ON content.id = content_id
                 WHERE missing GROUP BY 1, 2 ORDER BY 1"
            ),
            named_params! { ":scenes": scenes.bits(), ":run": run_id },
        )
    }

    fn needed_from(&self, sql: &str, params: impl Params) -> Result<Needed, Error> {
        let read = || -> rusqlite::Result<Needed> {
            let mut needed = Needed::default();
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                let contents = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
                if row.get(1)? {
                    needed.given_up += contents;
                } else {
                    needed.by_scenes.push((Scenes::from_bits(row.get(0)?), contents));
                }
            }
            Ok(needed)
        };
        read().map_err(|source| self.error(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn each_content_finds_its_objects_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t.db")).unwrap();
        let plan: Vec<String> = store
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", in_scope()))
            .unwrap()
            .raw_query()
            .mapped(|row| row.get(3))
            .collect::<Result<_, _>>()
            .unwrap();
        let steps: Vec<_> = plan.iter().filter(|step| step.contains(" object ")).collect();
        let ends = ["PRIMARY KEY (rowid=?)", "INDEX object_content (content_id=?)"];
        assert!(
            steps.len() == 2 && steps.iter().zip(ends).all(|(step, end)| step.ends_with(end)),
            "{plan:?}"
        );
    }
}
