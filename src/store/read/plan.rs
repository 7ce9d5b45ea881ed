//! What a run over a plan's source would call.

use rusqlite::named_params;

use crate::scene::Scenes;
use crate::store::keyspace::prefix_end;
use crate::store::{Error, Reader};

/// What is left to be called within the scope of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// Contents that need a call, by what it asks for, in the order of the stored bits.
    pub by_scenes: Vec<(Scenes, u64)>,
    /// Contents that failed, and that only new bytes or `costag retry` bring back.
    pub given_up: u64,
}

// A present, wanted object of the run's bucket and prefix has it. The `+` keeps SQLite from walking the objects of
// the scope for each content: it is by the content that an object is found at once.
const IN_SCOPE: &str = "
    EXISTS (
        SELECT 1 FROM object
        WHERE content_id = content.id AND gone_run IS NULL AND skip_reason IS NULL
          AND +bucket_id = (SELECT bucket_id FROM run WHERE id = :run)
          AND +key >= :prefix AND (:end IS NULL OR +key < :end))";

// Failed for good; done with such an error is what nobody asked more of since.
const GIVEN_UP: &str = "
    (state IN (2, 3) AND error_kind = 1)";

fn by_scenes() -> String {
    format!(
        "SELECT (:scenes & ~scenes_done) | scenes_redo AS missing, count(*) FROM content
         WHERE missing AND NOT {GIVEN_UP} AND {IN_SCOPE}
         GROUP BY 1 ORDER BY 1"
    )
}

fn given_up() -> String {
    format!(
        "SELECT count(*) FROM content
         WHERE ((:scenes & ~scenes_done) | scenes_redo) AND {GIVEN_UP} AND {IN_SCOPE}"
    )
}

impl Reader {
    /// What a run over the same listing, with these scenes, would call for now: what waits, whoever wants it,
    /// what is labelled and lacks a scene, what failed for a passing reason. Looks at every content.
    ///
    /// # Errors
    /// As any read.
    pub fn needed(&self, run_id: i64, prefix: &str, scenes: Scenes) -> Result<Needed, Error> {
        let end = prefix_end(prefix);
        let read = || -> rusqlite::Result<Needed> {
            let by_scenes = self
                .connection
                .prepare(&by_scenes())?
                .query_map(
                    named_params! {
                        ":scenes": scenes.bits(), ":run": run_id, ":prefix": prefix,
                        ":end": end,
                    },
                    |row| {
                        let calls: i64 = row.get(1)?;
                        Ok((Scenes::from_bits(row.get(0)?), u64::try_from(calls).unwrap_or(0)))
                    },
                )?
                .collect::<rusqlite::Result<_>>()?;
            let given_up: i64 = self.connection.prepare(&given_up())?.query_row(
                named_params! {
                    ":scenes": scenes.bits(), ":run": run_id, ":prefix": prefix, ":end": end,
                },
                |row| row.get(0),
            )?;
            Ok(Needed { by_scenes, given_up: u64::try_from(given_up).unwrap_or(0) })
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
        for sql in [by_scenes(), given_up()] {
            let plan: Vec<String> = store
                .connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .raw_query()
                .mapped(|row| row.get(3))
                .collect::<Result<_, _>>()
                .unwrap();
            let mut steps = plan.iter().filter(|step| step.contains("SEARCH object "));
            let by_content = |step: &String| step.ends_with("INDEX object_content (content_id=?)");
            assert!(steps.next().is_some_and(by_content), "{plan:?}");
        }
    }
}
