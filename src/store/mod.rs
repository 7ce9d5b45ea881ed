//! The store: queue, checkpoint and result of every run.
//!
//! [`Store`] is the one write handle, held under a lock. A run turns it into a [`Session`], to which the writer sends
//! one [`turn::Turn`] after the other. Any number of [`Reader`]s can be open at the same time, and none of them blocks
//! the writer.
//!
//! The files of this folder are the interface: types, identities, errors and decisions that hold for every backend.
//! Everything that knows SQLite is in `store/sqlite`, and only `store/backend` chooses a backend. No other module of
//! the program writes SQL. The suite in `store/conformance` says what a backend must do.

mod backend;
pub mod compare;
#[cfg(test)]
mod conformance;
pub mod decide;
mod error;
pub mod ident;
pub mod keyspace;
pub mod live;
pub mod model;
pub mod prune;
pub mod read;
pub mod run;
#[cfg(test)]
mod samples;
mod sqlite;
pub mod turn;

pub use backend::{Export, Place, Reader, Session, Store};
pub use error::{Cause, Error, Location};
