//! The live numbers of a run, for its observers. Only a few of them also guide the run, such as whether everything is
//! listed.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::forecast::{Extent, LATER_PASSES, Left};
use crate::store::model::Counts;

/// The live numbers of a run. The run and its observers share them.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    counts: Mutex<Counts>,
    in_flight: AtomicUsize,
    listed: AtomicBool,
    /// The rate of calls that is allowed now, in thousandths of a call a second. 0 if there is no limit to show.
    pace: AtomicU64,
    waits: Mutex<Waits>,
    passes: Mutex<Passes>,
    seen: Mutex<Seen>,
    first_call: Mutex<Option<Instant>>,
    last_call: Mutex<Option<Instant>>,
}

/// A wait of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What the run waits for, as text that can follow "waiting: ".
    pub what: String,
    /// The beginning of the wait.
    pub since: Timestamp,
    /// When the run goes on, or tries again.
    pub until: Timestamp,
    /// When the run stops if the reason for the wait lasts. Absent if the wait ends by itself.
    pub gives_up: Option<Timestamp>,
}

/// Converts a moment of the monotonic clock to the wall clock of this machine.
pub(super) fn wall(moment: tokio::time::Instant) -> Timestamp {
    let (now, here) = (Timestamp::now(), tokio::time::Instant::now());
    let far =
        |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let moved = if moment >= here {
        now.checked_add(far(moment - here))
    } else {
        now.checked_sub(far(here - moment))
    };
    moved.unwrap_or(now)
}

/// The images of later passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passes {
    /// How often an image was put back for a later pass.
    pub put_back: u64,
    /// The images that wait for the second and for the third pass.
    pub later: [u64; LATER_PASSES],
    /// How many of the later passes have begun.
    pub begun: u32,
}

/// What the looks at a run have found.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    per_second: Option<f64>,
    left: Option<Left>,
    extent: Option<Extent>,
}

/// The waits of a run.
#[derive(Debug, Default)]
struct Waits {
    /// The wait of the calls, and when it began. Absent if they do not wait.
    now: Option<(Wait, Instant)>,
    /// The wait of the listing. Absent if it does not wait.
    listing: Option<Wait>,
    /// How often the calls have waited, this time included.
    times: u32,
    /// How long the calls have waited, without the present wait.
    before: Duration,
}

/// The numbers of a run at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The counts of the last commit.
    pub counts: Counts,
    /// The number of calls in flight.
    pub in_flight: usize,
    /// Whether the listing is complete.
    pub listed: bool,
    /// The rate of calls that is allowed now, in calls a second. Absent if it is the rate of the settings.
    pub pace: Option<f64>,
    /// What the run waits for. Absent if it does not wait.
    pub waits: Option<Wait>,
    /// How long the calls will wait. Absent if they do not.
    pub calls_wait: Option<Duration>,
    /// The images of later passes.
    pub passes: Passes,
    /// Calls a second over the last seconds. Absent until it is measured.
    pub per_second: Option<f64>,
    /// How long the run still takes. Absent if it is not known.
    pub left: Option<Left>,
    /// How often the run has waited for the network, for the service, or before a later pass.
    pub times_waited: u32,
    /// How long the run has waited.
    pub waited: Duration,
    /// The time since this invocation began.
    pub elapsed: Duration,
    /// The time between the start of the first call and the end of the last one.
    pub calling: Duration,
}

impl Snapshot {
    /// The number of contents in the queue of this run or in flight.
    pub fn pending(&self) -> u64 {
        self.counts.pending()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of images that wait for this pass. `None` for the first one.
fn later(passes: &mut Passes, pass: u32) -> Option<&mut u64> {
    let index = usize::try_from(pass.checked_sub(1)?).ok()?;
    passes.later.get_mut(index)
}

impl Stats {
    /// The numbers of a run that begins now. `counts` are those of earlier invocations.
    pub fn new(counts: Counts) -> Self {
        Self {
            started: Instant::now(),
            counts: Mutex::new(counts),
            in_flight: AtomicUsize::new(0),
            listed: AtomicBool::new(false),
            pace: AtomicU64::new(0),
            waits: Mutex::default(),
            passes: Mutex::default(),
            seen: Mutex::default(),
            first_call: Mutex::new(None),
            last_call: Mutex::new(None),
        }
    }

    /// The numbers at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let thousandths = self.pace.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
        let pace = (thousandths > 0).then(|| thousandths as f64 / 1000.0);
        let first = *lock(&self.first_call);
        let last = *lock(&self.last_call);
        let Seen { per_second, left, .. } = *lock(&self.seen);
        let waits = lock(&self.waits);
        let until = waits.now.as_ref().map(|(wait, _)| wait.until.duration_since(Timestamp::now()));
        let waits_since = waits.now.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        Snapshot {
            counts: lock(&self.counts).clone(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            listed: self.listed.load(Ordering::Relaxed),
            pace,
            waits: waits.now.as_ref().map(|(wait, _)| wait).or(waits.listing.as_ref()).cloned(),
            calls_wait: until.map(|left| Duration::try_from(left).unwrap_or_default()),
            passes: *lock(&self.passes),
            per_second,
            left,
            times_waited: waits.times,
            waited: waits.before + waits_since,
            elapsed: self.started.elapsed(),
            calling: first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first),
        }
    }

    /// Replaces the counts after a commit.
    pub(super) fn committed(&self, counts: &Counts) {
        lock(&self.counts).clone_from(counts);
    }

    /// Notes what a look at the run has found: the calls a second, and the time left.
    pub(super) fn looked(&self, per_second: Option<f64>, left: Option<Left>) {
        let mut seen = lock(&self.seen);
        (seen.per_second, seen.left) = (per_second, left);
    }

    /// Notes how much there is to list.
    pub(super) fn extends(&self, extent: Extent) {
        lock(&self.seen).extent = Some(extent);
    }

    /// How much there is to list. `None` if it is not known.
    pub(super) fn extent(&self) -> Option<Extent> {
        lock(&self.seen).extent
    }

    /// Notes that an image was put back for this pass, if it is a later one.
    pub(super) fn put_back(&self, pass: u32) {
        let mut passes = lock(&self.passes);
        if let Some(later) = later(&mut passes, pass) {
            *later += 1;
            passes.put_back += 1;
        }
    }

    /// Notes that an image was claimed for this pass.
    pub(super) fn claimed(&self, pass: u32) {
        if let Some(later) = later(&mut lock(&self.passes), pass) {
            *later = later.saturating_sub(1);
        }
    }

    /// Notes that this pass begins.
    pub(super) fn begins_pass(&self, pass: u32) {
        lock(&self.passes).begun = pass;
    }

    /// Notes that everything is listed.
    pub(super) fn set_listed(&self) {
        self.listed.store(true, Ordering::Release);
    }

    /// Returns whether everything is listed.
    pub(super) fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// Sets the rate of calls that is allowed now, in calls a second; `None` if it is that of the settings.
    pub(super) fn set_pace(&self, rate: Option<f64>) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive rate to show"
        )]
        self.pace.store(rate.map_or(0, |rate| (rate * 1000.0) as u64), Ordering::Relaxed);
    }

    /// Notes that the calls wait. If several calls wait at the same time, that counts as one wait.
    pub(super) fn begins_to_wait(&self, wait: Wait) {
        let mut waits = lock(&self.waits);
        if let Some((now, _)) = &mut waits.now {
            *now = wait;
        } else {
            waits.now = Some((wait, Instant::now()));
            waits.times += 1;
        }
    }

    /// Sets what a listing or a look-up waits for; `None` if it goes on.
    pub(super) fn listing_waits(&self, wait: Option<Wait>) {
        lock(&self.waits).listing = wait;
    }

    /// The number of calls in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Notes that the calls go on.
    pub(super) fn ends_waiting(&self) {
        let mut waits = lock(&self.waits);
        if let Some((_, since)) = waits.now.take() {
            waits.before += since.elapsed();
        }
    }

    /// Notes that a call begins.
    pub(super) fn call_begins(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        lock(&self.first_call).get_or_insert_with(Instant::now);
    }

    /// Notes that a call has ended.
    pub(super) fn call_ends(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        *lock(&self.last_call) = Some(Instant::now());
    }
}
