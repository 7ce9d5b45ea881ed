//! SQL text that is made from types: the stored values as constants, conditions that several statements share, and
//! [`Statement`].
//!
//! The constants are written into the text of a statement instead of being bound as parameters, because SQLite uses a
//! partial index only if it sees the constant of its condition. A test compares them with the indexes.

use std::ops::Deref;
use std::sync::LazyLock;

use super::rows::{LabelId, Mark};
use crate::scene::Scene;
use crate::store::model::{
    CallOutcome, ChangeKind, ContentState, ErrorKind, ErrorVerdict, RunState, SourceKind,
};

// `content.state`.
pub(super) const PENDING: i64 = ContentState::Pending as i64;
pub(super) const IN_FLIGHT: i64 = ContentState::InFlight as i64;
pub(super) const DONE: i64 = ContentState::Done as i64;
pub(super) const FAILED: i64 = ContentState::Failed as i64;

// `content.error_kind`. The kinds are bits of their own, so `error_kind & TEMPORARY` keeps only a temporary error.
pub(super) const FINAL: i64 = ErrorKind::Final as i64;
pub(super) const TEMPORARY: i64 = ErrorKind::Temporary as i64;

// `call.outcome`.
pub(super) const ANSWERED: i64 = CallOutcome::Answered as i64;
pub(super) const CALL_FAILED: i64 = CallOutcome::Failed as i64;
pub(super) const THROTTLED: i64 = CallOutcome::Throttled as i64;
pub(super) const THROWN_AWAY: i64 = CallOutcome::ThrownAway as i64;
pub(super) const UNKNOWN: i64 = CallOutcome::Unknown as i64;
pub(super) const IMPORTED: i64 = CallOutcome::Imported as i64;

// `run.state`.
pub(super) const RUNNING: &str = RunState::Running.name();
pub(super) const COMPLETE: &str = RunState::Complete.name();
pub(super) const INTERRUPTED: &str = RunState::Interrupted.name();
pub(super) const STOPPED: &str = RunState::Stopped.name();
pub(super) const SUPERSEDED: &str = RunState::Superseded.name();

// `run.source`, and the namespace of a bucket in `bucket.kind`.
pub(super) const BUCKET: &str = SourceKind::Bucket.name();
pub(super) const KEYS: &str = SourceKind::Keys.namespace();

/// `run.plan` of a plan that left nothing but its row. It is 0 for a run. It is 1 for the plan of an earlier version,
/// which left objects behind.
pub(super) const BARE_PLAN: i64 = 2;

/// `run.plan` of an import. Whatever leaves plans out leaves imports out too.
pub(super) const IMPORT: i64 = 3;

// `change.kind`.
pub(super) const ADDED: &str = ChangeKind::Added.name();
pub(super) const GONE: &str = ChangeKind::Gone.name();
pub(super) const MOVED: &str = ChangeKind::Moved.name();

// `line_failure.verdict`.
pub(super) const MISSING_LINE: &str = ErrorVerdict::Gone.name();
pub(super) const FAILED_LINE: &str = "failed";

// The packed columns of `label`.
pub(super) const CONTENT_SHIFT: u32 = LabelId::CONTENT_SHIFT;
pub(super) const TAG_SHIFT: u32 = Mark::TAG_SHIFT;

/// The row of `meta` with what the process of a run leaves for other programs while it works: see
/// [`Live`](crate::store::live::Live).
pub(super) const LIVE: &str = "live";

/// The milliseconds of `call_sum.quarter`: every time zone begins its days with a quarter of an hour.
pub(super) const QUARTER: i64 = 15 * 60 * 1000;

/// Every scene, as bits.
pub(super) const EVERY_SCENE: i64 = (1 << Scene::ALL.len()) - 1;

/// The scenes that the next call for a content asks for, as bits.
pub(super) const ASKS: &str = "((scenes_wanted & ~scenes_done) | scenes_redo)";

/// The scenes among `scenes`, an expression of SQL, that a content lacks, and those that were asked for again.
pub(super) fn lacks(scenes: &str) -> String {
    format!("(({scenes} & ~scenes_done) | scenes_redo)")
}

/// The number that a change of the run `run`, an expression of SQL, gets: see `object.changed_run`.
pub(super) fn change_of(run: &str) -> String {
    format!("(SELECT coalesce(resumed_after + 1, id) FROM run WHERE id = {run})")
}

/// The condition that an export may have shown labels of the content `content`, an expression of SQL.
pub(super) fn was_shown(content: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM content AS shown
                 WHERE shown.id = {content} AND (shown.scenes_done OR shown.labels_run IS NOT NULL))"
    )
}

/// Selects the runs that `costag prune` takes the details from: those that are older than the newest `?1` and ended before
/// `?2`. An unfinished run is not among them, because it can be resumed.
pub(super) fn prunable_runs() -> String {
    format!(
        "SELECT id FROM run
         WHERE state IN ('{COMPLETE}', '{SUPERSEDED}') AND pruned_at IS NULL AND coalesce(ended_at, started_at) < ?2
           AND id < (SELECT min(id) FROM (SELECT id FROM run WHERE NOT plan ORDER BY id DESC LIMIT ?1))"
    )
}

/// The number of scenes in `bits`, an expression of SQL.
pub(super) fn count_of(bits: &str) -> String {
    let scenes = Scene::ALL.map(|scene| format!("({bits} >> {} & 1)", scene.id()));
    scenes.join(" + ")
}

/// The condition that `id`, an expression of SQL, is the id of a label of `content`, another one.
pub(super) fn is_label_of(id: &str, content: &str) -> String {
    let (step, last) = (1 << CONTENT_SHIFT, (1 << CONTENT_SHIFT) - 1);
    format!("{id} BETWEEN {step} * {content} AND {step} * {content} + {last}")
}

/// The condition that an object has the content `content`, an expression of SQL. An object that introduced a content
/// shares its id and is not in the index.
///
/// Further conditions on the bucket or the key need a `+`, which hides them from the query planner: otherwise it would
/// walk the bucket for them.
pub(super) fn has_content(content: &str) -> String {
    format!(
        "(object.id = {content} AND object.content_id = {content}
          OR object.content_id = {content} AND object.content_id <> object.id)"
    )
}

/// A statement of the writer. Its text is put together when it is first used. [`statements!`] makes it, so that the
/// test of the query plans knows it.
#[derive(Debug)]
pub(super) struct Statement(LazyLock<String>);

impl Statement {
    /// Only [`statements!`] calls this.
    pub(super) const fn new(text: fn() -> String) -> Self {
        Self(LazyLock::new(text))
    }
}

impl Deref for Statement {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The row of `meta` with the content id up to which every content is in `ident`. If there is no such row, all of them
/// are.
pub(super) const IDENT_UPTO: &str = "ident_upto";

/// Declares the statements of a file. A text may name constants, as in `{PENDING}`, and parts that follow it.
///
/// The test of the query plans checks `STATEMENTS`, which lists all of them. It also checks that no file has a
/// statement elsewhere.
macro_rules! statements {
    ($($(#[$about:meta])* $vis:vis $name:ident = $text:literal $(, $part:ident = $value:expr)*;)*) => {
        $(
            $(#[$about])*
            $vis static $name: $crate::store::sqlite::sql::Statement =
                $crate::store::sqlite::sql::Statement::new(|| {
                    format_args!($text $(, $part = $value)*).to_string()
                });
        )*

        /// Every statement of this file.
        #[cfg(test)]
        pub(super) static STATEMENTS: &[&$crate::store::sqlite::sql::Statement] = &[$(&$name),*];
    };
}

pub(super) use statements;

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::sqlite::migrate;

    fn definition(schema: &Connection, name: &str) -> String {
        let sql = "SELECT sql FROM sqlite_schema WHERE name = ?1";
        schema.query_row(sql, [name], |row| row.get(0)).unwrap()
    }

    #[test]
    fn the_conditions_of_partial_indexes_have_the_numbers_of_the_types() {
        let schema = migrate::model(migrate::known_version()).unwrap();
        for (index, condition) in [
            ("content_queue", format!("WHERE state = {PENDING}")),
            ("content_in_flight", format!("WHERE state = {IN_FLIGHT}")),
            ("content_failed", format!("WHERE state = {FAILED}")),
            ("call_throttled", format!("WHERE outcome = {THROTTLED}")),
            ("failure", format!("content.state = {FAILED}")),
        ] {
            let sql = definition(&schema, index);
            assert!(sql.contains(&condition), "{index}: {sql}");
        }
    }

    #[test]
    fn the_columns_of_a_label_take_apart_what_the_types_pack() {
        let schema = migrate::model(migrate::known_version()).unwrap();
        schema.pragma_update(None, "foreign_keys", false).unwrap();
        let (id, mark) = (LabelId::new(7, Scene::News, 5).number(), Mark::new(9, 80).number());
        schema.execute("INSERT INTO label (id, mark) VALUES (?1, ?2)", (id, mark)).unwrap();
        let sql = format!(
            "SELECT content_id, scene, rank, tag_id, confidence, id >> {CONTENT_SHIFT}, mark >> {TAG_SHIFT}
             FROM label WHERE {}",
            is_label_of("id", "7")
        );
        let row: [i64; 7] = schema
            .query_row(&sql, [], |row| {
                let columns: Vec<i64> = (0..7).map(|at| row.get(at)).collect::<Result<_, _>>()?;
                Ok(columns.try_into().unwrap())
            })
            .unwrap();
        assert_eq!(row, [7, i64::from(Scene::News.id()), 5, 9, 80, 7, 9]);
    }
}
