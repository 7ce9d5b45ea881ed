//! Tagging claims pending contents from the store, calls the service for each of them, and settles the outcome.

mod activity;
mod breaker;
pub(super) mod budget;
mod crew;
mod failure;
mod image;
mod pool;
mod sizing;
pub(super) mod stage;
mod tagger;
pub(super) mod watch;
