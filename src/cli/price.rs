//! What calls cost according to the settings.

use crate::config::{self, Billing, Settings};
use crate::numbers::{counted, money};
use crate::visible::visible;

/// Computes what calls cost. Every cost is `None` if no price is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    pub(super) per_1000: Option<f64>,
    pub(super) billing: Billing,
}

impl Price {
    /// The price that the settings give.
    pub(super) fn of(budget: &config::Budget) -> Self {
        Self { per_1000: budget.price_per_1000_calls, billing: budget.billing }
    }

    /// What this many calls cost, which ask for this many scenes in all.
    pub(super) fn cost(self, calls: u64, scenes: u64) -> Option<f64> {
        // Runs of older versions did not count scenes: a call asks for at least one.
        self.of_units(self.billing.units_of(calls, scenes.max(calls)))
    }

    /// What this many units of billing cost.
    pub(super) fn of_units(self, units: u64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate to show")]
        self.per_1000.map(|price| units as f64 * price / 1000.0)
    }
}

/// What this many calls cost, which ask for this many scenes in all, in words for a message.
pub(super) fn cost_in_words(settings: &Settings, calls: u64, scenes: u64) -> String {
    let price = Price::of(&settings.budget);
    let currency = visible(&settings.budget.currency).into_owned();
    match price.cost(calls, scenes) {
        Some(cost) if scenes > calls && settings.budget.billing == Billing::Scene => {
            let scenes = counted(scenes, "scene");
            format!("about {} {currency} ({scenes} are billed)", money(cost))
        }
        Some(cost) => format!("about {} {currency}", money(cost)),
        None => "unknown: price_per_1000_calls is not set".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_names_the_scenes_only_if_more_scenes_than_calls_are_billed() {
        let mut settings = Settings::default();
        assert!(cost_in_words(&settings, 1, 1).contains("unknown"));
        settings.budget.price_per_1000_calls = Some(1.5);
        assert_eq!(cost_in_words(&settings, 2_000, 2_000), "about 3.00 CNY");
        assert_eq!(
            cost_in_words(&settings, 2_000, 4_000),
            "about 6.00 CNY (4,000 scenes are billed)"
        );
        settings.budget.billing = Billing::Call;
        assert_eq!(cost_in_words(&settings, 2_000, 4_000), "about 3.00 CNY");
    }
}
