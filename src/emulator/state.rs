//! What every operation works with: the emulator's state, and the request that it answers.

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

/// Everything that requests share.
pub(super) struct State {
    pub(super) bucket: String,
    pub(super) region: String,
    pub(super) seed: u64,
    pub(super) verifier: Verifier,
    pub(super) settings: RwLock<Arc<Prepared>>,
    pub(super) catalogue: Catalogue,
    pub(super) vocabulary: &'static Vocabulary,
    pub(super) stats: Stats,
    pub(super) gate: Gate,
    pub(super) list_gate: Gate,
    pub(super) started: Instant,
    pub(super) started_at: i64,
    pub(super) requests: AtomicU64,
}

impl State {
    pub(super) fn settings(&self) -> Arc<Prepared> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How a key is counted.
    pub(super) fn counted<'a>(&self, key: &'a [u8]) -> Counted<'a> {
        match &self.catalogue {
            Catalogue::Synthetic { bucket, .. } => {
                bucket.index_of(key).map_or(Counted::Other(key), Counted::Index)
            }
            Catalogue::Folder(_) => Counted::Other(key),
        }
    }

    /// The object with this key as it is now. A folder is looked at on a thread that may block.
    pub(super) async fn object(self: &Arc<Self>, key: &[u8]) -> Option<Object> {
        if matches!(self.catalogue, Catalogue::Synthetic { .. }) {
            return self.catalogue.get(key);
        }
        let (state, key) = (Arc::clone(self), key.to_vec());
        tokio::task::spawn_blocking(move || state.catalogue.get(&key)).await.ok().flatten()
    }

    /// The labels of an object, `None` if it is no picture. Reads the file if the bucket is a folder.
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

/// A request as the operations see it.
pub(super) struct Asked {
    pub(super) stamp: Stamp,
    /// The object's key: the decoded path without its first slash.
    pub(super) key: Vec<u8>,
    pub(super) parameters: Vec<Parameter>,
    /// The header `Range`.
    pub(super) range: Option<String>,
    pub(super) settings: Arc<Prepared>,
}
