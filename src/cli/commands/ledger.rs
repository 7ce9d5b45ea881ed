//! `costag ledger`: sums up the calls and what they may have cost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::options::global::GlobalOptions;
use crate::cli::options::groups::{OfPrices, SettingOptions};
use crate::cli::price::Price;
use crate::cli::rows::{Form, FormOptions};
use crate::cli::table::Table;
use crate::cli::zone;
use crate::config::{Billing, Settings};
use crate::export::{self, Dialect, Output};
use crate::numbers::money;
use crate::scene::Scenes;
use crate::store::Reader;
use crate::store::read::{LedgerGrouping, LedgerQuery, LedgerSums};
use crate::time::{UnixMillis, day_of, midnight};

/// Sum up the calls that were made, and what they may have cost
///
/// Every call that ended is in the ledger as answered, failed, throttled, thrown away (sent, but no usable answer
/// arrived) or unknown (in flight when the process was killed). A cost is an estimate: the scenes of all calls, or with
/// billing = "call" the calls, times price_per_1000_calls / 1000.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "it is the help's text")]
pub struct Args {
    /// What one row stands for: a day of the local time zone, a run, or a set of scenes
    #[arg(long, value_enum, default_value_t = By::Day)]
    by: By,
    /// Only calls that ended in this month of the local time zone, such as 2026-11
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<Month>,
    #[command(flatten)]
    form: FormOptions,
    #[command(flatten)]
    price: SettingOptions<OfPrices>,
}

/// What one row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// A day of the local time zone
    Day,
    /// A run
    Run,
    /// A set of scenes that a call asks for
    Scene,
}

/// The first day of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Month(Date);

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = format!("{text}-01").parse::<Date>();
        first.ok().filter(|_| text.len() == 7).map(Self).ok_or("expected a month such as 2026-11")
    }
}

/// The sums that have their own columns.
fn numbers(sums: &LedgerSums) -> [u64; 7] {
    let LedgerSums { calls, answered, failed, throttled, thrown_away, unknown, retries, .. } =
        *sums;
    [calls, answered, failed, throttled, thrown_away, unknown, retries]
}

#[derive(Serialize)]
struct JsonRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenes: Option<&'a str>,
    #[serde(flatten)]
    sums: LedgerSums,
    cost: Option<f64>,
    /// The cost if each scene is billed, even if the setting `billing` says otherwise.
    cost_up_to: Option<f64>,
}

/// What `--json` prints. Its names must not change.
#[derive(Serialize)]
struct Json<'a> {
    zone: &'a str,
    price_per_1000_calls: Option<f64>,
    billing: Billing,
    currency: &'a str,
    rows: Vec<JsonRow<'a>>,
    total: JsonRow<'a>,
}

const COLUMNS: [&str; 7] =
    ["calls", "answered", "failed", "throttled", "thrown_away", "unknown", "retries"];

/// The counts of each group of calls, and of all calls.
struct Ledger {
    by: By,
    zone: String,
    groups: BTreeMap<Group, LedgerSums>,
    total: LedgerSums,
    price: Price,
    currency: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Day(Date),
    Run(i64),
    Scenes(u8),
}

impl Group {
    fn shown(self) -> String {
        match self {
            Self::Day(day) => day.to_string(),
            Self::Run(run) => run.to_string(),
            Self::Scenes(bits) => Scenes::from_bits(bits).to_string(),
        }
    }
}

impl Args {
    /// Prints the sums.
    ///
    /// # Errors
    /// The database is unusable, or stdout cannot be written.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let settings = global.settings(|options| self.price.give(options))?;
        let reader = Reader::open(&settings.db)?;
        let ledger = Ledger::read(&reader, self.by, self.month, &settings, &zone::local())?;
        reader.unchanged()?;
        let text = match self.form.form() {
            Form::Text => ledger.text(),
            Form::Csv(dialect) => ledger.csv(dialect),
            Form::Json => ledger.json()?,
        };
        let mut output = Output::open_in(Path::new("-"), self.form.form().notation())?;
        output.write_all(text.as_bytes()).map_err(|source| output.error(source))?;
        output.commit()?;
        Ok(Exit::Complete)
    }
}

impl Ledger {
    fn read(
        reader: &Reader,
        by: By,
        month: Option<Month>,
        settings: &Settings,
        zone: &TimeZone,
    ) -> anyhow::Result<Self> {
        let within = month.map(|Month(first)| {
            midnight(first, zone)..midnight(first.saturating_add(1.month()), zone)
        });
        let now = Timestamp::now().to_zoned(zone.clone());
        // A day begins at a whole minute, unless the offset of the zone has seconds.
        let unit_ms = if now.offset().seconds() % 60 == 0 { 60_000 } else { 1_000 };
        let grouping = match by {
            By::Run => LedgerGrouping::Run,
            By::Scene => LedgerGrouping::Scenes,
            By::Day => LedgerGrouping::Time { unit_ms },
        };
        let mut day: Option<(Date, Range<UnixMillis>)> = None;
        let mut groups: BTreeMap<Group, LedgerSums> = BTreeMap::new();
        let mut total = LedgerSums::default();
        reader.ledger_sums(&LedgerQuery { grouping, within }, |number, sums| {
            let group = match by {
                By::Run => Group::Run(number),
                By::Scene => Group::Scenes(u8::try_from(number).unwrap_or_default()),
                By::Day => {
                    let moment = UnixMillis(number.saturating_mul(unit_ms));
                    // Rows come in the order of time, so the calendar is needed only when a new day begins.
                    if !matches!(&day, Some((_, span)) if span.contains(&moment)) {
                        day = Some(day_of(moment, zone));
                    }
                    Group::Day(day.as_ref().map_or(Date::ZERO, |(date, _)| *date))
                }
            };
            *groups.entry(group).or_default() += sums;
            total += sums;
        })?;
        let zone = match zone.iana_name() {
            Some(name) => name.to_owned(),
            None => now.offset().to_string(),
        };
        let price = Price::of(&settings.budget);
        let currency = settings.budget.currency.clone();
        Ok(Self { by, zone, groups, total, price, currency })
    }

    fn costs(&self, sums: &LedgerSums) -> [Option<f64>; 2] {
        [self.price.cost(sums.calls, sums.scenes_asked), self.price.of_units(sums.scenes_asked)]
    }

    fn name(&self) -> &'static str {
        match self.by {
            By::Day => "day",
            By::Run => "run",
            By::Scene => "scenes",
        }
    }

    fn text(&self) -> String {
        let mut header = vec![self.name()];
        header.extend(COLUMNS.map(|name| if name == "thrown_away" { "thrown away" } else { name }));
        let cost = format!("cost ({})", self.currency);
        let priced = self.price.per_1000.is_some();
        header.push("scenes asked");
        if priced {
            header.push(&cost);
        }
        let mut table = Table::new(&header);
        let all = self.groups.iter().map(|(group, sums)| (group.shown(), sums));
        for (group, sums) in all.chain([("total".to_owned(), &self.total)]) {
            let mut cells = vec![group];
            cells.extend(numbers(sums).map(|number| number.to_string()));
            cells.push(sums.scenes_asked.to_string());
            if priced {
                cells.push(money(self.costs(sums)[0].unwrap_or(0.0)));
            }
            table.row(cells);
        }
        let numbers: Vec<usize> = (1..header.len()).collect();
        table.numbers(&numbers);
        let mut text = format!("{table}\n");
        let _ = writeln!(text, "days and months are those of the time zone {}", self.zone);
        if priced {
            let unit = match self.price.billing {
                Billing::Scene => "each scene that a call asked for is billed",
                Billing::Call => "each call is billed once, however many scenes it asked for",
            };
            let _ = writeln!(text, "the cost is an estimate: {unit} (setting billing)");
        } else {
            let _ = writeln!(text, "no cost is shown: the setting price_per_1000_calls is not set");
        }
        text
    }

    fn csv(&self, dialect: Dialect) -> String {
        let mut text = Vec::new();
        let last = ["scenes_asked", "cost", "cost_up_to", "currency", "zone"];
        export::header(&[&[self.name()], &COLUMNS[..], &last].concat(), dialect, &mut text);
        for (group, sums) in &self.groups {
            let costs = self.costs(sums).map(|cost| cost.map(money).unwrap_or_default());
            let numbers = numbers(sums).map(|number| number.to_string());
            let mut cells = vec![group.shown()];
            cells.extend(numbers);
            cells.push(sums.scenes_asked.to_string());
            cells.extend(costs);
            cells.extend([self.currency.clone(), self.zone.clone()]);
            export::line(&cells, dialect, &mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn json(&self) -> anyhow::Result<String> {
        let shown: Vec<(Group, String, &LedgerSums)> =
            self.groups.iter().map(|(group, sums)| (*group, group.shown(), sums)).collect();
        let row = |sums: &LedgerSums| {
            let [cost, cost_up_to] = self.costs(sums);
            JsonRow { day: None, run: None, scenes: None, sums: *sums, cost, cost_up_to }
        };
        let rows = shown
            .iter()
            .map(|(group, name, sums)| {
                let row = row(sums);
                match group {
                    Group::Day(_) => JsonRow { day: Some(name), ..row },
                    Group::Run(run) => JsonRow { run: Some(*run), ..row },
                    Group::Scenes(_) => JsonRow { scenes: Some(name), ..row },
                }
            })
            .collect();
        let json = Json {
            zone: &self.zone,
            price_per_1000_calls: self.price.per_1000,
            billing: self.price.billing,
            currency: &self.currency,
            rows,
            total: row(&self.total),
        };
        Ok(serde_json::to_string_pretty(&json)? + "\n")
    }
}
