//! The options that set settings, in groups; a command takes the groups that it heeds.
//!
//! All of them are texts here: what a text means, and whether it is allowed, is decided by
//! [`crate::config`], for options as for variables and the file. Each option's help states its default, its
//! unit and its variable; a test holds options, variables and keys together.

#![expect(clippy::doc_markdown, reason = "the comments of fields are help texts")]

use clap::Args;

use crate::config::PartialOptions;

/// Options that decide where the work comes from; kept with a run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceOptions {
    /// Region of the bucket, such as ap-guangzhou [env: COSTAG_REGION]
    #[arg(short, long)]
    region: Option<String>,
    /// Address to use instead of the one that follows from bucket and region [env: COSTAG_ENDPOINT]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Models each image is asked for: album, camera, news, web, with commas between [default: camera]
    /// [env: COSTAG_SCENES]
    #[arg(short, long, value_name = "SCENE,…")]
    scenes: Option<Vec<String>>,
    /// Call for equal bytes under several keys once [default] [env: COSTAG_DEDUPE]
    #[arg(long, overrides_with = "no_dedupe")]
    dedupe: bool,
    /// Call for every key, even if its bytes are known
    #[arg(long, overrides_with = "dedupe")]
    no_dedupe: bool,
}

impl SourceOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.text("region", self.region.as_deref());
        options.text("endpoint", self.endpoint.as_deref());
        options.list("scenes", self.scenes.as_deref());
        options.flag("dedupe", self.dedupe, self.no_dedupe);
    }
}

/// Options that decide which listed objects are wanted; kept with a run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filter (of listings)")]
pub struct FilterOptions {
    /// Suffixes of images, with commas between; '' takes every key
    /// [default: jpg,jpeg,png,bmp,webp,gif,heic,heif,avif,tif,tiff] [env: COSTAG_SUFFIXES]
    #[arg(long, value_name = "SUFFIX,…")]
    suffixes: Option<Vec<String>>,
    /// Glob of which one must match; may be repeated [default: none] [env: COSTAG_INCLUDE]
    ///
    /// A glob without / matches the name after the last slash, at any depth ('*.jpg'); one with / matches the whole key
    /// ('2026/*/*.jpg'). * stays within a level, ** crosses any number of levels ('2026/**', '**/thumbs/*').
    #[arg(long, value_name = "GLOB")]
    include: Option<Vec<String>>,
    /// Glob of which none may match, read as those of --include; may be repeated [default: none] [env: COSTAG_EXCLUDE]
    #[arg(long, value_name = "GLOB")]
    exclude: Option<Vec<String>>,
    /// Skip smaller objects; bytes, or with k, M, G [default: 0] [env: COSTAG_MIN_SIZE]
    #[arg(long, value_name = "SIZE")]
    min_size: Option<String>,
    /// Skip larger objects; bytes, or with k, M, G; 0 for no bound [default: 0] [env: COSTAG_MAX_SIZE]
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// Call for objects in archive classes too; they fail unless restored [env: COSTAG_ARCHIVE]
    #[arg(long, overrides_with = "no_archive")]
    archive: bool,
    /// Skip objects in archive classes [default]
    #[arg(long, overrides_with = "archive")]
    no_archive: bool,
}

impl FilterOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.list("suffixes", self.suffixes.as_deref());
        options.list("include", self.include.as_deref());
        options.list("exclude", self.exclude.as_deref());
        options.text("min_size", self.min_size.as_deref());
        options.text("max_size", self.max_size.as_deref());
        options.flag("archive", self.archive, self.no_archive);
    }
}

/// Options that decide how fast requests are sent.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Pace")]
pub struct PaceOptions {
    /// detect-label calls a second; 0 for no limit, or auto [default: 10] [env: COSTAG_QPS]
    #[arg(short, long, value_name = "RATE", allow_negative_numbers = true)]
    qps: Option<String>,
    /// Calls on the wire at a time, 1 to 4096 [default: 64] [env: COSTAG_WORKERS]
    #[arg(short, long, value_name = "N")]
    workers: Option<String>,
    /// List requests a second; 0 for no limit [default: 100] [env: COSTAG_LIST_QPS]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    list_qps: Option<String>,
    /// Ranges listed side by side, 1 to 256 [default: 16] [env: COSTAG_LIST_WORKERS]
    #[arg(long, value_name = "N")]
    list_workers: Option<String>,
}

impl PaceOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.text("qps", self.qps.as_deref());
        options.text("workers", self.workers.as_deref());
        options.text("list_qps", self.list_qps.as_deref());
        options.text("list_workers", self.list_workers.as_deref());
    }
}

/// Options that stop a run, or make it ask before it starts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Budget (of this invocation)")]
pub struct BudgetOptions {
    /// Stop once so many images have failed: a number, a share such as 50%, 0 for no limit [default: 50%]; twenty calls
    /// that fail for good before the first success stop a run in any case [env: COSTAG_MAX_FAILURES]
    #[arg(long, value_name = "N|N%")]
    max_failures: Option<String>,
    /// Do not end with exit code 3 because keys of a list are not in the bucket [env: COSTAG_ALLOW_MISSING]
    #[arg(long, overrides_with = "no_allow_missing")]
    allow_missing: bool,
    /// End with exit code 3 if a key of a list is not in the bucket [default]
    #[arg(long, overrides_with = "allow_missing")]
    no_allow_missing: bool,
    /// Stop after so many calls; 0 for no limit [default: 0] [env: COSTAG_MAX_CALLS]
    #[arg(long, value_name = "N")]
    max_calls: Option<String>,
    /// Stop before the units of billing cost more than this, in the currency; 0 for no limit [default: 0]
    /// [env: COSTAG_MAX_COST]
    #[arg(long, value_name = "AMOUNT")]
    max_cost: Option<String>,
    /// Calls of a local day, over all runs of the database; 0 for no limit [default: 0]
    /// [env: COSTAG_DAILY_CALLS]
    #[arg(long, value_name = "N")]
    daily_calls: Option<String>,
    /// Stop after so long, such as 8h or 1h30m; '' for no limit [default: none] [env: COSTAG_MAX_DURATION]
    #[arg(long, value_name = "DURATION")]
    max_duration: Option<String>,
    /// Stop at this time of day, such as 06:30 (local) or 06:30+08:00; where the clocks change, at the moment that skips it, or at the first of two [default: none] [env: COSTAG_UNTIL]
    #[arg(long, value_name = "HH:MM")]
    until: Option<String>,
    /// Tag only the first N images that need a call: the run is complete with them, and tells what the whole would
    /// be; 0 for all [default: 0] [env: COSTAG_LIMIT]
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// As --limit, with N images that are chosen at random once all is listed; 0 for all [default: 0]
    /// [env: COSTAG_SAMPLE]
    #[arg(long, value_name = "N")]
    sample: Option<String>,
    /// Ask a person before more units of billing than this; 0 to never ask [default: 10000]
    /// [env: COSTAG_CONFIRM_ABOVE]
    #[arg(long, value_name = "N")]
    confirm_above: Option<String>,
    /// What calls cost.
    #[command(flatten)]
    price: PriceOptions,
}

/// Options that say what calls cost; nothing depends on them but what is shown, and `--max-cost`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Price")]
pub struct PriceOptions {
    /// What 1,000 units of billing cost, in the currency; 0 if unknown [default: 0]
    /// [env: COSTAG_PRICE_PER_1000_CALLS]
    #[arg(long, value_name = "AMOUNT")]
    price_per_1000_calls: Option<String>,
    /// What a unit of billing is: scene (each scene that a call asks for, as the page of the sister product
    /// `DetectLabel`, "Image tagging", says of its own versions) or call [default: scene] [env: COSTAG_BILLING]
    #[arg(long, value_name = "UNIT")]
    billing: Option<String>,
    /// Currency of prices and costs, for display [default: CNY] [env: COSTAG_CURRENCY]
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
}

impl PriceOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.text("price_per_1000_calls", self.price_per_1000_calls.as_deref());
        options.text("billing", self.billing.as_deref());
        options.text("currency", self.currency.as_deref());
    }
}

impl BudgetOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.text("max_failures", self.max_failures.as_deref());
        options.flag("allow_missing", self.allow_missing, self.no_allow_missing);
        options.text("max_calls", self.max_calls.as_deref());
        options.text("max_cost", self.max_cost.as_deref());
        options.text("daily_calls", self.daily_calls.as_deref());
        options.text("max_duration", self.max_duration.as_deref());
        options.text("until", self.until.as_deref());
        options.text("limit", self.limit.as_deref());
        options.text("sample", self.sample.as_deref());
        options.text("confirm_above", self.confirm_above.as_deref());
        self.price.give(options);
    }
}

/// Options that decide how requests are made and how long faults are borne.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionOptions {
    /// Give up after so long without any success [default: 15m] [env: COSTAG_PATIENCE]
    #[arg(long, value_name = "DURATION")]
    patience: Option<String>,
    /// Pause before images that failed for now are tried again; four times that before the third pass
    /// [default: 15s] [env: COSTAG_COOLDOWN]
    #[arg(long, value_name = "DURATION")]
    cooldown: Option<String>,
    /// Time for a connection to be made [default: 5s] [env: COSTAG_CONNECT_TIMEOUT]
    #[arg(long, value_name = "DURATION")]
    connect_timeout: Option<String>,
    /// Time in which an answer may keep silent; the whole may take ten times as long [default: 30s] [env: COSTAG_TIMEOUT]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// PEM file of authorities to trust besides the system's [default: none] [env: COSTAG_CA_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// Use an http:// endpoint although it is not on this machine; whoever listens on the way could send the
    /// signed requests again [env: COSTAG_ALLOW_HTTP]
    #[arg(long, overrides_with = "no_allow_http")]
    allow_http: bool,
    /// Refuse such an endpoint [default]
    #[arg(long, overrides_with = "allow_http")]
    no_allow_http: bool,
}

impl ConnectionOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.text("patience", self.patience.as_deref());
        options.text("cooldown", self.cooldown.as_deref());
        options.text("connect_timeout", self.connect_timeout.as_deref());
        options.text("timeout", self.timeout.as_deref());
        options.text("ca_file", self.ca_file.as_deref());
        options.flag("allow_http", self.allow_http, self.no_allow_http);
    }
}

/// Options that say where credentials come from; never the credentials themselves.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Credentials (never given as options)")]
pub struct CredentialOptions {
    /// File with secret id and key [default: none] [env: COSTAG_CREDENTIALS_FILE]
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<String>,
    /// Command that prints them; its text must hold no secret [default: none]
    /// [env: COSTAG_CREDENTIAL_PROCESS]
    #[arg(long, value_name = "COMMAND")]
    credential_process: Option<String>,
    /// Role of the CVM instance this runs on [default: none] [env: COSTAG_CVM_ROLE]
    #[arg(long, value_name = "ROLE")]
    cvm_role: Option<String>,
    /// Address of the instance's metadata service [default: the usual one] [env: COSTAG_METADATA_ENDPOINT]
    #[arg(long, value_name = "URL")]
    metadata_endpoint: Option<String>,
}

impl CredentialOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        options.text("credentials_file", self.credentials_file.as_deref());
        options.text("credential_process", self.credential_process.as_deref());
        options.text("cvm_role", self.cvm_role.as_deref());
        options.text("metadata_endpoint", self.metadata_endpoint.as_deref());
    }
}

/// Every group that a run heeds, for commands that take all of them.
#[derive(Debug, Clone, Default, Args)]
pub struct RunOptions {
    /// Where the work comes from.
    #[command(flatten)]
    pub source: SourceOptions,
    /// What of it is wanted.
    #[command(flatten)]
    pub filter: FilterOptions,
    /// All others.
    #[command(flatten)]
    pub work: WorkOptions,
}

impl RunOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        self.source.give(options);
        self.filter.give(options);
        self.work.give(options);
    }
}

/// How a run works, apart from what it is over.
#[derive(Debug, Clone, Default, Args)]
pub struct WorkOptions {
    /// How fast.
    #[command(flatten)]
    pub pace: PaceOptions,
    /// How far.
    #[command(flatten)]
    pub budget: BudgetOptions,
    /// How a request is made.
    #[command(flatten)]
    pub connection: ConnectionOptions,
    /// Where credentials come from.
    #[command(flatten)]
    pub credentials: CredentialOptions,
}

impl WorkOptions {
    /// Adds what was given.
    pub fn give(&self, options: &mut PartialOptions) {
        self.pace.give(options);
        self.budget.give(options);
        self.connection.give(options);
        self.credentials.give(options);
    }
}
