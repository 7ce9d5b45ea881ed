//! Writes settlements: labels, the new state of the content and the ledger row, in one transaction.

use jiff::SignedDuration;
use rusqlite::OptionalExtension;

use super::Session;
use crate::label::{Label, Labels};
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::decide::answers_other_bytes;
use crate::store::model::{CallOutcome, ContentState, ErrorKind};
use crate::store::sqlite::count::Found;
use crate::store::sqlite::rows::{LabelId, Mark};
use crate::store::sqlite::sql::{DONE, PENDING, change_of, statements};
use crate::store::turn::{CallRow, ErrorRow, Settled, Settlement};
use crate::time::UnixMillis;

statements! {
    INSERT_CALL = "
        INSERT INTO call (run_id, content_id, object_id, scenes, ended_at, duration_ms, outcome, repeated)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

    INSERT_CALL_ERROR = "
        INSERT INTO call_error (call_id, http_status, code, request_id) VALUES (?1, ?2, ?3, ?4)";

    /// Notes the key whose failure a content has, unless the content has labels of another key.
    NOTE_FAILED_KEY = "UPDATE content SET object_id = ?2 WHERE id = ?1 AND NOT scenes_done";

    /// Puts a content that was in flight back into the queue.
    PUT_BACK = "UPDATE content SET state = {PENDING} WHERE id = ?1";

    OBJECT_NOW = "SELECT content_id, last_modified FROM object WHERE id = ?1";

    DELETE_LABELS = "DELETE FROM label WHERE id BETWEEN ?1 AND ?2";

    INSERT_FIVE_LABELS = "INSERT INTO label (id, mark) VALUES (?, ?), (?, ?), (?, ?), (?, ?), (?, ?)";

    INSERT_LABEL = "INSERT INTO label (id, mark) VALUES (?, ?)";

    /// Notes that the content `?1` has labels of the scenes `?2` from the key `?4`. A scene that was asked for while the
    /// call was in flight keeps the content in the queue. If the content also has scenes of another key, it names no
    /// key.
    NOTE_LABELS = "
        UPDATE content SET scenes_done = scenes_done | ?2, scenes_redo = scenes_redo & ~?2,
               state = CASE WHEN (scenes_wanted & ~(scenes_done | ?2)) | (scenes_redo & ~?2)
                            THEN {PENDING} ELSE {DONE} END,
               run_id = ?3, tagged_at = ?5, error_kind = 0, labels_run = {change},
               object_id = CASE WHEN scenes_done & ~?2 AND object_id IS NOT ?4 THEN NULL ELSE ?4 END
        WHERE id = ?1 RETURNING state = {PENDING}", change = change_of("?3");

    /// Notes that the call for a content failed, and whether it waits for another pass.
    NOTE_FAILURE = "
        UPDATE content SET state = ?2, attempts = ?3, pass = coalesce(?4, pass), error_kind = ?5 WHERE id = ?1";

    REPLACE_ERROR = "
        INSERT OR REPLACE INTO error (content_id, verdict, code, status, message, request_id, failed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

    FIND_TAG = "SELECT id FROM tag WHERE name = ?1 AND first_category = ?2 AND second_category = ?3";

    INSERT_TAG = "INSERT INTO tag (name, first_category, second_category) VALUES (?1, ?2, ?3)";
}

impl Session {
    /// Writes a ledger row before its content is settled. The next call for the content waits for the commit, so after
    /// a crash the ledger lacks at most one call for each content.
    pub(super) fn call(&mut self, call: &CallRow) -> Result<(), Error> {
        self.counts.calls += 1;
        self.counts.scenes_asked += u64::from(call.scenes.len());
        self.counts.retries += u64::from(call.retry);
        match call.outcome {
            CallOutcome::Answered => self.counts.answered += 1,
            CallOutcome::Failed => self.counts.failed_calls += 1,
            CallOutcome::Throttled => self.counts.throttled += 1,
            CallOutcome::ThrownAway => self.counts.thrown_away += 1,
            CallOutcome::Unknown => self.counts.unknown += 1,
            // An import writes its rows by itself.
            CallOutcome::Imported => {}
        }
        let kept = self.kept_clock_offset()?;
        let id = self.insert(
            &INSERT_CALL,
            (
                self.run.id,
                call.content_id,
                call.object_id,
                call.scenes.bits(),
                // A correction of the clock moves all rows of this session, so this row is written with the stored
                // correction.
                call.ended_at.saturating_add(SignedDuration::from_secs(
                    kept.saturating_sub(call.clock_offset),
                )),
                call.duration_ms,
                call.outcome as i64,
                call.retry,
            ),
        )?;
        self.caches.ledger.written(id);
        let status = call.http_status.filter(|status| *status != 200);
        if status.is_some() || call.code.is_some() || call.request_id.is_some() {
            self.execute(&INSERT_CALL_ERROR, (id, status, &call.code, &call.request_id))?;
        }
        Ok(())
    }

    /// Settles a content in flight.
    pub(super) fn settle(&mut self, settlement: &Settlement) -> Result<(), Error> {
        let Settlement { content_id, scenes, again, call, settled } = settlement;
        if let Some(call) = call {
            self.call(call)?;
        }
        // If the key was overwritten before the call ended, the answer says nothing about this content, whether it
        // holds labels or a failure.
        if let Some(call) = call
            && self.is_of_other_bytes(call)?
        {
            return self.discard(*content_id);
        }
        match settled {
            Settled::Labels(labels) => {
                let Some(call) = call else {
                    return Err(Error::Unsound { what: "labels without a call".to_owned() });
                };
                self.labels(call, *scenes, *again, labels)
            }
            Settled::GivenUp { attempts, error } => {
                self.counts.failed += 1;
                let state = ContentState::Failed;
                self.counting_result(*content_id, true, Scenes::NONE, &mut [], |session| {
                    session.failed(*content_id, state, *attempts, None, error, call.as_ref())
                })?;
                if let Some(call) = call {
                    self.execute(&NOTE_FAILED_KEY, (content_id, call.object_id))?;
                }
                Ok(())
            }
            Settled::PutBack { attempts, pass, error } => {
                self.caches.counting.forget(*content_id);
                if *pass == 0 {
                    self.caches.sample.give_back(*content_id);
                }
                let state = ContentState::Pending;
                self.failed(*content_id, state, *attempts, Some(*pass), error, call.as_ref())
            }
            Settled::Released => {
                self.caches.counting.forget(*content_id);
                self.caches.sample.give_back(*content_id);
                self.execute(&PUT_BACK, [content_id]).map(drop)
            }
        }
    }

    /// Returns true if the key that was called was overwritten before the call ended.
    fn is_of_other_bytes(&mut self, call: &CallRow) -> Result<bool, Error> {
        if !self.caches.overwritten.remove(call.object_id) {
            return Ok(false);
        }
        let found: Option<(Option<i64>, Option<UnixMillis>)> = self
            .prepare(&OBJECT_NOW)?
            .query_row([call.object_id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(found.is_some_and(|(content_id, modified)| {
            answers_other_bytes(content_id, modified, call.content_id, call.ended_at)
        }))
    }

    /// Discards an answer that belongs to other bytes. The content goes back to the queue if an object still wants it.
    fn discard(&mut self, content_id: i64) -> Result<(), Error> {
        self.execute(&PUT_BACK, [content_id])?;
        self.release_if_unwanted(content_id)
    }

    /// Stores the labels of an answer. `scenes` were asked for, and `again` are those of them that had labels already.
    fn labels(
        &mut self,
        call: &CallRow,
        scenes: Scenes,
        again: Scenes,
        labels: &Labels,
    ) -> Result<(), Error> {
        let tag_ids = labels.iter().map(|label| self.tag(label)).collect::<Result<Vec<_>, _>>()?;
        let mut found: Vec<Found> = labels
            .iter()
            .zip(&tag_ids)
            .filter(|(label, _)| scenes.contains(label.scene))
            .map(|(label, tag_id)| Found {
                tag_id: *tag_id,
                scene: label.scene.id(),
                confidence: label.confidence,
            })
            .collect();
        self.counting_result(call.content_id, false, scenes, &mut found, |session| {
            session.keep_labels(call, scenes, again, labels, &tag_ids)
        })
    }

    fn keep_labels(
        &mut self,
        call: &CallRow,
        scenes: Scenes,
        again: Scenes,
        labels: &Labels,
        tag_ids: &[i64],
    ) -> Result<(), Error> {
        let CallRow { content_id, object_id, ended_at, .. } = *call;
        for scene in again.iter() {
            // The labels of an earlier answer stay until the new ones replace them.
            let rows = LabelId::of_scene(content_id, scene);
            self.execute(&DELETE_LABELS, (rows.start(), rows.end()))?;
        }
        let rows: Vec<i64> = labels
            .iter()
            .zip(tag_ids)
            .flat_map(|(label, tag_id)| {
                let id = LabelId::new(content_id, label.scene, label.rank);
                [id.number(), Mark::new(*tag_id, label.confidence).number()]
            })
            .collect();
        // Starting a statement costs more than writing a row.
        let (fives, rest) = rows.as_chunks::<10>();
        for five in fives {
            self.execute(&INSERT_FIVE_LABELS, *five)?;
        }
        for one in rest.as_chunks::<2>().0 {
            self.execute(&INSERT_LABEL, *one)?;
        }
        self.counts.labels += labels.len() as u64;
        let pending: bool = self
            .prepare(&NOTE_LABELS)?
            .query_row(
                (content_id, scenes.bits(), self.run.id, object_id, ended_at.to_seconds()),
                |row| row.get(0),
            )
            .map_err(|source| self.error(source))?;
        self.counts.done += u64::from(!pending);
        Ok(())
    }

    /// Notes that the content was given up or put back: its state, its attempts and its error. `pass` is the pass in which
    /// it waits, or `None` if it is given up.
    fn failed(
        &self,
        content_id: i64,
        state: ContentState,
        attempts: u32,
        pass: Option<u32>,
        error: &ErrorRow,
        call: Option<&CallRow>,
    ) -> Result<(), Error> {
        let kind = if error.temporary { ErrorKind::Temporary } else { ErrorKind::Final };
        self.execute(&NOTE_FAILURE, (content_id, state as i64, attempts, pass, kind as i64))?;
        self.execute(
            &REPLACE_ERROR,
            (
                content_id,
                error.verdict.name(),
                &error.code,
                error.status,
                &error.message,
                &error.request_id,
                call.map(|call| call.ended_at),
            ),
        )
        .map(drop)
    }

    /// Finds or creates the tag of a label: its name and its categories.
    pub(super) fn tag(&mut self, label: Label<'_>) -> Result<i64, Error> {
        if let Some(id) = self.caches.tags.find(label) {
            return Ok(id);
        }
        let Label { name, first_category, second_category, .. } = label;
        let found = self
            .prepare(&FIND_TAG)?
            .query_row((name, first_category, second_category), |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        let id = match found {
            Some(id) => id,
            None => self.insert(&INSERT_TAG, (name, first_category, second_category))?,
        };
        self.caches.tags.remember(id);
        Ok(id)
    }
}
