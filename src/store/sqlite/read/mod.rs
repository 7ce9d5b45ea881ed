//! The read side: rows for exports, counts for status, failures, and what the job compares with.
//!
//! A long answer comes in batches, each of which is a separate read that begins after the last key. No read is open
//! while the caller is at work, so a slow reader never keeps the write-ahead log from being reused.
//!
//! Every function here that reads fails with what [`crate::store::Error`] says of the file. That is not repeated at
//! each of them.

mod change;
mod choose;
mod compare;
mod explore;
mod export;
mod failure;
mod frequency;
mod kept;
mod ledger;
mod posting;
mod queue;
mod rules;
mod status;
mod survey;
#[cfg(test)]
mod tests;
mod transaction;
mod verify;
mod verify_counts;
#[cfg(test)]
mod verify_tests;

pub(in crate::store) use export::Export;
#[cfg(test)]
pub(super) use posting::Places;
pub(super) use transaction::ReadTransaction;
