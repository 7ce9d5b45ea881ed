//! The state of the emulator and the request, with which every operation works.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use super::answer::Stamp;
use super::catalogue::Catalogue;
use super::faults::Prepared;
use super::object::Object;
use super::percent::Parameter;
use super::scenes::{self, SceneSet};
use super::stats::{Counted, Gate, Stats};
use super::verify::Verifier;
use super::vocabulary::Vocabulary;

/// The state that all requests share.
pub(super) struct State {
    /// The name of the bucket, `NAME-APPID`.
    pub(super) bucket: String,
    /// The region in the headers of listings.
    pub(super) region: String,
    /// The seed of faults and delays.
    pub(super) seed: u64,
    pub(super) verifier: Verifier,
    /// The settings in force. A request keeps those of its beginning.
    pub(super) settings: RwLock<Arc<Prepared>>,
    pub(super) catalogue: Catalogue,
    pub(super) vocabulary: &'static Vocabulary,
    pub(super) stats: Stats,
    /// The limit of detect requests a second.
    pub(super) gate: Gate,
    /// The limit of listings a second.
    pub(super) list_gate: Gate,
    pub(super) started: Instant,
    /// When the emulator was started, in Unix seconds by this machine's clock.
    pub(super) started_at: i64,
    /// How many requests have come so far.
    pub(super) requests: AtomicU64,
}

impl State {
    /// Returns the settings in force.
    pub(super) fn settings(&self) -> Arc<Prepared> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the form in which a key is counted.
    pub(super) fn counted<'a>(&self, key: &'a [u8]) -> Counted<'a> {
        match &self.catalogue {
            Catalogue::Synthetic { bucket, .. } => {
                bucket.index_of(key).map_or(Counted::Other(key), Counted::Index)
            }
            Catalogue::Folder(_) => Counted::Other(key),
        }
    }

    /// Returns the object with this key as it is now; `None` if there is none. A folder is read on a thread that may
    /// block.
    pub(super) async fn object(self: &Arc<Self>, key: &[u8]) -> Option<Object> {
        if matches!(self.catalogue, Catalogue::Synthetic { .. }) {
            return self.catalogue.get(key);
        }
        let (state, key) = (Arc::clone(self), key.to_vec());
        tokio::task::spawn_blocking(move || state.catalogue.get(&key)).await.ok().flatten()
    }

    /// Returns the labels of an object; `None` if it is not a picture. Reads the file if the bucket is a folder.
    pub(super) fn labels_of(&self, object: &Object, scenes: SceneSet) -> Option<scenes::Answer> {
        match &self.catalogue {
            Catalogue::Folder(folder) => Some(folder.traits(object)?.answer(scenes)),
            Catalogue::Synthetic { bucket, .. } => object.is_image.then(|| {
                let empty = bucket.is_empty_answer(&object.etag);
                let total = if empty { 0 } else { bucket.labels_per_image };
                self.vocabulary.answer(&object.etag, scenes, total)
            }),
        }
    }
}

/// A request in the form that the operations use.
pub(super) struct Asked {
    /// The headers of the answer: request id and time.
    pub(super) stamp: Stamp,
    /// The key of the object: the decoded path without its first slash.
    pub(super) key: Vec<u8>,
    pub(super) parameters: Vec<Parameter>,
    /// The header `Range`; `None` if it is absent.
    pub(super) range: Option<String>,
    pub(super) settings: Arc<Prepared>,
}
