//! The stage of a run that finds its objects.

use std::sync::Arc;

use super::compare::Comparison;
use super::filter::Filter;
use super::lister::{self, Listing};
use super::lookup::{Lookup, OtherList};
use super::source::Source;
use super::unmatched::Unmatched;
use crate::job::Error;
use crate::job::service::client::Service;
use crate::job::service::pace::Pace;
use crate::job::writer::Writer;
use crate::store::Reader;
use crate::store::run::RangeRow;

/// What every kind of discovery needs.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) service: Arc<Service>,
    pub(crate) writer: Writer,
    /// The pace of listings and look-ups. Calls have a pace of their own.
    pub(crate) pace: Pace,
    pub(crate) filter: Filter,
    pub(crate) comparison: Comparison,
    /// The parts of the filter that have matched no key so far.
    pub(crate) unmatched: Arc<Unmatched>,
    pub(crate) bucket_id: i64,
}

/// What is left to discover.
#[derive(Debug)]
pub(crate) enum Scope {
    /// Nothing: an earlier invocation has finished the discovery.
    Nothing {
        /// Empty for the whole bucket, and for lists.
        prefix: String,
    },
    /// The objects of a bucket whose key starts with a prefix.
    Bucket {
        /// The name of the bucket.
        bucket: String,
        /// Empty for the whole bucket.
        prefix: String,
        /// The number of ranges that are listed side by side.
        workers: usize,
        /// Whether unchanged objects are compared one by one.
        reconsider: bool,
        /// Whether an earlier invocation may have listed a part of the bucket.
        is_resumed: bool,
    },
    /// The keys or URLs of a list.
    List {
        /// The list.
        source: Source,
        /// Whether an earlier invocation has begun to read it.
        is_resumed: bool,
        /// Unfinished runs over lists that may turn out to have the same lines.
        others: Vec<OtherList>,
    },
}

impl Discovery {
    /// Discovers what is left of the scope, and records the end of the discovery. `ranges` are those of the run.
    ///
    /// # Errors
    /// An error of the store, or a list that cannot be read. An error of the service stops the run through its control
    /// instead.
    pub(crate) async fn run(
        self,
        scope: Scope,
        ranges: Vec<RangeRow>,
        reader: Reader,
    ) -> Result<(), Error> {
        match scope {
            Scope::Nothing { prefix } => {
                self.service.stats.set_listed();
                lister::meet_known(&self.unmatched, &reader, self.bucket_id, &prefix)
            }
            Scope::Bucket { bucket, prefix, workers, reconsider, is_resumed } => {
                let listing = Listing::new(self, bucket, prefix, workers, reconsider, is_resumed);
                listing.run(ranges, reader).await
            }
            Scope::List { source, is_resumed, others } => {
                Lookup::new(self, source, is_resumed, others).run(&ranges, reader).await
            }
        }
    }
}
