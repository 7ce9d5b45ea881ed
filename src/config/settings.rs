//! `Settings`: what the program needs, checked, grouped by what it influences.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::typed::Typed;
use super::types::{Billing, FailureLimit, Filter, LogFormat, Rate, Until};
use crate::glob::Meaning;
use crate::scene::Scenes;

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
    /// Settings with placeholders; the default of each setting's definition takes the place of its placeholder.
    pub(super) fn blank() -> Self {
        Self {
            db: PathBuf::new(),
            stored: Stored {
                region: None,
                endpoint: None,
                scenes: Scenes::default(),
                filter: Filter {
                    suffixes: Vec::new(),
                    include: Vec::new(),
                    exclude: Vec::new(),
                    min_size: 0,
                    max_size: None,
                    archive: false,
                    globs: Meaning::default(),
                },
                dedupe: false,
            },
            pace: Pace {
                qps: Rate::Unlimited,
                workers: NonZeroUsize::MIN,
                list_qps: Rate::Unlimited,
                list_workers: NonZeroUsize::MIN,
            },
            connection: Connection {
                patience: Duration::ZERO,
                cooldown: Duration::ZERO,
                connect_timeout: Duration::ZERO,
                timeout: Duration::ZERO,
                ca_file: None,
                allow_http: false,
            },
            budget: Budget {
                max_failures: FailureLimit::Unlimited,
                allow_missing: false,
                max_calls: None,
                max_cost: None,
                daily_calls: None,
                max_duration: None,
                until: None,
                limit: None,
                sample: None,
                confirm_above: None,
                price_per_1000_calls: None,
                billing: Billing::Scene,
                currency: String::new(),
            },
            credentials: CredentialSources::default(),
            logging: Logging { filter: String::new(), format: LogFormat::Text },
            typed: Typed::default(),
        }
    }
}
