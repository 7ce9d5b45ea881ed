//! A gate before the units of billing above a number: their calls wait until a person has confirmed them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

/// What is known of the calls of an invocation when somebody is asked about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Calls that are made already.
    pub made: u64,
    /// All calls, with those that are made already.
    pub calls: u64,
    /// Their units of billing.
    pub units: u64,
    /// Whether everything is listed; else there may be more.
    pub listed: bool,
}

/// Open for every call unless it was told to hold some back; shared by the run and whoever confirms.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    above: OnceLock<u64>,
    // Tokens as events: they happen once, and whoever comes later sees it.
    reached: CancellationToken,
    asked: CancellationToken,
    listed: CancellationToken,
    opened: CancellationToken,
    expected: Mutex<Expected>,
}

impl Gate {
    /// Holds back every call that would take this invocation above so many units of billing, until
    /// [`Gate::open`].
    pub fn hold_above(&self, units: u64) {
        let _ = self.0.above.set(units);
    }

    /// The units of billing that pass without a question, if it was told to hold any back.
    pub fn above(&self) -> Option<u64> {
        self.0.above.get().copied()
    }

    /// Returns once a call is held back, or is known to be held back later.
    pub async fn asks(&self) -> Expected {
        self.0.asked.cancelled().await;
        self.expected()
    }

    /// Returns once everything is listed, after somebody was asked.
    pub async fn is_listed(&self) -> Expected {
        self.0.listed.cancelled().await;
        self.expected()
    }

    /// Returns once a call is held back.
    pub(super) async fn is_reached(&self) {
        self.0.reached.cancelled().await;
    }

    /// Tells whoever waits in [`Gate::asks`] that calls are, or will be, held back.
    pub(super) fn ask(&self, expected: Expected) {
        self.expect(expected);
        self.0.asked.cancel();
    }

    /// Tells whoever waits in [`Gate::is_listed`] that everything is listed.
    pub(super) fn set_listed(&self, expected: Expected) {
        self.expect(expected);
        self.0.listed.cancel();
    }

    fn expect(&self, expected: Expected) {
        *self.0.expected.lock().unwrap_or_else(PoisonError::into_inner) = expected;
    }

    fn expected(&self) -> Expected {
        *self.0.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every call through from now on.
    pub fn open(&self) {
        self.0.opened.cancel();
    }

    /// Whether a call that takes the invocation to so many units may be made at once.
    pub(super) fn is_open_for(&self, units: u64) -> bool {
        self.above().is_none_or(|above| units <= above) || self.0.opened.is_cancelled()
    }

    /// Whether a call that takes the invocation to so many units may be made: at once, or once the gate opens.
    /// Returns `false` if the run stops meanwhile.
    pub(super) async fn wait_for(&self, units: u64, stopping: &CancellationToken) -> bool {
        if self.is_open_for(units) {
            return true;
        }
        self.0.reached.cancel();
        tokio::select! {
            biased;
            () = stopping.cancelled() => false,
            () = self.0.opened.cancelled() => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn calls_above_wait_for_a_yes_and_end_with_the_run() {
        let stopping = CancellationToken::new();
        let gate = Gate::default();
        let admits = |call| gate.wait_for(call, &stopping).now_or_never();
        assert_eq!(admits(1_000_000), Some(true), "nothing was to be held back");
        gate.hold_above(2);
        assert_eq!((admits(1), admits(2)), (Some(true), Some(true)));
        assert_eq!(
            gate.0.reached.cancelled().now_or_never(),
            None,
            "nobody is asked before it is needed"
        );
        assert_eq!(admits(3), None);
        assert_eq!(gate.0.reached.cancelled().now_or_never(), Some(()));
        gate.open();
        assert_eq!((admits(3), admits(4)), (Some(true), Some(true)));

        let gate = Gate::default();
        gate.hold_above(0);
        stopping.cancel();
        assert_eq!(gate.wait_for(1, &stopping).now_or_never(), Some(false));
    }
}
