//! In which terms a page speaks: time zone, money, and the options of the commands on it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Command, Links, name};
use crate::aliases::Aliases;
use crate::numbers::{grouped, money};
use crate::time::{UnixMillis, UnixSeconds};

/// The terms of a page.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The time zone of days and times of day.
    pub zone: TimeZone,
    /// The present time.
    pub now: Timestamp,
    /// What calls cost.
    pub money: Money,
    /// The options with which commands use the same database and configuration: each with its value, if it has one.
    pub common: Vec<(String, Option<String>)>,
    /// Where links lead.
    pub links: Links,
    /// The names that are shown instead of stored ones. Links have the stored ones.
    pub aliases: Arc<Aliases>,
}

/// What calls cost. Without a price, only units of billing are shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Money {
    /// The price of 1,000 units of billing.
    pub per_1000: Option<f64>,
    /// True if each scene of a call is a unit; false if each call is.
    pub by_scene: bool,
    /// The currency, such as `CNY`.
    pub currency: String,
}

impl Money {
    /// The units of billing of this many calls, which ask for this many scenes in all.
    pub(super) fn units(&self, calls: u64, scenes: u64) -> u64 {
        if self.by_scene { scenes.max(calls) } else { calls }
    }

    /// What this many units cost; `None` without a price.
    pub(super) fn cost(&self, units: u64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate to show")]
        self.per_1000.map(|price| units as f64 * price / 1000.0)
    }

    /// An amount with its currency: `¥ 1,541.86`, `3.20 USD`.
    pub(super) fn amount(&self, amount: f64) -> String {
        let text = money(amount);
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
        match self.currency.as_str() {
            "CNY" => format!("¥ {whole}.{rest}"),
            currency => format!("{whole}.{rest} {}", super::name::name(currency)),
        }
    }

    /// What this many units cost, or their number if no price is known.
    pub(super) fn told(&self, units: u64) -> String {
        self.cost(units).map_or_else(|| grouped(units), |cost| self.amount(cost))
    }
}

impl Terms {
    /// Adds the options with which a command uses the same database and configuration.
    pub(super) fn here(&self, command: Command) -> Command {
        self.common.iter().fold(command, |command, (name, value)| match value {
            Some(value) => command.option(name, value),
            None => command.flag(name),
        })
    }

    /// The name of a label, of which the stored one is given, as it is shown.
    pub(super) fn label(&self, stored: &str) -> String {
        name::label(self.aliases.label(stored))
    }

    /// The name of a label where several stand in a row.
    pub(super) fn short_label(&self, stored: &str) -> String {
        name::short_label(self.aliases.label(stored))
    }

    /// The name of a first category.
    pub(super) fn first_category(&self, stored: &str) -> String {
        name::category(self.aliases.first_category(stored))
    }

    /// The name of a second category.
    pub(super) fn second_category(&self, stored: &str) -> String {
        name::name(self.aliases.second_category(stored))
    }

    /// The two categories of a label, as far as there are any.
    pub(super) fn categories(&self, first: &str, second: &str) -> String {
        name::categories(self.aliases.first_category(first), self.aliases.second_category(second))
    }

    /// A moment as people say it: `24 Nov 02:00`, with the year if it is another one.
    pub(super) fn moment(&self, moment: UnixSeconds) -> String {
        let Some(moment) = moment.timestamp() else { return "unknown".to_owned() };
        let (moment, now) =
            (moment.to_zoned(self.zone.clone()), self.now.to_zoned(self.zone.clone()));
        let form = if moment.year() == now.year() { "%-d %b %H:%M" } else { "%-d %b %Y %H:%M" };
        moment.strftime(form).to_string()
    }

    /// The time of day of a moment, with seconds.
    pub(super) fn clock(&self, moment: UnixMillis) -> String {
        let Some(moment) = moment.timestamp() else { return "unknown".to_owned() };
        moment.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// The present moment in full, with its time zone.
    pub fn now(&self) -> String {
        let now = self.now.to_zoned(self.zone.clone());
        let zone = self.zone.iana_name().map_or_else(|| now.offset().to_string(), str::to_owned);
        format!("{}, {zone}", now.strftime("%-d %b %Y %H:%M"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The terms of tests: a price, and a day in November 2026.
    pub(in crate::view) fn terms() -> Terms {
        Terms {
            zone: TimeZone::UTC,
            now: Timestamp::from_second(1_795_672_800).unwrap(),
            money: Money { per_1000: Some(1.2), by_scene: true, currency: "CNY".to_owned() },
            common: vec![("--db".to_owned(), Some("nightly.db".to_owned()))],
            links: Links::File,
            aliases: Arc::default(),
        }
    }

    #[test]
    fn amounts_and_moments_are_told_as_people_say_them() {
        let terms = terms();
        assert_eq!(terms.money.amount(1_541.861), "¥ 1,541.86");
        assert_eq!(terms.money.amount(0.0012), "¥ 0.0012");
        let dollars = Money { currency: "USD".to_owned(), ..terms.money.clone() };
        assert_eq!(dollars.amount(3.2), "3.20 USD");
        assert_eq!(Money::default().told(1_200), "1,200");
        assert_eq!(terms.now(), "26 Nov 2026 06:00, UTC");
        assert_eq!(terms.moment(UnixSeconds(1_795_672_800)), "26 Nov 06:00");
        assert_eq!(terms.moment(UnixSeconds(1_764_136_800)), "26 Nov 2025 06:00");
        assert_eq!(terms.moment(UnixSeconds::MAX), "unknown");
    }

    #[test]
    fn a_command_names_the_database_and_the_configuration() {
        let mut terms = terms();
        let parts = |terms: &Terms| terms.here(Command::new("status").flag("--failures")).parts;
        assert_eq!(parts(&terms), ["costag status", "--failures", "--db nightly.db"]);
        terms.common = vec![
            ("--config".to_owned(), Some("-a.toml".to_owned())),
            ("--no-config".to_owned(), None),
        ];
        let expected = ["costag status", "--failures", "--config=-a.toml", "--no-config"];
        assert_eq!(parts(&terms), expected);
    }
}
