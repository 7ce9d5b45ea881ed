//! The stage of a run that calls the service for its images.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::activity::Activity;
use super::breaker::Breaker;
use super::budget::Budget;
use super::crew::Crew;
use super::pool::Pool;
use super::tagger::Tagger;
use crate::config::{FailureLimit, Workers};
use crate::job::Error;
use crate::job::gate::Gate;
use crate::job::service::client::Service;
use crate::job::service::outage::Outage;
use crate::job::service::pace::Pace;
use crate::job::trial::Trial;
use crate::job::writer::Writer;
use crate::store::Place;

/// What tagging needs.
#[derive(Debug)]
pub(crate) struct Tagging {
    pub(crate) service: Arc<Service>,
    pub(crate) writer: Writer,
    /// Notified by the writer when the queue may have grown, or when a content was settled.
    pub(crate) work: Arc<Notify>,
    /// The pace of calls. Listings and look-ups have a pace of their own.
    pub(crate) pace: Pace,
    pub(crate) budget: Arc<Budget>,
    pub(crate) gate: Gate,
    /// How many failures stop the run.
    pub(crate) max_failures: FailureLimit,
    /// The most calls in flight at a time.
    pub(crate) workers: Workers,
    /// The wait before failed images are tried in the second pass.
    pub(crate) cooldown: Duration,
    /// The number of images that the run is limited to. Absent if it takes every image that is wanted.
    pub(crate) trial: Option<Trial>,
    /// Whether keys are URLs.
    pub(crate) urls: bool,
    /// Whether a call was answered before this invocation, according to the database.
    pub(crate) was_answered_before: bool,
    /// The database file.
    pub(crate) place: Place,
}

impl Tagging {
    /// Calls until the listing is complete and nothing is left to call, or until the run stops.
    ///
    /// # Errors
    /// Only if the writer has ended.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let rate = self.pace.rate();
        Pool {
            tagger: Arc::new(Tagger {
                service: self.service,
                writer: self.writer,
                pace: self.pace,
                budget: self.budget,
                gate: self.gate,
                breaker: Breaker::new(self.max_failures),
                not_before: Mutex::default(),
                needs_pause: AtomicBool::default(),
                outage: Outage::default(),
                waiting: AtomicUsize::new(0),
                activity: Activity::default(),
                urls: self.urls,
                was_answered_before: self.was_answered_before,
            }),
            crew: Crew::new(self.workers, rate),
            work: self.work,
            cooldown: self.cooldown,
            trial: self.trial,
            place: self.place,
        }
        .run()
        .await
    }
}
