//! Tagging claims pending contents from the store, calls the service for each of them, and settles the outcome.

mod breaker;
pub(super) mod budget;
mod failure;
mod image;
mod pool;
pub(super) mod stage;
mod tagger;
pub(super) mod watch;
