//! Settling: labels, the content's new state and the ledger, in one transaction.

use rusqlite::OptionalExtension;

use super::{SLACK, Session};
use crate::label::{Label, Labels};
use crate::scene::Scenes;
use crate::store::Error;
use crate::store::model::{CallOutcome, ErrorKind};

/// A row of the ledger: one call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    /// `content.id`.
    pub content_id: i64,
    /// The key that was called, by `object.id`.
    pub object_id: i64,
    /// What was asked.
    pub scenes: Scenes,
    /// Unix milliseconds, by the service's clock as far as it is known.
    pub ended_at: i64,
    /// Milliseconds from sending to the end of the answer.
    pub duration_ms: i64,
    /// What came of it.
    pub outcome: CallOutcome,
    /// Whether an earlier call for the same image had failed.
    pub retry: bool,
    /// Kept unless it is 200.
    pub http_status: Option<u16>,
    /// The service's code, or ours for an answer that is none.
    pub code: Option<String>,
    /// Kept of what failed.
    pub request_id: Option<String>,
}

/// The last error of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRow {
    /// The verdict's name.
    pub verdict: &'static str,
    /// Whether the next run puts the content back, once.
    pub temporary: bool,
    /// The service's code, or ours for what is no answer.
    pub code: String,
    /// HTTP, if an answer came.
    pub status: Option<u16>,
    /// What the service said.
    pub message: String,
    /// Of the answer.
    pub request_id: Option<String>,
}

/// What a claimed content came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was answered, perhaps with no label.
    Labels(Labels),
    /// Given up, until a new run, new bytes or `costag retry`.
    GivenUp {
        /// Attempts used in this run.
        attempts: u32,
        /// Why.
        error: ErrorRow,
    },
    /// Failed for now: a later pass of this run tries again.
    PutBack {
        /// Attempts used in this run.
        attempts: u32,
        /// The pass it waits for.
        pass: u32,
        /// Why.
        error: ErrorRow,
    },
    /// Not called, or the call was cut short: back to the queue as it was.
    Released,
}

/// A content's settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// `content.id`.
    pub content_id: i64,
    /// What was asked.
    pub scenes: Scenes,
    /// Those of them that have labels already.
    pub again: Scenes,
    /// The ledger's row of the last call, if one was made whose row is not written yet.
    pub call: Option<CallRow>,
    /// What came of it.
    pub settled: Settled,
}

impl Session {
    /// Writes a ledger row before its content is settled: the next call for it waits for the commit, so
    /// that after a crash the ledger lacks at most one call a content.
    ///
    /// # Errors
    /// Those of any write.
    pub fn call(&mut self, call: &CallRow) -> Result<(), Error> {
        self.counts.calls += 1;
        self.counts.scenes_asked += u64::from(call.scenes.len());
        self.counts.retries += u64::from(call.retry);
        match call.outcome {
            CallOutcome::Answered => self.counts.answered += 1,
            CallOutcome::Failed => self.counts.failed_calls += 1,
            CallOutcome::Throttled => self.counts.throttled += 1,
            CallOutcome::ThrownAway => self.counts.thrown_away += 1,
            CallOutcome::Unknown => self.counts.unknown += 1,
        }
        let id = self.insert(
            "INSERT INTO call (run_id, content_id, object_id, scenes, ended_at, duration_ms, outcome,
                    repeated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                self.run.id,
                call.content_id,
                call.object_id,
                call.scenes.bits(),
                call.ended_at,
                call.duration_ms,
                call.outcome as i64,
                call.retry,
            ),
        )?;
        self.last_call = id;
        self.first_call.get_or_insert(id);
        let status = call.http_status.filter(|status| *status != 200);
        if status.is_some() || call.code.is_some() || call.request_id.is_some() {
            self.execute(
                "INSERT INTO call_error (call_id, http_status, code, request_id)
                 VALUES (?1, ?2, ?3, ?4)",
                (id, status, &call.code, &call.request_id),
            )?;
        }
        Ok(())
    }

    /// Settles a content in flight. Returns whether it is back in the queue.
    ///
    /// # Errors
    /// Those of any write.
    pub fn settle(&mut self, settlement: &Settlement) -> Result<bool, Error> {
        let Settlement { content_id, scenes, again, call, settled } = settlement;
        if let Some(call) = call {
            self.call(call)?;
        }
        // Whatever came back, labels or a failure: of other bytes it says nothing about this content.
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
                self.failed(*content_id, 3, *attempts, None, error, call.as_ref())?;
                if let Some(call) = call {
                    self.execute(
                        "UPDATE content SET object_id = ?2 WHERE id = ?1 AND NOT scenes_done",
                        (content_id, call.object_id),
                    )?;
                }
                Ok(false)
            }
            Settled::PutBack { attempts, pass, error } => {
                if *pass == 0 {
                    self.back_to_sample(*content_id);
                }
                let call = call.as_ref();
                self.failed(*content_id, 0, *attempts, Some(*pass), error, call).map(|()| true)
            }
            Settled::Released => {
                self.back_to_sample(*content_id);
                self.execute("UPDATE content SET state = 0 WHERE id = ?1", [content_id])?;
                Ok(true)
            }
        }
    }

    /// A content of the sample that was claimed and not settled is claimed again, after the others.
    fn back_to_sample(&mut self, content_id: i64) {
        if let Some(sample) = &mut self.sample {
            sample.insert(0, content_id);
        }
    }

    /// Whether the key that was called had got other bytes before the call ended.
    fn is_of_other_bytes(&mut self, call: &CallRow) -> Result<bool, Error> {
        if !self.overwritten.remove(&call.object_id) {
            return Ok(false);
        }
        let found: Option<(Option<i64>, Option<i64>)> = self
            .prepare("SELECT content_id, last_modified FROM object WHERE id = ?1")?
            .query_row([call.object_id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(found.is_some_and(|(content_id, modified)| {
            content_id != Some(call.content_id)
                && modified.is_some_and(|at| at <= call.ended_at.saturating_add(SLACK))
        }))
    }

    /// An answer that belongs to other bytes is not kept; the content waits again if it is still wanted.
    fn discard(&mut self, content_id: i64) -> Result<bool, Error> {
        self.execute("UPDATE content SET state = 0 WHERE id = ?1", [content_id])?;
        self.release_if_unwanted(content_id)?;
        Ok(true)
    }

    fn labels(
        &mut self,
        call: &CallRow,
        scenes: Scenes,
        again: Scenes,
        labels: &Labels,
    ) -> Result<bool, Error> {
        let CallRow { content_id, object_id, ended_at, .. } = *call;
        for scene in again.iter() {
            // Labels of an earlier answer make room for the new ones, and not a moment before.
            let first = label_id(content_id, scene.id(), 0);
            self.execute("DELETE FROM label WHERE id BETWEEN ?1 AND ?1 + 63", [first])?;
        }
        let tag_ids = labels.iter().map(|label| self.tag(label)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<i64> = labels
            .iter()
            .zip(tag_ids)
            .flat_map(|(label, tag_id)| {
                let id = label_id(content_id, label.scene.id(), label.rank);
                [id, 128 * tag_id + i64::from(label.confidence)]
            })
            .collect();
        // A statement's start costs more than its row does.
        let (fives, rest) = rows.as_chunks::<10>();
        for five in fives {
            self.execute(
                "INSERT INTO label (id, mark) VALUES (?, ?), (?, ?), (?, ?), (?, ?), (?, ?)",
                *five,
            )?;
        }
        for one in rest.as_chunks::<2>().0 {
            self.execute("INSERT INTO label (id, mark) VALUES (?, ?)", *one)?;
        }
        self.counts.labels += labels.len() as u64;
        // Scenes asked for while the call was in flight keep the content in the queue.
        let pending: bool = self
            .prepare(
                "UPDATE content SET scenes_done = scenes_done | ?2, scenes_redo = scenes_redo & ~?2,
                        state = CASE WHEN (scenes_wanted & ~(scenes_done | ?2))
                                        | (scenes_redo & ~?2) THEN 0 ELSE 2 END,
                        run_id = ?3, tagged_at = ?5, error_kind = 0,
                        object_id = CASE WHEN scenes_done & ~?2 AND object_id IS NOT ?4
                                         THEN NULL ELSE ?4 END
                 WHERE id = ?1 RETURNING state = 0",
            )?
            .query_row(
                (content_id, scenes.bits(), self.run.id, object_id, ended_at.div_euclid(1000)),
                |row| row.get(0),
            )
            .map_err(|source| self.error(source))?;
        self.counts.done += u64::from(!pending);
        Ok(pending)
    }

    fn failed(
        &self,
        content_id: i64,
        state: i64,
        attempts: u32,
        pass: Option<u32>,
        error: &ErrorRow,
        call: Option<&CallRow>,
    ) -> Result<(), Error> {
        let kind = if error.temporary { ErrorKind::Temporary } else { ErrorKind::Final };
        self.execute(
            "UPDATE content SET state = ?2, attempts = ?3, pass = coalesce(?4, pass),
                    error_kind = ?5
             WHERE id = ?1",
            (content_id, state, attempts, pass, kind as i64),
        )?;
        self.execute(
            "INSERT OR REPLACE INTO error (content_id, verdict, code, status, message, request_id,
                    failed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                content_id,
                error.verdict,
                &error.code,
                error.status,
                &error.message,
                &error.request_id,
                call.map(|call| call.ended_at),
            ),
        )
        .map(drop)
    }

    /// The dictionary's number of a name and its categories.
    fn tag(&mut self, label: Label<'_>) -> Result<i64, Error> {
        let Label { name, first_category, second_category, .. } = label;
        // With lengths, so that no two different rows look alike.
        self.tag_key.clear();
        for part in [name, first_category, second_category] {
            self.tag_key.extend(part.len().to_ne_bytes());
            self.tag_key.extend(part.as_bytes());
        }
        if let Some(id) = self.tags.get(&self.tag_key) {
            return Ok(*id);
        }
        let found = self
            .prepare(
                "SELECT id FROM tag
                 WHERE name = ?1 AND first_category = ?2 AND second_category = ?3",
            )?
            .query_row((name, first_category, second_category), |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        let id = match found {
            Some(id) => id,
            None => self.insert(
                "INSERT INTO tag (name, first_category, second_category) VALUES (?1, ?2, ?3)",
                (name, first_category, second_category),
            )?,
        };
        if self.tags.len() >= super::TAGS {
            self.tags.clear();
        }
        self.tags.insert(self.tag_key.clone(), id);
        Ok(id)
    }
}

/// The row of a label: a content's are next to each other, by scene and rank.
fn label_id(content_id: i64, scene: u8, rank: u32) -> i64 {
    256 * content_id + 64 * i64::from(scene) + i64::from(rank)
}
