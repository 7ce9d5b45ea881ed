//! Looks up the lines of a list, once they are in the store.
//!
//! Several keys are looked up at the same time, so that one key without an answer does not delay the others. The absence
//! of a key from a list says nothing about the object, so no object is marked as gone because of it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::batch::{Batch, LOOKING_UP, Window};
use super::line::{End, EndedLine, Lines};
use super::stage::Discovery;
use super::streak::{self, Streak};
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::thread::Blocking;
use crate::job::writer::Record;
use crate::store::Reader;
use crate::store::compare::KnownLine;
use crate::store::run::RangeRow;

/// The number of lines that are read from the store at a time.
const PAGE: u32 = 500;
/// The number of keys that are looked up at the same time, without the slow ones.
const LOOKUPS: usize = 16;
/// The most slow look-ups that are replaced by further ones.
const STRAGGLERS: usize = 48;
/// A look-up that takes longer than this is slow, and makes room for another one.
const SLOW: Duration = Duration::from_secs(1);
/// The most lines that may have ended, or be looked up, after a line that has not ended.
const AHEAD: usize = 50_000;

/// The look-up of a list's lines.
#[derive(Debug)]
pub(super) struct Lookup {
    lines: Lines,
    /// Look-ups that failed one after another.
    failures: Mutex<Streak>,
}

impl Lookup {
    /// Looks up lines of a list of keys, or of URLs.
    pub(super) fn new(stage: Discovery, is_urls: bool) -> Self {
        Self { lines: Lines::new(stage, is_urls), failures: Mutex::default() }
    }

    fn stage(&self) -> &Discovery {
        self.lines.stage()
    }

    /// Looks up the lines that have not ended in an earlier invocation, and records the end of the discovery.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn run(self, ranges: &[RangeRow], reader: Reader) -> Result<(), Error> {
        let range = ranges.iter().find(|range| range.seq == LOOKING_UP);
        let cursor = match range {
            Some(range) => {
                range.lines().map_err(|source| self.stage().bad_progress(range, source))?
            }
            None => 0,
        };
        let looked_up = self.look_up(reader, cursor).await;
        self.stage().service.warn_of_lookups();
        self.lines.warn_of_failures();
        looked_up
    }

    /// Looks up the lines after `cursor`, and records the end.
    async fn look_up(&self, mut reader: Reader, cursor: i64) -> Result<(), Error> {
        let mut window = Window::after(cursor);
        let mut last_read = cursor;
        let mut all_read = false;
        let mut waiting: VecDeque<KnownLine> = VecDeque::new();
        // Lines that ended without a look-up and need one after all, and the numbers of all such lines so far.
        let mut dropped: VecDeque<KnownLine> = VecDeque::new();
        let mut dropped_before = BTreeSet::new();
        let stragglers = AtomicUsize::new(0);
        let mut asked = FuturesUnordered::new();
        let mut batch = Batch::default();
        // Lines whose look-ups failed one after another. They are committed only after another line has ended otherwise: if
        // it is the account that is refused, the run stops, and a later run looks them up again.
        let mut refused: Vec<EndedLine> = Vec::new();
        loop {
            while asked.len() < LOOKUPS + stragglers.load(Ordering::Relaxed).min(STRAGGLERS)
                && window.len() < AHEAD
            {
                if let Some(line) = dropped.pop_front() {
                    asked.push(self.counted(line, &stragglers));
                    continue;
                }
                if waiting.is_empty() && !all_read {
                    let (run_id, bucket_id) =
                        (self.stage().comparison.run_id, self.stage().bucket_id);
                    let looked = Blocking::start("lines", move || {
                        (reader.known_lines(run_id, bucket_id, last_read, PAGE), reader)
                    })?;
                    let (found, back) = looked.result().await?;
                    reader = back;
                    waiting.extend(found?);
                    all_read = waiting.is_empty();
                    last_read = waiting.back().map_or(last_read, |line| line.seq);
                }
                let Some(line) = waiting.pop_front() else { break };
                window.begin(line.seq);
                match self.lines.without_asking(&line) {
                    Some(ended) => batch.add(ended, &mut window),
                    None => asked.push(self.counted(line, &stragglers)),
                }
                if batch.is_full() {
                    break;
                }
            }
            if self.stage().service.control.is_stopping() {
                return Ok(());
            }
            if asked.is_empty() && !batch.is_full() && waiting.is_empty() && all_read {
                batch.add_all(&mut refused, &mut window);
                if !batch.is_empty() {
                    self.commit(&mut batch, &mut window, false).await?;
                }
                let lines = self.stage().writer.ask(|reply| Record::DroppedLines { reply }).await?;
                let lines = lines.into_iter().filter(|(seq, _)| dropped_before.insert(*seq));
                for (seq, item) in lines.collect::<Vec<_>>() {
                    let known = reader.known(self.stage().bucket_id, &item)?;
                    dropped.push_back(KnownLine {
                        seq,
                        item,
                        fault: None,
                        known,
                        looked_up: false,
                    });
                }
                if !dropped.is_empty() {
                    continue;
                }
                self.commit(&mut batch, &mut window, true).await?;
                let now = self.stage().service.client.clock().now();
                return self.stage().writer.send(Record::CompleteListing { now }).await;
            }
            if batch.is_due() || (asked.is_empty() && !batch.is_empty()) {
                self.commit(&mut batch, &mut window, false).await?;
                continue;
            }
            tokio::select! {
                Some(ended) = asked.next(), if !asked.is_empty() => {
                    let Some(ended) = ended else { return Ok(()) };
                    if self.is_refused(&ended) {
                        refused.push(ended);
                    } else {
                        batch.add_all(&mut refused, &mut window);
                        batch.add(ended, &mut window);
                    }
                }
                () = tokio::time::sleep_until(batch.due()), if !batch.is_empty() => {}
                () = self.stage().service.control.stopping().cancelled() => return Ok(()),
            }
        }
    }

    /// Looks a line up, and counts it as a straggler while the look-up is slow.
    async fn counted(&self, line: KnownLine, stragglers: &AtomicUsize) -> Option<EndedLine> {
        let asked = std::pin::pin!(self.lines.ask(line));
        match futures::future::select(asked, std::pin::pin!(tokio::time::sleep(SLOW))).await {
            futures::future::Either::Left((ended, _)) => ended,
            futures::future::Either::Right(((), asked)) => {
                stragglers.fetch_add(1, Ordering::Relaxed);
                let ended = asked.await;
                stragglers.fetch_sub(1, Ordering::Relaxed);
                ended
            }
        }
    }

    /// Returns whether the look-up failed like those before it, so that the account may be at fault. Stops the run if too
    /// many failed one after another.
    fn is_refused(&self, ended: &EndedLine) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let code = match &ended.failure {
            Some(failure) if ended.end == End::Failed => failure.code.as_str(),
            _ => {
                failures.end();
                return false;
            }
        };
        let count = failures.failed(code);
        if count < streak::TOO_LONG {
            return true;
        }
        let what = format!("{count} keys in a row could not be looked up: {code}");
        if code == "AccessDenied" || code == "HTTP403" {
            self.stage().service.control.stop(StopReason::LookUpsDenied(what));
        } else if !self.lines.has_found() {
            self.stage()
                .service
                .control
                .stop(StopReason::Breaker(format!("{what}, and none was found")));
        } else {
            return false;
        }
        true
    }

    /// Commits a batch, and empties it.
    async fn commit(
        &self,
        batch: &mut Batch,
        window: &mut Window,
        done: bool,
    ) -> Result<(), Error> {
        let lines = std::mem::take(batch).into_lines(window, done);
        let now = self.stage().service.client.clock().now();
        self.stage().writer.ask(|committed| Record::Lines { lines, now, committed }).await
    }
}
