//! How a run is reported to people and programs that do not watch it: the dated lines at its start and its end, and the
//! summary as JSON, metrics, pings, and notifications.
//!
//! [`reporter`] is told when a run begins and how it ended. It makes one [`summary`] of that, which the other files
//! show in their own ways.

mod line;
mod log_file;
mod metrics;
mod notify;
mod ping;
pub(super) mod reporter;
mod secret;
mod summary;

pub(super) use metrics::path as metrics_path;
pub(super) use summary::SCHEMA;
