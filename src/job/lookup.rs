//! Lists of keys and URLs become objects: read into the store, then looked up, page by page.
//!
//! Nothing is concluded from what a list does not name.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::Error;
use super::breaker::Row;
use super::caller::code;
use super::compare::Comparison;
use super::control::StopReason;
use super::filter::Filter;
use super::pace::Pace;
use super::service::Service;
use super::source::{Item, Source};
use super::verdict::{GiveUp, Operation, Verdict, verdict};
use super::writer::{Record, Writer};
use crate::cos;
use crate::store::model::SkipReason;
use crate::store::read::Known;
use crate::store::write::{Candidate, Difference, Page, RangeRow, Reach};
use crate::store::{Reader, ident};

/// `range.seq` of reading the list into the store; its cursor counts lines.
pub(super) const READING: i64 = 0;
/// `range.seq` of looking the lines up; its cursor is the number of the last line.
pub(super) const LOOKING_UP: i64 = 1;

/// Lines in one transaction.
const PAGE: u32 = 500;
/// HEAD requests at a time.
const LOOKUPS: usize = 16;

/// What working through a list needs.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) service: Arc<Service>,
    pub(super) writer: Writer,
    pub(super) pace: Pace,
    pub(super) filter: Filter,
    pub(super) comparison: Comparison,
    pub(super) run_id: i64,
    pub(super) bucket_id: i64,
    pub(super) source: Source,
    /// Whether this goes on with a run.
    pub(super) resumed: bool,
    /// Whether a key was found in this invocation: then the bucket exists.
    pub(super) found: AtomicBool,
    /// Look-ups that failed in a row.
    pub(super) row: Row,
}

impl Lookup {
    /// Reads what is left of the list, looks its lines up, and records the end.
    ///
    /// # Errors
    /// A list that cannot be read, and the store's.
    pub(super) async fn run(self, ranges: &[RangeRow], reader: Reader) -> Result<(), Error> {
        let range = |seq| ranges.iter().find(|range| range.seq == seq);
        if let Some(reading) = range(READING).filter(|range| !range.done) {
            let read: u64 = reading.cursor.parse().unwrap_or(0);
            let from_stdin = matches!(&self.source, Source::Keys(list) | Source::Urls(list)
                if list.file.is_none());
            if self.resumed && from_stdin {
                // What was piped in is gone; what was read of it goes on.
                warn!(
                    read,
                    "the list came from standard input and was not read to its end: \
                    give it again with `costag run` for the rest"
                );
                let reach = Reach { seq: READING, cursor: read.to_string(), done: true };
                let items = Vec::new();
                self.writer.ask(|committed| Record::List { items, reach, committed }).await?;
            } else if !self.read(read).await? {
                return Ok(());
            }
        }
        let mut cursor: i64 =
            range(LOOKING_UP).and_then(|range| range.cursor.parse().ok()).unwrap_or(0);
        let mut reader = reader;
        loop {
            if self.service.control.is_stopping() {
                return Ok(());
            }
            let (run_id, bucket_id) = (self.run_id, self.bucket_id);
            let (found, back) = tokio::task::spawn_blocking(move || {
                let found = known_lines(&reader, run_id, bucket_id, cursor);
                (found, reader)
            })
            .await
            .map_err(|_| Error::Panicked)?;
            reader = back;
            let found = found?;
            let done = found.is_empty();
            cursor = found.last().map_or(cursor, |(seq, _, _)| *seq);
            let Some(mut page) = self.look_up(found).await else { return Ok(()) };
            page.reach = Reach { seq: LOOKING_UP, cursor: cursor.to_string(), done };
            self.writer.ask(|committed| Record::Page { page, committed: Some(committed) }).await?;
            if done {
                let now = self.service.client.clock().now();
                return self.writer.send(Record::Listed { now }).await;
            }
        }
    }

    /// Reads the list into the store after the first `read` lines; false if the run stops meanwhile.
    async fn read(&self, read: u64) -> Result<bool, Error> {
        let (sender, mut chunks) = mpsc::channel::<Vec<String>>(2);
        let source = self.source.clone();
        // A thread of its own, and none of the runtime's, which would wait for it at the end: a list that is typed
        // may have no end.
        let (end, reading) = oneshot::channel();
        std::thread::Builder::new()
            .name("list".to_owned())
            .spawn(move || drop(end.send(read_list(&source, read, &sender))))
            .map_err(Error::Thread)?;
        let mut count = read;
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                () = self.service.control.stopping().cancelled() => return Ok(false),
            };
            let Some(items) = chunk else { break };
            count += items.len() as u64;
            let reach = Reach { seq: READING, cursor: count.to_string(), done: false };
            self.writer.ask(|committed| Record::List { items, reach, committed }).await?;
        }
        reading.await.map_err(|_| Error::Panicked)??;
        let reach = Reach { seq: READING, cursor: count.to_string(), done: true };
        self.writer.ask(|committed| Record::List { items: Vec::new(), reach, committed }).await?;
        Ok(true)
    }

    /// What the lines of one page are; `None` if the run stops.
    async fn look_up(&self, lines: Vec<(i64, String, Option<Known>)>) -> Option<Page> {
        let mut seen = HashSet::new();
        let mut page = Page {
            reach: Reach { seq: LOOKING_UP, cursor: String::new(), done: false },
            differences: Vec::new(),
            listed: lines.len() as u64,
            wanted: 0,
            skipped: Vec::new(),
            rejected: 0,
        };
        let distinct = lines
            .into_iter()
            .filter(|(_, item, _)| seen.insert(item.clone()))
            .map(|(_, item, known)| self.line(item, known));
        let mut looked_up = stream::iter(distinct).buffered(LOOKUPS);
        while let Some(line) = looked_up.next().await {
            let line = line?;
            match &line {
                Line::Refused(code) => self.refused(code),
                Line::Difference(_) | Line::Absent => self.row.ended(),
                Line::Same => {}
            }
            let difference = match line {
                Line::Same => {
                    page.wanted += 1;
                    continue;
                }
                Line::Absent => continue,
                Line::Refused(_) => {
                    page.rejected += 1;
                    continue;
                }
                Line::Difference(difference) => difference,
            };
            match &difference {
                Difference::New(candidate)
                | Difference::Changed { candidate, .. }
                | Difference::Reconsider { candidate, .. } => match candidate.skip {
                    Some(reason) => page.skipped.push((reason, 1)),
                    None => page.wanted += 1,
                },
                Difference::Listed { .. } => page.wanted += 1,
                Difference::Missing { .. } | Difference::Gone { .. } => {}
            }
            page.differences.push(difference);
        }
        Some(page)
    }

    /// What one line is; `None` if the run stops.
    async fn line(&self, item: String, known: Option<Known>) -> Option<Line> {
        let present = known.as_ref().filter(|known| !known.gone);
        if let Some(Known {
            object_id, content_id: Some(content_id), standing, skip_reason, ..
        }) = present
        {
            // What a listing skips by its settings is no matter here; the rest is looked at again.
            let skip = skip_reason.as_deref().and_then(SkipReason::from_name);
            let by_settings = skip.is_none_or(is_by_settings);
            if by_settings {
                let needs = standing.is_none_or(|standing| self.comparison.needs(standing));
                let listed = Difference::Listed { object_id: *object_id, content_id: *content_id };
                let news = needs || skip.is_some();
                return Some(if news { Line::Difference(listed) } else { Line::Same });
            }
        }
        if matches!(self.source, Source::Urls(_)) {
            return Some(Line::Difference(difference(known.as_ref(), url_candidate(item))));
        }
        if !crate::cos::addressable(&item) {
            let entry = crate::cos::ObjectEntry { key: item, ..Default::default() };
            return Some(Line::Difference(difference(
                known.as_ref(),
                self.filter.candidate(entry),
            )));
        }
        let client = &self.service.client;
        let answer = self
            .service
            .ask(Operation::Head, &self.pace, async || {
                client.look_up(&item, self.found.load(Ordering::Relaxed)).await
            })
            .await?;
        let error = match answer {
            Ok(entry) => {
                self.found.store(true, Ordering::Relaxed);
                let candidate = self.filter.candidate(entry);
                return Some(Line::Difference(difference(known.as_ref(), candidate)));
            }
            Err(error) => error,
        };
        warn!(key = %item.escape_debug(), error = %error.message(), "cannot be looked up");
        Some(match known {
            _ if !self.is_missing(&error) => Line::Refused(code(&error)),
            Some(Known { object_id, content_id, gone: false, .. }) => {
                Line::Difference(Difference::Gone { object_id, content_id })
            }
            Some(_) => Line::Absent,
            None => Line::Difference(Difference::Missing { key: item }),
        })
    }
}

impl Lookup {
    /// Whether the error says that the key is not there. Without a code, "not found" can mean the bucket, unless a key
    /// of it was found.
    fn is_missing(&self, error: &cos::Error) -> bool {
        let gone = matches!(verdict(Operation::Head, true, error), Verdict::GiveUp(GiveUp::Gone));
        gone && (error.code().is_some() || self.found.load(Ordering::Relaxed))
    }

    /// Stops the run if all look-ups are refused.
    fn refused(&self, code: &str) {
        let Some(count) = self.row.failed(code) else { return };
        let denied = code == "AccessDenied" || code == "HTTP403";
        if denied {
            let what = format!("{count} keys in a row could not be looked up: {code}");
            self.service.control.stop(StopReason::LookUpsDenied(what));
        } else if !self.found.load(Ordering::Relaxed) {
            let what =
                format!("{count} keys in a row could not be looked up: {code}, and none before");
            self.service.control.stop(StopReason::Breaker(what));
        }
    }
}

/// What a line of the list came to.
enum Line {
    /// As the store knows it.
    Same,
    /// Not there, as the store knows.
    Absent,
    /// It cannot be looked up, for this reason.
    Refused(String),
    /// Something for the store.
    Difference(Difference),
}

fn is_by_settings(reason: SkipReason) -> bool {
    use SkipReason::{Excluded, NotIncluded, Suffix, TooLarge, TooSmall};
    matches!(reason, Excluded | NotIncluded | Suffix | TooLarge | TooSmall)
}

fn difference(known: Option<&Known>, candidate: Candidate) -> Difference {
    match known {
        None => Difference::New(candidate),
        Some(&Known { object_id, content_id, gone, fingerprint, .. }) => {
            if gone || fingerprint != candidate.fingerprint {
                Difference::Changed { object_id, content_id, returned: gone, candidate }
            } else {
                Difference::Reconsider { object_id, content_id, candidate }
            }
        }
    }
}

/// A URL is all that is known of its image.
fn url_candidate(url: String) -> Candidate {
    Candidate {
        key: url,
        etag: String::new(),
        size: None,
        last_modified: None,
        storage_class: String::new(),
        skip: None,
        fingerprint: ident::fingerprint("", Some(0), "", None),
    }
}

/// The next lines of the list, with what the store knows of each.
fn known_lines(
    reader: &Reader,
    run_id: i64,
    bucket_id: i64,
    cursor: i64,
) -> Result<Vec<(i64, String, Option<Known>)>, crate::store::Error> {
    let lines = reader.list_items(run_id, cursor, PAGE)?;
    lines
        .into_iter()
        .map(|(seq, item)| {
            let known = reader.known(bucket_id, &item)?;
            Ok((seq, item, known))
        })
        .collect()
}

/// Sends the list in chunks, without the first `read` items.
fn read_list(source: &Source, read: u64, chunks: &mpsc::Sender<Vec<String>>) -> Result<(), Error> {
    let items: Box<dyn Iterator<Item = Result<Item, super::source::Error>>> = match source {
        Source::Bucket { .. } => return Ok(()),
        Source::Keys(list) => Box::new(list.keys()?),
        Source::Urls(list) => list.urls()?,
    };
    let mut chunk = Vec::with_capacity(PAGE as usize);
    let mut skip = read;
    for item in items {
        let item = match item? {
            Item::Item(item) => item,
            Item::NotUtf8 { line } => {
                warn!(line, "this line of the list is not UTF-8: nothing in COS has such a name");
                continue;
            }
        };
        if skip > 0 {
            skip -= 1;
            continue;
        }
        chunk.push(item);
        if chunk.len() == PAGE as usize && chunks.blocking_send(std::mem::take(&mut chunk)).is_err()
        {
            return Ok(());
        }
    }
    if !chunk.is_empty() {
        let _ = chunks.blocking_send(chunk);
    }
    Ok(())
}
