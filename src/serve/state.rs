//! What the requests of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use super::guard::Guard;
use super::site::Site;

/// How many pages are read at a time.
const READS: usize = 8;

/// How many pictures of a folder are decoded at a time. Each may take half a gigabyte.
const DECODED: usize = 2;

/// How many downloads, and how many pages that follow a run, there are at a time.
const STREAMS: usize = 16;

/// A server at work.
pub(super) struct State {
    pub(super) site: Site,
    pub(super) guard: Guard,
    pub(super) reads: Semaphore,
    pub(super) decoders: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
    ends: AtomicBool,
}

impl State {
    /// A server of a site, at its beginning.
    pub(super) fn new(site: Site, guard: Guard) -> Self {
        Self {
            site,
            guard,
            reads: Semaphore::new(READS),
            decoders: Arc::new(Semaphore::new(DECODED)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            ends: AtomicBool::new(false),
        }
    }

    /// Says that the server ends.
    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Whether the server goes on. Long reads ask this.
    pub(super) fn goes_on(&self) -> bool {
        !self.ends.load(Ordering::Relaxed)
    }
}
