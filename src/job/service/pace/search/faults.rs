//! Tells faults from a limit: lowers the rate, watches whether that helps, and halves it for a trial if it does not.

use super::LimitSearch;
use super::interval::{Interval, effective};
use super::phase::{Lowered, Phase, Trial};
use super::tuning::{
    BEYOND_CHANCE, COUNTED_FROM_SHARE, CUT_AT_MOST_TO, ENOUGH_ANSWERS, FAULTS_AT_HALF_RATE,
    FIRST_EXAMINATION, JUST_BELOW, PROVING_THROTTLES, REST_AFTER_EXAMINATION, TOLERATED_SHARE,
    TRIAL_ONLY_SECONDS, TRIAL_SHARE,
};
use crate::job::service::pace::evidence::{Comparison, Counts, compare};

impl LimitSearch {
    /// Lowers the rate to what was let through. If that has not helped before, halves the rate for a trial.
    pub(super) fn lower(&mut self, rate: f64, interval: &Interval) -> f64 {
        let used = effective(rate, interval);
        let next = (JUST_BELOW * self.let_through(rate, interval))
            .clamp(CUT_AT_MOST_TO * used, JUST_BELOW * rate);
        if let Some(Lowered { before, used: full, earlier, .. }) = self.lowered.take() {
            let all = earlier + interval.seen;
            // The first second may have begun slowly.
            let full = full.max(used);
            if !interval.seen.is_full(Counts::default())
                && compare(earlier, interval.seen, 0.0) != Comparison::Lowered
            {
                if all.answers >= ENOUGH_ANSWERS && all.throttled >= PROVING_THROTTLES {
                    let fallback = next.min(JUST_BELOW * self.counted(interval));
                    let half = (full / 2.0).min(TRIAL_SHARE * rate);
                    let since = Counts::default();
                    let lowered = Lowered { before, used: full, earlier: all, since };
                    return self.begin_trial(&lowered, half, fallback);
                }
                // There are too few answers for a comparison.
                let since = Counts::default();
                self.lowered = Some(Lowered { before, used: full, earlier: all, since });
            }
        }
        if self.lowered.is_none() {
            let (earlier, since) = (interval.seen, Counts::default());
            self.lowered = Some(Lowered { before: rate, used, earlier, since });
        }
        self.phase = Phase::from_below();
        next
    }

    pub(super) fn begin_trial(&mut self, lowered: &Lowered, half: f64, fallback: f64) -> f64 {
        let Lowered { before, used, earlier, .. } = *lowered;
        self.lowered = None;
        self.phase = Phase::Trial(Trial {
            before,
            used,
            fallback,
            earlier,
            seen: Counts::default(),
            seconds: 0.0,
            settled: false,
        });
        half
    }

    /// Judges a trial once there are enough answers.
    pub(super) fn try_half(&mut self, rate: f64, interval: &Interval) -> f64 {
        let Phase::Trial(trial) = &mut self.phase else { return rate };
        if !std::mem::replace(&mut trial.settled, true) && interval.seconds < TRIAL_ONLY_SECONDS {
            return rate;
        }
        trial.seen += interval.seen;
        trial.seconds += interval.seconds;
        let Trial { before, used, fallback, earlier, seen, seconds, .. } = *trial;
        let is_lower = rate <= TRIAL_SHARE.midpoint(1.0) * used;
        let is_full = seen.answers >= ENOUGH_ANSWERS && seen.is_full(Counts::default());
        let verdict = if !is_lower || is_full || (earlier + seen).may_be_full() {
            Comparison::Lowered
        } else {
            compare(earlier, seen, seconds)
        };
        match verdict {
            Comparison::Open => rate,
            Comparison::Same => {
                // Faults that were not known yet may have been taken for a limit.
                if self.faults.share() <= TOLERATED_SHARE
                    || self.found.is_some_and(|found| found < before)
                {
                    self.found = None;
                }
                self.faults = earlier + seen;
                self.recent = Counts::default();
                self.since_examined = 0.0;
                self.examine_after = self.examine_after.max(REST_AFTER_EXAMINATION * seconds);
                self.phase = if before >= self.cap {
                    Phase::hold()
                } else if self.found.is_some() {
                    Phase::from_below()
                } else {
                    Phase::climb()
                };
                before
            }
            Comparison::Lowered => {
                // A few throttles that are left are faults. Many may come from another program with the same quota.
                let is_known = self.faults.share() > 0.0;
                let is_fault =
                    is_lower && seen.answers >= BEYOND_CHANCE && seen.share() < FAULTS_AT_HALF_RATE;
                if seen.share() < self.faults.share() || (!is_known && is_fault) {
                    self.faults = seen;
                }
                let all = Interval { seconds: interval.seconds, permits: interval.permits, seen };
                if seen.exceeds(self.faults, TOLERATED_SHARE, 1.0) {
                    return self.lower(rate, &all);
                }
                self.phase = Phase::from_below();
                rate.max(fallback)
            }
        }
    }

    /// Lowers the known share of faults if fewer come, and forgets a lowering of the rate that has helped.
    pub(super) fn watch_faults(&mut self, interval: &Interval) {
        self.since_examined += interval.seconds;
        if let Some(lowered) = &mut self.lowered {
            lowered.since += interval.seen;
            // Known faults come at any rate, so only the others can tell whether the lowering has helped.
            let faults = self.faults.share();
            let expected = lowered.since.answers * (lowered.earlier.share() - faults);
            let others = lowered.since.throttled - lowered.since.answers * faults;
            if expected >= PROVING_THROTTLES && others < 0.5 * expected {
                self.lowered = None;
            }
        }
        if self.faults.throttled <= 0.0 {
            return;
        }
        self.recent += interval.seen;
        let expected = self.recent.answers * self.faults.share();
        if expected < 2.0 * PROVING_THROTTLES {
            return;
        }
        let recent = std::mem::take(&mut self.recent);
        if recent.throttled < 0.5 * expected {
            self.faults = recent;
            self.examine_after = FIRST_EXAMINATION;
            return;
        }
        // The share of throttles is never smaller than that of the faults alone, so a smaller share corrects it at any
        // rate.
        let is_held = matches!(self.phase, Phase::Hold(_));
        if recent.share() < self.faults.share()
            || (is_held && !recent.exceeds(self.faults, 0.0, 0.0))
        {
            self.faults = self.faults.aged() + recent;
        }
    }

    /// The rate that was let through, computed from the share of throttles. If many answers are throttles and the rate
    /// is used, it is also limited by the number of other answers. Faults do not lower it.
    fn let_through(&self, rate: f64, interval: &Interval) -> f64 {
        let passing = 1.0 - self.faults.share();
        let by_share = rate * (1.0 - interval.seen.share()) / passing;
        let is_plain = interval.seen.share() > COUNTED_FROM_SHARE && interval.uses(rate);
        let is_counted = rate.is_infinite() || is_plain;
        if is_counted { by_share.min(self.counted(interval)) } else { by_share }
    }

    /// The rate that was let through, computed from the number of other answers.
    fn counted(&self, interval: &Interval) -> f64 {
        interval.seen.good() / interval.seconds / (1.0 - self.faults.share())
    }
}
