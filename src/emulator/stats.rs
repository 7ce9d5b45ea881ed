//! What the emulator counts, so that a test can compare what a job believes with what the service saw.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// A second, in the microseconds of [`SlidingSecond`].
const SECOND: u64 = 1_000_000;
/// Objects whose counts are allocated together.
const CHUNK: u64 = 65_536;
/// Other keys that are counted one by one; more would be somebody's mistake.
const MAX_OTHER: usize = 1_000_000;

/// The times of the last second: at most as many as there were requests in it.
#[derive(Default)]
pub(super) struct SlidingSecond {
    times: VecDeque<u64>,
    peak: usize,
}

impl SlidingSecond {
    fn forget(&mut self, now: u64) {
        while self.times.front().is_some_and(|time| time + SECOND <= now) {
            self.times.pop_front();
        }
    }

    /// Counts one at `now` microseconds; times must not fall.
    fn record(&mut self, now: u64) {
        self.forget(now);
        self.times.push_back(now);
        self.peak = self.peak.max(self.times.len());
    }

    /// Counts one at `now` unless the last second already holds `limit`.
    fn admit(&mut self, now: u64, limit: u32) -> bool {
        self.forget(now);
        let free = self.times.len() < limit as usize;
        if free {
            self.times.push_back(now);
        }
        free
    }
}

/// A limit of requests in any sliding second.
#[derive(Default)]
pub(super) struct Gate(Mutex<SlidingSecond>);

impl Gate {
    /// Whether one more is let through now.
    pub(super) fn admit(&self, started: Instant, limit: Option<u32>) -> bool {
        let Some(limit) = limit else { return true };
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, or two threads could come in the wrong order.
        second.admit(micros(started), limit)
    }
}

fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A key as it is counted.
#[derive(Clone, Copy)]
pub(super) enum Counted<'a> {
    /// A computed object.
    Index(u64),
    /// Anything else: a file, a put or missing key, a URL.
    Other(&'a [u8]),
}

/// Calls of each key: four bytes a computed object that was called, a map for the rest.
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

    /// Counts one and returns how many there are now.
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

    /// How often a key that is not computed was counted.
    pub(super) fn of_other(&self, key: &[u8]) -> u32 {
        let other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        other.get(key).copied().unwrap_or_default()
    }

    /// Every index that was counted from `first` on, at most `limit` of them, with its count.
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

    /// Every other key, sorted.
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
    /// By HTTP status; 0 is a connection dropped without an answer.
    by_status: Box<[AtomicU64]>,
    second: Mutex<SlidingSecond>,
    /// Detect requests of each key.
    pub(super) calls_by_key: KeyCounts,
    /// Those that the faults were drawn for: throttled ones do not count, or a draw would depend on timing.
    pub(super) attempts_by_key: KeyCounts,
    /// Listings of each marker, for the faults of listings.
    pub(super) lists_by_marker: KeyCounts,
    /// HEAD requests of each key, for their faults.
    pub(super) heads_by_key: KeyCounts,
}

/// The counts as `GET /.costag/stats` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Detect requests received, whatever came of them.
    pub calls: u64,
    /// Those answered 200 with a whole answer.
    pub answered_ok: u64,
    /// Different keys and URLs asked for.
    pub distinct_keys: u64,
    /// Requests for the key that was asked for most.
    pub most_calls_for_one_key: u32,
    /// Detect requests by status; `dropped` for those without an answer.
    pub calls_by_status: BTreeMap<String, u64>,
    /// The most detect requests received in any sliding second.
    pub peak_per_second: usize,
    /// Milliseconds from the start to the first detect request; 0 if there was none.
    pub first_call_ms: u64,
    /// Milliseconds from the start to the last one.
    pub last_call_ms: u64,
    /// The most detect requests open at a time.
    pub peak_in_flight: u64,
    /// Listings received.
    pub list_calls: u64,
    /// HEAD requests received.
    pub head_calls: u64,
    /// GET requests of an object's bytes received.
    pub get_calls: u64,
    /// Detect requests and listings answered `SlowDown` because of a limit.
    pub throttled: u64,
    /// Requests refused for their signature, key, token or time.
    pub bad_signatures: u64,
}

/// An open detect request; dropping it closes it, an abandoned one too.
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

    /// Counts a detect request on receipt; returns how many there were for this key.
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

    /// How a detect request ended: its status, 0 without an answer; `whole` if the answer was what a client wants.
    pub(super) fn ended(&self, status: u16, whole: bool) {
        if let Some(count) = self.by_status.get(usize::from(status)) {
            count.fetch_add(1, Relaxed);
        }
        self.numbers.answered_ok.fetch_add(u64::from(whole), Relaxed);
    }

    pub(super) fn listed(&self) {
        self.numbers.list_calls.fetch_add(1, Relaxed);
    }

    pub(super) fn headed(&self) {
        self.numbers.head_calls.fetch_add(1, Relaxed);
    }

    pub(super) fn got(&self) {
        self.numbers.get_calls.fetch_add(1, Relaxed);
    }

    pub(super) fn throttled(&self) {
        self.numbers.throttled.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.numbers.bad_signatures.fetch_add(1, Relaxed);
    }

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

    /// Everything back to zero; requests that are open stay counted as open.
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
    fn the_peak_is_of_any_second_not_of_a_calendar_one() {
        let mut second = SlidingSecond::default();
        for time in [0, 900_000, 950_000, 1_100_000, 1_200_000, 1_899_999, 5_000_000] {
            second.record(time);
        }
        assert_eq!(second.peak, 5);
    }

    #[test]
    fn a_gate_lets_through_its_limit_in_any_second() {
        let mut second = SlidingSecond::default();
        assert!(second.admit(0, 2) && second.admit(10, 2));
        assert!(!second.admit(999_999, 2));
        assert!(second.admit(1_000_000, 2));
        assert!(!second.admit(1_000_001, 2));
    }

    #[test]
    fn keys_are_counted_and_forgotten() {
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
