//! `costag emulator`: a stand-in for COS and Cloud Infinite, for rehearsals and scripts.

use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;

use crate::cli::signals::Signals;
use crate::emulator::{
    Emulator, FailCode, Holdings, Layout, Options, SECRET_ID, SECRET_KEY, Settings, Statistics,
    Synthetic,
};

/// Serve a bucket that looks like COS with Cloud Infinite, on this machine only, until Ctrl-C
///
/// The emulator checks signatures, lists objects, answers detect-label, and misbehaves on request. Nothing that it does
/// costs anything. Its answers carry the header x-costag-emulator.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("holdings").required(true).args(["images", "objects"]))]
pub struct Args {
    /// Serve the files of this folder; their labels are computed from their pixels
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Serve this many computed objects; their labels are invented
    #[arg(long, value_name = "N")]
    objects: Option<u64>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "P", default_value_t = 0)]
    port: u16,
    /// Name of the bucket
    #[arg(long, value_name = "NAME-APPID", default_value = "demo-1250000000")]
    bucket: String,
    /// Region of the bucket
    #[arg(long, value_name = "REGION", default_value = "ap-guangzhou")]
    region: String,
    /// The same seed gives the same objects, labels and faults
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
    /// Write the endpoint to this file once the emulator listens
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Print a signed detect-label URL for this key, for curl or a load generator; it is valid for an hour
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

/// Test keys are not secret, so they may be arguments.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Test keys (not secret)")]
struct Keys {
    /// Secret id that requests must be signed with
    #[arg(long = "test-id", value_name = "ID", default_value = SECRET_ID)]
    id: String,
    /// Secret key that requests must be signed with
    #[arg(long = "test-key", value_name = "KEY", default_value = SECRET_KEY)]
    key: String,
    /// Token that requests must carry in x-cos-security-token
    #[arg(long = "test-token", value_name = "TOKEN")]
    token: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Computed objects (shares are 0 to 1)")]
struct Computed {
    /// Labels in an answer, over all scenes that are asked for
    #[arg(long, value_name = "N", default_value_t = 10)]
    labels: usize,
    /// How the keys are distributed: in a folder for each day, in one deep folder, each in a folder of its own, behind a
    /// common prefix of 500 bytes, or like hashes
    #[arg(long, value_enum, default_value_t = Layout::Dated)]
    layout: Layout,
    /// Share of keys with spaces, escapes, `..`, emoji or control characters
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    awkward: f64,
    /// Share of .txt and .mp4 files
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
    /// Share of objects that are copies of an earlier object
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    duplicates: f64,
    /// Share of images without a label
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    empty_labels: f64,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Behaviour (can be changed while it runs: POST /.costag/faults)")]
struct Behaviour {
    /// The most detect requests answered in any second; further ones get `SlowDown`
    #[arg(long, value_name = "N")]
    qps_limit: Option<u32>,
    /// The most list requests answered in any second; further ones get `SlowDown`
    #[arg(long, value_name = "N")]
    list_qps_limit: Option<u32>,
    /// Milliseconds before the answer to a detect request
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// Random further milliseconds, up to this many
    #[arg(long, value_name = "MS", default_value_t = 0)]
    jitter_ms: u64,
    /// Milliseconds before the answer to a list request
    #[arg(long, value_name = "MS", default_value_t = 0)]
    list_latency_ms: u64,
    /// Random further milliseconds, up to this many
    #[arg(long, value_name = "MS", default_value_t = 0)]
    list_jitter_ms: u64,
    /// A fault and its probability (0 to 1), such as reset=0.01; may be repeated; an unknown name lists all faults
    #[arg(long = "fault", value_name = "NAME=PROBABILITY")]
    faults: Vec<Named>,
    /// Only this many attempts at each key can fail, the first ones; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    fault_attempts: u32,
    /// Only requests for keys that contain this text can fail
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    fault_keys: String,
    /// Answer every detect request with this error, such as 402:PaymentRequired
    #[arg(long, value_name = "STATUS:CODE", value_parser = fail_code)]
    fail_code: Option<FailCode>,
    /// Answer every look-up of a single object with this error, such as 403:AccessDenied; HEAD answers have no body
    #[arg(long, value_name = "STATUS:CODE", value_parser = fail_code)]
    head_fail_code: Option<FailCode>,
    /// Set the emulator's clock wrong by this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_skew: i64,
    /// Set the header Date of every answer wrong by this many seconds, as a proxy may do
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    date_skew: i64,
    /// Answer requests that carry this token with `ExpiredToken`
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
        let probability = number.parse().map_err(|_| {
            format!("{number:?} is not a number: expected a probability from 0 to 1")
        })?;
        // `set_fault` checks the name and the bounds.
        Settings::default().set_fault(name, probability).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), probability })
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text
        .parse()
        .map_err(|_| format!("{text:?} is not a number: expected a share from 0 to 1"))?;
    (0.0..=1.0)
        .contains(&share)
        .then_some(share)
        .ok_or_else(|| "expected a share from 0 to 1".to_owned())
}

fn fail_code(text: &str) -> Result<FailCode, String> {
    let (status, code) = text.split_once(':').ok_or("give STATUS:CODE")?;
    let status = status.parse().ok().filter(|status| (400..600).contains(status));
    let status = status.ok_or("expected a status from 400 to 599")?;
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

/// Serves until a signal arrives, then prints what was counted.
///
/// # Errors
/// The emulator cannot listen or read its folder, or its output cannot be written.
pub fn execute(args: Args) -> anyhow::Result<()> {
    let (ready_file, print_url) = (args.ready_file.clone(), args.print_url.clone());
    let url_scenes = args.url_scenes.clone();
    let options = args.options()?;
    let hello = introduction(&options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Signals are watched before the ready file exists: a script may send one as soon as it sees the file.
    let mut stopped = runtime.block_on(async { Signals::watch() })?;
    let emulator = Emulator::start(options).context("the emulator cannot be started")?;
    let mut out = io::stdout().lock();
    let endpoint = emulator.endpoint();
    write!(out, "{}", hello.replace(ENDPOINT, &endpoint))?;
    if let Some(key) = print_url {
        writeln!(out, "{}", emulator.presigned_url(&key, &url_scenes))?;
    }
    out.flush()?;
    if let Some(path) = ready_file {
        std::fs::write(&path, format!("{endpoint}\n")).with_context(|| {
            format!(
                "cannot write the ready file {}; check its folder and permissions",
                path.display()
            )
        })?;
    }
    runtime.block_on(stopped.next());
    let statistics = emulator.statistics();
    emulator.stop();
    print(&mut out, &statistics)?;
    Ok(())
}

/// The placeholder of the endpoint, which is known once the emulator listens.
const ENDPOINT: &str = "{endpoint}";

/// What to type to use the emulator. The keys may be printed because they are test keys.
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
