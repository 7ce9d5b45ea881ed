//! The numbers of the search. They were tuned with the simulations in `src/job/service/pace/simulation`.

/// The first rate of `auto` in calls a second, if no earlier run has found the limit.
pub(in crate::job::service::pace) const AUTO_START: f64 = 10.0;
/// The step of the first climb, while no limit is known, as a share of the rate.
pub(super) const CLIMB_STEP: f64 = 0.25;
/// The first step of a rise from a known limit, as a share of the rate.
pub(super) const FIRST_RISE_STEP: f64 = 0.005;
/// Each further step of a rise is longer by this factor, because the limit may have become much higher.
pub(super) const RISE_STEP_GROWTH: f64 = 1.4;
/// The longest step of a rise, as a share of the rate.
pub(super) const LONGEST_RISE_STEP: f64 = 0.25;
/// The step of a rise from a rate that is far below a former one, as a share of the rate.
pub(super) const RECOVERY_STEP: f64 = 1.0;
/// The rate is lowered to this share of what was let through, just below the limit, because the calls of a process are
/// not evenly spaced to the millisecond.
pub(super) const JUST_BELOW: f64 = 0.97;
/// The number of seconds for which a rate is held before it rises again, since a rise costs a few throttled calls.
pub(super) const HOLD_SECONDS: f64 = 10.0;
/// The number of calls for which a rate is held, too, before it rises again.
pub(super) const HOLD_CALLS: f64 = 200.0;
/// If a step of a rise by less than this factor goes from below the limit to above it, the limit is found.
pub(super) const NEAR_FACTOR: f64 = 1.05;
/// Up to this share of throttle answers, beyond the known faults, does not count as a limit.
pub(super) const TOLERATED_SHARE: f64 = 0.015;
/// After a step of a rise, this share of the step is tolerated too. A step beyond the limit causes much more.
pub(super) const TOLERATED_SHARE_OF_STEP: f64 = 0.125;
/// If less than this share of the rate is used, the calls are limited by the workers or the work, not by the rate.
pub(super) const USED_SHARE: f64 = 0.8;
/// The number of answers from which on a share is judged.
pub(super) const ENOUGH_ANSWERS: f64 = 20.0;
/// The number of answers from which on a share is judged if it is clear: most of them are throttles, or none is and the
/// rate returns to a former one.
pub(super) const ENOUGH_IF_CLEAR: f64 = 5.0;
/// The number of seconds after which a share is judged even with fewer answers.
pub(super) const LONG_SECONDS: f64 = 20.0;
/// Fewer throttles than this show that the rate has reached the limit, but not by how much it exceeds it.
pub(super) const ENOUGH_THROTTLES: f64 = 3.0;
/// Among fewer answers than this, a few throttles may be accidental.
pub(super) const BEYOND_CHANCE: f64 = 100.0;
/// Above this share of throttles, the number of calls that were let through indicates the limit. Below it, a slow start
/// would distort that number.
pub(super) const COUNTED_FROM_SHARE: f64 = 0.2;
/// The rate is lowered at most to this share at a time, because for a moment after a limit has fallen nothing is let
/// through.
pub(super) const CUT_AT_MOST_TO: f64 = 0.5;
/// If a smaller share than this is throttled at half the rate, those throttles are faults.
pub(super) const FAULTS_AT_HALF_RATE: f64 = 0.1;
/// A trial lowers the rate at least to this share.
pub(super) const TRIAL_SHARE: f64 = 0.7;
/// In an interval of more seconds than this, most answers belong to calls of the trial, not to earlier ones.
pub(super) const TRIAL_ONLY_SECONDS: f64 = 4.0;
/// The smallest number of throttle answers from which a share of faults is computed.
pub(super) const PROVING_THROTTLES: f64 = 8.0;
/// The seconds until lasting faults are examined again. The time doubles with each examination.
pub(super) const FIRST_EXAMINATION: f64 = 60.0;
/// The next examination comes after at least this many times the duration of the last one.
pub(super) const REST_AFTER_EXAMINATION: f64 = 20.0;
/// The longest time between two examinations, in seconds.
pub(super) const LONGEST_REST: f64 = 960.0;
