//! What the calls of a run are doing at a moment, as numbers.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// What the calls are doing. They keep these numbers up to date themselves.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// The calls that wait for a permit of the pace.
    pub(super) at_pace: AtomicUsize,
    /// The images that wait between two tries.
    pub(super) between_tries: AtomicUsize,
    /// The calls that have ended since the last look.
    pub(super) ended: AtomicU32,
}

/// Counts as one for as long as it lives.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(super) fn in_(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
