//! Patience: the run stops if nothing is answered for longer than a limit.
//!
//! All workers also share one pause while nothing can be reached. An interrupted network thus costs time, but not the
//! attempts of all images.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::outage::Fault;

/// The limit before the first success. Longer waits are useless then: a setting is probably wrong.
const FIRST: Duration = Duration::from_mins(1);
/// The first pause. Each further one in a row is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// The first pause if every call is throttled. It is shorter, because a quota is often counted by the second.
const PAUSE_OF_THROTTLES: Duration = Duration::from_millis(250);
/// The longest pause. It is also how long the run may wait after the service is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why all calls pause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Why {
    /// The service cannot be reached, or answers only with faults.
    #[default]
    Unanswered,
    /// The service throttles every call.
    Throttled,
    /// The service itself has asked for the pause.
    Asked,
}

impl Why {
    /// The reason as text for people.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Unanswered => "the service cannot be reached or does not answer",
            Self::Throttled => "the service throttles every call",
            Self::Asked => "the service asks for a pause",
        }
    }
}

/// How long a run goes on without an answer. All calls of a run share one patience, and all listings and look-ups
/// another.
#[derive(Debug)]
pub(crate) struct Patience {
    /// The longest time without an answer, after the first success.
    limit: Duration,
    state: Mutex<State>,
    /// Notified when a pause ends before its time.
    resumed: Notify,
}

#[derive(Debug, Default)]
struct State {
    succeeded: bool,
    /// The number of answers.
    answers: u64,
    /// Since when nothing was answered. Absent if the last request was.
    failing_since: Option<Instant>,
    /// Whether a request has failed since then in another way than by a throttle answer.
    other_than_throttle: bool,
    /// The number of pauses in a row.
    pauses: u32,
    /// The end of the last pause. Absent if an answer has ended it.
    paused_until: Option<Instant>,
    why: Why,
}

impl Patience {
    /// A patience of `limit`, and of at most a minute before the first success.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, state: Mutex::default(), resumed: Notify::new() }
    }

    /// Notes that the service has answered something meaningful. This ends a pause.
    pub(crate) fn answered(&self) {
        let mut state = self.lock();
        state.answers += 1;
        state.failing_since = None;
        state.other_than_throttle = false;
        state.pauses = 0;
        if state.paused_until.take().is_some() {
            self.resumed.notify_waiters();
        }
    }

    /// The number of meaningful answers so far.
    pub(crate) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// A future that completes when a pause ends early, from now on.
    pub(crate) fn resumed(&self) -> Notified<'_> {
        self.resumed.notified()
    }

    /// Notes that a request has succeeded.
    pub(crate) fn succeeded(&self) {
        self.answered();
        self.lock().succeeded = true;
    }

    /// Returns whether a request has succeeded.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.lock().succeeded
    }

    /// Notes that a request was not answered, or has to be tried again. Returns whether patience has ended.
    pub(crate) fn failed(&self, fault: Fault) -> bool {
        self.failed_at(Instant::now(), fault)
    }

    /// Returns whether nothing but throttle answers came since the last answer.
    pub(crate) fn is_throttled_only(&self) -> bool {
        let state = self.lock();
        state.failing_since.is_some() && !state.other_than_throttle
    }

    fn failed_at(&self, now: Instant, fault: Fault) -> bool {
        let mut state = self.lock();
        state.other_than_throttle |= fault != Fault::Throttle;
        let since = *state.failing_since.get_or_insert(now);
        now - since >= self.limit(&state)
    }

    /// Returns whether a wait that the service asks for ends before patience does. Otherwise it is not worth waiting. A
    /// wait of zero is always allowed, even if patience has ended.
    pub(crate) fn allows(&self, wait: Duration) -> bool {
        let now = Instant::now();
        let since = self.lock().failing_since.unwrap_or(now);
        wait.is_zero() || now + wait <= since + self.limit
    }

    /// Since when nothing was answered, and when patience ends. `None` if the last request was answered.
    pub(crate) fn trouble(&self) -> Option<(Instant, Instant)> {
        let state = self.lock();
        let limit = self.limit(&state);
        state.failing_since.map(|since| (since, since + limit))
    }

    fn limit(&self, state: &State) -> Duration {
        // If the service says when to come back, no setting is wrong.
        if state.succeeded || state.why == Why::Asked { self.limit } else { self.limit.min(FIRST) }
    }

    /// Pauses all calls because nothing can be reached or is answered. Each pause in a row is longer.
    pub(crate) fn pause(&self) {
        self.pause_at(Instant::now(), Why::Unanswered);
    }

    /// Pauses all calls because every call is throttled. Each pause in a row is longer.
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

    /// Pauses all calls because the service asks for it. An answer to another call ends the pause.
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

    /// The end of a pause. It is at most the moment at which patience ends, so that a last try is made then.
    fn at_most(&self, state: &State, now: Instant, pause: Duration) -> Instant {
        let limit = self.limit(state);
        let end = state.failing_since.map_or(now + pause, |since| since + limit);
        (now + pause).min(end.max(now))
    }

    /// The end of the pause, and its reason. `None` if there is no pause.
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
    fn throttle_answers_alone_are_told_from_other_trouble() {
        let patience = Patience::new(Duration::from_mins(15));
        assert!(!patience.is_throttled_only());
        patience.failed(Fault::Throttle);
        assert!(patience.is_throttled_only());
        patience.failed(Fault::Answer);
        patience.failed(Fault::Throttle);
        assert!(!patience.is_throttled_only());
        patience.answered();
        patience.failed(Fault::Throttle);
        assert!(patience.is_throttled_only());
    }

    #[test]
    fn patience_ends_sooner_before_the_first_success() {
        let patience = Patience::new(Duration::from_mins(15));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!patience.failed_at(start, Fault::Transport));
        assert!(!patience.failed_at(after(59), Fault::Transport));
        assert!(patience.failed_at(after(60), Fault::Transport));
        patience.succeeded();
        assert!(!patience.failed_at(after(60), Fault::Transport));
        assert!(!patience.failed_at(after(60 + 899), Fault::Transport));
        assert!(patience.failed_at(after(60 + 900), Fault::Transport));
        patience.answered();
        assert!(
            !patience.failed_at(after(9999), Fault::Transport),
            "time without calls does not count as time without an answer"
        );
    }

    #[test]
    fn pauses_grow_and_are_shared() {
        let patience = Patience::new(Duration::from_mins(15));
        patience.succeeded();
        let mut now = Instant::now();
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            patience.failed_at(now, Fault::Transport);
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
        patience.failed_at(now, Fault::Transport);
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
