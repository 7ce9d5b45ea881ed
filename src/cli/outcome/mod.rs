//! How a run is reported to people and programs that do not watch it: the dated lines at its start and its end, and the
//! summary as JSON, metrics, and pings.
//!
//! [`reporter`] is told when a run begins and how it ended. It makes one [`summary`] of that, which the other files
//! show in their own ways.

mod line;
mod metrics;
mod ping;
pub(super) mod reporter;
mod summary;

pub(super) use summary::SCHEMA;
