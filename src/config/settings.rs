//! The checked settings of a command, in groups.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::typed::Typed;
use super::types::{
    Billing, FailureLimit, Filter, Language, LogFormat, Notify, ProgressForm, Rate, Until, Workers,
};
use crate::glob::Meaning;
use crate::scene::Scenes;

/// Every setting of a command. The definitions in [`super::definitions`] say what each one means.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The job database.
    pub db: PathBuf,
    /// Where the images are and which of them are wanted; stored with the run.
    pub stored: Stored,
    /// How fast requests are sent.
    pub pace: Pace,
    /// How requests are made.
    pub connection: Connection,
    /// What ends a run, or makes it ask.
    pub budget: Budget,
    /// Where credentials come from; never the credentials themselves.
    pub credentials: CredentialSources,
    /// How a run is reported to those who do not watch it.
    pub watching: Watching,
    /// The file of other names for labels and categories.
    pub aliases: Option<PathBuf>,
    /// What is logged to stderr.
    pub logging: Logging,
    /// The options that were typed and that a run keeps for `costag resume`.
    pub typed: Typed,
    /// The name of the profile that was chosen.
    pub profile: Option<String>,
}

/// The settings that are stored with a run, so that resuming it takes the same objects and asks for the same scenes.
///
/// For all other settings, the run keeps only the options that were typed: see [`Typed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stored {
    /// The region of the bucket; `None` if an endpoint is given instead.
    pub region: Option<String>,
    /// The address to use instead of the one that follows from bucket and region.
    pub endpoint: Option<String>,
    /// The scenes (models) that label each image.
    pub scenes: Scenes,
    /// Which listed objects are wanted.
    pub filter: Filter,
    /// Whether identical files under several keys are called for only once.
    pub dedupe: bool,
}

/// How fast requests are sent, and how many at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The most `detect-label` calls a second.
    pub qps: Rate,
    /// The most calls in flight at a time.
    pub workers: Workers,
    /// The most list requests a second; never [`Rate::Auto`].
    pub list_qps: Rate,
    /// How many ranges of the bucket are listed at a time, 1 to 256.
    pub list_workers: NonZeroUsize,
}

/// How requests are made, and how long faults are waited out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// How long a run continues without any success before it gives up.
    pub patience: Duration,
    /// How long images that failed for a temporary reason wait before the second pass. Before the third pass they wait four
    /// times as long.
    pub cooldown: Duration,
    /// How long it may take to open a connection.
    pub connect_timeout: Duration,
    /// How long an answer may be silent.
    pub timeout: Duration,
    /// A PEM file of certificate authorities to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether an `http://` endpoint that is not on this machine may be used.
    pub allow_http: bool,
    /// The address of signed links in place of the bucket's.
    pub link_host: Option<String>,
}

/// What ends a run before everything is done, or makes it ask. `None` means no limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// How many images may fail before the run stops.
    pub max_failures: FailureLimit,
    /// Whether a complete run ends with exit code 0 even if keys of a list are not in the bucket.
    pub allow_missing: bool,
    /// The most calls of this invocation.
    pub max_calls: Option<u64>,
    /// The most that this invocation may cost, in `currency`. It is only set together with a price.
    pub max_cost: Option<f64>,
    /// The most calls in a day of the local time zone, over all runs of the database.
    pub daily_calls: Option<u64>,
    /// How long this invocation may take.
    pub max_duration: Option<Duration>,
    /// The time of day at which calls stop.
    pub until: Option<Until>,
    /// How many images a trial labels, in the order of the source.
    pub limit: Option<u64>,
    /// How many images a trial labels if it chooses them at random from the whole listing.
    pub sample: Option<u64>,
    /// The units of billing above which a run asks a person; `None` if it never asks.
    pub confirm_above: Option<u64>,
    /// What 1,000 units of billing cost, in `currency`; `None` if unknown.
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
    /// The address of the instance's metadata service, if it is not the usual one.
    pub metadata_endpoint: Option<String>,
}

/// How a run is reported to those who do not watch it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watching {
    /// The exit codes that count as a success.
    pub successes: Vec<u8>,
    /// How often progress is written if stderr is no terminal; `None` means never.
    pub progress_interval: Option<Duration>,
    /// The file to which the dated lines at the start and the end of a run are appended.
    pub log_file: Option<PathBuf>,
    /// The file that is replaced with metrics.
    pub metrics_file: Option<PathBuf>,
    /// Whether a ping is sent, if there is an address for it.
    pub ping: bool,
    /// The file with the address of pings, which is a secret.
    pub ping_file: Option<PathBuf>,
    /// When a notification is sent.
    pub notify: Notify,
    /// The file with the addresses of notifications, which are secrets.
    pub notify_file: Option<PathBuf>,
    /// The language of notifications.
    pub language: Language,
}

impl Watching {
    /// Whether this exit code counts as a success.
    pub fn is_success(&self, code: u8) -> bool {
        self.successes.contains(&code)
    }
}

/// What is logged to stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// The directives of the log filter.
    pub filter: String,
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// How a run shows its progress.
    pub progress: ProgressForm,
}

impl Budget {
    /// How many units of billing `max_cost` pays for; `None` if `max_cost` is not set.
    pub fn units_for_cost(&self) -> Option<u64> {
        let (cost, price) = self.max_cost.zip(self.price_per_1000_calls)?;
        // A decimal amount must not lose a unit because of its binary form: 0.7 / 0.1 is less than 7.
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
                workers: Workers::Auto,
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
                link_host: None,
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
            aliases: None,
            watching: Watching::default(),
            logging: Logging {
                filter: String::new(),
                format: LogFormat::Text,
                progress: ProgressForm::Auto,
            },
            typed: Typed::default(),
            profile: None,
        }
    }
}
