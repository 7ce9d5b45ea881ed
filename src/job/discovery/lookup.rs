//! Looks up the lines of a list, once they are in the store.
//!
//! Several keys are looked up at the same time, so that one key without an answer does not delay the others. The absence
//! of a key from a list says nothing about the object, so no object is marked as gone because of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::batch::Progress;
use super::line::{End, EndedLine, Lines};
use super::queue::{Queue, Taken};
use super::stage::Discovery;
use super::streak::{self, Streak};
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::writer::Record;
use crate::store::Reader;
use crate::store::compare::KnownLine;
use crate::store::run::{RangeProgress, RangeRow};

/// The number of keys that are looked up at the same time, without the slow ones.
const LOOKUPS: usize = 16;
/// The most slow look-ups that are replaced by further ones.
const STRAGGLERS: usize = 48;
/// A look-up that takes longer than this is slow, and makes room for another one.
const SLOW: Duration = Duration::from_secs(1);

/// A line that was begun.
enum Begun {
    /// It has ended without a look-up.
    Ended(EndedLine),
    /// It needs a look-up.
    MustBeAsked(KnownLine),
}

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
        let ended = ranges.iter().find_map(|range| match range.progress {
            RangeProgress::LookingUp { line } => Some(line),
            _ => None,
        });
        let looked_up = self.look_up(reader, ended.unwrap_or_default()).await;
        self.stage().service.warn_of_lookups();
        self.lines.warn_of_failures();
        looked_up
    }

    /// Looks up the lines after `cursor`, and records the end.
    async fn look_up(&self, reader: Reader, cursor: i64) -> Result<(), Error> {
        let stage = self.stage();
        let stopping = stage.service.control.stopping();
        let mut queue = Queue::after(cursor, reader);
        let mut progress = Progress::after(cursor);
        let stragglers = AtomicUsize::new(0);
        let mut asked = FuturesUnordered::new();
        loop {
            while asked.len() < LOOKUPS + stragglers.load(Ordering::Relaxed).min(STRAGGLERS)
                && progress.has_room()
                && let Some(taken) = queue.next(stage).await?
            {
                match self.begin(taken, &mut progress) {
                    Begun::Ended(ended) => progress.end(ended),
                    Begun::MustBeAsked(line) => asked.push(self.counted(line, &stragglers)),
                }
            }
            if stopping.is_cancelled() {
                return Ok(());
            }
            if asked.is_empty() && queue.is_empty() && !progress.is_full() {
                progress.release();
                if !progress.is_empty() {
                    self.commit(&mut progress, false).await?;
                }
                if queue.add_dropped(stage).await? {
                    continue;
                }
                self.commit(&mut progress, true).await?;
                let now = stage.service.client.clock().now();
                return stage.writer.send(Record::CompleteListing { now }).await;
            }
            if progress.is_due() || (asked.is_empty() && !progress.is_empty()) {
                self.commit(&mut progress, false).await?;
                continue;
            }
            tokio::select! {
                Some(ended) = asked.next(), if !asked.is_empty() => {
                    let Some(ended) = ended else { return Ok(()) };
                    self.note(ended, &mut progress);
                }
                () = tokio::time::sleep_until(progress.due()), if !progress.is_empty() => {}
                () = stopping.cancelled() => return Ok(()),
            }
        }
    }

    /// Begins with a line, which may end without a look-up.
    fn begin(&self, taken: Taken, progress: &mut Progress) -> Begun {
        match taken {
            Taken::New(line) => {
                progress.begin(line.seq);
                match self.lines.without_asking(&line) {
                    Some(ended) => Begun::Ended(ended),
                    None => Begun::MustBeAsked(line),
                }
            }
            Taken::Dropped(line) => Begun::MustBeAsked(line),
        }
    }

    /// Notes the end of a look-up. Lines whose look-ups failed one after another are held back until another line has
    /// ended otherwise: if it is the account that is refused, the run stops, and a later run looks them up again.
    fn note(&self, ended: EndedLine, progress: &mut Progress) {
        if self.is_refused(&ended) {
            progress.hold_back(ended);
        } else {
            progress.release();
            progress.end(ended);
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

    /// Commits the lines that have ended.
    async fn commit(&self, progress: &mut Progress, done: bool) -> Result<(), Error> {
        let lines = progress.take(done);
        let now = self.stage().service.client.clock().now();
        self.stage().writer.ask(|committed| Record::Lines { lines, now, committed }).await
    }
}
