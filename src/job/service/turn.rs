//! Free requests in an outage: while nothing is answered, one listing or look-up at a time looks for the service.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{MutexGuard, Notify};

use super::outage::{FAULTS, Fault, Kind};

/// Shared by all listings and look-ups of a run.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    row: Mutex<Row>,
    turn: tokio::sync::Mutex<()>,
    answered: Notify,
}

/// Faults with nothing answered between them.
#[derive(Debug, Default, Clone, Copy)]
struct Row {
    faults: u32,
    other_than_throttle: bool,
}

impl Turns {
    /// Returns at once while the service answers. In an outage it waits for its turn, or until something is answered;
    /// nobody else has a turn while the guard lives.
    pub(crate) async fn wait(&self) -> Option<MutexGuard<'_, ()>> {
        // Before the look at the row: an answer that comes in between is not missed.
        let answered = self.answered.notified();
        if !self.is_outage() {
            return None;
        }
        tokio::select! {
            turn = self.turn.lock() => Some(turn).filter(|_| self.is_outage()),
            () = answered => None,
        }
    }

    /// Notes a fault. Returns whether the outage begins with it.
    pub(crate) fn fault(&self, fault: Fault) -> bool {
        let mut row = self.lock();
        row.faults = row.faults.saturating_add(1);
        row.other_than_throttle |= fault != Fault::Throttle;
        row.faults == FAULTS
    }

    /// The service has answered. Returns what the outage consisted of that has ended, if there was one.
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
            assert!(!turns.fault(Fault::Throttle));
        }
        assert!(matches!(turns.wait().now_or_never(), Some(None)), "all may go");
        assert!(turns.fault(Fault::Throttle));
        assert!(!turns.fault(Fault::Throttle), "it has begun already");
        let turn = turns.wait().now_or_never().unwrap();
        assert!(turn.is_some());
        let mut second = Box::pin(turns.wait());
        assert!(second.as_mut().now_or_never().is_none(), "one at a time");
        assert_eq!(turns.answered(), Some(Kind::Throttles));
        assert!(matches!(second.now_or_never(), Some(None)), "an answer ends the wait");
        assert_eq!(turns.answered(), None);
    }
}
