//! `Settings`: what the program needs, checked, grouped by what it influences.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;
use serde::{Deserialize, Serialize};

use super::typed::Typed;
use super::types::{Billing, FailureLimit, Filter, LogFormat, Rate, Until};
use super::value::duration_text;
use crate::scene::{Scene, Scenes};

/// Every setting of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The job database.
    pub db: PathBuf,
    /// What decides where the work comes from and which of it is wanted; kept with the run.
    pub stored: Stored,
    /// How fast.
    pub pace: Pace,
    /// How a request is made.
    pub connection: Connection,
    /// What stops a run, or asks before it starts.
    pub budget: Budget,
    /// Where credentials come from; never the credentials themselves.
    pub credentials: CredentialSources,
    /// What is told on stderr.
    pub logging: Logging,
    /// The options that were typed and that a run keeps, for `costag resume`.
    pub typed: Typed,
}

/// The settings that a run keeps, so that resuming it takes the same objects and asks for the same scenes.
///
/// Of the other settings it keeps the options that were typed, see [`Typed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stored {
    /// The bucket's region; none: it must follow from the endpoint.
    pub region: Option<String>,
    /// An address to use instead of the one that follows from bucket and region.
    pub endpoint: Option<String>,
    /// The models each image is asked for.
    pub scenes: Scenes,
    /// Which listed objects are wanted.
    pub filter: Filter,
    /// Whether equal bytes under several keys are called for once.
    pub dedupe: bool,
}

/// How fast requests are sent, and how many at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// `detect-label` calls a second.
    pub qps: Rate,
    /// Calls on the wire at a time, 1 to 4096.
    pub workers: NonZeroUsize,
    /// List requests a second; never [`Rate::Auto`].
    pub list_qps: Rate,
    /// Ranges listed side by side, 1 to 256.
    pub list_workers: NonZeroUsize,
}

/// How a request is made and how long faults are borne.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// How long a run goes on without any success before it gives up.
    pub patience: Duration,
    /// How long images that failed for now wait before the second pass; before the third, four times that.
    pub cooldown: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a request may take, answer included.
    pub timeout: Duration,
    /// A PEM file with further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Whether an `http://` endpoint that is not on this machine may be used.
    pub allow_http: bool,
}

/// What stops a run before everything is done, or asks before it starts; none is no limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Failed images after which the run stops.
    pub max_failures: FailureLimit,
    /// Whether keys of a list that the bucket does not have are no failure.
    pub allow_missing: bool,
    /// Calls of this invocation.
    pub max_calls: Option<u64>,
    /// Cost of this invocation's units of billing, in `currency`; set only together with a price.
    pub max_cost: Option<f64>,
    /// Calls of a day of the local zone, over the ledger.
    pub daily_calls: Option<u64>,
    /// How long this invocation may take.
    pub max_duration: Option<Duration>,
    /// The time of day at which calling stops.
    pub until: Option<Until>,
    /// How many images are taken, in the order of the source.
    pub limit: Option<u64>,
    /// How many images are taken, chosen at random once all is listed.
    pub sample: Option<u64>,
    /// Units of billing above which a run asks a person; none: it never asks.
    pub confirm_above: Option<u64>,
    /// What 1,000 units of billing cost, in `currency`; none: unknown.
    pub price_per_1000_calls: Option<f64>,
    /// What a unit of billing is.
    pub billing: Billing,
    /// The currency of prices and costs, for display only.
    pub currency: String,
}

/// Where credentials are looked for besides the environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialSources {
    /// A file with secret id and key.
    pub file: Option<PathBuf>,
    /// A command whose output holds them.
    pub process: Option<String>,
    /// The role of the CVM instance this runs on.
    pub cvm_role: Option<String>,
    /// The address of the instance's metadata service, instead of the usual one.
    pub metadata_endpoint: Option<String>,
}

/// What is told on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// Directives of an env-filter.
    pub filter: String,
    /// Lines for people or for machines.
    pub format: LogFormat,
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            scenes: Scene::Camera.into(),
            filter: Filter::default(),
            dedupe: true,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let many = |n: usize| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        Self {
            db: "costag.db".into(),
            stored: Stored::default(),
            pace: Pace {
                qps: Rate::PerSecond(10.0),
                workers: many(64),
                list_qps: Rate::PerSecond(100.0),
                list_workers: many(16),
            },
            connection: Connection {
                patience: Duration::from_mins(15),
                cooldown: Duration::from_secs(15),
                connect_timeout: Duration::from_secs(5),
                timeout: Duration::from_secs(30),
                ca_file: None,
                allow_http: false,
            },
            budget: Budget {
                max_failures: FailureLimit::Percent(50.0),
                allow_missing: false,
                max_calls: None,
                max_cost: None,
                daily_calls: None,
                max_duration: None,
                until: None,
                limit: None,
                sample: None,
                confirm_above: Some(10_000),
                price_per_1000_calls: None,
                billing: Billing::Scene,
                currency: "CNY".to_owned(),
            },
            credentials: CredentialSources::default(),
            logging: Logging { filter: "warn".to_owned(), format: LogFormat::Text },
            typed: Typed::default(),
        }
    }
}

impl Budget {
    /// How many units of billing `max_cost` pays for; none: there is no such limit.
    pub fn units_for_cost(&self) -> Option<u64> {
        let (cost, price) = self.max_cost.zip(self.price_per_1000_calls)?;
        // What was typed in decimals must not lose a unit to its binary form: 0.7 / 0.1 is below 7.
        let units = cost / price * 1000.0 * (1.0 + 1e-12);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "floored on purpose; a float saturates"
        )]
        let units = units as u64;
        Some(units)
    }
}

impl Settings {
    /// Every setting as it would be written in the file, by key, in the order of [`super::KEYS`].
    ///
    /// Reading these values gives the same settings again.
    pub fn entries(&self) -> Vec<(&'static str, Value)> {
        let text = |text: Option<&str>| Value::from(text.unwrap_or_default());
        let path = |path: &Option<PathBuf>| {
            Value::from(
                path.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default().as_ref(),
            )
        };
        let limit = |limit: Option<u64>| Value::from(limit.unwrap_or(0));
        let list = |list: &[String]| Value::from(list.to_vec());
        let Self { db, stored, pace, connection, budget, credentials, logging, typed: _ } = self;
        let filter = &stored.filter;
        vec![
            ("db", db.to_string_lossy().as_ref().into()),
            ("region", text(stored.region.as_deref())),
            ("endpoint", text(stored.endpoint.as_deref())),
            ("allow_http", connection.allow_http.into()),
            (
                "scenes",
                stored.scenes.iter().map(|s| s.name().to_owned()).collect::<Vec<_>>().into(),
            ),
            ("suffixes", list(&filter.suffixes)),
            ("include", list(&filter.include)),
            ("exclude", list(&filter.exclude)),
            ("min_size", filter.min_size.into()),
            ("max_size", limit(filter.max_size)),
            ("archive", filter.archive.into()),
            ("dedupe", stored.dedupe.into()),
            ("qps", rate(pace.qps)),
            ("workers", pace.workers.get().into()),
            ("list_qps", rate(pace.list_qps)),
            ("list_workers", pace.list_workers.get().into()),
            ("patience", duration_text(connection.patience).into()),
            ("cooldown", duration_text(connection.cooldown).into()),
            ("connect_timeout", duration_text(connection.connect_timeout).into()),
            ("timeout", duration_text(connection.timeout).into()),
            ("ca_file", path(&connection.ca_file)),
            ("max_failures", failures(budget.max_failures)),
            ("allow_missing", budget.allow_missing.into()),
            ("max_calls", limit(budget.max_calls)),
            ("max_cost", number(budget.max_cost.unwrap_or(0.0))),
            ("daily_calls", limit(budget.daily_calls)),
            ("max_duration", budget.max_duration.map(duration_text).unwrap_or_default().into()),
            ("until", budget.until.map(|until| until.to_string()).unwrap_or_default().into()),
            ("limit", limit(budget.limit)),
            ("sample", limit(budget.sample)),
            ("confirm_above", limit(budget.confirm_above)),
            ("price_per_1000_calls", number(budget.price_per_1000_calls.unwrap_or(0.0))),
            ("billing", budget.billing.name().into()),
            ("currency", budget.currency.as_str().into()),
            ("credentials_file", path(&credentials.file)),
            ("credential_process", text(credentials.process.as_deref())),
            ("cvm_role", text(credentials.cvm_role.as_deref())),
            ("metadata_endpoint", text(credentials.metadata_endpoint.as_deref())),
            ("log", logging.filter.as_str().into()),
            ("log_format", if logging.format == LogFormat::Json { "json" } else { "text" }.into()),
        ]
    }
}

/// A number, whole where it is whole: `10`, not `10.0`.
fn number(number: f64) -> Value {
    let text = number.to_string();
    text.parse::<u64>().map_or_else(|_| Value::from(number), Value::from)
}

fn rate(rate: Rate) -> Value {
    match rate {
        Rate::Unlimited => 0_u64.into(),
        Rate::PerSecond(n) => number(n),
        Rate::Auto => "auto".into(),
    }
}

fn failures(limit: FailureLimit) -> Value {
    match limit {
        FailureLimit::Unlimited => 0_u64.into(),
        FailureLimit::Count(count) => count.get().into(),
        FailureLimit::Percent(share) => format!("{share}%").into(),
    }
}
