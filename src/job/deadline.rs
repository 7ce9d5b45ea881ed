//! What ends the stages of a run from outside: the window for calls, the drain time after a stop, and the failure of
//! another stage.

use std::convert::Infallible;
use std::time::Duration;

use super::tagging::budget::Budget;
use super::{Control, Error, StopReason};

/// How long calls in flight may go on once the run stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs both loops to their end. If one of them fails, the run stops, so that the other one ends too.
///
/// # Errors
/// The error of discovery, else the error of tagging.
pub(super) async fn both(
    control: &Control,
    discovery: impl Future<Output = Result<(), Error>>,
    tagging: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let stop_if_failed = |result: Result<(), Error>| {
        if result.is_err() {
            control.stop(StopReason::Internal);
        }
        result
    };
    let (discovered, tagged) = tokio::join!(async { stop_if_failed(discovery.await) }, async {
        stop_if_failed(tagging.await)
    });
    discovered.and(tagged)
}

/// Stops the run when the window for calls ends.
pub(super) async fn stop_at_window_end(budget: &Budget, control: &Control) -> Infallible {
    control.stop(budget.window_ends().await);
    std::future::pending().await
}

/// Aborts the calls that are still in flight 10 seconds after the run began to stop.
pub(super) async fn abort_after_drain(control: &Control) -> Infallible {
    control.stopping().cancelled().await;
    tokio::time::sleep(DRAIN).await;
    control.abort();
    std::future::pending().await
}
