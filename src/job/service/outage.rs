//! Tells an outage of the service from images that fail one by one.
//!
//! An outage is not worked through at full pace: each call of it may be paid, and each image would use up its tries for
//! nothing. When calls fail one after the other with nothing answered in between, the run waits, and one call at a time
//! looks whether the service is back. The first answer ends the wait.
//!
//! Images that have failed before do not count, since the fault may be theirs: otherwise a folder of images that the
//! service cannot digest would look like an outage when the last of them are tried again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// So many faults in a row are an outage.
pub(crate) const FAULTS: u32 = 20;
/// However often rows of faults turned out to be none, so many faults in a row are an outage.
const FAULTS_AT_MOST: u32 = 1 << 16;
/// So many answers in a row that are not the service's are an outage: no image causes them.
const FOREIGN: u32 = 3;
/// After so many faults in a row, images that have not been tried yet go before retries: they tell more.
const SUSPICIOUS: u32 = 2;
/// As [`SUSPICIOUS`], after a throttle answer.
const SUSPICIOUS_THROTTLES: u32 = 10;

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The service asked for a lower rate.
    Throttle,
    /// Something in between answered.
    Foreign,
    /// An error of the service that may pass, or an answer that cannot be used.
    Answer,
    /// No whole answer: the connection broke, or it took too long.
    Transport,
}

/// What is known of the image whose call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This was its first call in the run.
    First,
    /// It had failed before.
    FailedBefore,
}

/// The number of a call, in the order in which they were begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call(u64);

/// What an outage consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Throttle answers alone.
    Throttles,
    /// Faults of any mix.
    Faults,
}

/// Counts faults in a row; shared by all calls of a run.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    state: Mutex<State>,
    /// Notified when the run begins to wait.
    begun: Notify,
}

#[derive(Debug)]
struct State {
    /// So many faults that count are an outage now.
    threshold: u32,
    /// Faults in a row, those of images that had failed before among them.
    all: u32,
    /// Those that count.
    counted: u32,
    /// Calls that were answered so far.
    answers: u64,
    /// Calls that were begun so far, and the numbers of those that have not ended.
    begun: u64,
    on_the_wire: BTreeSet<u64>,
    /// Answers in a row that are not the service's.
    foreign: u32,
    /// Whether a fault of the row was no throttle answer.
    other_than_throttle: bool,
    waiting: bool,
    /// Whether it was told that every call is throttled.
    told: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            threshold: FAULTS,
            all: 0,
            counted: 0,
            answers: 0,
            begun: 0,
            on_the_wire: BTreeSet::new(),
            foreign: 0,
            other_than_throttle: false,
            waiting: false,
            told: false,
        }
    }
}

impl State {
    fn kind(&self) -> Kind {
        if self.other_than_throttle { Kind::Faults } else { Kind::Throttles }
    }

    /// Whether the service throttles a part of the calls only: a refusal comes at once and an answer later, so that older
    /// calls without an answer were let through.
    fn lets_through(&self, call: Call) -> bool {
        self.kind() == Kind::Throttles
            && self.on_the_wire.range(..call.0).count() > self.counted as usize
    }

    /// The row of faults is over.
    fn begin_anew(&mut self, threshold: u32) {
        *self = Self {
            threshold,
            answers: self.answers,
            begun: self.begun,
            on_the_wire: std::mem::take(&mut self.on_the_wire),
            ..Self::default()
        };
    }

    fn kind_of_wait(&self) -> Option<Kind> {
        self.waiting.then(|| self.kind())
    }
}

impl Outage {
    /// A call is sent. [`Outage::call_ends`] follows.
    pub(crate) fn call_begins(&self) -> Call {
        let mut state = self.lock();
        let number = state.begun;
        state.begun += 1;
        state.on_the_wire.insert(number);
        Call(number)
    }

    /// A call has ended, in whatever way.
    pub(crate) fn call_ends(&self, call: Call) {
        self.lock().on_the_wire.remove(&call.0);
    }

    /// Notes a fault of a call that has ended. Returns what begins if it is the one that makes the run wait.
    pub(crate) fn fault(&self, call: Call, fault: Fault, standing: Standing) -> Option<Kind> {
        let mut state = self.lock();
        let state = &mut *state;
        state.all += 1;
        state.counted += u32::from(standing == Standing::First);
        state.other_than_throttle |= fault != Fault::Throttle;
        match fault {
            // Once something was answered, one image alone is not enough.
            Fault::Foreign if state.answers > 0 && standing != Standing::First => {}
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

    /// The service answered, a probe or another call. Returns what the outage that has ended consisted of, if there was
    /// one.
    pub(crate) fn answered(&self, is_probe: bool) -> Option<Kind> {
        let mut state = self.lock();
        let ended = state.kind_of_wait();
        if ended == Some(Kind::Throttles) && !is_probe {
            // It was let through before the others were throttled.
            state.answers += 1;
            return None;
        }
        // Faults go on behind the answer that ended a wait if the images are at fault: a folder that the service cannot
        // digest, say. Then each next row must be twice as long, until a call is answered outside of a wait.
        let threshold =
            if state.waiting { (state.threshold * 2).min(FAULTS_AT_MOST) } else { FAULTS };
        state.answers += 1;
        state.begin_anew(threshold);
        ended
    }

    /// Ends the wait without an answer, because nothing is left to look with.
    pub(crate) fn give_up(&self) {
        self.lock().begin_anew(FAULTS);
    }

    /// Whether the run waits: then only one call at a time is made, to look whether the service is back.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lock().waiting
    }

    /// Whether it is worth a word, and was not told yet, that every call is throttled.
    pub(crate) fn tells_of_throttles(&self) -> bool {
        let mut state = self.lock();
        state.kind_of_wait() == Some(Kind::Throttles) && !std::mem::replace(&mut state.told, true)
    }

    /// What the outage consists of so far, if the run waits.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.lock().kind_of_wait()
    }

    /// Whether the last call was answered.
    pub(crate) fn is_calm(&self) -> bool {
        self.lock().all == 0
    }

    /// Ends when an outage begins from now on.
    pub(crate) fn begins(&self) -> Notified<'_> {
        self.begun.notified()
    }

    /// Calls that were answered so far.
    pub(crate) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// Whether several calls have failed in a row and nothing was answered since so many answers had come: then images
    /// that have not been tried yet go before retries.
    ///
    /// Throttle answers without a reason come in short rows: after one of them the row must be longer.
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

    fn fault(outage: &Outage, fault: Fault, standing: Standing) -> Option<Kind> {
        let call = outage.call_begins();
        outage.call_ends(call);
        outage.fault(call, fault, standing)
    }

    #[test]
    fn twenty_faults_of_any_mix_are_an_outage_and_an_answer_ends_it() {
        let outage = Outage::default();
        for kind in [Fault::Answer, Fault::Transport, Fault::Throttle].into_iter().cycle().take(19)
        {
            assert_eq!(fault(&outage, kind, Standing::First), None);
        }
        assert_eq!(outage.answered(true), None);
        for _ in 0..19 {
            assert_eq!(fault(&outage, Fault::Throttle, Standing::First), None);
        }
        assert_eq!(fault(&outage, Fault::Throttle, Standing::First), Some(Kind::Throttles));
        assert_eq!(outage.kind(), Some(Kind::Throttles));
        assert_eq!(fault(&outage, Fault::Throttle, Standing::First), None, "it has begun already");
        assert_eq!(outage.answered(false), None, "it was let through before");
        assert_eq!(outage.answered(true), Some(Kind::Throttles));
        assert!(!outage.is_waiting());
    }

    #[test]
    fn a_row_that_an_answer_of_the_wait_interrupts_must_be_twice_as_long_the_next_time() {
        let outage = Outage::default();
        let row = || {
            let faults = 1..=1_000;
            faults.into_iter().find(|_| fault(&outage, Fault::Answer, Standing::First).is_some())
        };
        assert_eq!(row(), Some(20));
        outage.answered(true);
        assert_eq!(row(), Some(40));
        outage.answered(true);
        assert_eq!(row(), Some(80));
        outage.answered(true);
        outage.answered(true);
        assert_eq!(row(), Some(20), "a call outside of the wait was answered");
    }

    #[test]
    fn images_that_had_failed_before_are_no_outage() {
        let outage = Outage::default();
        for _ in 0..100 {
            assert_eq!(fault(&outage, Fault::Answer, Standing::FailedBefore), None);
        }
        assert!(outage.is_suspected_since(0, false));
        outage.answered(true);
        fault(&outage, Fault::Answer, Standing::FailedBefore);
        assert!(!outage.is_suspected_since(1, false), "a fault alone is none");
        fault(&outage, Fault::Answer, Standing::FailedBefore);
        assert!(outage.is_suspected_since(1, false) && !outage.is_suspected_since(0, false));
    }

    #[test]
    fn three_answers_of_something_in_between_are_an_outage() {
        let outage = Outage::default();
        let foreign = |standing| fault(&outage, Fault::Foreign, standing);
        assert_eq!(foreign(Standing::First), None);
        assert_eq!(foreign(Standing::FailedBefore), None);
        assert_eq!(foreign(Standing::FailedBefore), Some(Kind::Faults), "nothing was answered yet");
        outage.answered(true);
        for _ in 0..9 {
            assert_eq!(foreign(Standing::FailedBefore), None, "one image's own");
        }
        assert_eq!(foreign(Standing::First), None);
        assert_eq!(foreign(Standing::First), None);
        assert_eq!(fault(&outage, Fault::Answer, Standing::First), None, "an answer in between");
        assert_eq!(foreign(Standing::First), None);
    }

    #[test]
    fn throttles_while_more_calls_wait_for_their_answers_are_no_outage() {
        let outage = Outage::default();
        let older: Vec<_> = (0..50).map(|_| outage.call_begins()).collect();
        for _ in 0..49 {
            assert_eq!(fault(&outage, Fault::Throttle, Standing::First), None);
        }
        for call in older {
            outage.call_ends(call);
        }
        assert_eq!(fault(&outage, Fault::Throttle, Standing::First), Some(Kind::Throttles));
        outage.answered(true);
        let _later: Vec<_> = (0..50).map(|_| outage.call_begins()).collect();
        let row = (1..=50).find(|_| {
            let call = Call(50);
            outage.fault(call, Fault::Throttle, Standing::First).is_some()
        });
        assert_eq!(row, Some(40), "calls begun later say nothing");
    }
}
