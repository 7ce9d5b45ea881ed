//! Tagging claims pending contents from the store, calls the service for each of them, and settles the outcome.

pub(super) mod breaker;
pub(super) mod budget;
pub(super) mod caller;
pub(super) mod pool;
