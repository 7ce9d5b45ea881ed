//! A trial is a run that is limited to a number of images (`--limit`, `--sample`) instead of taking all that are wanted.

use serde::{Deserialize, Serialize};

use crate::config;
use crate::store::model::Counts;

/// The number of images that a run is limited to. It is stored with the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Trial {
    /// Take this many images, the first ones in the order of the source. Absent if there is no such limit.
    pub limit: Option<u64>,
    /// Take this many images at random, once everything is listed. Absent if there is no such limit.
    pub sample: Option<u64>,
    /// The number of images that the run had settled before it became a trial.
    pub from: u64,
}

impl Trial {
    /// Returns the trial that the settings ask for, or `None` if they ask for every image.
    pub fn of(settings: &config::Budget) -> Option<Self> {
        let config::Budget { limit, sample, .. } = *settings;
        limit.or(sample).map(|_| Self { limit, sample, from: 0 })
    }

    /// The number of images of the trial. If both limits are set, the smaller one counts.
    pub fn images(&self) -> u64 {
        self.limit.into_iter().chain(self.sample).min().unwrap_or(u64::MAX)
    }

    /// The option that limits the run, as it is typed.
    pub fn name(&self) -> String {
        match (self.limit, self.sample) {
            (Some(limit), None) => format!("--limit {limit}"),
            (None, Some(sample)) => format!("--sample {sample}"),
            (limit, sample) if limit <= sample => format!("--limit {}", limit.unwrap_or(0)),
            (_, sample) => format!("--sample {}", sample.unwrap_or(0)),
        }
    }

    /// Returns whether both trials take the same images, even if they began at different times.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.limit, self.sample) == (other.limit, other.sample)
    }

    /// The number of images of the trial that a run with these counts has settled.
    pub fn settled(&self, counts: &Counts) -> u64 {
        (counts.done + counts.failed).saturating_sub(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn the_smaller_of_two_limits_counts_and_is_named() {
        let trial = |limit, sample| {
            let mut budget = Settings::default().budget;
            (budget.limit, budget.sample) = (limit, sample);
            Trial::of(&budget).map(|trial| (trial.images(), trial.name()))
        };
        assert_eq!(trial(None, None), None);
        assert_eq!(trial(Some(3), None), Some((3, "--limit 3".to_owned())));
        assert_eq!(trial(None, Some(4)), Some((4, "--sample 4".to_owned())));
        assert_eq!(trial(Some(3), Some(2)), Some((2, "--sample 2".to_owned())));
        assert_eq!(trial(Some(2), Some(3)), Some((2, "--limit 2".to_owned())));
    }

    #[test]
    fn images_settled_before_the_trial_do_not_count() {
        let counts = Counts { done: 7, failed: 2, ..Counts::default() };
        assert_eq!(Trial { from: 4, ..Trial::default() }.settled(&counts), 5);
    }
}
