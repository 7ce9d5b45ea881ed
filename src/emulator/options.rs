//! The options of an emulator: what is in its bucket, the keys that requests are signed with, and how it behaves.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::error::Error;
use super::faults::Settings;
use super::synthetic::Synthetic;

/// The default secret id. It is not secret.
pub const SECRET_ID: &str = "AKIDEMULATOR";
/// The default secret key. It is not secret.
pub const SECRET_KEY: &str = "emulator-secret-key";

/// The most computed objects. Their counters take a few megabytes then.
pub(super) const MOST_OBJECTS: u64 = 10_000_000_000;
/// The most labels of an image. A client may keep far fewer.
const MOST_LABELS: u64 = 10_000;
/// The most worker threads. Systems refuse more, and an emulator on loopback needs few.
const MOST_THREADS: u64 = 1_024;

/// What is in the bucket.
#[derive(Debug, Clone, PartialEq)]
pub enum Holdings {
    /// Every regular file below a folder. The labels are computed from the pixels.
    Images(PathBuf),
    /// Computed objects with invented labels.
    Objects(Synthetic),
}

/// The options of an emulator.
#[derive(Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// The number of worker threads; `None` for one for each core.
    pub threads: Option<NonZeroUsize>,
    /// The name of the bucket, `NAME-APPID`.
    pub bucket: String,
    /// The region in the headers of listings.
    pub region: String,
    /// The id that requests must be signed with.
    pub secret_id: String,
    /// The key that requests must be signed with.
    pub secret_key: String,
    /// What is in the bucket.
    pub holdings: Holdings,
    /// The seed of faults and delays. Computed objects have a seed of their own.
    pub seed: u64,
    /// The delays, limits, faults, clock and token at the start.
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

/// Prints the options without the id and the key, which may be real ones.
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

/// Checks the numbers that could take all memory or end the process.
pub(super) fn check_numbers(options: &Options) -> Result<(), Error> {
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

/// Returns `true` for a text of lower-case letters, digits and `-` that ends in `-` and the digits of the APPID.
pub(super) fn is_bucket_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.bytes().all(plain)
        && text.rsplit_once('-').is_some_and(|(name, appid)| !name.is_empty() && digits(appid))
}
