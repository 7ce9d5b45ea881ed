//! A look-alike of COS and Cloud Infinite on loopback: for the demo, for rehearsals of a nightly job, and for tests.
//!
//! It serves one bucket, a folder of pictures or any number of computed objects; it lists, answers HEAD and
//! `detect-label`, checks signatures strictly, and misbehaves on request. It takes nothing from the rest of the crate,
//! so that a mistake of the client cannot be confirmed by the same mistake here. Unsigned paths under `/.costag/` tell
//! what was asked and change settings while it runs:
//!
//! | path | |
//! |---|---|
//! | `GET /.costag/stats` | [`Statistics`] as JSON |
//! | `GET /.costag/keys` | detect requests of each key, as JSON lines `{"key":"a.jpg","calls":1}` |
//! | `GET /.costag/expected?scenes=web,camera` | what a faultless run should yield, as CSV in key order |
//! | `GET /.costag/faults` | [`Settings`] as JSON |
//! | `POST /.costag/faults` | changes settings: what is given replaces, `"clear": true` resets first, `null` removes |
//! | `POST /.costag/objects` | `{"put":[{"key":…,"content":…,"size":…,"last_modified":…,"storage_class":…}],"delete":[…]}` |
//! | `POST /.costag/reset` | statistics and attempt numbers to zero |

mod answer;
mod catalogue;
mod clock;
mod control;
mod detect;
mod faults;
mod folder;
mod hash;
mod head;
mod header_names;
mod list;
mod listing;
mod misbehave;
mod object;
mod percent;
pub mod pictures;
mod pixels;
mod scenes;
mod server;
mod state;
mod stats;
mod synthetic;
mod verify;
mod vocabulary;
mod xml;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub use faults::{FailCode, Settings, SettingsError, fault_names};
pub use stats::Statistics;
pub use synthetic::{Layout, Synthetic};

use catalogue::Catalogue;
use state::State;

/// The emulator's usual secret id; no secret.
pub const SECRET_ID: &str = "AKIDEMULATOR";
/// The emulator's usual secret key; no secret.
pub const SECRET_KEY: &str = "emulator-secret-key";

/// A computed bucket's keys are numbered with this many at most, which takes a few megabytes for the counters.
const MOST_OBJECTS: u64 = 10_000_000_000;
/// The vocabulary is small, and a client may keep far fewer.
const MOST_LABELS: u64 = 10_000;
/// Systems refuse more, or nearly as many; and a look-alike on loopback needs few.
const MOST_THREADS: u64 = 1_024;

/// What is in the bucket.
#[derive(Debug, Clone, PartialEq)]
pub enum Holdings {
    /// Every regular file beneath a folder; its labels come from the pixels.
    Images(PathBuf),
    /// Computed objects with made-up labels.
    Objects(Synthetic),
}

/// How an emulator starts.
#[derive(Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Worker threads; `None` is one for each core.
    pub threads: Option<NonZeroUsize>,
    /// `NAME-APPID`.
    pub bucket: String,
    /// The region told in listings.
    pub region: String,
    /// The id that requests must be signed with.
    pub secret_id: String,
    /// The key that requests must be signed with.
    pub secret_key: String,
    /// What is in the bucket.
    pub holdings: Holdings,
    /// Seed of faults and delays; that of computed objects is their own.
    pub seed: u64,
    /// Delays, limits, faults, clock and token at the start.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            threads: None,
            bucket: "demo-1250000000".to_owned(),
            region: "ap-guangzhou".to_owned(),
            secret_id: SECRET_ID.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            holdings: Holdings::Objects(Synthetic::default()),
            seed: 1,
            settings: Settings::default(),
        }
    }
}

/// Without the keys, which may be somebody's own.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("port", &self.port)
            .field("bucket", &self.bucket)
            .field("holdings", &self.holdings)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, most likely.
    #[error("port {port} of 127.0.0.1 cannot be listened on")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The folder of pictures is not there or cannot be read.
    #[error("the folder {} cannot be read", folder.display())]
    Folder {
        /// The folder asked for.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The bucket's name does not end in `-` and digits.
    #[error("{0:?} is no bucket name: it is NAME-APPID, such as demo-1250000000")]
    Bucket(String),
    /// More objects, labels or threads than an emulator can have.
    #[error("{given} {what} are too many: an emulator has at most {most}")]
    TooMany {
        /// What was asked for, in the plural.
        what: &'static str,
        /// How many.
        given: u64,
        /// The limit.
        most: u64,
    },
    /// A setting makes no sense.
    #[error("a setting of the emulator is wrong")]
    Settings(#[from] SettingsError),
    /// No thread could be started.
    #[error("the emulator's threads cannot be started")]
    Threads(#[source] io::Error),
}

/// A running emulator; it stops when this is dropped.
pub struct Emulator {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Starts one on threads of its own, and returns when it listens.
    ///
    /// # Errors
    ///
    /// If it cannot listen, cannot read its folder, cannot start threads, or an option makes no sense.
    pub fn start(options: Options) -> Result<Self, Error> {
        check_numbers(&options)?;
        let listen = |source| Error::Listen { port: options.port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        spare_threads(options.threads.map_or_else(cores, NonZeroUsize::get))
            .map_err(Error::Threads)?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = options.threads {
            builder.worker_threads(threads.get());
        }
        let state = Arc::new(state(options)?);
        let runtime =
            builder.thread_name("emulator").enable_all().build().map_err(Error::Threads)?;
        let (stop, stopped) = watch::channel(());
        let shared = Arc::clone(&state);
        let run = move || {
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    // Spawned, for the worker threads to run it: this one only waits.
                    Ok(listener) => {
                        let _ = tokio::spawn(server::serve(listener, shared, stopped)).await;
                    }
                    Err(error) => tracing::error!(%error, "the emulator cannot listen"),
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        };
        let thread = std::thread::Builder::new().name("emulator".to_owned()).spawn(run);
        let thread = Some(thread.map_err(Error::Threads)?);
        Ok(Self { address, state, stop: Some(stop), thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has counted.
    pub fn statistics(&self) -> Statistics {
        self.state.stats.read()
    }

    /// A `detect-label` URL for `key` that is valid for an hour without any header; `scenes` as on the wire.
    pub fn presigned_url(&self, key: &str, scenes: &str) -> String {
        let parameters = [
            (b"ci-process".to_vec(), b"detect-label".to_vec()),
            (b"scenes".to_vec(), scenes.as_bytes().to_vec()),
        ];
        let now = clock::now(self.state.settings().clock_offset_seconds);
        let host = self.address.to_string();
        let path = format!("/{key}");
        let times = (now - 60, now + 3600);
        let query = self.state.verifier.presign("GET", &host, path.as_bytes(), &parameters, times);
        let mut url = format!("http://{host}/");
        percent::encode_into(&mut url, key.as_bytes());
        url + "?" + &query
    }

    /// A key of the bucket: the first one that is a picture by name.
    pub fn some_key(&self) -> Option<String> {
        let view = self.state.catalogue.view();
        let image = view.walk(b"", false).find(|object| object.is_image && !object.is_archived());
        image.and_then(|object| String::from_utf8(object.key).ok())
    }

    /// Stops it: no answer comes any more when this returns.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Lower-case letters, digits and `-`, ending in `-` and the digits of the APPID.
fn is_bucket_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.bytes().all(plain)
        && text.rsplit_once('-').is_some_and(|(name, appid)| !name.is_empty() && digits(appid))
}

/// Refuses numbers that would take all memory, or end the process, before there is a first answer.
fn check_numbers(options: &Options) -> Result<(), Error> {
    let threads = options.threads.map_or(1, |threads| threads.get() as u64);
    let (objects, labels) = match &options.holdings {
        Holdings::Images(_) => (0, 0),
        Holdings::Objects(bucket) => (bucket.objects, bucket.labels_per_image as u64),
    };
    for (what, given, most) in [
        ("objects", objects, MOST_OBJECTS),
        ("labels of an image", labels, MOST_LABELS),
        ("threads", threads, MOST_THREADS),
    ] {
        if given > most {
            return Err(Error::TooMany { what, given, most });
        }
    }
    Ok(())
}

fn state(options: Options) -> Result<State, Error> {
    if !is_bucket_name(&options.bucket) {
        return Err(Error::Bucket(options.bucket));
    }
    let (catalogue, objects) = match options.holdings {
        Holdings::Images(folder) => match folder::Folder::open(folder.clone()) {
            Ok(opened) => (Catalogue::Folder(opened), 0),
            Err(source) => return Err(Error::Folder { folder, source }),
        },
        Holdings::Objects(synthetic) => {
            let objects = synthetic.objects;
            (Catalogue::synthetic(synthetic), objects)
        }
    };
    let started = Instant::now();
    Ok(State {
        bucket: options.bucket,
        region: options.region,
        seed: options.seed,
        verifier: verify::Verifier::new(options.secret_id, options.secret_key),
        settings: RwLock::new(Arc::new(options.settings.prepared()?)),
        catalogue,
        vocabulary: vocabulary::Vocabulary::get(),
        stats: stats::Stats::new(started, objects),
        gate: stats::Gate::default(),
        list_gate: stats::Gate::default(),
        started,
        started_at: clock::now(0),
        requests: AtomicU64::new(0),
    })
}

/// Checks that the system gives threads for so many workers. The runtime panics where it gets none.
fn spare_threads(workers: usize) -> std::io::Result<()> {
    // The one that waits for the workers, and a few that read files.
    const OTHERS: usize = 4;
    let begin = |_| {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let wait = move || released.recv().is_err();
        Ok((std::thread::Builder::new().spawn(wait)?, release))
    };
    let all: std::io::Result<Vec<_>> = (0..workers + OTHERS).map(begin).collect();
    for (thread, release) in all? {
        drop(release);
        let _ = thread.join();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
