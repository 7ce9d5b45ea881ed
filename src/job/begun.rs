//! A run that has begun: what its stages start from.

use std::sync::Arc;

use super::discovery::reading::OtherList;
use super::discovery::unmatched::Unmatched;
use super::tagging::budget::Budget;
use super::{Control, Gate, Source, Stats, Trial};
use crate::config::{self, Settings};
use crate::cos::Client;
use crate::scene::Scenes;
use crate::store::Session;
use crate::store::model::Recogniser;
use crate::store::run::RangeRow;

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
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) source: Source,
    pub(super) purpose: Purpose,
    pub(super) begun: Begun,
    pub(super) budget: Arc<Budget>,
    /// The parts of the filter that have matched no key so far.
    pub(super) unmatched: Arc<Unmatched>,
    pub(super) stats: Arc<Stats>,
    pub(super) control: Control,
    pub(super) gate: Gate,
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
}

/// A run that has a row in the database, and what the database knew of it at that moment.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) session: Session,
    pub(super) ranges: Vec<RangeRow>,
    /// Unfinished runs over lists that may turn out to have the same lines as this run's list.
    pub(super) other_lists: Vec<OtherList>,
    /// Whether an earlier invocation has completed the listing.
    pub(super) is_listed: bool,
    /// Whether unchanged objects have to be compared one by one, because something else than the objects has changed
    /// since the last listing.
    pub(super) reconsider: bool,
    pub(super) is_resumed: bool,
    /// The option that names a list which this invocation does not read to its end. Absent if it does.
    pub(super) unread: Option<String>,
    /// The number of images that the run is limited to. Absent if it takes every image that is wanted.
    pub(super) trial: Option<Trial>,
    /// Who answered the calls in this database so far. Absent if there was no answer yet.
    pub(super) recogniser: Option<Recogniser>,
    /// The service's limit in calls a second that the last run on this bucket has found. Absent if none was found.
    pub(super) found_limit: Option<f64>,
}
