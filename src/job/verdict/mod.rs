//! Verdicts: what an error of the service means for the run, and what a person can do about it.
//!
//! How often and when a request is tried again, and what the breaker counts, is decided elsewhere.

mod advice;
mod code;
mod kinds;
mod table;
#[cfg(test)]
mod tests;

pub use advice::advice;
pub(super) use code::stored_code;
pub use kinds::{GiveUp, Operation, Stop, Verdict};
pub use table::verdict;
