//! Ranges of the key space, page by page, into the store.
//!
//! Each range is one loop of requests; pages go through a bounded channel to the comparing thread, which
//! reads the store's side of the span and hands the writer what is not as it was. A lister asks for its next
//! page while its last one is being committed, and keeps it until that is done: a kill costs at most one page a
//! range, and pages wait for the writer one a lister.

use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{debug, warn};

use super::beside;
use super::compare::{Compared, Merge};
use super::page_size::PageSize;
use super::ranges::{Ranges, Split, SplitSearch, Splittable, Taken};
use super::stage::Discovery;
use super::unmatched::Unmatched;
use crate::cos::list::{StuckListing, Unproven};
use crate::cos::{self, ListPage, ListRequest};
use crate::job::Error;
use crate::job::control::StopReason;
use crate::job::service::client::Recognised;
use crate::job::thread::Blocking;
use crate::job::verdict::{Operation, Stop};
use crate::job::writer::Record;
use crate::store::Reader;
use crate::store::run::RangeRow;
use crate::store::turn::{Page, Reach};

/// Pages between the listers and the comparing thread.
const AHEAD: usize = 4;

/// Pages without a key that are followed in a row: a listing that never ends may send them for ever.
const EMPTY: u32 = 100;

/// What listing a bucket or prefix needs.
#[derive(Debug)]
pub(super) struct Listing {
    stage: Discovery,
    bucket: String,
    prefix: String,
    /// The number of ranges that are listed side by side.
    workers: usize,
    /// Whether unchanged objects are compared one by one.
    reconsider: bool,
    /// Whether an earlier invocation may have listed a part of the bucket.
    is_resumed: bool,
    page_size: PageSize,
}

/// A proven page on its way to being compared.
#[derive(Debug)]
struct ProvenPage {
    seq: i64,
    /// The span begins after this key...
    after: String,
    /// ... and ends with this one; `None`: where the prefix ends.
    up_to: Option<String>,
    done: bool,
    page: ListPage,
    absent: Absent,
    /// Told once the page is in the store.
    committed: oneshot::Sender<()>,
}

/// What a page says of keys that it does not have.
#[derive(Debug)]
enum Absent {
    /// Nothing: it goes on, and none of its keys could be read.
    Nothing,
    /// Up to and including this key they are gone; `None`: to where the prefix ends.
    UpTo(Option<String>),
}

impl Listing {
    /// A listing of the objects whose key starts with `prefix`.
    pub(super) fn new(
        stage: Discovery,
        bucket: String,
        prefix: String,
        workers: usize,
        reconsider: bool,
        is_resumed: bool,
    ) -> Self {
        let page_size = PageSize::default();
        Self { stage, bucket, prefix, workers, reconsider, is_resumed, page_size }
    }

    /// Lists what is left of the ranges, compares, and records the end of the listing.
    ///
    /// # Errors
    /// The store's, from comparing; what the service says stops the run through its control.
    pub(super) async fn run(self, ranges: Vec<RangeRow>, reader: Reader) -> Result<(), Error> {
        let listing = Arc::new(self);
        let ranges = Ranges::new(ranges, listing.workers);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let comparing = {
            let listing = Arc::clone(&listing);
            Blocking::start("compare", move || {
                let compared = listing.compare(&reader, receiver);
                // Listers with nothing to list wait for the others, who have nowhere to send to.
                if compared.is_err() {
                    listing.stage.service.control.stop(StopReason::Internal);
                }
                compared
            })?
        };
        let moved = Notify::new();
        let listers = (0..listing.workers).map(|_| listing.lister(&ranges, &moved, sender.clone()));
        join_all(listers).await;
        drop(sender);
        let listed = comparing.result().await??;
        if ranges.are_done() {
            let Discovery { service, unmatched, .. } = &listing.stage;
            if listed == 0 && !listing.is_resumed && !listing.prefix.is_empty() {
                let names = beside::look(&service.client, &service.control, &listing.prefix).await;
                unmatched.keep_beside(names);
            }
            let now = service.client.clock().now();
            listing.stage.writer.send(Record::CompleteListing { now }).await?;
        }
        Ok(())
    }

    /// One lister: takes ranges as long as there are any; with none to take it splits one that is listed.
    async fn lister(&self, ranges: &Ranges, moved: &Notify, pages: mpsc::Sender<ProvenPage>) {
        let mut uncommitted = None;
        while !self.stage.service.control.is_stopping() {
            if let Some(range) = ranges.take() {
                let whole = self.list(ranges, range, moved, &pages, &mut uncommitted).await;
                moved.notify_waiters();
                if !whole {
                    return;
                }
                continue;
            }
            let news = moved.notified();
            if ranges.are_done() {
                return;
            }
            match ranges.splittable() {
                Some(range) => {
                    if self.split(ranges, range).await.is_err() {
                        return;
                    }
                    moved.notify_waiters();
                }
                None => {
                    tokio::select! {
                        () = news => {}
                        () = self.stage.service.control.stopping().cancelled() => {}
                    }
                }
            }
        }
    }

    /// Looks for points to split a range at, and makes it several. Not found is no error.
    async fn split(&self, ranges: &Ranges, range: Splittable) -> Result<(), Error> {
        let mut search = SplitSearch::new(&range.marker, range.stop_at);
        loop {
            let points = search.points(range.width);
            if points.is_empty() {
                break;
            }
            let questions = points.into_iter().map(|point| self.first_after(point));
            let answers = join_all(questions).await;
            let Some(answers) = answers.into_iter().collect::<Option<Vec<_>>>() else { break };
            search.answer(&answers);
        }
        let splits = ranges.split(range.seq, search.found());
        // In this order, and before any page that a split has cut short: a range that ends at its new end must not be
        // done in the store while what lies behind that is nobody's.
        let records = splits.iter().map(|split| {
            let Split { seq, new_seq, ref span } = *split;
            debug!(seq, new_seq, at = %span.start_after.escape_debug(), "range split");
            let span = span.clone();
            self.stage.writer.ask(move |committed| Record::Split { seq, new_seq, span, committed })
        });
        try_join_all(records).await?;
        for split in &splits {
            ranges.release(split.new_seq);
        }
        Ok(())
    }

    /// The first key after a point, if there is any; `None` if that is not to be had.
    async fn first_after(&self, marker: String) -> Option<Option<String>> {
        let prefix = self.prefix.clone();
        let request = ListRequest { prefix, marker, max_keys: 1, ..ListRequest::default() };
        let (page, _) = self.page(&request).await?.ok()?;
        let entry = page.entries.into_iter().next().map(|entry| entry.key);
        Some(entry.or_else(|| page.rejected.into_iter().next().and_then(|entry| entry.key)))
    }

    /// One page, proven, and the marker of the next; `None` if the run stops.
    async fn page(
        &self,
        request: &ListRequest,
    ) -> Option<Result<(ListPage, Option<String>), cos::Error>> {
        let asked = self.stage.service.ask(Operation::List, &self.stage.pace, async || {
            let client = &self.stage.service.client;
            let max_keys = request.max_keys.min(self.page_size.get());
            let request = ListRequest { max_keys, ..request.clone() };
            let page = client.list(&request).await;
            let page = page.inspect_err(|error| self.page_size.failed(max_keys, error))?;
            self.page_size.came(max_keys);
            let next =
                self.prove(&page, &request).map_err(|error| client.without_secrets(error))?;
            Ok((page, next))
        });
        asked.await
    }

    /// Checks that the page answers the request; returns the marker of the next one.
    fn prove(&self, page: &ListPage, request: &ListRequest) -> Result<Option<String>, cos::Error> {
        page.prove(request)?;
        // A forgotten endpoint would file one bucket's objects under another one's name.
        if let Some(echo) = page.name.clone().filter(|name| *name != self.bucket) {
            return Err(Unproven::Bucket { asked: self.bucket.clone(), echo }.into());
        }
        Ok(page.next_unbroken(&request.marker)?)
    }

    /// Lists one range from its marker on, with the receipt of this lister's last page. Returns whether it
    /// came to the range's end.
    async fn list(
        &self,
        ranges: &Ranges,
        range: Taken,
        moved: &Notify,
        pages: &mpsc::Sender<ProvenPage>,
        uncommitted: &mut Option<oneshot::Receiver<()>>,
    ) -> bool {
        let mut marker = range.marker;
        let mut empty = 0;
        loop {
            let request =
                ListRequest { prefix: self.prefix.clone(), marker, ..ListRequest::default() };
            let (mut page, next) = match self.page(&request).await {
                Some(Ok(answer)) => answer,
                // What is said of one key is no answer to a listing.
                Some(Err(error)) => {
                    self.stage.service.refuse(Stop::Protocol, Operation::List, error);
                    return false;
                }
                None => return false,
            };
            match self.stage.service.recognise(page.emulated) {
                Recognised::Same => {}
                Recognised::First(recogniser) => {
                    if self.stage.writer.send(Record::Recogniser { recogniser }).await.is_err() {
                        return false;
                    }
                }
                Recognised::Other => return false,
            }
            empty = if page.entries.is_empty() && page.rejected.is_empty() { empty + 1 } else { 0 };
            if empty > EMPTY && next.is_some() {
                let stuck = StuckListing { marker: request.marker, next };
                self.stage.service.refuse(Stop::Protocol, Operation::List, stuck.into());
                return false;
            }
            // A range ends with its last key, also if the page goes on.
            let (up_to, done) = ranges.received(range.seq, next.as_deref());
            moved.notify_waiters();
            let absent = match (page.is_truncated, page.last_key(), &up_to) {
                (true, None, _) => Absent::Nothing,
                (true, Some(last), Some(up_to)) => {
                    Absent::UpTo(Some(last.min(up_to.as_str()).to_owned()))
                }
                (true, Some(last), None) => Absent::UpTo(Some(last.to_owned())),
                (false, _, up_to) => Absent::UpTo((*up_to).clone()),
            };
            if let Some(up_to) = &up_to {
                page.entries.retain(|entry| entry.key <= *up_to);
                page.rejected.retain(|entry| entry.key.as_ref().is_none_or(|key| key <= up_to));
            }
            // Without a receipt the writer has ended, and whoever waits for it says why.
            if let Some(receipt) = uncommitted.take()
                && receipt.await.is_err()
            {
                return false;
            }
            let (committed, receipt) = oneshot::channel();
            *uncommitted = Some(receipt);
            let after = request.marker;
            let listed = ProvenPage { seq: range.seq, after, up_to, done, page, absent, committed };
            if pages.send(listed).await.is_err() {
                return false;
            }
            match next {
                Some(next) if !done => marker = next,
                _ => return true,
            }
        }
    }

    /// The comparing thread: takes pages, and hands compared pages to the writer. Returns how many objects were listed.
    fn compare(
        &self,
        reader: &Reader,
        mut pages: mpsc::Receiver<ProvenPage>,
    ) -> Result<u64, Error> {
        let Discovery { service, writer, unmatched, bucket_id, .. } = &self.stage;
        let mut listed = 0;
        while let Some(page) = pages.blocking_recv() {
            let (page, committed) = self.compare_page(reader, page)?;
            listed += page.listed;
            writer.blocking_send(Record::Page { page, committed: Some(committed) })?;
        }
        if self.is_resumed && !service.control.is_stopping() {
            meet_known(unmatched, reader, *bucket_id, &self.prefix)?;
        }
        Ok(listed)
    }

    fn compare_page(
        &self,
        reader: &Reader,
        listed: ProvenPage,
    ) -> Result<(Page, oneshot::Sender<()>), Error> {
        let ProvenPage { seq, after, up_to, done, page, absent, committed } = listed;
        for rejected in &page.rejected {
            warn!(key = rejected.shown, reason = rejected.reason, "listed, and cannot be called");
        }
        let rejected = page.rejected.len() as u64;
        let unmatched = &self.stage.unmatched;
        unmatched.meets(page.entries.iter().map(|entry| entry.key.as_str()));
        unmatched.meets(page.rejected.iter().filter_map(|entry| entry.key.as_deref()));
        let present: Vec<String> =
            page.rejected.into_iter().filter_map(|entry| entry.key).collect();
        let candidates = page.entries.into_iter().map(|entry| self.stage.filter.candidate(entry));
        let mut merge = Merge::new(self.stage.comparison, candidates);
        if let Absent::UpTo(bound) = absent {
            let bound = bound.as_deref();
            let (bucket_id, prefix) = (self.stage.bucket_id, &self.prefix);
            reader.span(bucket_id, prefix, &after, bound, self.reconsider, |known| {
                let concludes = !present.iter().any(|key| key == known.key);
                merge.known(&known, concludes);
            })?;
        }
        let Compared { differences, listed, wanted, skipped } = merge.finish();
        let cursor = up_to.unwrap_or(after);
        let page = Page {
            reach: Reach { seq, cursor, done },
            differences,
            listed: listed + rejected,
            wanted,
            skipped: skipped.into_iter().collect(),
            rejected,
        };
        Ok((page, committed))
    }
}

/// Looks for what has matched nothing yet among the keys that the store knows: an earlier invocation has listed them.
///
/// # Errors
/// The store's.
pub(super) fn meet_known(
    unmatched: &Unmatched,
    reader: &Reader,
    bucket_id: i64,
    prefix: &str,
) -> Result<(), Error> {
    if unmatched.is_left() {
        reader.span(bucket_id, prefix, "", None, false, |known| {
            if !known.gone {
                unmatched.meets([known.key]);
            }
        })?;
    }
    Ok(())
}
