//! `costag emulator`: the look-alike of COS and Cloud Infinite, for rehearsals and scripts.

use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;

use crate::cli::signals::Signals;
use crate::emulator::{
    Emulator, FailCode, Holdings, Layout, Options, SECRET_ID, SECRET_KEY, Settings, Statistics,
    Synthetic,
};

/// Serves a bucket that looks like COS with Cloud Infinite, on this machine only, until Ctrl-C.
///
/// It checks signatures, lists, answers detect-label, and misbehaves on request. Nothing it does costs anything. A
/// program that uses it is told by the header x-costag-emulator.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("holdings").required(true).args(["images", "objects"]))]
pub struct Args {
    /// Serve the files of this folder; labels come from their pixels
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Serve this many computed objects; labels are made up
    #[arg(long, value_name = "N")]
    objects: Option<u64>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "P", default_value_t = 0)]
    port: u16,
    /// Name of the bucket
    #[arg(long, value_name = "NAME-APPID", default_value = "demo-1250000000")]
    bucket: String,
    /// Region that listings tell
    #[arg(long, value_name = "REGION", default_value = "ap-guangzhou")]
    region: String,
    /// The same seed gives the same objects, labels and faults
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Worker threads; one for each core if not given
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
    /// Write the endpoint into this file once it listens
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Print a signed detect-label URL for this key, valid for an hour, for curl or a load generator
    #[arg(long, value_name = "KEY")]
    print_url: Option<String>,
    /// Scenes of the printed URL
    #[arg(long, value_name = "SCENES", default_value = "web,camera", requires = "print_url")]
    url_scenes: String,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    computed: Computed,
    #[command(flatten)]
    behaviour: Behaviour,
}

/// Test keys are no secrets, so they may be arguments.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Test keys (not secret)")]
struct Keys {
    /// Id that requests must be signed with
    #[arg(long = "test-id", value_name = "ID", default_value = SECRET_ID)]
    id: String,
    /// Key that requests must be signed with
    #[arg(long = "test-key", value_name = "KEY", default_value = SECRET_KEY)]
    key: String,
    /// Token that requests must bring as x-cos-security-token
    #[arg(long = "test-token", value_name = "TOKEN")]
    token: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Computed objects (shares are 0 to 1)")]
struct Computed {
    /// Labels of an answer, over all asked scenes together
    #[arg(long, value_name = "N", default_value_t = 10)]
    labels: usize,
    /// Where the keys lie: in folders of days, in one deep folder, each in a folder of its own, behind 500 bytes that
    /// all share, or at places that look like hashes
    #[arg(long, value_enum, default_value_t = Layout::Dated)]
    layout: Layout,
    /// Share of keys with blanks, escapes, `..`, emoji, control characters
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    awkward: f64,
    /// Share of .txt and .mp4
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    non_images: f64,
    /// Share of folder placeholders
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    folders: f64,
    /// Share of empty files
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    zero_bytes: f64,
    /// Share of objects in an archive class
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    archived: f64,
    /// Share of copies of an earlier object's content
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    duplicates: f64,
    /// Share of contents answered without a label
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    empty_labels: f64,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Behaviour (can be changed while it runs: POST /.costag/faults)")]
struct Behaviour {
    /// Detect requests let through in any second; others are answered `SlowDown`
    #[arg(long, value_name = "N")]
    qps_limit: Option<u32>,
    /// Listings let through in any second
    #[arg(long, value_name = "N")]
    list_qps_limit: Option<u32>,
    /// Milliseconds before a detect answer
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// Up to so many milliseconds more
    #[arg(long, value_name = "MS", default_value_t = 0)]
    jitter_ms: u64,
    /// Milliseconds before a page of the listing
    #[arg(long, value_name = "MS", default_value_t = 0)]
    list_latency_ms: u64,
    /// Up to so many milliseconds more
    #[arg(long, value_name = "MS", default_value_t = 0)]
    list_jitter_ms: u64,
    /// Something that goes wrong, and how often (0 to 1), such as reset=0.01; repeatable. An unknown name lists them all
    #[arg(long = "fault", value_name = "NAME=PROBABILITY")]
    faults: Vec<Named>,
    /// Only the first so many attempts at a key can go wrong; 0 is all of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    fault_attempts: u32,
    /// Only keys holding this text can go wrong
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    fault_keys: String,
    /// Answer every detect request with this, such as 402:PaymentRequired
    #[arg(long, value_name = "STATUS:CODE", value_parser = fail_code)]
    fail_code: Option<FailCode>,
    /// Refuse every look-up of a single object with this, such as 403:AccessDenied; HEAD answers have no body
    #[arg(long, value_name = "STATUS:CODE", value_parser = fail_code)]
    head_fail_code: Option<FailCode>,
    /// Set the emulator's clock wrong by so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_skew: i64,
    /// Set the header Date of every answer wrong by so many seconds, as a proxy may
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    date_skew: i64,
    /// Answer requests with this token with `ExpiredToken`
    #[arg(long, value_name = "TOKEN")]
    expired_token: Option<String>,
}

/// `NAME=PROBABILITY`.
#[derive(Debug, Clone)]
struct Named {
    name: String,
    probability: f64,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once('=').ok_or("give NAME=PROBABILITY")?;
        let probability = number.parse().map_err(|_| format!("{number:?} is no number"))?;
        // The settings know names and bounds.
        Settings::default().set_fault(name, probability).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), probability })
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    (0.0..=1.0).contains(&share).then_some(share).ok_or_else(|| "a share is 0 to 1".to_owned())
}

fn fail_code(text: &str) -> Result<FailCode, String> {
    let (status, code) = text.split_once(':').ok_or("give STATUS:CODE")?;
    let status = status.parse().ok().filter(|status| (400..600).contains(status));
    let status = status.ok_or("the status is 400 to 599")?;
    Ok(FailCode { status, code: code.to_owned(), message: String::new() })
}

impl Args {
    fn options(self) -> anyhow::Result<Options> {
        let (computed, asked) = (self.computed, self.behaviour);
        let holdings = match (self.images, self.objects) {
            (Some(folder), _) => Holdings::Images(folder),
            (None, objects) => Holdings::Objects(Synthetic {
                objects: objects.context("give --images or --objects")?,
                seed: self.seed,
                layout: computed.layout,
                labels_per_image: computed.labels,
                awkward: computed.awkward,
                non_images: computed.non_images,
                folders: computed.folders,
                zero_bytes: computed.zero_bytes,
                archived: computed.archived,
                duplicates: computed.duplicates,
                empty_labels: computed.empty_labels,
            }),
        };
        let settings = Settings {
            faults: asked.faults.into_iter().map(|named| (named.name, named.probability)).collect(),
            fault_attempts: asked.fault_attempts,
            fault_keys: asked.fault_keys,
            latency_ms: asked.latency_ms,
            jitter_ms: asked.jitter_ms,
            list_latency_ms: asked.list_latency_ms,
            list_jitter_ms: asked.list_jitter_ms,
            qps_limit: asked.qps_limit,
            list_qps_limit: asked.list_qps_limit,
            fail_code: asked.fail_code,
            head_fail_code: asked.head_fail_code,
            clock_offset_seconds: asked.clock_skew,
            date_offset_seconds: asked.date_skew,
            token: self.keys.token,
            expired_token: asked.expired_token,
        };
        Ok(Options {
            port: self.port,
            threads: self.threads,
            bucket: self.bucket,
            region: self.region,
            secret_id: self.keys.id,
            secret_key: self.keys.key,
            holdings,
            seed: self.seed,
            settings,
        })
    }
}

/// Serves until SIGINT or SIGTERM, then prints what was counted.
///
/// # Errors
///
/// If it cannot listen or read its folder, or its output cannot be written.
pub fn execute(args: Args) -> anyhow::Result<()> {
    let (ready_file, print_url) = (args.ready_file.clone(), args.print_url.clone());
    let url_scenes = args.url_scenes.clone();
    let options = args.options()?;
    let hello = introduction(&options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before it is ready: a script may signal as soon as it sees the ready file.
    let mut stopped = runtime.block_on(async { Signals::watch() })?;
    let emulator = Emulator::start(options).context("the emulator does not start")?;
    let mut out = io::stdout().lock();
    let endpoint = emulator.endpoint();
    write!(out, "{}", hello.replace(ENDPOINT, &endpoint))?;
    if let Some(key) = print_url {
        writeln!(out, "{}", emulator.presigned_url(&key, &url_scenes))?;
    }
    out.flush()?;
    if let Some(path) = ready_file {
        std::fs::write(&path, format!("{endpoint}\n"))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    runtime.block_on(stopped.next());
    let statistics = emulator.statistics();
    emulator.stop();
    print(&mut out, &statistics)?;
    Ok(())
}

/// Stands for the endpoint until it is known.
const ENDPOINT: &str = "{endpoint}";

/// What to type to use it. Keys are printed because they are made up for this; they open nothing.
fn introduction(options: &Options) -> String {
    let Options { bucket, region, secret_id, secret_key, .. } = options;
    let token = match &options.settings.token {
        Some(token) => format!("export TENCENTCLOUD_TOKEN='{token}'\n"),
        None => String::new(),
    };
    format!(
        "listening on {ENDPOINT} as bucket {bucket}; Ctrl-C ends it\n\
         export TENCENTCLOUD_SECRET_ID='{secret_id}'\n\
         export TENCENTCLOUD_SECRET_KEY='{secret_key}'\n{token}\
         costag run cos://{bucket} -r {region} --endpoint {ENDPOINT} --db rehearsal.db\n"
    )
}

fn print(out: &mut impl Write, statistics: &Statistics) -> io::Result<()> {
    let text = serde_json::to_string_pretty(statistics).map_err(io::Error::other)?;
    writeln!(out, "{text}")
}
