//! Ranges of the key space, page by page, into the store.
//!
//! Each range is one loop of requests; pages go through a bounded channel to the comparing thread, which
//! reads the store's side of the span and hands the writer what is not as it was. The next page may be
//! asked for before the last one is committed; a range's pages stay in their order all the same.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::warn;

use super::Error;
use super::compare::{Compared, Comparison, Merge};
use super::filter::Filter;
use super::pace::Pace;
use super::service::{Recognised, Service};
use super::verdict::{Operation, Stop};
use super::writer::{Record, Writer};
use crate::cos::{ListPage, ListRequest};
use crate::store::Reader;
use crate::store::write::{Page, RangeRow, Reach};

/// Pages between a lister and the comparing thread.
const AHEAD: usize = 4;

/// What listing a bucket or prefix needs.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) service: Arc<Service>,
    pub(super) writer: Writer,
    pub(super) pace: Pace,
    pub(super) filter: Filter,
    pub(super) comparison: Comparison,
    pub(super) bucket_id: i64,
    pub(super) prefix: String,
    /// Whether unchanged objects are looked at one by one.
    pub(super) reconsider: bool,
}

/// A proven page on its way to being compared.
#[derive(Debug)]
struct Listed {
    seq: i64,
    /// The span begins after this key...
    after: String,
    /// ... and ends with this one; `None`: where the prefix ends.
    up_to: Option<String>,
    done: bool,
    page: ListPage,
}

impl Listing {
    /// Lists what is left of the ranges, compares, and records the end of the listing.
    ///
    /// # Errors
    /// The store's, from comparing; what the service says stops the run through its control.
    pub(super) async fn run(self, ranges: Vec<RangeRow>, reader: Reader) -> Result<(), Error> {
        let listing = Arc::new(self);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let comparing = {
            let listing = Arc::clone(&listing);
            tokio::task::spawn_blocking(move || listing.compare(&reader, receiver))
        };
        let open = ranges.into_iter().filter(|range| !range.done);
        let listers = open.map(|range| listing.list(range, sender.clone()));
        let whole = futures::future::join_all(listers).await.into_iter().all(|whole| whole);
        drop(sender);
        comparing.await.map_err(|_| Error::Panicked)??;
        if whole {
            let now = jiff::Timestamp::now().as_second();
            listing.writer.send(Record::Listed { now }).await?;
        }
        Ok(())
    }

    /// Lists one range from its cursor on. Returns whether it came to the range's end.
    async fn list(&self, range: RangeRow, pages: mpsc::Sender<Listed>) -> bool {
        let mut marker = range.cursor;
        loop {
            let request =
                ListRequest { prefix: self.prefix.clone(), marker, ..ListRequest::default() };
            let answer = self.service.ask(Operation::List, &self.pace, async || {
                let page = self.service.client.list(&request).await?;
                page.prove(&request)?;
                // A marker before the page's last key would list that key twice.
                let last = page.entries.last().map(|entry| entry.key.clone());
                let next = page.next(&request.marker)?.max(last.filter(|_| page.is_truncated));
                Ok((page, next))
            });
            let (mut page, next) = match answer.await {
                Some(Ok(answer)) => answer,
                // What is said of one key is no answer to a listing.
                Some(Err(error)) => {
                    self.service.refuse(Stop::Protocol, Operation::List, error);
                    return false;
                }
                None => return false,
            };
            match self.service.recognise(page.emulated) {
                Recognised::Same => {}
                Recognised::First(name) => {
                    if self.writer.send(Record::Recogniser { name }).await.is_err() {
                        return false;
                    }
                }
                Recognised::Other => return false,
            }
            // A range ends with its last key, also if the page goes on.
            let stop_at = range.span.stop_at.as_ref();
            let past = |key: &String| stop_at.is_some_and(|stop| key >= stop);
            let done = next.as_ref().is_none_or(past);
            if let Some(stop) = stop_at {
                page.entries.retain(|entry| entry.key <= *stop);
                page.rejected.retain(|entry| entry.key.as_ref().is_none_or(|key| key <= stop));
            }
            let up_to = if done { stop_at.cloned() } else { next.clone() };
            let listed = Listed { seq: range.seq, after: request.marker, up_to, done, page };
            if pages.send(listed).await.is_err() {
                return false;
            }
            match next {
                Some(next) if !done => marker = next,
                _ => return true,
            }
        }
    }

    /// The comparing thread: pages in, compared pages to the writer.
    fn compare(&self, reader: &Reader, mut pages: mpsc::Receiver<Listed>) -> Result<(), Error> {
        while let Some(listed) = pages.blocking_recv() {
            let page = self.compare_page(reader, listed)?;
            self.writer.blocking_send(Record::Page { page, committed: None })?;
        }
        Ok(())
    }

    fn compare_page(&self, reader: &Reader, listed: Listed) -> Result<Page, Error> {
        let Listed { seq, after, up_to, done, page } = listed;
        for rejected in &page.rejected {
            warn!(key = rejected.shown, reason = rejected.reason, "listed, and cannot be called");
        }
        let rejected = page.rejected.len() as u64;
        let present: Vec<String> =
            page.rejected.into_iter().filter_map(|entry| entry.key).collect();
        let candidates = page.entries.into_iter().map(|entry| self.filter.candidate(entry));
        let mut merge = Merge::new(self.comparison, candidates);
        reader.span(
            self.bucket_id,
            &self.prefix,
            &after,
            up_to.as_deref(),
            self.reconsider,
            |known| {
                let concludes = !present.contains(&known.key);
                merge.known(known, concludes);
            },
        )?;
        let Compared { differences, listed, wanted, skipped } = merge.finish();
        let cursor = up_to.unwrap_or(after);
        Ok(Page {
            reach: Reach { seq, cursor, done },
            differences,
            listed: listed + rejected,
            wanted,
            skipped: skipped.into_iter().collect(),
            rejected,
            list_read: None,
        })
    }
}
