//! The gate holds back the calls that exceed a number of billing units, until a person has confirmed them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

/// The calls of an invocation, as far as they are known when a person is asked about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Calls that were made already.
    pub made: u64,
    /// All calls, including those that were made already.
    pub calls: u64,
    /// The billing units of all calls.
    pub units: u64,
    /// Whether everything is listed. If not, there may be more calls.
    pub listed: bool,
}

/// Lets every call through, unless [`Gate::hold_above`] was called. The run shares one gate with the caller that
/// confirms its calls.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    above: OnceLock<u64>,
    // Each token is an event that happens once. A task that waits for it later sees that it has happened.
    /// Cancelled when a call is held back.
    reached: CancellationToken,
    /// Cancelled when the calls have to be confirmed.
    asked: CancellationToken,
    /// Cancelled when everything is listed, after `asked`.
    listed: CancellationToken,
    /// Cancelled when the calls are confirmed.
    opened: CancellationToken,
    expected: Mutex<Expected>,
}

impl Gate {
    /// Holds back every call that would take this invocation above this number of billing units, until [`Gate::open`]
    /// is called.
    pub fn hold_above(&self, units: u64) {
        let _ = self.0.above.set(units);
    }

    /// The number of billing units that need no confirmation. `None` if no call needs one.
    pub fn above(&self) -> Option<u64> {
        self.0.above.get().copied()
    }

    /// Waits until a call is held back, or is known to be held back later.
    pub async fn asks(&self) -> Expected {
        self.0.asked.cancelled().await;
        self.expected()
    }

    /// Waits until everything is listed, after [`Gate::asks`] has returned.
    pub async fn is_listed(&self) -> Expected {
        self.0.listed.cancelled().await;
        self.expected()
    }

    /// Waits until a call is held back.
    pub(super) async fn is_reached(&self) {
        self.0.reached.cancelled().await;
    }

    /// Completes [`Gate::asks`], because calls are held back or will be.
    pub(super) fn ask(&self, expected: Expected) {
        self.expect(expected);
        self.0.asked.cancel();
    }

    /// Completes [`Gate::is_listed`], because everything is listed.
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

    /// Returns whether a call that takes this invocation to this number of billing units may be made now.
    pub(super) fn is_open_for(&self, units: u64) -> bool {
        self.above().is_none_or(|above| units <= above) || self.0.opened.is_cancelled()
    }

    /// Waits until a call that takes this invocation to this number of billing units may be made. Returns `false` if
    /// the run stops meanwhile.
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
    fn calls_above_the_number_wait_until_the_gate_opens_or_the_run_stops() {
        let stopping = CancellationToken::new();
        let gate = Gate::default();
        let passes = |call| gate.wait_for(call, &stopping).now_or_never();
        assert_eq!(passes(1_000_000), Some(true), "no call is held back by default");
        gate.hold_above(2);
        assert_eq!((passes(1), passes(2)), (Some(true), Some(true)));
        assert_eq!(
            gate.0.reached.cancelled().now_or_never(),
            None,
            "nobody is asked before it is needed"
        );
        assert_eq!(passes(3), None);
        assert_eq!(gate.0.reached.cancelled().now_or_never(), Some(()));
        gate.open();
        assert_eq!((passes(3), passes(4)), (Some(true), Some(true)));

        let gate = Gate::default();
        gate.hold_above(0);
        stopping.cancel();
        assert_eq!(gate.wait_for(1, &stopping).now_or_never(), Some(false));
    }
}
