//! A trial: a run whose scope is so many images (`--limit`, `--sample`) instead of all that are wanted.

use serde::{Deserialize, Serialize};

use crate::config;
use crate::store::model::Counts;

/// How many images a run takes, and which; kept with the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Trial {
    /// The first ones in the order of the source.
    pub limit: Option<u64>,
    /// Some that are chosen at random once everything is listed.
    pub sample: Option<u64>,
    /// Images that the run had settled before it became a trial.
    pub from: u64,
}

impl Trial {
    /// The trial that the settings ask for; `None` if they want everything.
    pub fn of(settings: &config::Budget) -> Option<Self> {
        let config::Budget { limit, sample, .. } = *settings;
        limit.or(sample).map(|_| Self { limit, sample, from: 0 })
    }

    /// How many images it takes.
    pub fn images(&self) -> u64 {
        self.limit.into_iter().chain(self.sample).min().unwrap_or(u64::MAX)
    }

    /// The option that says so, as it is typed.
    pub fn name(&self) -> String {
        match (self.limit, self.sample) {
            (Some(limit), None) => format!("--limit {limit}"),
            (None, Some(sample)) => format!("--sample {sample}"),
            (limit, sample) if limit <= sample => format!("--limit {}", limit.unwrap_or(0)),
            (_, sample) => format!("--sample {}", sample.unwrap_or(0)),
        }
    }

    /// Whether both take the same images, whenever they began.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.limit, self.sample) == (other.limit, other.sample)
    }

    /// How many of its images a run with these counts has settled.
    pub fn settled(&self, counts: &Counts) -> u64 {
        (counts.done + counts.failed).saturating_sub(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn the_smaller_number_holds_and_is_named() {
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
    fn images_of_before_are_none_of_it() {
        let counts = Counts { done: 7, failed: 2, ..Counts::default() };
        assert_eq!(Trial { from: 4, ..Trial::default() }.settled(&counts), 5);
    }
}
