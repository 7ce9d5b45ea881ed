//! Tagging claims pending contents from the store, calls the service for each of them, and settles the outcome.

mod breaker;
pub(super) mod budget;
mod caller;
mod pool;
pub(super) mod stage;
pub(super) mod watch;
