//! Tells an outage of the service from images that fail one by one.
//!
//! An outage is not worked through at full pace: each call of it may be paid, and each image would use up its tries for
//! nothing. When calls fail one after the other with nothing answered in between, the run waits, and one call at a time
//! looks whether the service is back. The first answer ends the wait.
//!
//! Images that have failed before do not count, since the fault may be theirs: otherwise a folder of images that the
//! service cannot digest would look like an outage when the last of them are tried again.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// So many faults in a row are an outage.
const FAULTS: u32 = 20;
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

/// How an outage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// All of its faults were throttle answers.
    pub(crate) throttles_only: bool,
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
    /// Answers in a row that are not the service's.
    foreign: u32,
    /// Whether a fault of the row was no throttle answer.
    other_than_throttle: bool,
    waiting: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            threshold: FAULTS,
            all: 0,
            counted: 0,
            answers: 0,
            foreign: 0,
            other_than_throttle: false,
            waiting: false,
        }
    }
}

impl Outage {
    /// Notes a fault. Returns whether it is the one that makes the run wait.
    pub(crate) fn fault(&self, fault: Fault, standing: Standing) -> bool {
        let mut state = self.lock();
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
        let begins =
            !state.waiting && (state.counted >= state.threshold || state.foreign >= FOREIGN);
        state.waiting |= begins;
        if begins {
            self.begun.notify_waiters();
        }
        begins
    }

    /// The service answered. Returns how an outage ended, if there was one.
    pub(crate) fn answered(&self) -> Option<Ended> {
        let mut state = self.lock();
        let ended = state.waiting.then_some(Ended { throttles_only: !state.other_than_throttle });
        // Faults go on behind the answer that ended a wait if the images are at fault: a folder that the service cannot
        // digest, say. Then each next row must be twice as long, until a call is answered outside of a wait.
        let threshold =
            if state.waiting { (state.threshold * 2).min(FAULTS_AT_MOST) } else { FAULTS };
        *state = State { threshold, answers: state.answers + 1, ..State::default() };
        ended
    }

    /// Ends the wait without an answer, because nothing is left to look with.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        *state = State { answers: state.answers, ..State::default() };
    }

    /// Whether the run waits: then only one call at a time is made, to look whether the service is back.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lock().waiting
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

    #[test]
    fn twenty_faults_of_any_mix_are_an_outage_and_an_answer_ends_it() {
        let outage = Outage::default();
        for fault in [Fault::Answer, Fault::Transport, Fault::Throttle].into_iter().cycle().take(19)
        {
            assert!(!outage.fault(fault, Standing::First));
        }
        assert_eq!(outage.answered(), None);
        for _ in 0..19 {
            assert!(!outage.fault(Fault::Throttle, Standing::First));
        }
        assert!(outage.fault(Fault::Throttle, Standing::First) && outage.is_waiting());
        assert!(!outage.fault(Fault::Throttle, Standing::First), "it has begun already");
        assert_eq!(outage.answered(), Some(Ended { throttles_only: true }));
        assert!(!outage.is_waiting());
    }

    #[test]
    fn a_row_that_an_answer_of_the_wait_interrupts_must_be_twice_as_long_the_next_time() {
        let outage = Outage::default();
        let row = || {
            let faults = 1..=1_000;
            faults.into_iter().find(|_| outage.fault(Fault::Answer, Standing::First))
        };
        assert_eq!(row(), Some(20));
        outage.answered();
        assert_eq!(row(), Some(40));
        outage.answered();
        assert_eq!(row(), Some(80));
        outage.answered();
        outage.answered();
        assert_eq!(row(), Some(20), "a call outside of the wait was answered");
    }

    #[test]
    fn images_that_had_failed_before_are_no_outage() {
        let outage = Outage::default();
        for _ in 0..100 {
            assert!(!outage.fault(Fault::Answer, Standing::FailedBefore));
        }
        assert!(outage.is_suspected_since(0, false));
        outage.answered();
        outage.fault(Fault::Answer, Standing::FailedBefore);
        assert!(!outage.is_suspected_since(1, false), "a fault alone is none");
        outage.fault(Fault::Answer, Standing::FailedBefore);
        assert!(outage.is_suspected_since(1, false) && !outage.is_suspected_since(0, false));
    }

    #[test]
    fn three_answers_of_something_in_between_are_an_outage() {
        let outage = Outage::default();
        assert!(!outage.fault(Fault::Foreign, Standing::First));
        assert!(!outage.fault(Fault::Foreign, Standing::FailedBefore));
        assert!(
            outage.fault(Fault::Foreign, Standing::FailedBefore),
            "nothing was answered so far"
        );
        outage.answered();
        for _ in 0..9 {
            assert!(!outage.fault(Fault::Foreign, Standing::FailedBefore), "one image's own");
        }
        assert!(!outage.fault(Fault::Foreign, Standing::First));
        assert!(!outage.fault(Fault::Foreign, Standing::First));
        assert!(!outage.fault(Fault::Answer, Standing::First), "an answer in between");
        assert!(!outage.fault(Fault::Foreign, Standing::First));
    }
}
