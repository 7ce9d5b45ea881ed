//! Lists of keys and URLs become objects: read into the store first, then looked up line by line.
//!
//! Lines are asked for several at a time and end in any order, so that one key that is not answered holds no other up.
//! What is found is committed as it comes; the cursor, and the counts of lines, follow once all lines before have ended.
//! Nothing is concluded from what a list does not name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::line::{End, EndedLine};
use super::lines::Item;
use super::source::{List, Refused, Source};
use super::stage::Discovery;
use super::streak::{self, Streak};
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::thread::Blocking;
use crate::job::writer::Record;
use crate::store::model::SkipReason;
use crate::store::read::ListedLine;
use crate::store::run::{ListProgress, RangeRow};
use crate::store::turn::{EndedLines, Page, Reach, ReadLine};
use crate::store::{Reader, ident};

/// `range.seq` of reading the list into the store; its cursor counts lines.
pub(crate) const READING: i64 = 0;
/// `range.seq` of looking the lines up; its cursor is the number of the last line up to which all have ended.
pub(crate) const LOOKING_UP: i64 = 1;

/// Lines in one transaction.
const PAGE: u32 = 500;
/// Keys that are asked for the first time, at a time.
const LOOKUPS: usize = 16;
/// Keys that are asked for again, besides, at a time.
const STRAGGLERS: usize = 48;
/// Lines that may have ended after one that has not.
const AHEAD: usize = 50_000;
/// How long what was found may wait for its commit.
const FLUSH: Duration = Duration::from_millis(100);

/// An unfinished run over a list of the same bucket and kind.
#[derive(Debug, Clone)]
pub(crate) struct OtherList {
    pub(crate) run_id: i64,
    /// Whether its list has the same name: the same file, or standard input too.
    pub(crate) has_same_name: bool,
    /// What it works through, to be shown.
    pub(crate) described: String,
    pub(crate) progress: ListProgress,
}

/// What working through a list needs.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) stage: Discovery,
    pub(super) source: Source,
    /// Whether an earlier invocation has begun to read the list.
    is_resumed: bool,
    /// Unfinished runs whose lines this list may have.
    others: Vec<OtherList>,
    /// Whether a key was found in this invocation: then the bucket exists.
    pub(super) found: AtomicBool,
    /// Look-ups that failed one after another.
    failures: Mutex<Streak>,
}

/// What was read of a list, up to its end.
#[derive(Debug)]
struct Whole {
    count: u64,
    hash: i64,
    /// The hash at the line counts that were asked for.
    marks: BTreeMap<u64, i64>,
}

/// Lines that were read, with the number and the hash of all up to and including them.
#[derive(Debug, Default)]
struct Chunk {
    lines: Vec<ReadLine>,
    count: u64,
    hash: i64,
}

impl Lookup {
    /// A look-up of the lines of `source`, which is a list.
    pub(super) fn new(
        stage: Discovery,
        source: Source,
        is_resumed: bool,
        others: Vec<OtherList>,
    ) -> Self {
        let found = AtomicBool::new(false);
        Self { stage, source, is_resumed, others, found, failures: Mutex::default() }
    }

    /// Reads what is left of the list, looks its lines up, and records the end.
    ///
    /// # Errors
    /// A list that cannot be read, and the store's.
    pub(super) async fn run(self, ranges: &[RangeRow], reader: Reader) -> Result<(), Error> {
        let range = |seq| ranges.iter().find(|range| range.seq == seq);
        if let Some(reading) = range(READING).filter(|range| !range.done) {
            let read: u64 = reading.cursor.parse().unwrap_or(0);
            if self.is_resumed {
                let progress =
                    reader.list_hash(self.stage.comparison.run_id)?.map(|hash| (read, hash));
                if !self.go_on_reading(read, progress).await? {
                    return Ok(());
                }
            } else if !self.read(read, None).await? {
                return Ok(());
            }
        }
        let cursor = range(LOOKING_UP).and_then(|range| range.cursor.parse().ok()).unwrap_or(0);
        self.look_up(reader, cursor).await
    }

    /// Goes on with a list whose reading was cut short; returns false if the run stops meanwhile.
    async fn go_on_reading(&self, read: u64, progress: Option<(u64, i64)>) -> Result<bool, Error> {
        let (Source::Keys(list) | Source::Urls(list)) = &self.source else { return Ok(true) };
        if list.file.is_some() {
            return self.read(read, progress).await;
        }
        // What was piped in is gone; what was read of it goes on.
        warn!(
            read,
            "the list came from standard input and was not read to its end: \
            give it again with `costag run` for the rest"
        );
        let hash = progress.map_or(0, |(_, hash)| hash);
        self.keep(Chunk { count: read, hash, lines: Vec::new() }, true).await?;
        Ok(true)
    }

    /// Reads the list into the store after the first `read` lines; returns false if the run stops meanwhile.
    ///
    /// `expected` is the hash that so many first lines must have, if they were read before.
    async fn read(&self, read: u64, expected: Option<(u64, i64)>) -> Result<bool, Error> {
        let (sender, mut chunks) = mpsc::channel::<Chunk>(2);
        let source = self.source.clone();
        let marks = self.others.iter().map(|other| other.progress.read).collect::<Vec<_>>();
        // A thread of its own, and none of the runtime's, which would wait for it at the end: a list that is typed
        // may have no end.
        let reading =
            Blocking::start("list", move || read_list(&source, read, expected, &marks, &sender))?;
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                () = self.stage.service.control.stopping().cancelled() => return Ok(false),
            };
            let Some(chunk) = chunk else { break };
            self.keep(chunk, false).await?;
        }
        let whole = reading.result().await??;
        self.keep(Chunk { count: whole.count, hash: whole.hash, lines: Vec::new() }, true).await?;
        self.compare_lists(&whole).await?;
        Ok(true)
    }

    async fn keep(&self, chunk: Chunk, done: bool) -> Result<(), Error> {
        let Chunk { lines, count, hash } = chunk;
        let reach = Reach { seq: READING, cursor: count.to_string(), done };
        self.stage.writer.ask(|committed| Record::List { lines, hash, reach, committed }).await
    }

    /// Tells the unfinished runs over these very lines from those over others. This run takes the first ones' place;
    /// the others stay.
    async fn compare_lists(&self, whole: &Whole) -> Result<(), Error> {
        if self.is_resumed {
            return Ok(());
        }
        let mut run_ids = Vec::new();
        for other in &self.others {
            let ListProgress { read, whole: is_whole, hash } = other.progress;
            let hash_then = whole.marks.get(&read).copied();
            let all_of_it = !is_whole || read == whole.count;
            if hash.is_some() && hash == hash_then && all_of_it {
                run_ids.push(other.run_id);
                continue;
            }
            let run = other.run_id;
            let edited = other.has_same_name
                && matches!(&self.source, Source::Keys(list) | Source::Urls(list) if list.file.is_some());
            if edited {
                warn!(
                    "the list has other lines than when run {run} read it, so this is a new run; run {run} stays \
                     unfinished with the lines that it has, and `costag resume` goes on with it"
                );
            } else {
                let described = other.described.as_str();
                warn!(
                    "this is another list than that of run {run} ({described}), so this is a new run; run {run} \
                     stays unfinished, and `costag resume` goes on with it"
                );
            }
        }
        if !run_ids.is_empty() {
            self.stage.writer.ask(|committed| Record::TakeOver { run_ids, committed }).await?;
        }
        Ok(())
    }

    /// Looks up what comes after `cursor`, and records the end.
    async fn look_up(&self, mut reader: Reader, cursor: i64) -> Result<(), Error> {
        let mut window = Window { cursor, ends: VecDeque::new() };
        let mut last_read = cursor;
        let mut all_read = false;
        let mut waiting: VecDeque<ListedLine> = VecDeque::new();
        // Ended without a look-up, and need one after all; and the numbers of all that did.
        let mut dropped: VecDeque<ListedLine> = VecDeque::new();
        let mut dropped_before = BTreeSet::new();
        let stragglers = AtomicUsize::new(0);
        let mut asked = FuturesUnordered::new();
        let mut batch = Batch::default();
        // Refused one after another: if it is the account that is refused, they are to be looked up again.
        let mut refused: Vec<EndedLine> = Vec::new();
        loop {
            while asked.len() < LOOKUPS + stragglers.load(Ordering::Relaxed).min(STRAGGLERS)
                && window.ends.len() < AHEAD
            {
                if let Some(line) = dropped.pop_front() {
                    asked.push(self.counted(line, &stragglers));
                    continue;
                }
                if waiting.is_empty() && !all_read {
                    let (run_id, bucket_id) = (self.stage.comparison.run_id, self.stage.bucket_id);
                    let looked = Blocking::start("lines", move || {
                        (reader.listed_lines(run_id, bucket_id, last_read, PAGE), reader)
                    })?;
                    let (found, back) = looked.result().await?;
                    reader = back;
                    waiting.extend(found?);
                    all_read = waiting.is_empty();
                    last_read = waiting.back().map_or(last_read, |line| line.seq);
                }
                let Some(line) = waiting.pop_front() else { break };
                window.begin(line.seq);
                match self.without_asking(&line) {
                    Some(ended) => batch.add(ended, &mut window),
                    None => asked.push(self.counted(line, &stragglers)),
                }
                if batch.is_full() {
                    break;
                }
            }
            if self.stage.service.control.is_stopping() {
                return Ok(());
            }
            if asked.is_empty() && !batch.is_full() && waiting.is_empty() && all_read {
                batch.add_all(&mut refused, &mut window);
                if !batch.is_empty() {
                    self.commit(&mut batch, &mut window, false).await?;
                }
                let lines = self.stage.writer.ask(|reply| Record::DroppedLines { reply }).await?;
                let lines = lines.into_iter().filter(|(seq, _)| dropped_before.insert(*seq));
                for (seq, item) in lines.collect::<Vec<_>>() {
                    let known = reader.known(self.stage.bucket_id, &item)?;
                    dropped.push_back(ListedLine {
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
                let now = self.stage.service.client.clock().now();
                return self.stage.writer.send(Record::Listed { now }).await;
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
                () = self.stage.service.control.stopping().cancelled() => return Ok(()),
            }
        }
    }

    /// Asks about a line, and counts it as a straggler while it takes long.
    async fn counted(&self, line: ListedLine, stragglers: &AtomicUsize) -> Option<EndedLine> {
        let asked = std::pin::pin!(self.ask(line));
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

    /// Whether the look-up failed as those before it, which may be the account's fault; stops the run once too many did,
    /// one after another.
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
            self.stage.service.control.stop(StopReason::LookUpsDenied(what));
        } else if !self.found.load(Ordering::Relaxed) {
            self.stage
                .service
                .control
                .stop(StopReason::Breaker(format!("{what}, and none was found")));
        } else {
            return false;
        }
        true
    }

    async fn commit(
        &self,
        batch: &mut Batch,
        window: &mut Window,
        done: bool,
    ) -> Result<(), Error> {
        let lines = std::mem::take(batch).lines(window, done);
        let now = self.stage.service.client.clock().now();
        self.stage.writer.ask(|committed| Record::Lines { lines, now, committed }).await
    }
}

/// A look-up that takes longer than this makes room for another one.
const SLOW: Duration = Duration::from_secs(1);

/// The lines from the first one that has not ended.
#[derive(Debug)]
struct Window {
    /// The last line up to which all have ended.
    cursor: i64,
    ends: VecDeque<(i64, Option<End>)>,
}

impl Window {
    fn begin(&mut self, seq: i64) {
        self.ends.push_back((seq, None));
    }

    /// Notes how a line has ended; false if it had ended before, and was passed.
    fn end(&mut self, seq: i64, end: End) -> bool {
        match self.ends.binary_search_by_key(&seq, |(seq, _)| *seq) {
            Ok(at) => {
                self.ends[at].1 = Some(end);
                true
            }
            Err(_) => false,
        }
    }

    /// The next line in order, if it has ended.
    fn pass(&mut self) -> Option<End> {
        let end = self.ends.front()?.1?;
        self.cursor = self.ends.pop_front().map_or(self.cursor, |(seq, _)| seq);
        Some(end)
    }
}

/// Lines that have ended since the last commit.
#[derive(Debug, Default)]
struct Batch {
    ended: Vec<EndedLine>,
    since: Option<Instant>,
    /// Of lines that were counted as wanted before: how they have ended instead.
    unwanted: Vec<End>,
}

impl Batch {
    fn add(&mut self, ended: EndedLine, window: &mut Window) {
        if !window.end(ended.seq, ended.end) && ended.end != End::Wanted {
            self.unwanted.push(ended.end);
        }
        self.since.get_or_insert_with(Instant::now);
        self.ended.push(ended);
    }

    fn add_all(&mut self, ended: &mut Vec<EndedLine>, window: &mut Window) {
        for ended in ended.drain(..) {
            self.add(ended, window);
        }
    }

    fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    fn is_full(&self) -> bool {
        self.ended.len() >= PAGE as usize
    }

    fn due(&self) -> Instant {
        self.since.map_or_else(Instant::now, |since| since + FLUSH)
    }

    fn is_due(&self) -> bool {
        self.is_full() || self.since.is_some_and(|since| since.elapsed() >= FLUSH)
    }

    /// As the store takes them, with the counts of all lines that the cursor passes now.
    fn lines(self, window: &mut Window, done: bool) -> EndedLines {
        let mut lines = EndedLines {
            page: Page {
                reach: Reach { seq: LOOKING_UP, cursor: String::new(), done },
                differences: Vec::new(),
                listed: 0,
                wanted: 0,
                skipped: Vec::new(),
                rejected: 0,
            },
            failures: Vec::new(),
            found: Vec::new(),
            failed: 0,
            missing: 0,
            unwanted: self.unwanted.len() as u64,
        };
        for EndedLine { difference, failure, found, .. } in self.ended {
            lines.page.differences.extend(difference);
            lines.failures.extend(failure);
            lines.found.extend(found);
        }
        let mut skipped: BTreeMap<SkipReason, u64> = BTreeMap::new();
        let mut passed = Vec::new();
        while let Some(end) = window.pass() {
            lines.page.listed += 1;
            passed.push(end);
        }
        for end in passed.into_iter().chain(self.unwanted) {
            match end {
                End::Wanted => lines.page.wanted += 1,
                End::Skipped(reason) => *skipped.entry(reason).or_default() += 1,
                End::Failed => lines.failed += 1,
                End::Missing => lines.missing += 1,
            }
        }
        lines.page.skipped = skipped.into_iter().collect();
        lines.page.reach.cursor = window.cursor.to_string();
        lines
    }
}

/// Sends the list in chunks, without the first `read` items.
fn read_list(
    source: &Source,
    read: u64,
    expected: Option<(u64, i64)>,
    marks: &[u64],
    chunks: &mpsc::Sender<Chunk>,
) -> Result<Whole, Error> {
    type Items = Box<dyn Iterator<Item = Result<Item, super::source::Error>>>;
    let (list, items): (&List, Items) = match source {
        Source::Bucket { .. } => {
            return Ok(Whole { count: 0, hash: 0, marks: BTreeMap::new() });
        }
        Source::Keys(list) => (list, Box::new(list.keys()?)),
        Source::Urls(list) => (list, list.urls()?),
    };
    let edited = || super::source::Error::Edited { name: list.name() };
    let mut refused = Refused::default();
    let mut comments = 0_u64;
    let mut whole = Whole { count: 0, hash: 0, marks: BTreeMap::new() };
    whole.marks.extend(marks.contains(&0).then_some((0, 0)));
    let mut lines = Vec::new();
    for item in items {
        let (item, fault) = match item? {
            Item::Text(item) => (item, None),
            Item::Faulty { shown, fault } => (shown, Some(fault.to_owned())),
            Item::Comment => {
                comments += 1;
                continue;
            }
            item @ Item::NotUrl { .. } => {
                refused.look_at(&item);
                continue;
            }
        };
        if refused.any() {
            continue;
        }
        whole.count += 1;
        whole.hash = ident::hash_lines(whole.hash, &item);
        if marks.contains(&whole.count) {
            whole.marks.insert(whole.count, whole.hash);
        }
        if expected.is_some_and(|(count, hash)| count == whole.count && hash != whole.hash) {
            return Err(edited().into());
        }
        if whole.count <= read {
            continue;
        }
        let seq = i64::try_from(whole.count).unwrap_or(i64::MAX);
        lines.push(ReadLine { seq, item, fault });
        if lines.len() == PAGE as usize {
            let (count, hash) = (whole.count, whole.hash);
            let chunk = Chunk { lines: std::mem::take(&mut lines), count, hash };
            if chunks.blocking_send(chunk).is_err() {
                return Ok(whole);
            }
        }
    }
    refused.end(list)?;
    if expected.is_some_and(|(count, _)| count > whole.count) {
        return Err(edited().into());
    }
    if comments > 0 {
        warn!(comments, "lines of the list that begin with # are comments, and are passed over");
    }
    if !lines.is_empty() {
        let _ = chunks.blocking_send(Chunk { lines, count: whole.count, hash: whole.hash });
    }
    Ok(whole)
}
