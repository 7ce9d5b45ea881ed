//! The session of a run: it applies each turn of the writer in one transaction.
//!
//! Every function here that reads or writes can return an error about the file (see [`crate::store::Error`]): the disk
//! is full, the file is damaged, or another program keeps it locked. The comments of the functions do not repeat this.

mod apply;
mod caches;
mod claim;
mod content;
mod count;
mod counting;
mod identities;
mod import;
mod key;
mod list;
mod listing;
mod page;
mod plan;
mod posting;
mod prune;
mod requeue;
mod run;
mod session;
mod settings;
mod settle;

pub(crate) use session::Session;

#[cfg(test)]
mod count_tests;
#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod failed_turn_tests;
#[cfg(test)]
mod held_log_tests;
#[cfg(test)]
mod identities_tests;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod prune_tests;
#[cfg(test)]
mod query_plan_tests;
#[cfg(test)]
mod tests;
