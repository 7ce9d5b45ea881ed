//! The rules of `costag verify`, as statements: each row that one selects is a problem.

use crate::store::sqlite::posting::POSTED;
use crate::store::sqlite::sql::{
    ANSWERED, ASKS, BUCKET, CALL_FAILED, COMPLETE, DONE, EVERY_SCENE, FAILED, FINAL, IMPORT,
    IMPORTED, IN_FLIGHT, PENDING, QUARTER, TEMPORARY, THROTTLED, THROWN_AWAY, UNKNOWN,
};

/// A statement, and the description of a problem. Each `{}` in the description stands for a column of the row.
pub(super) type Rule = (String, &'static str);

/// Puts rules together. A statement may name constants, as in `{PENDING}`.
macro_rules! rules {
    ($(($sql:literal, $words:literal $(,)?),)*) => {
        vec![$((format_args!($sql).to_string(), $words)),*]
    };
}

/// The state of a content agrees with its scenes. A complete run with a reason was a trial: what it left waits for the
/// next run.
pub(super) fn states() -> Vec<Rule> {
    rules![
        (
            "SELECT id, state FROM content WHERE state NOT IN ({PENDING}, {IN_FLIGHT}, {DONE}, {FAILED})",
            "content {} is in the unknown state {}",
        ),
        (
            "SELECT id, scenes_wanted, scenes_done, scenes_redo FROM content
             WHERE (scenes_wanted | scenes_done | scenes_redo) & ~{EVERY_SCENE}",
            "content {} has scenes that do not exist: wanted {}, done {}, again {}",
        ),
        (
            // A request to label a content again is kept even while no object wants the content.
            "SELECT id FROM content WHERE state = {DONE} AND (scenes_wanted & ~scenes_done)",
            "content {} is done and lacks a scene",
        ),
        (
            "SELECT id, state FROM content
             WHERE state IN ({PENDING}, {IN_FLIGHT}) AND NOT {ASKS}",
            "content {} lacks no scene and is not done (state {})",
        ),
        (
            "SELECT content.id, run.id FROM content JOIN run ON run.id = content.run_id
             WHERE content.state = {PENDING} AND run.state = '{COMPLETE}' AND NOT run.plan
             AND run.stop_reason IS NULL",
            "content {} still waits for run {}, which is complete",
        ),
    ]
}

/// The ranges of a listing cover its scope without gaps or overlaps. The two ranges of a list are no slices of a key
/// space.
pub(super) fn ranges() -> Vec<Rule> {
    rules![
        (
            "SELECT id FROM run
             WHERE pruned_at IS NULL AND plan <> {IMPORT}
             AND NOT EXISTS (SELECT 1 FROM range WHERE run_id = run.id)",
            "run {} has no range",
        ),
        (
            "SELECT run_id, seq FROM (
             SELECT run_id, seq, start_after,
             lag(seq) OVER same AS before, lag(stop_at) OVER same AS stop_before
             FROM range JOIN run ON run.id = run_id AND run.source = '{BUCKET}'
             WINDOW same AS (PARTITION BY run_id ORDER BY start_after, seq))
             WHERE start_after IS NOT CASE WHEN before IS NULL THEN '' ELSE stop_before END",
            "range {}.{} does not begin where the one before ends",
        ),
        (
            "SELECT run_id, seq FROM range AS last
             JOIN run ON run.id = run_id AND run.source = '{BUCKET}'
             WHERE stop_at IS NOT NULL
             AND start_after = (SELECT max(start_after) FROM range WHERE run_id = last.run_id)",
            "range {}.{} is the last one and ends before the scope does",
        ),
        (
            "SELECT run_id, seq FROM range JOIN run ON run.id = run_id AND run.source = '{BUCKET}'
             WHERE cursor < start_after OR cursor > stop_at OR start_after >= stop_at",
            "range {}.{} has its cursor outside, or its ends in the wrong order",
        ),
        (
            "SELECT id FROM run WHERE state = '{COMPLETE}' AND stop_reason IS NULL
             AND EXISTS (SELECT 1 FROM range WHERE run_id = run.id AND NOT done)",
            "run {} is complete, and a range of it is not done",
        ),
    ]
}

/// Labels belong to labelled scenes, have consecutive ranks, and a confidence up to 100.
pub(super) fn labels() -> Vec<Rule> {
    rules![
        (
            "SELECT DISTINCT content_id, scene FROM label WHERE rank = 0 OR confidence > 100",
            "content {} has labels without a rank or with a confidence above 100 (scene {})",
        ),
        (
            "SELECT label.content_id, scene FROM label JOIN content ON content.id = label.content_id
             WHERE rank = 1 AND NOT scenes_done & (1 << scene)",
            "content {} has labels of scene {}, which is not done",
        ),
        (
            "SELECT content_id, scene FROM label
             WHERE rank > 1 AND NOT EXISTS (
             SELECT 1 FROM label AS before WHERE before.id = label.id - 1)",
            "content {} has gaps in the ranks of its labels of scene {}",
        ),
    ]
}

/// The ledger has every answered call.
pub(super) fn ledger() -> Vec<Rule> {
    rules![
        (
            "SELECT id, outcome FROM call
             WHERE outcome NOT IN ({ANSWERED}, {CALL_FAILED}, {THROTTLED}, {THROWN_AWAY}, {UNKNOWN}, {IMPORTED})",
            "call {} has the unknown outcome {}",
        ),
        (
            "SELECT run_id, outcome FROM call_sum
             WHERE outcome NOT IN ({ANSWERED}, {CALL_FAILED}, {THROTTLED}, {THROWN_AWAY}, {UNKNOWN}, {IMPORTED})
                OR calls < 1 OR repeated NOT BETWEEN 0 AND calls
                OR run_id NOT IN (SELECT id FROM run WHERE pruned_at IS NOT NULL)",
            "a sum of removed calls of run {} is wrong (outcome {})",
        ),
        (
            // The calls of older contents may have been removed. A correction of the clock may have moved them by a day.
            "SELECT id FROM content WHERE scenes_done
             AND id NOT IN (SELECT content_id FROM call WHERE outcome IN ({ANSWERED}, {IMPORTED}))
             AND coalesce(tagged_at, 0) > coalesce(
                 (SELECT ((max(quarter) + 1) * {QUARTER}) / 1000 + 86400 FROM call_sum
                  WHERE outcome IN ({ANSWERED}, {IMPORTED})), -1)",
            "content {} is labelled, and no call of the ledger was answered for it, and no import names it",
        ),
        (
            "SELECT last_call, tag_id FROM posting
             WHERE last_call > (SELECT CAST(value AS INTEGER) FROM meta WHERE name = '{POSTED}')
             OR last_call > (SELECT max(id) FROM call)",
            "labels are posted for calls up to {} that there are none of yet (tag {})",
        ),
    ]
}

/// Every failure has its reason.
pub(super) fn failures() -> Vec<Rule> {
    rules![
        (
            "SELECT id FROM content
             WHERE (state = {FAILED} OR error_kind) AND id NOT IN (SELECT content_id FROM error)",
            "content {} failed and does not say why",
        ),
        (
            "SELECT id, error_kind FROM content
             WHERE error_kind NOT IN (0, {FINAL}, {TEMPORARY})
                OR (state = {FAILED} AND NOT error_kind)",
            "content {} has an error of the unknown kind {}",
        ),
        (
            "SELECT id FROM call WHERE outcome IN ({CALL_FAILED}, {THROTTLED})
             AND id NOT IN (SELECT call_id FROM call_error)",
            "call {} failed and the ledger does not say why",
        ),
    ]
}

/// Every present, wanted object has a content that is done, failed or waiting.
pub(super) fn objects() -> Vec<Rule> {
    rules![
        (
            "SELECT id FROM object
             WHERE gone_run IS NULL AND skip_reason IS NULL AND content_id IS NULL",
            "object {} is present and wanted, and has no content",
        ),
        (
            "SELECT object.id, content.id FROM object JOIN content ON content.id = content_id
             WHERE gone_run IS NULL AND skip_reason IS NULL
             AND content.state = {DONE} AND NOT scenes_done",
            "object {} is present and wanted, and its content {} waits for no run and has no scene",
        ),
        (
            "SELECT object.id, content.id FROM object JOIN content ON content.id = content_id
             WHERE gone_run IS NULL AND skip_reason IS NULL
             AND content.state = {DONE} AND scenes_redo",
            "object {} is present and wanted, and its content {} was asked for again and waits for no run",
        ),
    ]
}
