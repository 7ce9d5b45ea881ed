//! The statistics of the emulator. Tests compare them with what a job reports.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// A second in microseconds, the unit of [`SlidingSecond`].
const SECOND: u64 = 1_000_000;
/// The number of objects whose counts are allocated together.
const CHUNK: u64 = 65_536;
/// The most keys that are counted one by one. A test with more would be a mistake.
const MAX_OTHER: usize = 1_000_000;

/// The requests of the last second.
#[derive(Default)]
pub(super) struct SlidingSecond {
    /// The times of the requests in microseconds, oldest first.
    times: VecDeque<u64>,
    /// The most requests that there have been in a second.
    peak: usize,
}

impl SlidingSecond {
    /// Removes requests that are older than a second.
    fn forget(&mut self, now: u64) {
        while self.times.front().is_some_and(|time| time + SECOND <= now) {
            self.times.pop_front();
        }
    }

    /// Counts a request at `now`, in microseconds. Times must not decrease.
    fn record(&mut self, now: u64) {
        self.forget(now);
        self.times.push_back(now);
        self.peak = self.peak.max(self.times.len());
    }

    /// Counts a request at `now` and returns `true`, unless there have been `limit` in the last second.
    fn admit(&mut self, now: u64, limit: u32) -> bool {
        self.forget(now);
        let free = self.times.len() < limit as usize;
        if free {
            self.times.push_back(now);
        }
        free
    }
}

/// Enforces a limit of requests in any sliding second.
#[derive(Default)]
pub(super) struct Gate(Mutex<SlidingSecond>);

impl Gate {
    /// Returns `true` if one more request is within the limit now.
    pub(super) fn admit(&self, started: Instant, limit: Option<u32>) -> bool {
        let Some(limit) = limit else { return true };
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The time is read while the lock is held, so that the times of two threads are in order.
        second.admit(micros(started), limit)
    }
}

fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A key in the form in which it is counted.
#[derive(Clone, Copy)]
pub(super) enum Counted<'a> {
    /// The index of a computed object.
    Index(u64),
    /// Any other key or URL: of a file, of an object that a test has put, or of none.
    Other(&'a [u8]),
}

/// Counts for each key: an array for computed objects, a map for all other keys.
pub(super) struct KeyCounts {
    computed: Vec<OnceLock<Box<[AtomicU32]>>>,
    other: Mutex<HashMap<Vec<u8>, u32>>,
}

impl KeyCounts {
    pub(super) fn new(objects: u64) -> Self {
        let chunks = usize::try_from(objects.div_ceil(CHUNK)).unwrap_or(0);
        let computed = std::iter::repeat_with(OnceLock::new).take(chunks).collect();
        Self { computed, other: Mutex::default() }
    }

    /// Increments the count of a key, and returns the new count.
    pub(super) fn add(&self, key: Counted<'_>) -> u32 {
        match key {
            Counted::Index(index) => {
                let Some(chunk) =
                    self.computed.get(usize::try_from(index / CHUNK).unwrap_or(usize::MAX))
                else {
                    return 1;
                };
                let counts = chunk.get_or_init(|| {
                    std::iter::repeat_with(AtomicU32::default).take(1 << 16).collect()
                });
                counts[usize::try_from(index % CHUNK).unwrap_or(0)].fetch_add(1, Relaxed) + 1
            }
            Counted::Other(key) => {
                let mut other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(count) = other.get_mut(key) {
                    *count = count.saturating_add(1);
                    return *count;
                }
                if other.len() < MAX_OTHER {
                    other.insert(key.to_vec(), 1);
                }
                1
            }
        }
    }

    /// Returns the count of a key that is not of a computed object.
    pub(super) fn of_other(&self, key: &[u8]) -> u32 {
        let other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        other.get(key).copied().unwrap_or_default()
    }

    /// Returns the indexes with a count, from `first` on and at most `limit` of them, each with its count.
    pub(super) fn computed(&self, first: u64, limit: usize) -> Vec<(u64, u32)> {
        let mut found = Vec::new();
        let start = usize::try_from(first / CHUNK).unwrap_or(usize::MAX);
        for (at, chunk) in (0_u64..).zip(&self.computed).skip(start) {
            for (index, count) in (at * CHUNK..).zip(chunk.get().into_iter().flatten()) {
                let count = count.load(Relaxed);
                if index >= first && count > 0 {
                    found.push((index, count));
                }
                if found.len() == limit {
                    return found;
                }
            }
        }
        found
    }

    /// Returns the counts of all keys that are not of computed objects, sorted by key.
    pub(super) fn other(&self) -> BTreeMap<Vec<u8>, u32> {
        let other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        other.iter().map(|(key, count)| (key.clone(), *count)).collect()
    }

    fn reset(&self) {
        for count in self.computed.iter().filter_map(OnceLock::get).flatten() {
            count.store(0, Relaxed);
        }
        self.other.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[derive(Default)]
struct Numbers {
    calls: AtomicU64,
    answered_ok: AtomicU64,
    distinct_keys: AtomicU64,
    most_calls: AtomicU32,
    first_call_ms: AtomicU64,
    last_call_ms: AtomicU64,
    peak_in_flight: AtomicU64,
    list_calls: AtomicU64,
    head_calls: AtomicU64,
    get_calls: AtomicU64,
    throttled: AtomicU64,
    bad_signatures: AtomicU64,
}

pub(super) struct Stats {
    started: Instant,
    numbers: Numbers,
    in_flight: AtomicU64,
    /// Detect requests by HTTP status. 0 is for connections that were closed without an answer.
    by_status: Box<[AtomicU64]>,
    second: Mutex<SlidingSecond>,
    /// Detect requests for each key.
    pub(super) calls_by_key: KeyCounts,
    /// Detect requests for each key for which a fault was drawn. Throttled requests do not count, because a draw would
    /// depend on timing otherwise.
    pub(super) attempts_by_key: KeyCounts,
    /// Listings from each marker, for their faults.
    pub(super) lists_by_marker: KeyCounts,
    /// HEAD requests for each key, for their faults.
    pub(super) heads_by_key: KeyCounts,
}

/// The counts in the form of `GET /.costag/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Detect requests that were received, with any answer.
    pub calls: u64,
    /// Detect requests that were answered with status 200 and a whole answer.
    pub answered_ok: u64,
    /// The number of different keys and URLs in detect requests.
    pub distinct_keys: u64,
    /// The number of detect requests for the key that had the most.
    pub most_calls_for_one_key: u32,
    /// Detect requests by status. `dropped` is for those without an answer.
    pub calls_by_status: BTreeMap<String, u64>,
    /// The most detect requests in any sliding second.
    pub peak_per_second: usize,
    /// The time from the start to the first detect request, in milliseconds; 0 if there was none.
    pub first_call_ms: u64,
    /// The time from the start to the last detect request, in milliseconds; 0 if there was none.
    pub last_call_ms: u64,
    /// The most detect requests that were open at the same time.
    pub peak_in_flight: u64,
    /// Listings that were received.
    pub list_calls: u64,
    /// HEAD requests that were received.
    pub head_calls: u64,
    /// GET requests for an object that were received.
    pub get_calls: u64,
    /// Detect requests and listings that were answered with `SlowDown` because of a limit.
    pub throttled: u64,
    /// Requests that were refused because of their signature, key, token or time.
    pub bad_signatures: u64,
}

/// An open detect request. It counts as closed when this is dropped, even if the client has left.
pub(super) struct OpenCall<'a>(&'a Stats);

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Stats {
    pub(super) fn new(started: Instant, objects: u64) -> Self {
        Self {
            started,
            numbers: Numbers::default(),
            in_flight: AtomicU64::new(0),
            by_status: std::iter::repeat_with(AtomicU64::default).take(600).collect(),
            second: Mutex::default(),
            calls_by_key: KeyCounts::new(objects),
            attempts_by_key: KeyCounts::new(objects),
            lists_by_marker: KeyCounts::new(0),
            heads_by_key: KeyCounts::new(0),
        }
    }

    /// Counts a detect request when it is received. Returns also the number of requests for this key.
    pub(super) fn call(&self, key: Counted<'_>) -> (OpenCall<'_>, u32) {
        let numbers = &self.numbers;
        let open = self.in_flight.fetch_add(1, Relaxed) + 1;
        numbers.peak_in_flight.fetch_max(open, Relaxed);
        let now = {
            let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
            let now = micros(self.started);
            second.record(now);
            now
        };
        if numbers.calls.fetch_add(1, Relaxed) == 0 {
            numbers.first_call_ms.store(now / 1000, Relaxed);
        }
        numbers.last_call_ms.fetch_max(now / 1000, Relaxed);
        let count = self.calls_by_key.add(key);
        if count == 1 {
            numbers.distinct_keys.fetch_add(1, Relaxed);
        }
        numbers.most_calls.fetch_max(count, Relaxed);
        (OpenCall(self), count)
    }

    /// Counts the end of a detect request. The status is 0 if there was no answer; `whole` is set if a client can use
    /// the answer.
    pub(super) fn ended(&self, status: u16, whole: bool) {
        if let Some(count) = self.by_status.get(usize::from(status)) {
            count.fetch_add(1, Relaxed);
        }
        self.numbers.answered_ok.fetch_add(u64::from(whole), Relaxed);
    }

    /// Counts a listing.
    pub(super) fn listed(&self) {
        self.numbers.list_calls.fetch_add(1, Relaxed);
    }

    /// Counts a HEAD request.
    pub(super) fn headed(&self) {
        self.numbers.head_calls.fetch_add(1, Relaxed);
    }

    /// Counts a GET request for an object.
    pub(super) fn got(&self) {
        self.numbers.get_calls.fetch_add(1, Relaxed);
    }

    /// Counts a request that was answered with `SlowDown` because of a limit.
    pub(super) fn throttled(&self) {
        self.numbers.throttled.fetch_add(1, Relaxed);
    }

    /// Counts a request that was refused because of its signature, key, token or time.
    pub(super) fn refused(&self) {
        self.numbers.bad_signatures.fetch_add(1, Relaxed);
    }

    /// Returns the counts.
    pub(super) fn read(&self) -> Statistics {
        let numbers = &self.numbers;
        let named = |(status, count): (usize, &AtomicU64)| {
            let name = if status == 0 { "dropped".to_owned() } else { status.to_string() };
            Some((name, count.load(Relaxed))).filter(|(_, count)| *count > 0)
        };
        Statistics {
            calls: numbers.calls.load(Relaxed),
            answered_ok: numbers.answered_ok.load(Relaxed),
            distinct_keys: numbers.distinct_keys.load(Relaxed),
            most_calls_for_one_key: numbers.most_calls.load(Relaxed),
            calls_by_status: self.by_status.iter().enumerate().filter_map(named).collect(),
            peak_per_second: self.second.lock().unwrap_or_else(PoisonError::into_inner).peak,
            first_call_ms: numbers.first_call_ms.load(Relaxed),
            last_call_ms: numbers.last_call_ms.load(Relaxed),
            peak_in_flight: numbers.peak_in_flight.load(Relaxed),
            list_calls: numbers.list_calls.load(Relaxed),
            head_calls: numbers.head_calls.load(Relaxed),
            get_calls: numbers.get_calls.load(Relaxed),
            throttled: numbers.throttled.load(Relaxed),
            bad_signatures: numbers.bad_signatures.load(Relaxed),
        }
    }

    /// Sets all counts to zero. Open requests still count as open.
    pub(super) fn reset(&self) {
        let numbers = &self.numbers;
        for number in [
            &numbers.calls,
            &numbers.answered_ok,
            &numbers.distinct_keys,
            &numbers.first_call_ms,
            &numbers.last_call_ms,
            &numbers.peak_in_flight,
            &numbers.list_calls,
            &numbers.head_calls,
            &numbers.get_calls,
            &numbers.throttled,
            &numbers.bad_signatures,
        ] {
            number.store(0, Relaxed);
        }
        numbers.most_calls.store(0, Relaxed);
        self.by_status.iter().for_each(|count| count.store(0, Relaxed));
        *self.second.lock().unwrap_or_else(PoisonError::into_inner) = SlidingSecond::default();
        let by_key = [&self.calls_by_key, &self.attempts_by_key];
        for counts in by_key.into_iter().chain([&self.lists_by_marker, &self.heads_by_key]) {
            counts.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_any_sliding_second() {
        let mut second = SlidingSecond::default();
        for time in [0, 900_000, 950_000, 1_100_000, 1_200_000, 1_899_999, 5_000_000] {
            second.record(time);
        }
        assert_eq!(second.peak, 5);
    }

    #[test]
    fn a_gate_admits_its_limit_in_any_sliding_second() {
        let mut second = SlidingSecond::default();
        assert!(second.admit(0, 2) && second.admit(10, 2));
        assert!(!second.admit(999_999, 2));
        assert!(second.admit(1_000_000, 2));
        assert!(!second.admit(1_000_001, 2));
    }

    #[test]
    fn keys_are_counted_until_a_reset() {
        let counts = KeyCounts::new(100_000);
        assert_eq!(counts.add(Counted::Index(99_999)), 1);
        assert_eq!(counts.add(Counted::Index(99_999)), 2);
        assert_eq!(counts.add(Counted::Index(3)), 1);
        assert_eq!(counts.add(Counted::Other(b"x")), 1);
        assert_eq!(counts.computed(0, 10), [(3, 1), (99_999, 2)]);
        assert_eq!(counts.computed(4, 10), [(99_999, 2)]);
        assert_eq!(counts.other()[&b"x"[..]], 1);
        counts.reset();
        assert!(counts.computed(0, 10).is_empty() && counts.other().is_empty());
    }
}
