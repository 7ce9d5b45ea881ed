//! Turns of listings and look-ups: during an outage, only one of them at a time is sent.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{MutexGuard, Notify};

use super::outage::{FAULTS, Fault, Kind};

/// If this number of requests fail without an answer in between, the service is at fault and not one key.
const SEVERAL: usize = 10;

/// Gives turns to listings and look-ups. All of a run share one.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    row: Mutex<Row>,
    /// The request that has the turn holds this lock.
    turn: tokio::sync::Mutex<()>,
    /// Notified when an answer ends an outage.
    answered: Notify,
}

/// Faults in a row, without an answer in between.
#[derive(Debug, Default)]
struct Row {
    faults: u32,
    other_than_throttle: bool,
    /// The numbers of the requests that failed, at most [`SEVERAL`].
    requests: BTreeSet<u64>,
}

impl Turns {
    /// Returns at once while the service answers. During an outage, waits for its turn, or until something is answered.
    /// No other request has a turn while the guard lives.
    pub(crate) async fn wait(&self) -> Option<MutexGuard<'_, ()>> {
        // Registered before the row is read, so that an answer in between is not missed.
        let answered = self.answered.notified();
        if !self.is_outage() {
            return None;
        }
        tokio::select! {
            turn = self.turn.lock() => Some(turn).filter(|_| self.is_outage()),
            () = answered => None,
        }
    }

    /// Notes a fault of a request. All tries of a request have the same number. Returns whether an outage begins with
    /// it.
    pub(crate) fn fault(&self, request: u64, fault: Fault) -> bool {
        let mut row = self.lock();
        if row.requests.len() < SEVERAL {
            row.requests.insert(request);
        }
        row.faults = row.faults.saturating_add(1);
        row.other_than_throttle |= fault != Fault::Throttle;
        row.faults == FAULTS
    }

    /// Returns whether several requests have failed without an answer in between.
    pub(crate) fn fails_for_several(&self) -> bool {
        self.lock().requests.len() >= SEVERAL
    }

    /// Notes that the service has answered. If that ends an outage, returns the kind of the outage.
    pub(crate) fn answered(&self) -> Option<Kind> {
        let row = std::mem::take(&mut *self.lock());
        if row.faults < FAULTS {
            return None;
        }
        self.answered.notify_waiters();
        Some(if row.other_than_throttle { Kind::Faults } else { Kind::Throttles })
    }

    fn is_outage(&self) -> bool {
        self.lock().faults >= FAULTS
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn after_twenty_faults_one_request_at_a_time_has_a_turn_until_an_answer_comes() {
        let turns = Turns::default();
        for _ in 0..19 {
            assert!(!turns.fault(1, Fault::Throttle));
        }
        assert!(matches!(turns.wait().now_or_never(), Some(None)), "all may go");
        assert!(turns.fault(1, Fault::Throttle));
        assert!(!turns.fault(1, Fault::Throttle), "it has begun already");
        let turn = turns.wait().now_or_never().unwrap();
        assert!(turn.is_some());
        let mut second = Box::pin(turns.wait());
        assert!(second.as_mut().now_or_never().is_none(), "one at a time");
        assert_eq!(turns.answered(), Some(Kind::Throttles));
        assert!(matches!(second.now_or_never(), Some(None)), "an answer ends the wait");
        assert_eq!(turns.answered(), None);
    }

    #[test]
    fn one_request_that_fails_again_and_again_is_not_several() {
        let turns = Turns::default();
        for _ in 0..100 {
            turns.fault(1, Fault::Throttle);
        }
        assert!(!turns.fails_for_several());
        for request in 2..=10 {
            turns.fault(request, Fault::Throttle);
        }
        assert!(turns.fails_for_several());
        turns.answered();
        assert!(!turns.fails_for_several());
    }
}
