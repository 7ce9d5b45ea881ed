//! What calls cost, by the settings, and how an amount of money is shown.

use crate::config::{self, Billing, Settings};
use crate::visible::visible;

/// What calls cost; nothing is known of it if no price is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    pub(super) per_1000: Option<f64>,
    pub(super) billing: Billing,
}

impl Price {
    /// By the settings.
    pub(super) fn of(budget: &config::Budget) -> Self {
        Self { per_1000: budget.price_per_1000_calls, billing: budget.billing }
    }

    /// What so many calls cost, which ask for so many scenes in all.
    pub(super) fn cost(self, calls: u64, scenes: u64) -> Option<f64> {
        // Runs of older versions did not count their scenes.
        self.of_units(self.billing.units_of(calls, scenes.max(calls)))
    }

    /// What so many units of billing cost.
    pub(super) fn of_units(self, units: u64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate to show")]
        self.per_1000.map(|price| units as f64 * price / 1000.0)
    }
}

/// What so many calls cost, which ask for so many scenes in all, in words.
pub(super) fn cost_in_words(settings: &Settings, calls: u64, scenes: u64) -> String {
    let price = Price::of(&settings.budget);
    let currency = visible(&settings.budget.currency).into_owned();
    match price.cost(calls, scenes) {
        Some(cost) if scenes > calls && settings.budget.billing == Billing::Scene => {
            format!("about {} {currency}, each of {scenes} scenes being billed", amount(cost))
        }
        Some(cost) => format!("about {} {currency}", amount(cost)),
        None => "unknown: price_per_1000_calls is not set".to_owned(),
    }
}

/// Money, to show: two digits, or as many as a small amount needs.
pub(super) fn amount(amount: f64) -> String {
    if amount.abs() >= 0.1 || amount == 0.0 {
        format!("{amount:.2}")
    } else {
        format!("{amount:.5}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_in_words() {
        let mut settings = Settings::default();
        assert!(cost_in_words(&settings, 1, 1).contains("unknown"));
        settings.budget.price_per_1000_calls = Some(1.5);
        assert_eq!(cost_in_words(&settings, 2_000, 2_000), "about 3.00 CNY");
        assert_eq!(
            cost_in_words(&settings, 2_000, 4_000),
            "about 6.00 CNY, each of 4000 scenes being billed"
        );
        settings.budget.billing = Billing::Call;
        assert_eq!(cost_in_words(&settings, 2_000, 4_000), "about 3.00 CNY");
    }
}
