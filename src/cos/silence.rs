//! Limits how long an answer may take, counted in time in which this process ran.
//!
//! When a process was stopped, or its machine was asleep, its timers expire at the moment at which it also finds the
//! answers in its sockets. Time in which it did not run says nothing about the service, so it does not count.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A timer that expires later than this shows that the process did not run: it was stopped, or the machine was asleep.
const HELD_UP: Duration = Duration::from_millis(500);
/// The longest step in which time is counted. Shorter limits are counted in shorter steps.
const STEP: Duration = Duration::from_secs(1);
/// How many times the limit of a silence a whole answer may take.
const WHOLE: u32 = 10;

/// The limits of one answer.
#[derive(Debug)]
pub(super) struct Silence {
    /// The longest time without any byte.
    limit: Duration,
    /// True if something has arrived since the last step.
    heard: AtomicBool,
}

/// The limit that an answer has exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// Nothing arrived for this time.
    Silent(Duration),
    /// Parts arrived, but the answer was not complete after this time.
    Endless(Duration),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "no data arrived for {limit:?}"),
            Self::Endless(limit) => write!(f, "the answer was not complete after {limit:?}"),
        }
    }
}

impl std::error::Error for Exceeded {}

impl Silence {
    /// Limits a silence to `limit`, and the whole answer to ten times as much.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, heard: AtomicBool::new(false) }
    }

    /// Records that part of the answer has arrived.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Waits for `work` as long as the limits allow.
    ///
    /// # Errors
    /// Returns the limit that was exceeded.
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
            // If the step took longer, the process did not run for the rest of it.
            all += step;
            silent = if self.heard.swap(false, Ordering::Relaxed) {
                Duration::ZERO
            } else {
                silent + step
            };
            // After the process did not run, it gets one more step to read what is waiting. It gets only one, or a
            // machine whose timers are always late would wait forever.
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

    /// Sends something this many times, a quarter of the limit apart.
    async fn talk(silence: &Silence, times: u32) {
        for _ in 0..times {
            tokio::time::sleep(LIMIT / 4).await;
            silence.heard();
        }
    }

    #[tokio::test]
    async fn a_silent_answer_ends_at_the_limit_and_an_endless_one_at_ten_times_as_much() {
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
            // This blocks the thread, as if the process were stopped.
            std::thread::sleep(LIMIT * 2 + HELD_UP);
            // The answer is read in one of the next steps.
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(silence.bound(pin!(answer)).await, Ok(()));
    }
}
