//! Reads a list of keys or URLs into the store.
//!
//! The store keeps a hash of the lines read so far. A resumed run compares it with the file, so that an edited list is
//! noticed. A new run compares it with the lists of unfinished runs, and replaces those that have the same lines.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tracing::warn;

use super::lines::Item;
use super::source::{self, List, Refused, Source};
use super::stage::Discovery;
use crate::job::Error;
use crate::job::thread::Blocking;
use crate::job::writer::Record;
use crate::store::run::{ListProgress, READING, RangeProgress, RangeRow};
use crate::store::turn::{Reach, ReadLine};
use crate::store::{Reader, ident};

/// The number of lines in one transaction.
const CHUNK: usize = 500;

/// An unfinished run over a list of the same bucket and kind.
#[derive(Debug, Clone)]
pub(crate) struct OtherList {
    pub(crate) run_id: i64,
    /// Whether its list has the same name as this run's list: the same file, or standard input.
    pub(crate) has_same_name: bool,
    /// The list's name, for messages.
    pub(crate) described: String,
    pub(crate) progress: ListProgress,
}

/// Reads the list of a run.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) stage: &'a Discovery,
    pub(super) source: &'a Source,
    /// Whether an earlier invocation has begun to read the list.
    pub(super) is_resumed: bool,
    /// Unfinished runs over lists that may turn out to have the same lines.
    pub(super) others: Vec<OtherList>,
}

/// A list that was read to its end.
#[derive(Debug)]
struct Whole {
    /// The number of its lines.
    count: u64,
    /// The hash of all lines.
    hash: i64,
    /// The hashes of the first lines. The key is the number of lines; only the numbers that were asked for are here.
    marks: BTreeMap<u64, i64>,
}

/// Consecutive lines of a list.
#[derive(Debug, Default)]
struct Chunk {
    lines: Vec<ReadLine>,
    /// The number of lines up to and including these.
    count: u64,
    /// The hash of all lines up to and including these.
    hash: i64,
}

impl Reading<'_> {
    /// Reads what is left of the list. Returns `false` if the run stops meanwhile.
    ///
    /// # Errors
    /// A list that cannot be read, or an error of the store.
    pub(super) async fn run(self, ranges: &[RangeRow], reader: &Reader) -> Result<bool, Error> {
        let unread =
            ranges.iter().filter(|range| !range.done).find_map(|range| match range.progress {
                RangeProgress::Reading { lines } => Some(lines),
                _ => None,
            });
        let Some(read) = unread else { return Ok(true) };
        if !self.is_resumed {
            return self.read(read, None).await;
        }
        let hash = reader.list_hash(self.stage.comparison.run_id)?;
        self.continue_reading(read, hash.map(|hash| (read, hash))).await
    }

    /// Resumes the reading of a list. Returns `false` if the run stops meanwhile.
    async fn continue_reading(
        &self,
        read: u64,
        progress: Option<(u64, i64)>,
    ) -> Result<bool, Error> {
        let (Source::Keys(list) | Source::Urls(list)) = &self.source else { return Ok(true) };
        if list.file.is_some() {
            return self.read(read, progress).await;
        }
        // Standard input cannot be read again, so the run continues with the lines that are in the store.
        warn!(
            read,
            "the list came from standard input and was not read to its end: \
            give it to a new run for the rest"
        );
        let hash = progress.map_or(0, |(_, hash)| hash);
        self.store(Chunk { count: read, hash, lines: Vec::new() }, true).await?;
        Ok(true)
    }

    /// Reads the list into the store, without its first `read` lines. Returns `false` if the run stops meanwhile.
    ///
    /// `expected` is a number of lines, and the hash that this many first lines had when they were read before.
    async fn read(&self, read: u64, expected: Option<(u64, i64)>) -> Result<bool, Error> {
        let (sender, mut chunks) = mpsc::channel::<Chunk>(2);
        let source = self.source.clone();
        let marks = self.others.iter().map(|other| other.progress.read).collect::<Vec<_>>();
        // The runtime would wait for a thread of its own pool when it ends, but a list that is typed on a terminal may
        // never end.
        let reading =
            Blocking::start("list", move || read_list(&source, read, expected, &marks, &sender))?;
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                () = self.stage.service.control.stopping().cancelled() => return Ok(false),
            };
            let Some(chunk) = chunk else { break };
            self.store(chunk, false).await?;
        }
        let whole = reading.result().await??;
        self.store(Chunk { count: whole.count, hash: whole.hash, lines: Vec::new() }, true).await?;
        self.compare_lists(&whole).await?;
        Ok(true)
    }

    /// Stores lines, and how far the list is read. Returns once they are committed.
    async fn store(&self, chunk: Chunk, done: bool) -> Result<(), Error> {
        let Chunk { lines, count, hash } = chunk;
        let reach = Reach { seq: READING, progress: RangeProgress::Reading { lines: count }, done };
        self.stage.writer.ask(|committed| Record::List { lines, hash, reach, committed }).await
    }

    /// Compares the list with those of unfinished runs. This run replaces the runs over the same lines; runs over other
    /// lines stay unfinished.
    async fn compare_lists(&self, whole: &Whole) -> Result<(), Error> {
        if self.is_resumed {
            return Ok(());
        }
        let mut run_ids = Vec::new();
        for other in &self.others {
            let ListProgress { read, whole: is_whole, hash } = other.progress;
            let hash_then = whole.marks.get(&read).copied();
            let is_all_of_it = !is_whole || read == whole.count;
            if hash.is_some() && hash == hash_then && is_all_of_it {
                run_ids.push(other.run_id);
                continue;
            }
            let run = other.run_id;
            let is_edited = other.has_same_name
                && matches!(&self.source, Source::Keys(list) | Source::Urls(list) if list.file.is_some());
            if is_edited {
                warn!(
                    "the list has other lines than when run {run} read it, so this is a new run; run {run} stays \
                     unfinished with the lines that it has, and can be resumed"
                );
            } else {
                let described = other.described.as_str();
                warn!(
                    "this is another list than that of run {run} ({described}), so this is a new run; run {run} \
                     stays unfinished, and can be resumed"
                );
            }
        }
        if !run_ids.is_empty() {
            self.stage.writer.ask(|committed| Record::TakeOver { run_ids, committed }).await?;
        }
        Ok(())
    }
}

/// Sends the list in chunks, without its first `read` lines. Runs in a thread of its own.
fn read_list(
    source: &Source,
    read: u64,
    expected: Option<(u64, i64)>,
    marks: &[u64],
    chunks: &mpsc::Sender<Chunk>,
) -> Result<Whole, Error> {
    type Items = Box<dyn Iterator<Item = Result<Item, source::Error>>>;
    let (list, items): (&List, Items) = match source {
        Source::Bucket { .. } => {
            return Ok(Whole { count: 0, hash: 0, marks: BTreeMap::new() });
        }
        Source::Keys(list) => (list, list.keys()?),
        Source::Urls(list) => (list, list.urls()?),
    };
    let edited = || source::Error::Edited { name: list.name() };
    let mut refused = Refused::default();
    let mut comments = 0_u64;
    let mut whole = Whole { count: 0, hash: 0, marks: BTreeMap::new() };
    whole.marks.extend(marks.contains(&0).then_some((0, 0)));
    let mut lines = Vec::new();
    for item in items {
        let (item, fault, facts) = match item? {
            Item::Text(item) => (item, None, None),
            Item::Listed { key, facts } => (key, None, Some(facts)),
            Item::Faulty { shown, fault } => (shown, Some(fault.to_owned()), None),
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
        whole.hash = match &facts {
            None => ident::hash_lines(whole.hash, &item),
            // Another inventory may have the same keys with other bytes, which makes it another list.
            Some(facts) => {
                ident::hash_lines(whole.hash, &format!("{item}\0{}\0{}", facts.etag, facts.size))
            }
        };
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
        lines.push(ReadLine { seq, item, fault, facts });
        if lines.len() == CHUNK {
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
        warn!(comments, "lines of the list that begin with # are comments and are skipped");
    }
    if !lines.is_empty() {
        let _ = chunks.blocking_send(Chunk { lines, count: whole.count, hash: whole.hash });
    }
    Ok(whole)
}
