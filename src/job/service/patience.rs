//! How long trouble is borne: without any answer for longer than patience lasts, the run ends.
//!
//! Also the one wait that all workers share while nothing can be reached, so that a dead network costs
//! time and not the attempts of a million images.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// Before the first success a run is not worth more waiting: something is set up wrongly.
const FIRST: Duration = Duration::from_mins(1);
/// The first shared wait; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// As [`PAUSE`], where every call is throttled: a quota of a second is often free again within it.
const PAUSE_OF_THROTTLES: Duration = Duration::from_millis(250);
/// The longest shared wait: the run is back at its pace so long after the service is.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why everybody waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Why {
    /// The service cannot be reached, or what comes back are faults.
    #[default]
    Unanswered,
    /// The service throttles every call.
    Throttled,
    /// The service itself has asked for the pause.
    Asked,
}

impl Why {
    /// What a person is told.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Unanswered => "the service cannot be reached or does not answer",
            Self::Throttled => "the service throttles every call",
            Self::Asked => "the service asks for a pause",
        }
    }
}

/// Shared by everything in a run that talks to the service.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    state: Mutex<State>,
    /// Notified when a pause ends before its time.
    resumed: Notify,
}

#[derive(Debug, Default)]
struct State {
    succeeded: bool,
    /// How often anything was answered.
    answers: u64,
    failing_since: Option<Instant>,
    pauses: u32,
    paused_until: Option<Instant>,
    why: Why,
}

impl Patience {
    /// Patience of `limit`, and of at most a minute before the first success.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, state: Mutex::default(), resumed: Notify::new() }
    }

    /// The service answered something sensible.
    pub(crate) fn answered(&self) {
        let mut state = self.lock();
        state.answers += 1;
        state.failing_since = None;
        state.pauses = 0;
        if state.paused_until.take().is_some() {
            self.resumed.notify_waiters();
        }
    }

    /// How often the service has answered something sensible.
    pub(crate) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// Ends when a pause ends before its time, from now on.
    pub(crate) fn resumed(&self) -> Notified<'_> {
        self.resumed.notified()
    }

    /// As [`Patience::answered`], and it was a success.
    pub(crate) fn succeeded(&self) {
        self.answered();
        self.lock().succeeded = true;
    }

    /// Whether the run had a success yet.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.lock().succeeded
    }

    /// Trouble: no answer, or one that only trying again helps. Returns whether patience is over.
    pub(crate) fn failed(&self) -> bool {
        self.failed_at(Instant::now())
    }

    fn failed_at(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let since = *state.failing_since.get_or_insert(now);
        now - since >= self.limit(&state)
    }

    /// Whether a wait that the service asks for ends before patience does: only then is it kept. No wait is always
    /// allowed; whether patience has ended is another question.
    pub(crate) fn allows(&self, wait: Duration) -> bool {
        let now = Instant::now();
        let since = self.lock().failing_since.unwrap_or(now);
        wait.is_zero() || now + wait <= since + self.limit
    }

    /// Since when nothing was answered, and when patience ends; `None` if there is no trouble.
    pub(crate) fn trouble(&self) -> Option<(Instant, Instant)> {
        let state = self.lock();
        let limit = self.limit(&state);
        state.failing_since.map(|since| (since, since + limit))
    }

    fn limit(&self, state: &State) -> Duration {
        // A service that says when to come back is set up rightly.
        if state.succeeded || state.why == Why::Asked { self.limit } else { self.limit.min(FIRST) }
    }

    /// Nothing can be reached, or nothing is answered: everybody waits, longer each time in a row.
    pub(crate) fn pause(&self) {
        self.pause_at(Instant::now(), Why::Unanswered);
    }

    /// Every call is throttled: everybody waits, longer each time in a row.
    pub(crate) fn pause_for_throttles(&self) {
        self.pause_at(Instant::now(), Why::Throttled);
    }

    fn pause_at(&self, now: Instant, why: Why) {
        let mut state = self.lock();
        if state.paused_until.is_none_or(|until| until <= now) {
            state.why = why;
            let first = if why == Why::Throttled { PAUSE_OF_THROTTLES } else { PAUSE };
            let pause = first.saturating_mul(1 << state.pauses.min(6)).min(LONGEST_PAUSE);
            state.pauses += 1;
            state.paused_until = Some(self.at_most(&state, now, pause));
        }
    }

    /// The service asks for a pause: everybody waits so long, or until another call is answered.
    pub(crate) fn hold(&self, pause: Duration) {
        self.hold_at(Instant::now(), pause);
    }

    fn hold_at(&self, now: Instant, pause: Duration) {
        let mut state = self.lock();
        state.why = Why::Asked;
        let until = self.at_most(&state, now, pause);
        if state.paused_until.is_none_or(|paused| paused < until) {
            state.paused_until = Some(until);
        }
    }

    /// The end of a pause: never past the moment at which patience ends, when the last try is made.
    fn at_most(&self, state: &State, now: Instant, pause: Duration) -> Instant {
        let limit = self.limit(state);
        let end = state.failing_since.map_or(now + pause, |since| since + limit);
        (now + pause).min(end.max(now))
    }

    /// Until when everybody waits and why, if they do.
    pub(crate) fn paused_until(&self) -> Option<(Instant, Why)> {
        let state = self.lock();
        state.paused_until.filter(|until| *until > Instant::now()).map(|until| (until, state.why))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_sooner_before_the_first_success() {
        let patience = Patience::new(Duration::from_mins(15));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!patience.failed_at(start));
        assert!(!patience.failed_at(after(59)));
        assert!(patience.failed_at(after(60)));
        patience.succeeded();
        assert!(!patience.failed_at(after(60)));
        assert!(!patience.failed_at(after(60 + 899)));
        assert!(patience.failed_at(after(60 + 900)));
        patience.answered();
        assert!(!patience.failed_at(after(9999)), "time without calls is no time of trouble");
    }

    #[test]
    fn pauses_grow_and_are_shared() {
        let patience = Patience::new(Duration::from_mins(15));
        patience.succeeded();
        let mut now = Instant::now();
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            patience.failed_at(now);
            patience.pause_at(now, Why::Unanswered);
            let until = patience.lock().paused_until.unwrap();
            patience.pause_at(now, Why::Unanswered);
            assert_eq!(patience.lock().paused_until, Some(until), "one pause at a time");
            let pause = until - now;
            assert!(pause >= last && pause <= LONGEST_PAUSE);
            (last, now) = (pause, until);
        }
        assert_eq!(last, LONGEST_PAUSE);
        patience.answered();
        assert_eq!(patience.paused_until(), None);
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_until_an_answer_or_the_end_of_patience() {
        let patience = Patience::new(Duration::from_mins(15));
        let now = Instant::now();
        patience.failed_at(now);
        patience.hold_at(now, Duration::from_secs(40));
        patience.hold_at(now, Duration::from_secs(20));
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(patience.paused_until(), Some((at(40), Why::Asked)));
        patience.hold_at(now, Duration::from_mins(5));
        assert_eq!(patience.paused_until(), Some((at(300), Why::Asked)), "before a success too");
        patience.hold_at(now, Duration::from_mins(20));
        assert_eq!(patience.paused_until(), Some((at(900), Why::Asked)), "until patience ends");
        assert!(
            patience.allows(Duration::from_mins(14)) && !patience.allows(Duration::from_mins(16))
        );
        patience.succeeded();
        assert_eq!(patience.paused_until(), None);
    }
}
