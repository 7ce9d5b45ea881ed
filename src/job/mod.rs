//! A job: one run over a bucket or a list, from the listing to the last settlement.
//!
//! A job is two loops that meet only in the store. `discovery` finds objects and compares them with the store;
//! `tagging` claims pending contents, calls the service for each of them, and settles the outcome. `service` is what
//! both share when they talk to the service, and one writer thread commits what either of them has found. `stages`
//! wires the loops, and is the place to begin reading.
//!
//! A job takes checked settings and knows neither options nor a progress bar: observers read its [`Stats`], and a
//! caller stops the run through its [`Control`]. It is the only module in which `cos` and `store` meet. All stages run
//! in one task on a runtime of one thread; only the writer, the comparison of pages and the reading of lists have
//! threads of their own.

mod begin;
mod begun;
mod control;
mod deadline;
mod discovery;
mod error;
mod finish;
mod forecast;
mod gate;
mod gathering;
mod live;
mod report;
mod run_settings;
mod service;
mod stages;
mod stats;
mod tagging;
mod thread;
mod trial;
pub mod verdict;
mod writer;

pub use begun::{Job, Purpose};
pub use control::{Control, StopReason};
pub use discovery::source::{Error as ListError, List, Source};
pub use error::Error;
pub use forecast::Left;
pub use gate::{Expected, Gate};
pub use report::{End, ListReport, Report};
pub use run_settings::RunSettings;
pub use service::pace::Pace;
pub use stats::{Passes, Snapshot, Stats, Wait};
pub use tagging::budget::forecast::{Limit, Room, Share};
pub use tagging::budget::window::absolute;
pub use trial::Trial;
