//! Lists a bucket: several listers list ranges of the key space side by side, page by page.
//!
//! Pages go through a bounded channel to a thread that compares them with the store and hands the differences to the
//! writer. While its last page is being committed, a lister requests the next one, but it sends that on only after the
//! commit. So a killed process loses at most one page of each range.

use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{debug, info, warn};

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
use crate::store::run::{RangeProgress, RangeRow};
use crate::store::turn::{Page, Reach};

/// The capacity of the channel from the listers to the comparing thread, in pages.
const PAGES_AHEAD: usize = 4;

/// The most pages without a key in a row. A listing that never ends could send them forever.
const EMPTY_PAGES: u32 = 100;

/// The listing of a bucket, or of the keys with a prefix.
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

/// A page that answers its request, on its way to the comparing thread.
#[derive(Debug)]
struct ProvenPage {
    /// `range.seq`.
    seq: i64,
    /// The page covers the keys after this one.
    after: String,
    /// The last key that the page covers. Absent if it covers everything up to the end of the prefix.
    up_to: Option<String>,
    /// Whether the page is the last one of its range.
    done: bool,
    page: ListPage,
    absent: Absent,
    /// Notified when the page is committed.
    committed: oneshot::Sender<()>,
}

/// The keys that are gone if a page does not contain them.
#[derive(Debug)]
enum Absent {
    /// No key is gone: other pages follow, and no key of this page could be read.
    Nothing,
    /// The keys up to and including this one, or up to the end of the prefix if it is `None`.
    UpTo(Option<String>),
}

impl Absent {
    /// The keys that this page of a range proves to be gone. `up_to` is the last key that the page covers; `None` if it
    /// covers everything up to the end of the prefix.
    fn by(page: &ListPage, up_to: Option<&str>) -> Self {
        let last = match (page.is_truncated, page.last_key()) {
            (true, None) => return Self::Nothing,
            (true, Some(last)) => Some(up_to.map_or(last, |up_to| last.min(up_to))),
            (false, _) => up_to,
        };
        Self::UpTo(last.map(str::to_owned))
    }
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
    /// An error of the store. An error of the service stops the run through its control instead.
    pub(super) async fn run(self, ranges: Vec<RangeRow>, reader: Reader) -> Result<(), Error> {
        let listing = Arc::new(self);
        let ranges = Ranges::new(ranges, listing.workers);
        let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
        let comparing = {
            let listing = Arc::clone(&listing);
            Blocking::start("compare", move || {
                let compared = listing.compare(&reader, receiver);
                // Otherwise listers that wait for a range would wait forever, because the others can no longer send.
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
            info!(objects = listed, "the listing is complete");
        }
        Ok(())
    }

    /// Lists ranges as long as there are any. If all are taken, splits one of them. `moved` is notified when a range
    /// has changed.
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
            // This is registered before the ranges are read, so that a change in between is not missed.
            let changed = moved.notified();
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
                        () = changed => {}
                        () = self.stage.service.control.stopping().cancelled() => {}
                    }
                }
            }
        }
    }

    /// Looks for points at which to split a range, and splits it there. A range without such points stays whole.
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
        // The splits are stored in this order, and before any page that ends at a new end of the range. Otherwise the
        // store could contain a range that is done, while no range contains the keys after it.
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

    /// Requests the first key after a point; the inner `None` means that there is none. Returns `None` if the request
    /// fails.
    async fn first_after(&self, marker: String) -> Option<Option<String>> {
        let prefix = self.prefix.clone();
        let request = ListRequest { prefix, marker, max_keys: 1, ..ListRequest::default() };
        let (page, _) = self.page(&request).await?.ok()?;
        let entry = page.entries.into_iter().next().map(|entry| entry.key);
        Some(entry.or_else(|| page.rejected.into_iter().next().and_then(|entry| entry.key)))
    }

    /// Requests one page, checks it, and returns it with the marker of the next one. Returns `None` if the run stops.
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
            self.page_size.succeeded(max_keys);
            let next =
                self.prove(&page, &request).map_err(|error| client.without_secrets(error))?;
            Ok((page, next))
        });
        asked.await
    }

    /// Requests one page, and returns it with the marker of the next one if it may be stored. Returns `None` if the run
    /// stops.
    async fn accepted_page(&self, request: &ListRequest) -> Option<(ListPage, Option<String>)> {
        let service = &self.stage.service;
        let (page, next) = match self.page(request).await? {
            Ok(answer) => answer,
            // A listing has no single key that could be at fault.
            Err(error) => {
                service.refuse(Stop::Protocol, Operation::List, error);
                return None;
            }
        };
        match service.recognise(page.emulated) {
            Recognised::Same => {}
            Recognised::First(recogniser) => {
                self.stage.writer.send(Record::Recogniser { recogniser }).await.ok()?;
            }
            Recognised::Other => return None,
        }
        Some((page, next))
    }

    /// Checks that a page answers its request. Returns the marker of the next page, or `None` if there is none.
    fn prove(&self, page: &ListPage, request: &ListRequest) -> Result<Option<String>, cos::Error> {
        page.prove(request)?;
        // With a wrong endpoint, the objects of another bucket would be stored under the name of this one.
        if let Some(echo) = page.name.clone().filter(|name| *name != self.bucket) {
            return Err(Unproven::Bucket { asked: self.bucket.clone(), echo }.into());
        }
        Ok(page.next_unbroken(&request.marker)?)
    }

    /// Lists one range from its marker on. Other listers are notified through `moved` after each page. `uncommitted` is
    /// the notification that the last page of this lister is committed. Returns whether the range was listed to its
    /// end.
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
            let Some((mut page, next)) = self.accepted_page(&request).await else { return false };
            empty = if page.entries.is_empty() && page.rejected.is_empty() { empty + 1 } else { 0 };
            if empty > EMPTY_PAGES && next.is_some() {
                let stuck = StuckListing { marker: request.marker, next };
                self.stage.service.refuse(Stop::Protocol, Operation::List, stuck.into());
                return false;
            }
            // The page may contain keys beyond the end of the range.
            let (up_to, done) = ranges.received(range.seq, next.as_deref());
            moved.notify_waiters();
            self.stage.service.stats.extends(ranges.extent());
            let absent = Absent::by(&page, up_to.as_deref());
            if let Some(up_to) = &up_to {
                page.entries.retain(|entry| entry.key <= *up_to);
                page.rejected.retain(|entry| entry.key.as_ref().is_none_or(|key| key <= up_to));
            }
            // If the notification fails, the writer has ended; its thread returns the reason.
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
                _ => {
                    info!(seq = range.seq, "range listed");
                    return true;
                }
            }
        }
    }

    /// The work of the comparing thread: compares pages with the store, and hands them to the writer. Returns the
    /// number of listed objects.
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
        let progress = RangeProgress::Span { up_to: up_to.unwrap_or(after) };
        let page = Page {
            reach: Reach { seq, progress, done },
            differences,
            listed: listed + rejected,
            wanted,
            skipped: skipped.into_iter().collect(),
            rejected,
        };
        Ok((page, committed))
    }
}

/// Matches the filter against the keys in the store, because an earlier invocation may have listed them.
///
/// # Errors
/// An error of the store.
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
