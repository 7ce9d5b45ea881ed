//! Tells an outage of the service from images that fail one by one.
//!
//! During an outage, calls at full pace would be useless: each may be paid, and each image would use up its attempts.
//! When a number of calls fail one after another, without an answer in between, the run waits, and one call at a time
//! probes whether the service is back. The first answer ends the wait.
//!
//! Images that have failed before do not count, since they may be at fault. Otherwise a folder of images that the
//! service cannot process would look like an outage when they are tried again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The number of faults in a row that counts as an outage.
pub(crate) const FAULTS: u32 = 20;
/// The threshold doubles each time an outage turns out to be a false alarm, but not beyond this.
const FAULTS_AT_MOST: u32 = 1 << 16;
/// The number of answers in a row that do not come from the service that counts as an outage. No image causes them, so
/// a few are enough.
const FOREIGN: u32 = 3;
/// The number of faults in a row after which images that were not tried yet are called before retries. They tell more
/// about an outage.
const SUSPICIOUS: u32 = 2;
/// Like [`SUSPICIOUS`], for an image whose last answer was a throttle.
const SUSPICIOUS_THROTTLES: u32 = 10;

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The service asked for a lower rate.
    Throttle,
    /// A proxy or a gateway answered instead of the service.
    Foreign,
    /// The service answered with an error that may pass, or with something that cannot be used.
    Answer,
    /// There was no complete answer: the connection broke, or the answer took too long.
    Transport,
}

/// Whether the image of a call had failed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageHistory {
    /// This was its first call in the run.
    FirstCall,
    /// It had failed before.
    FailedBefore,
}

/// The number of a call. Calls are numbered in the order in which they begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call(u64);

/// The kind of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only throttle answers.
    Throttles,
    /// Faults of any kind.
    Faults,
}

/// Counts faults in a row. All calls of a run share one.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    state: Mutex<State>,
    /// Notified when the run begins to wait.
    begun: Notify,
}

#[derive(Debug)]
struct State {
    /// The number of counted faults in a row that counts as an outage.
    threshold: u32,
    /// Faults in a row, including those of images that had failed before.
    all: u32,
    /// Faults in a row of images that had not failed before.
    counted: u32,
    /// Calls that were answered.
    answers: u64,
    /// Calls that have begun.
    begun: u64,
    /// The numbers of the calls in flight.
    in_flight: BTreeSet<u64>,
    /// Answers in a row that do not come from the service.
    foreign: u32,
    /// Whether a fault in the row was something else than a throttle answer.
    other_than_throttle: bool,
    /// Whether the run waits for the service.
    waiting: bool,
    /// Whether it was logged that every call is throttled.
    throttles_told: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            threshold: FAULTS,
            all: 0,
            counted: 0,
            answers: 0,
            begun: 0,
            in_flight: BTreeSet::new(),
            foreign: 0,
            other_than_throttle: false,
            waiting: false,
            throttles_told: false,
        }
    }
}

impl State {
    fn kind(&self) -> Kind {
        if self.other_than_throttle { Kind::Faults } else { Kind::Throttles }
    }

    /// Returns whether the service throttles only a part of the calls. A throttle answer comes at once, while labels
    /// take longer. So if more older calls are in flight than calls have failed, some of them were let through.
    fn lets_through(&self, call: Call) -> bool {
        self.kind() == Kind::Throttles
            && self.in_flight.range(..call.0).count() > self.counted as usize
    }

    /// Begins a new row of faults.
    fn begin_anew(&mut self, threshold: u32) {
        *self = Self {
            threshold,
            answers: self.answers,
            begun: self.begun,
            in_flight: std::mem::take(&mut self.in_flight),
            ..Self::default()
        };
    }

    /// The kind of the outage. `None` if there is none.
    fn kind_of_wait(&self) -> Option<Kind> {
        self.waiting.then(|| self.kind())
    }
}

impl Outage {
    /// Notes that a call begins. [`Outage::call_ends`] must follow.
    pub(crate) fn call_begins(&self) -> Call {
        let mut state = self.lock();
        let number = state.begun;
        state.begun += 1;
        state.in_flight.insert(number);
        Call(number)
    }

    /// Notes that a call has ended, successfully or not.
    pub(crate) fn call_ends(&self, call: Call) {
        self.lock().in_flight.remove(&call.0);
    }

    /// Notes a fault of a call that has ended. If an outage begins with it, returns the kind of the outage.
    pub(crate) fn fault(&self, call: Call, fault: Fault, history: ImageHistory) -> Option<Kind> {
        let mut state = self.lock();
        let state = &mut *state;
        state.all += 1;
        state.counted += u32::from(history == ImageHistory::FirstCall);
        state.other_than_throttle |= fault != Fault::Throttle;
        match fault {
            // Once a call was answered, the faults of one image alone are not enough.
            Fault::Foreign if state.answers > 0 && history != ImageHistory::FirstCall => {}
            Fault::Foreign => state.foreign += 1,
            Fault::Throttle | Fault::Answer => state.foreign = 0,
            Fault::Transport => {}
        }
        let is_row = state.counted >= state.threshold && !state.lets_through(call);
        let begins = !state.waiting && (is_row || state.foreign >= FOREIGN);
        state.waiting |= begins;
        if begins {
            self.begun.notify_waiters();
        }
        begins.then(|| state.kind())
    }

    /// Notes a call that was refused for good before the first success. It counts as a fault, because it may have the
    /// same cause. It does not begin a wait: twenty refusals stop the run.
    pub(crate) fn refused(&self) {
        let mut state = self.lock();
        state.counted += 1;
        state.other_than_throttle = true;
    }

    /// Notes that the service has answered a probe or another call. If that ends an outage, returns the kind of the
    /// outage.
    pub(crate) fn answered(&self, is_probe: bool) -> Option<Kind> {
        let mut state = self.lock();
        let ended = state.kind_of_wait();
        if ended == Some(Kind::Throttles) && !is_probe {
            // The call was let through before the others were throttled, so its answer does not end the outage.
            state.answers += 1;
            return None;
        }
        // If images are at fault, such as a folder that the service cannot process, faults continue after the answer
        // that ended a wait. Then each next row must be twice as long, until a call is answered outside of a wait.
        let threshold =
            if state.waiting { (state.threshold * 2).min(FAULTS_AT_MOST) } else { FAULTS };
        state.answers += 1;
        state.begin_anew(threshold);
        ended
    }

    /// Ends the wait without an answer, because no image is left to probe with.
    pub(crate) fn give_up(&self) {
        self.lock().begin_anew(FAULTS);
    }

    /// Returns whether the run waits for the service. Then only one call at a time is made, as a probe.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lock().waiting
    }

    /// Returns whether every call is throttled and that was not logged yet.
    pub(crate) fn tells_of_throttles(&self) -> bool {
        let mut state = self.lock();
        state.kind_of_wait() == Some(Kind::Throttles)
            && !std::mem::replace(&mut state.throttles_told, true)
    }

    /// The kind of the outage so far. `None` if the run does not wait.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.lock().kind_of_wait()
    }

    /// Returns whether the last call was answered.
    pub(crate) fn is_calm(&self) -> bool {
        self.lock().all == 0
    }

    /// A future that completes when an outage begins, from now on.
    pub(crate) fn begins(&self) -> Notified<'_> {
        self.begun.notified()
    }

    /// The number of calls that were answered so far.
    pub(crate) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// Returns whether several calls have failed in a row, and none was answered since the number of answers was
    /// `answers`. Then images that were not tried yet are called before retries.
    ///
    /// Some services throttle a few calls in a row without a reason, so after a throttle answer the row must be longer.
    pub(crate) fn is_suspected_since(&self, answers: u64, after_throttle: bool) -> bool {
        let state = self.lock();
        let row = if after_throttle { SUSPICIOUS_THROTTLES } else { SUSPICIOUS };
        state.all >= row && state.answers == answers
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(outage: &Outage, fault: Fault, history: ImageHistory) -> Option<Kind> {
        let call = outage.call_begins();
        outage.call_ends(call);
        outage.fault(call, fault, history)
    }

    #[test]
    fn twenty_faults_of_any_kind_are_an_outage_and_an_answer_ends_it() {
        let outage = Outage::default();
        for kind in [Fault::Answer, Fault::Transport, Fault::Throttle].into_iter().cycle().take(19)
        {
            assert_eq!(fault(&outage, kind, ImageHistory::FirstCall), None);
        }
        assert_eq!(outage.answered(true), None);
        for _ in 0..19 {
            assert_eq!(fault(&outage, Fault::Throttle, ImageHistory::FirstCall), None);
        }
        assert_eq!(fault(&outage, Fault::Throttle, ImageHistory::FirstCall), Some(Kind::Throttles));
        assert_eq!(outage.kind(), Some(Kind::Throttles));
        assert_eq!(
            fault(&outage, Fault::Throttle, ImageHistory::FirstCall),
            None,
            "the outage has begun already"
        );
        assert_eq!(outage.answered(false), None, "the call was let through before the outage");
        assert_eq!(outage.answered(true), Some(Kind::Throttles));
        assert!(!outage.is_waiting());
    }

    #[test]
    fn after_an_answer_during_a_wait_the_next_outage_needs_twice_as_many_faults() {
        let outage = Outage::default();
        let row = || {
            let faults = 1..=1_000;
            faults
                .into_iter()
                .find(|_| fault(&outage, Fault::Answer, ImageHistory::FirstCall).is_some())
        };
        assert_eq!(row(), Some(20));
        outage.answered(true);
        assert_eq!(row(), Some(40));
        outage.answered(true);
        assert_eq!(row(), Some(80));
        outage.answered(true);
        outage.answered(true);
        assert_eq!(row(), Some(20), "a call was answered outside of a wait");
    }

    #[test]
    fn refusals_before_the_first_success_count_and_do_not_end_a_row() {
        let outage = Outage::default();
        for _ in 0..9 {
            assert_eq!(fault(&outage, Fault::Answer, ImageHistory::FirstCall), None);
            outage.refused();
        }
        assert_eq!(fault(&outage, Fault::Answer, ImageHistory::FirstCall), None);
        assert_eq!(fault(&outage, Fault::Answer, ImageHistory::FirstCall), Some(Kind::Faults));
        outage.refused();
        assert!(outage.is_waiting());
    }

    #[test]
    fn faults_of_images_that_failed_before_are_not_an_outage() {
        let outage = Outage::default();
        for _ in 0..100 {
            assert_eq!(fault(&outage, Fault::Answer, ImageHistory::FailedBefore), None);
        }
        assert!(outage.is_suspected_since(0, false));
        outage.answered(true);
        fault(&outage, Fault::Answer, ImageHistory::FailedBefore);
        assert!(!outage.is_suspected_since(1, false), "one fault is not enough");
        fault(&outage, Fault::Answer, ImageHistory::FailedBefore);
        assert!(outage.is_suspected_since(1, false) && !outage.is_suspected_since(0, false));
    }

    #[test]
    fn three_answers_that_do_not_come_from_the_service_are_an_outage() {
        let outage = Outage::default();
        let foreign = |history| fault(&outage, Fault::Foreign, history);
        assert_eq!(foreign(ImageHistory::FirstCall), None);
        assert_eq!(foreign(ImageHistory::FailedBefore), None);
        assert_eq!(
            foreign(ImageHistory::FailedBefore),
            Some(Kind::Faults),
            "nothing was answered yet"
        );
        outage.answered(true);
        for _ in 0..9 {
            assert_eq!(
                foreign(ImageHistory::FailedBefore),
                None,
                "the faults of one image are not enough"
            );
        }
        assert_eq!(foreign(ImageHistory::FirstCall), None);
        assert_eq!(foreign(ImageHistory::FirstCall), None);
        assert_eq!(
            fault(&outage, Fault::Answer, ImageHistory::FirstCall),
            None,
            "the service answered in between"
        );
        assert_eq!(foreign(ImageHistory::FirstCall), None);
    }

    #[test]
    fn throttles_are_not_an_outage_while_more_calls_are_in_flight() {
        let outage = Outage::default();
        let older: Vec<_> = (0..50).map(|_| outage.call_begins()).collect();
        for _ in 0..49 {
            assert_eq!(fault(&outage, Fault::Throttle, ImageHistory::FirstCall), None);
        }
        for call in older {
            outage.call_ends(call);
        }
        assert_eq!(fault(&outage, Fault::Throttle, ImageHistory::FirstCall), Some(Kind::Throttles));
        outage.answered(true);
        let _later: Vec<_> = (0..50).map(|_| outage.call_begins()).collect();
        let row = (1..=50).find(|_| {
            let call = Call(50);
            outage.fault(call, Fault::Throttle, ImageHistory::FirstCall).is_some()
        });
        assert_eq!(row, Some(40), "calls that began later do not count");
    }
}
