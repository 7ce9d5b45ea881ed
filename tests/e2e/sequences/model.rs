//! What must be true of a job database after each step, independent of how the program works.
//!
//! A content is identified by the text that stands for its bytes. The model reads from the ledger which calls were
//! answered. It predicts everything else: which contents a run must call, which it may call, and for which scenes.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{Bucket, Chosen, Source, Wish};

/// One call of the ledger, with the bytes that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) key: String,
    pub(super) text: &'static str,
    pub(super) scenes: u8,
    pub(super) answered: bool,
    /// The error code if the call failed.
    pub(super) code: Option<String>,
}

/// A run that `resume` must be able to go on with.
#[derive(Debug, Clone)]
pub(super) struct Unfinished {
    pub(super) wish: Wish,
    /// The keys that were wanted when the run was interrupted, with their bytes.
    pub(super) held: Bucket,
}

/// What a run is expected to call.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Contents that must be called, each with exactly these scenes.
    pub(super) must: BTreeMap<&'static str, u8>,
    /// Contents that may be called in addition.
    pub(super) may: BTreeSet<&'static str>,
}

/// Everything that the commands so far have led to.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) bucket: Bucket,
    /// Scenes with an answer.
    done: BTreeMap<&'static str, u8>,
    /// Scenes that were put back by `retag` and have no new answer yet.
    wished: BTreeMap<&'static str, u8>,
    /// Contents whose verdict is permanent until `retry`.
    failed: BTreeSet<&'static str>,
    /// Keys as the last listing showed them, and whether that listing wanted them.
    seen: BTreeMap<&'static str, (&'static str, bool)>,
    /// The bytes that the database may have for each key.
    known: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// Interrupted runs, the last one at the end.
    pub(super) unfinished: Vec<Unfinished>,
    /// Contents whose key was overwritten while a run that had listed it was unfinished, so that it cannot be told
    /// which bytes an answer was about. They may be called again.
    uncertain: BTreeSet<&'static str>,
}

impl Model {
    /// Scenes that a run which asks for `scenes` calls for.
    fn need(&self, text: &str, scenes: u8) -> u8 {
        if self.failed.contains(text) {
            return 0;
        }
        let done = self.done.get(text).copied().unwrap_or(0);
        (scenes & !done) | self.wished.get(text).copied().unwrap_or(0)
    }

    /// The wanted keys of a run that lists now.
    pub(super) fn wanted(&self, wish: &Wish) -> Bucket {
        self.bucket
            .iter()
            .filter(|(key, _)| wish.wants(key))
            .map(|(key, text)| (*key, *text))
            .collect()
    }

    /// What a run that looks at every key of its source calls for.
    pub(super) fn of_new_run(&self, wish: &Wish) -> Expected {
        let mut expected = Expected::default();
        for (key, text) in self.wanted(wish) {
            self.expect(
                &mut expected,
                text,
                wish.scenes.bits(),
                self.is_looked_at(wish, key, text),
            );
        }
        expected
    }

    /// Whether a run certainly learns that the key has these bytes. A listing does. A list does not look a key up if the
    /// database has all labels for the bytes that it knows the key to have.
    fn is_looked_at(&self, wish: &Wish, key: &str, text: &str) -> bool {
        let scenes = wish.scenes.bits();
        let is_labelled = |known: &str| {
            !self.failed.contains(known)
                && (self.need(known, scenes) == 0 || self.uncertain.contains(known))
        };
        let known = self.known.get(key).into_iter().flatten();
        matches!(wish.source, Source::Prefix(_))
            || !known.into_iter().any(|known| *known != text && is_labelled(known))
    }

    /// What `resume` calls for: what was wanted at the interruption and is still there, and perhaps what is
    /// wanted now.
    pub(super) fn of_resume(&self, run: &Unfinished) -> Expected {
        let mut expected = Expected::default();
        let scenes = run.wish.scenes.bits();
        for (key, text) in &run.held {
            let must =
                self.bucket.get(key) == Some(text) && self.is_looked_at(&run.wish, key, text);
            self.expect(&mut expected, text, scenes, must);
        }
        for text in self.wanted(&run.wish).into_values() {
            self.expect(&mut expected, text, scenes, false);
        }
        expected
    }

    fn expect(&self, expected: &mut Expected, text: &'static str, scenes: u8, must: bool) {
        let need = self.need(text, scenes);
        if must && need != 0 && !self.uncertain.contains(text) {
            expected.must.insert(text, need);
        }
        if need != 0 || self.uncertain.contains(text) {
            expected.may.insert(text);
        }
    }

    /// Learns from the calls of one command.
    pub(super) fn learn(&mut self, calls: &[Call], held: &Bucket) {
        for call in calls {
            let now = self.bucket.get(call.key.as_str()).copied();
            if let Some(now) = now
                && now != call.text
            {
                // The bytes had changed behind the listing's back.
                self.uncertain.extend([call.text, now]);
                self.uncertain.extend(held.get(call.key.as_str()));
            }
            if call.answered {
                *self.done.entry(call.text).or_default() |= call.scenes;
                if let Some(wished) = self.wished.get_mut(call.text) {
                    *wished &= !call.scenes;
                }
            } else if now == Some(call.text) {
                self.failed.insert(call.text);
                self.wished.remove(call.text);
            }
        }
    }

    /// A run has listed its source to the end.
    pub(super) fn listed(&mut self, wish: &Wish) {
        self.seen.retain(|key, _| !wish.names(key));
        if matches!(wish.source, Source::Prefix(_)) {
            self.known.retain(|key, _| !wish.names(key));
        }
        for (key, text) in self.bucket.iter().filter(|(key, _)| wish.names(key)) {
            if self.is_looked_at(wish, key, text) {
                self.seen.insert(key, (text, wish.wants(key)));
                self.known.insert(key, BTreeSet::from([*text]));
            } else {
                self.known.entry(key).or_default().insert(text);
            }
        }
    }

    /// It cannot be told what a run has listed, or whether a plan has left a mark.
    pub(super) fn listed_perhaps(&mut self, wish: &Wish) {
        self.seen.retain(|key, _| !wish.names(key));
        for (key, text) in self.bucket.iter().filter(|(key, _)| wish.names(key)) {
            self.known.entry(key).or_default().insert(text);
        }
    }

    /// A new run closes the unfinished ones that it covers.
    pub(super) fn supersede(&mut self, wish: &Wish) {
        self.unfinished.retain(|run| !wish.covers(&run.wish));
    }

    /// What `retag` must choose.
    pub(super) fn chosen(&self, chosen: Chosen) -> BTreeSet<&'static str> {
        let scenes = if chosen == Chosen::CameraOnly { 2 } else { 15 };
        let of = |key: &str| !matches!(chosen, Chosen::Prefix(prefix) if !key.starts_with(prefix));
        self.seen
            .iter()
            .filter(|(key, (text, wanted))| {
                let done = self.done.get(text).copied().unwrap_or(0);
                *wanted && of(key) && done & scenes != 0 && !self.uncertain.contains(text)
            })
            .map(|(_, (text, _))| *text)
            .collect()
    }

    /// Whether it cannot be told which bytes the answers of a content were about.
    pub(super) fn is_uncertain(&self, text: &str) -> bool {
        self.uncertain.contains(text)
    }

    /// Scenes of a content that have an answer.
    pub(super) fn done(&self, text: &str) -> u8 {
        self.done.get(text).copied().unwrap_or(0)
    }

    /// Whether the verdict on a content is permanent.
    pub(super) fn has_failed(&self, text: &str) -> bool {
        self.failed.contains(text)
    }

    /// `retag` has put back these scenes.
    pub(super) fn retagged(&mut self, text: &'static str, scenes: u8) {
        *self.wished.entry(text).or_default() |= scenes;
    }

    /// `retry` has put back every failed content that some present key wants.
    pub(super) fn retried(&mut self) {
        let certain: BTreeSet<_> =
            self.seen.values().filter(|(_, wanted)| *wanted).map(|(text, _)| *text).collect();
        for text in std::mem::take(&mut self.failed) {
            if !certain.contains(text) {
                self.uncertain.insert(text);
            }
        }
    }
}
