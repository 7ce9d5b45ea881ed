//! How an emulator starts: what is in its bucket, who may ask, and how it behaves.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::error::Error;
use super::faults::Settings;
use super::synthetic::Synthetic;

/// The emulator's usual secret id; no secret.
pub const SECRET_ID: &str = "AKIDEMULATOR";
/// The emulator's usual secret key; no secret.
pub const SECRET_KEY: &str = "emulator-secret-key";

/// A computed bucket's keys are numbered with this many at most, which takes a few megabytes for the counters.
pub(super) const MOST_OBJECTS: u64 = 10_000_000_000;
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

/// Refuses numbers that would take all memory, or end the process, before there is a first answer.
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

/// Lower-case letters, digits and `-`, ending in `-` and the digits of the APPID.
pub(super) fn is_bucket_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.bytes().all(plain)
        && text.rsplit_once('-').is_some_and(|(name, appid)| !name.is_empty() && digits(appid))
}
