//! Claims: what the writer asks for, and the contents that it gets.

use std::ops::RangeInclusive;

use crate::scene::Scenes;

/// A key (or URL) that stands for a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `object.id`.
    pub object_id: i64,
    /// The key, or the URL.
    pub key: String,
}

/// A content in flight for this run, and what to call for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// `content.id`.
    pub content_id: i64,
    /// The key to call.
    pub key: Key,
    /// The scenes to ask for.
    pub scenes: Scenes,
    /// The scenes among `scenes` that have labels already. The answer replaces these labels.
    pub again: Scenes,
    /// Attempts used in this run so far.
    pub attempts: u32,
    /// How often the service throttled a call for this content in this run so far.
    pub throttles: u32,
    /// The pass in which the content waited.
    pub pass: u32,
}

/// Which contents a claim asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The largest number of contents.
    pub limit: usize,
    /// The passes from which they may come. Contents of an earlier pass come first.
    pub passes: RangeInclusive<u32>,
    /// Whether to keep a few contents back for the end of the run. If the last calls fail one after the other,
    /// these contents tell an outage from a few faulty images.
    pub keeps_back: bool,
}

/// What a claim took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// The contents that are in flight now, to be called.
    pub claimed: Vec<Claimed>,
    /// True if nothing was claimed while contents wait for a later pass.
    pub later: bool,
    /// True if contents were kept back that could be claimed.
    pub kept_back: bool,
}
