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

/// How many downloads there are at a time.
const DOWNLOADS: usize = 16;

/// How many pages follow a run at a time.
const FOLLOWERS: usize = 16;

/// A server at work.
pub(super) struct State {
    pub(super) site: Site,
    pub(super) guard: Guard,
    pub(super) reads: Semaphore,
    pub(super) decoders: Arc<Semaphore>,
    pub(super) downloads: Arc<Semaphore>,
    pub(super) followers: Arc<Semaphore>,
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
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
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
