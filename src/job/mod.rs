//! A job: one run over a bucket or a list, from the listing to the last settlement.
//!
//! A job is two loops that meet only in the store. `discovery` finds objects and compares them with the store; `tagging`
//! claims pending contents, calls the service for each of them, and settles the outcome. `service` is what both share
//! when they talk to the service, and one writer thread commits what either of them has found. `stages` wires the
//! loops, and is the place to begin reading.
//!
//! A job takes checked settings and knows neither options nor a progress bar: observers look at [`Stats`], and whoever
//! wants to stop the run uses its [`Control`]. It is the only module in which `cos` and `store` meet. All stages run in
//! one task on a runtime of one thread; only the writer, the comparison of pages and the reading of lists have threads
//! of their own.

mod begin;
mod control;
mod deadline;
mod discovery;
mod error;
mod finish;
mod gate;
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

use std::sync::Arc;

pub use control::{Control, StopReason};
pub use discovery::source::{Error as ListError, List, Source};
pub use error::Error;
pub use gate::{Expected, Gate};
pub use report::{End, ListReport, Report};
pub use run_settings::RunSettings;
pub use service::pace::Pace;
pub use stats::{Snapshot, Stats, Wait};
pub use tagging::budget::forecast::{Limit, Room, Share};
pub use tagging::budget::window::absolute;
pub use trial::Trial;

use crate::config::{self, Settings};
use crate::cos::Client;
use crate::scene::Scenes;
use begin::Begun;
use discovery::unmatched::Unmatched;
use finish::Finish;
use tagging::budget::Budget;

/// What a job is begun for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To find images and to call the service for them.
    Tag,
    /// To find out which calls a run would make, without making or storing any of them.
    Plan,
}

/// A run that has begun and is ready for its stages.
#[derive(Debug)]
pub struct Job {
    client: Client,
    settings: Settings,
    source: Source,
    purpose: Purpose,
    begun: Begun,
    budget: Arc<Budget>,
    /// The parts of the filter that have matched no key so far.
    unmatched: Arc<Unmatched>,
    stats: Arc<Stats>,
    control: Control,
    gate: Gate,
}

impl Job {
    /// Live numbers, for observers.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// What stops the run.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// What holds calls back until they are confirmed.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// The limits and the price of calls.
    pub fn budget(&self) -> &config::Budget {
        &self.settings.budget
    }

    /// When calling ends, as an absolute time with the limit that says so.
    pub fn window(&self) -> Option<String> {
        self.budget.describe_window()
    }

    /// Seconds that are added to this machine's clock, because the service has confirmed that it is wrong.
    pub fn clock_offset(&self) -> i64 {
        self.client.clock().offset()
    }

    /// Where the work comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The settings that hold for it.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What each image is asked for.
    pub fn scenes(&self) -> Scenes {
        self.settings.stored.scenes
    }

    /// `run.id`, also of a plan.
    pub fn run_id(&self) -> i64 {
        self.begun.session.own_row()
    }

    /// Runs to the end, or until it is stopped. Every outcome is on disk when it returns.
    ///
    /// # Errors
    /// An error that does not come from the service; an error of the store takes precedence.
    pub async fn run(self) -> Result<Report, Error> {
        let finish = Finish::of(&self);
        // On the heap, because the future of all stages is large.
        let (session, result) = Box::pin(stages::run(self)).await?;
        finish.finish(session, result)
    }
}
