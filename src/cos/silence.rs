//! How long an answer may keep silent, counted in time in which this process ran.
//!
//! A process that was stopped, or whose machine was asleep, finds its timers over and its answers waiting in the sockets
//! at the same moment. Time in which it did not run says nothing about the service, so it does not count.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A timer that is late by more than this was held up: the process was stopped, or the machine asleep.
const HELD_UP: Duration = Duration::from_millis(500);
/// The longest step in which time is counted.
const STEP: Duration = Duration::from_secs(1);
/// The whole answer may take this many times as long as a silence.
const WHOLE: u32 = 10;

/// The bounds of one answer.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    heard: AtomicBool,
}

/// Which bound an answer has exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// Nothing came for so long.
    Silent(Duration),
    /// Something came now and then, and the answer was not whole after so long.
    Endless(Duration),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "nothing came for {limit:?}"),
            Self::Endless(limit) => write!(f, "the answer was not whole after {limit:?}"),
        }
    }
}

impl std::error::Error for Exceeded {}

impl Silence {
    /// Bounds a silence by `limit`, and the whole answer by ten times as much.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, heard: AtomicBool::new(false) }
    }

    /// Notes that something has come.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Waits for `work` as long as the bounds allow.
    ///
    /// # Errors
    /// The bound that was exceeded; `work` is dropped then.
    pub(super) async fn bound<T>(
        &self,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Exceeded> {
        let step = (self.limit / 10).clamp(Duration::from_millis(1), STEP);
        let whole = self.limit.saturating_mul(WHOLE);
        let (mut silent, mut all) = (Duration::ZERO, Duration::ZERO);
        let mut was_held_up = false;
        loop {
            let begun = Instant::now();
            tokio::select! {
                biased;
                done = work.as_mut() => return Ok(done),
                () = tokio::time::sleep(step) => {}
            }
            // Of a step that took longer, the rest is time in which this process did not run.
            all += step;
            silent = if self.heard.swap(false, Ordering::Relaxed) {
                Duration::ZERO
            } else {
                silent + step
            };
            // After it was held up it gets one step to read what is waiting; only one, or a machine that is
            // always late would wait for ever.
            let held_up = begun.elapsed() > step + HELD_UP;
            if held_up && !was_held_up {
                was_held_up = true;
                continue;
            }
            was_held_up = false;
            if silent >= self.limit {
                return Err(Exceeded::Silent(self.limit));
            }
            if all >= whole {
                return Err(Exceeded::Endless(whole));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    /// Says something now and then, so many times.
    async fn talk(silence: &Silence, times: u32) {
        for _ in 0..times {
            tokio::time::sleep(LIMIT / 4).await;
            silence.heard();
        }
    }

    #[tokio::test]
    async fn a_silence_ends_at_its_limit_and_what_is_steady_at_ten_times_as_much() {
        let begun = Instant::now();
        let silence = Silence::new(LIMIT);
        let never = silence.bound(pin!(std::future::pending::<()>())).await;
        assert_eq!(never, Err(Exceeded::Silent(LIMIT)));
        assert!(begun.elapsed() >= LIMIT, "{:?}", begun.elapsed());
        assert_eq!(silence.bound(pin!(talk(&silence, 10))).await, Ok(()));
        let endless = silence.bound(pin!(talk(&silence, 1000))).await;
        assert_eq!(endless, Err(Exceeded::Endless(LIMIT * 10)));
    }

    #[tokio::test]
    async fn time_in_which_the_process_did_not_run_does_not_count() {
        let silence = Silence::new(LIMIT);
        let answer = async {
            tokio::time::sleep(LIMIT / 2).await;
            // As if it were stopped: nothing else in this thread goes on.
            std::thread::sleep(LIMIT * 2 + HELD_UP);
            // The answer is there, and is read in one of the next turns of the loop.
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(silence.bound(pin!(answer)).await, Ok(()));
    }
}
