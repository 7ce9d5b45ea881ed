//! Decides what a run does with a content: whether it is queued, adopted from another run, left alone or released.
//!
//! The decisions are values, and nothing here reads or writes. A backend reads the facts, asks for a decision, and
//! writes it.

use jiff::SignedDuration;

use super::model::{ContentState, ErrorKind};
use crate::scene::Scenes;
use crate::time::{UnixMillis, UnixSeconds};

/// How an object that wants a content differs from what the store knew of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The object is as it was when it was last listed.
    Unchanged,
    /// The key was not known before.
    New,
    /// The key was gone and is back.
    Returned,
    /// The object has other bytes, another storage class or another time.
    Changed,
}

/// The facts about a content on which decisions rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentFacts {
    /// `content.id`.
    pub id: i64,
    /// Scenes that are labelled.
    pub done: Scenes,
    /// Scenes that are labelled and were asked for again on purpose.
    pub redo: Scenes,
    /// Whether the content is pending, in flight, done or failed.
    pub state: ContentState,
    /// The run that wants the content or settled it; `None` if it waits for no run.
    pub run_id: Option<i64>,
    /// The kind of its last error; `None` if it has none.
    pub error: Option<ErrorKind>,
}

impl ContentFacts {
    /// Returns true if an object keeps this content although deduplication was switched on or off since the object
    /// got it. Labels stay, nothing is paid twice, and a faulty image is not called again.
    pub fn is_kept(self) -> bool {
        !self.done.is_empty()
            || self.state == ContentState::Failed
            || self.error == Some(ErrorKind::Final)
    }
}

/// The run that decides.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// `run.id`.
    pub run_id: i64,
    /// The scenes that the run wants of each content.
    pub scenes: Scenes,
}

/// What to do with a content that a run wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Leave the content as it is: everything is there, or is on its way.
    Leave,
    /// Everything that this run wants is there: take the content out of the queue.
    Finish {
        /// Another run in whose queue the content waited.
        take_from: Option<i64>,
    },
    /// The content was given up, and this run wants a scene that it lacks: it is a failure of this run.
    FailAgain,
    /// Put the content into the queue of this run.
    Queue {
        /// Another run in whose queue the content waited.
        take_from: Option<i64>,
        /// True if the content was counted among the failures of this run.
        was_own_failure: bool,
    },
}

/// Decides what to do with a content that an object of the run wants.
///
/// `is_archived` is asked only if the answer depends on it: whether the last error said that the object was in an
/// archive class.
///
/// # Errors
/// The error of `is_archived`.
pub fn want<E>(
    content: &ContentFacts,
    asker: Asker,
    sight: Sight,
    is_archived: impl FnOnce() -> Result<bool, E>,
) -> Result<Want, E> {
    use ContentState::{Done, Failed, InFlight, Pending};
    let missing = asker.scenes.without(content.done).union(content.redo);
    let own = content.run_id == Some(asker.run_id);
    let other = content.run_id.filter(|_| !own);
    if missing.is_empty() {
        return Ok(match content.state {
            Done => Want::Leave,
            _ if own => Want::Leave,
            Failed => Want::Finish { take_from: None },
            Pending | InFlight => Want::Finish { take_from: other },
        });
    }
    // A final verdict belongs to the bytes, so a new key for them changes nothing. But an archived object that changed
    // may have been restored.
    let retries_final = || if sight == Sight::Changed { is_archived() } else { Ok(false) };
    let again = match content.state {
        Pending | InFlight => !own,
        Done if content.error != Some(ErrorKind::Final) => true,
        Failed if content.error == Some(ErrorKind::Temporary) => !own,
        Done | Failed => retries_final()?,
    };
    Ok(match content.state {
        Done if !again => Want::FailAgain,
        _ if !again => Want::Leave,
        Failed => Want::Queue { take_from: None, was_own_failure: own },
        Pending => Want::Queue { take_from: other, was_own_failure: false },
        Done | InFlight => Want::Queue { take_from: None, was_own_failure: false },
    })
}

/// The consequences for the old content of an object that gets another content or is skipped now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// The run in whose queue the old content waits. That run has to list again.
    pub take_from: Option<i64>,
    /// True if the object was overwritten while its old content was in flight.
    pub overwritten_in_flight: bool,
}

/// Decides the consequences of rewriting an object for the content that it had.
pub fn rewrite(old: &ContentFacts, keeps_content: bool, is_skipped: bool) -> Rewrite {
    match old.state {
        ContentState::Pending if !keeps_content || is_skipped => {
            Rewrite { take_from: old.run_id, overwritten_in_flight: false }
        }
        ContentState::InFlight if !keeps_content => {
            Rewrite { take_from: None, overwritten_in_flight: true }
        }
        _ => Rewrite::default(),
    }
}

/// The largest difference between the time of a call in the ledger and the time of an object in a
/// listing of the same moment: the offset between the clocks is known in whole seconds, and so is the time of the
/// object. A call within this distance counts as one that met the new bytes. That may cost a call too many, but never
/// leaves a wrong label.
pub const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// Where the labels or the failure of a content came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The object that was called; `None` if the scenes came from several objects.
    pub object_id: Option<i64>,
    /// Scenes that are labelled.
    pub done: Scenes,
    /// Whether the content is pending, in flight, done or failed.
    pub state: ContentState,
    /// When the last answer came. Meaningless for a content without an answer.
    pub tagged_at: Option<UnixSeconds>,
    /// Whether the content has an error.
    pub has_error: bool,
    /// When the failed call ended; `None` if it is not known.
    pub failed_at: Option<UnixMillis>,
}

impl Origin {
    /// Returns true if the labels, or the failure, came from a call of `object_id` that ended after its bytes had
    /// become those of `last_modified`: then they belong to the new bytes.
    pub fn is_of_new_bytes(&self, object_id: i64, last_modified: Option<UnixMillis>) -> bool {
        let since = last_modified.map(|at| at.saturating_sub(SLACK));
        let by_this_object = self.object_id == Some(object_id);
        if self.done.is_empty() {
            // Without a time on either side the bytes may have been others already.
            return by_this_object
                && self.state == ContentState::Failed
                && self.has_error
                && !matches!((self.failed_at, since), (Some(failed), Some(since)) if failed < since);
        }
        let since = since.map(UnixMillis::to_seconds);
        (by_this_object || self.object_id.is_none())
            && matches!((self.tagged_at, since), (Some(tagged), Some(since)) if tagged >= since)
    }
}

/// Returns true if an object was overwritten before a call for it ended.
///
/// `now_has` is the content that the object has now, `modified` the time of its bytes, `called` the content that was
/// called, and `ended_at` when the call ended.
pub fn answers_other_bytes(
    now_has: Option<i64>,
    modified: Option<UnixMillis>,
    called: i64,
    ended_at: UnixMillis,
) -> bool {
    now_has != Some(called) && modified.is_some_and(|at| at <= ended_at.saturating_add(SLACK))
}

/// What becomes of a content whose labels were dropped because they belong to other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// The content stays in the queue of the run that decides, or in flight.
    StaysQueued,
    /// The content waits for no run: a run that finds an object which wants it adopts it.
    Waits {
        /// The run in whose queue it waited.
        take_from: Option<i64>,
    },
    /// No present object wants the content: it is done with what it has.
    Finish {
        /// The run in whose queue it waited.
        take_from: Option<i64>,
    },
}

/// Decides what becomes of a content whose labels are dropped.
///
/// # Errors
/// The error of `is_wanted`, which tells whether a present object wants the content.
pub fn drop_labels<E>(
    content: &ContentFacts,
    run_id: i64,
    is_wanted: impl FnOnce() -> Result<bool, E>,
) -> Result<Dropped, E> {
    let waits = content.state == ContentState::Pending;
    if content.state == ContentState::InFlight || waits && content.run_id == Some(run_id) {
        return Ok(Dropped::StaysQueued);
    }
    let take_from = content.run_id.filter(|_| waits);
    Ok(if is_wanted()? { Dropped::Waits { take_from } } else { Dropped::Finish { take_from } })
}

/// Returns true if a content has to leave the queue because no present object wants it any longer.
///
/// # Errors
/// The error of `is_wanted`, which tells whether a present object wants the content.
pub fn leaves_queue<E>(
    content: &ContentFacts,
    is_wanted: impl FnOnce() -> Result<bool, E>,
) -> Result<bool, E> {
    Ok(content.state == ContentState::Pending && !is_wanted()?)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    const THIS: Asker = Asker { run_id: 7, scenes: Scenes::from_bits(0b0110) };

    fn state() -> impl Strategy<Value = ContentState> {
        prop::sample::select(vec![
            ContentState::Pending,
            ContentState::InFlight,
            ContentState::Done,
            ContentState::Failed,
        ])
    }

    fn sight() -> impl Strategy<Value = Sight> {
        prop::sample::select(vec![Sight::Unchanged, Sight::New, Sight::Returned, Sight::Changed])
    }

    prop_compose! {
        fn content()(
            done in 0_u8..16, redo in 0_u8..16, state in state(),
            run_id in prop::option::of(6_i64..9),
            error in prop::option::of(prop::sample::select(vec![ErrorKind::Final, ErrorKind::Temporary])),
        ) -> ContentFacts {
            // As `costag verify` demands: only labelled scenes are asked for again, and what failed says why.
            let error = if state == ContentState::Failed { error.or(Some(ErrorKind::Final)) } else { error };
            let (done, redo) = (Scenes::from_bits(done), Scenes::from_bits(done & redo));
            ContentFacts { id: 1, done, redo, state, run_id, error }
        }
    }

    fn wanted(content: &ContentFacts, sight: Sight, archived: bool) -> Want {
        want(content, THIS, sight, || Ok::<_, Infallible>(archived)).unwrap_or(Want::Leave)
    }

    /// What a person would say must happen, case by case, without regard to what is written.
    fn is_called_by_this_run(content: &ContentFacts, sight: Sight, archived: bool) -> bool {
        let lacks = (0..4).map(|scene| 1 << scene).any(|bit| {
            let wanted = THIS.scenes.bits() & bit != 0 && content.done.bits() & bit == 0;
            wanted || content.redo.bits() & bit != 0
        });
        let own = content.run_id == Some(THIS.run_id);
        let restored = sight == Sight::Changed && archived;
        lacks
            && match (content.state, content.error) {
                (ContentState::Pending | ContentState::InFlight, _)
                | (ContentState::Done, None | Some(ErrorKind::Temporary)) => true,
                (ContentState::Failed, Some(ErrorKind::Temporary)) => !own,
                (ContentState::Done | ContentState::Failed, _) => restored,
            }
    }

    /// The content after the decision was written.
    fn written(content: &ContentFacts, want: Want) -> ContentFacts {
        let run_id = Some(THIS.run_id);
        match want {
            Want::Leave => *content,
            Want::Finish { .. } => {
                ContentFacts { state: ContentState::Done, run_id: None, ..*content }
            }
            Want::FailAgain => ContentFacts { state: ContentState::Failed, run_id, ..*content },
            Want::Queue { .. } => ContentFacts { state: ContentState::Pending, run_id, ..*content },
        }
    }

    fn waits(content: &ContentFacts) -> bool {
        matches!(content.state, ContentState::Pending | ContentState::InFlight)
    }

    proptest! {
        #![proptest_config(crate::property::config())]

        /// The queue after a decision is that of the model, and the counts of the run go with it.
        #[test]
        fn a_wanted_content_is_in_the_queue_of_the_run_exactly_if_the_model_says_so(
            content in content(), sight in sight(), archived in any::<bool>(),
        ) {
            let want = wanted(&content, sight, archived);
            let after = written(&content, want);
            let own = after.run_id == Some(THIS.run_id);
            let expected = is_called_by_this_run(&content, sight, archived);
            let lacks_nothing = THIS.scenes.without(content.done).union(content.redo).is_empty();
            if !(lacks_nothing && content.run_id == Some(THIS.run_id)) {
                prop_assert_eq!(waits(&after) && own, expected, "{:?}", want);
            }
            // What is queued, done or failed for a run is counted once.
            let counted = |content: &ContentFacts| {
                content.run_id == Some(THIS.run_id) && (waits(content) || content.state == ContentState::Failed)
            };
            if let Want::Queue { was_own_failure, .. } = want {
                prop_assert_eq!(was_own_failure, counted(&content) && content.state == ContentState::Failed);
                prop_assert!(!(waits(&content) && content.run_id == Some(THIS.run_id)), "it is queued already");
            }
        }

        #[test]
        fn only_another_run_in_whose_queue_a_content_waited_has_to_list_again(
            content in content(), sight in sight(), archived in any::<bool>(),
        ) {
            let (Want::Finish { take_from } | Want::Queue { take_from, .. }) =
                wanted(&content, sight, archived) else { return Ok(()) };
            prop_assert_ne!(take_from, Some(THIS.run_id));
            if take_from.is_some() {
                prop_assert!(waits(&content));
                prop_assert_eq!(take_from, content.run_id);
            } else if content.state == ContentState::Pending {
                prop_assert!(content.run_id.is_none() || content.run_id == Some(THIS.run_id));
            }
        }

        #[test]
        fn a_decision_that_was_written_is_not_made_again(
            content in content(), sight in sight(), archived in any::<bool>(),
        ) {
            let after = written(&content, wanted(&content, sight, archived));
            prop_assert_eq!(wanted(&after, Sight::Unchanged, archived), Want::Leave);
        }

        #[test]
        fn a_content_whose_labels_are_dropped_waits_exactly_if_somebody_wants_it(
            content in content(), is_wanted in any::<bool>(),
        ) {
            let dropped = drop_labels(&content, THIS.run_id, || Ok::<_, Infallible>(is_wanted));
            let own = waits(&content) && content.run_id == Some(THIS.run_id);
            match dropped.unwrap_or(Dropped::StaysQueued) {
                Dropped::StaysQueued => prop_assert!(own || content.state == ContentState::InFlight),
                Dropped::Waits { take_from } => {
                    prop_assert!(is_wanted && !own && take_from != Some(THIS.run_id));
                }
                Dropped::Finish { take_from } => {
                    prop_assert!(!is_wanted && !own && take_from != Some(THIS.run_id));
                }
            }
        }
    }

    #[test]
    fn labels_belong_to_the_new_bytes_if_their_call_may_have_met_them() {
        let origin = |tagged_at| Origin {
            object_id: Some(1),
            done: Scenes::from_bits(1),
            state: ContentState::Done,
            tagged_at: Some(UnixSeconds(tagged_at)),
            has_error: false,
            failed_at: None,
        };
        // Written over at 10 s: a call that ended two seconds before may have met the new bytes.
        for (tagged_at, expected) in [(7, false), (8, true), (10, true), (11, true)] {
            assert_eq!(
                origin(tagged_at).is_of_new_bytes(1, Some(UnixMillis(10_000))),
                expected,
                "{tagged_at}"
            );
        }
        assert!(
            !origin(11).is_of_new_bytes(2, Some(UnixMillis(10_000))),
            "another object was called"
        );
        assert!(
            !origin(11).is_of_new_bytes(1, None),
            "labels without a known time of the bytes stay"
        );
        let several = Origin { object_id: None, ..origin(11) };
        assert!(
            several.is_of_new_bytes(2, Some(UnixMillis(10_000))),
            "one of several objects was called"
        );
    }

    #[test]
    fn a_failure_belongs_to_the_new_bytes_unless_it_is_known_to_be_older() {
        let failed = |failed_at: Option<i64>| Origin {
            object_id: Some(1),
            done: Scenes::NONE,
            state: ContentState::Failed,
            tagged_at: None,
            has_error: true,
            failed_at: failed_at.map(UnixMillis),
        };
        assert!(failed(None).is_of_new_bytes(1, Some(UnixMillis(10_000))));
        assert!(failed(Some(8_000)).is_of_new_bytes(1, Some(UnixMillis(10_000))));
        assert!(!failed(Some(7_999)).is_of_new_bytes(1, Some(UnixMillis(10_000))));
        assert!(failed(Some(1)).is_of_new_bytes(1, None));
        assert!(!failed(None).is_of_new_bytes(2, Some(UnixMillis(10_000))));
    }
}
