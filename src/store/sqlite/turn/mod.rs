//! The one writer's side: a [`Session`] applies a turn in one transaction.
//!
//! Every function here that reads or writes fails with what [`crate::store::Error`] says of the file: the disk is
//! full, the file is damaged, somebody else keeps it locked. That is not repeated at each of them.

mod apply;
mod caches;
mod claim;
mod content;
mod key;
mod list;
mod listing;
mod page;
mod plan;
mod posting;
mod requeue;
mod run;
mod session;
mod settings;
mod settle;

pub(crate) use session::Session;

#[cfg(test)]
mod failed_turn_tests;
#[cfg(test)]
mod query_plan_tests;
#[cfg(test)]
mod tests;
