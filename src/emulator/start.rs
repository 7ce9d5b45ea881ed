//! Starts and stops an emulator.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::catalogue::Catalogue;
use super::error::Error;
use super::folder::Folder;
use super::options::{Holdings, Options, check_numbers, is_bucket_name};
use super::state::State;
use super::stats::{Gate, Statistics, Stats};
use super::verify::Verifier;
use super::vocabulary::Vocabulary;
use super::{clock, percent, server};

/// A running emulator. It stops when this is dropped.
pub struct Emulator {
    address: SocketAddr,
    pub(super) state: Arc<State>,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Starts an emulator on threads of its own. It is listening when this returns.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot listen, read its folder or start threads, or if an option cannot be used.
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
                    // The server runs on the worker threads. This thread only waits for its end.
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

    /// Returns the address on which the emulator listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the endpoint, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what the emulator has counted so far.
    pub fn statistics(&self) -> Statistics {
        self.state.stats.read()
    }

    /// Returns a signed `detect-label` URL for `key` that is valid for an hour and needs no header. `scenes` is written
    /// as in a request, such as `web,camera`.
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

    /// Returns the first key of a picture that is not archived; `None` if there is none.
    pub fn some_key(&self) -> Option<String> {
        let view = self.state.catalogue.view();
        let image = view.walk(b"", false).find(|object| object.is_image && !object.is_archived());
        image.and_then(|object| String::from_utf8(object.key).ok())
    }

    /// Stops the emulator. It sends no more answers when this returns.
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

fn state(options: Options) -> Result<State, Error> {
    if !is_bucket_name(&options.bucket) {
        return Err(Error::Bucket(options.bucket));
    }
    let (catalogue, objects) = match options.holdings {
        Holdings::Images(folder) => match Folder::open(folder.clone()) {
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
        verifier: Verifier::new(options.secret_id, options.secret_key),
        settings: RwLock::new(Arc::new(options.settings.prepared()?)),
        catalogue,
        vocabulary: Vocabulary::get(),
        stats: Stats::new(started, objects),
        gate: Gate::default(),
        list_gate: Gate::default(),
        started,
        started_at: clock::now(0),
        requests: AtomicU64::new(0),
    })
}

/// Checks that the system can start threads for this many workers, by starting them. The runtime would panic if it
/// could not start one.
fn spare_threads(workers: usize) -> std::io::Result<()> {
    // The thread that waits for the workers, and a few threads that read files.
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
