//! The stage of a run that finds its objects: by listing a bucket, or by reading a list.

use super::lister::{self, Listing};
use super::lookup::Lookup;
use super::reading::{OtherList, Reading};
use super::source::Source;
use super::stage::Discovery;
use crate::job::Error;
use crate::store::Reader;
use crate::store::run::RangeRow;

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

impl Scope {
    /// Discovers what is left, and records the end of the discovery. `ranges` are those of the run.
    ///
    /// # Errors
    /// An error of the store, or a list that cannot be read. An error of the service stops the run through its control
    /// instead.
    pub(crate) async fn discover(
        self,
        stage: Discovery,
        ranges: Vec<RangeRow>,
        reader: Reader,
    ) -> Result<(), Error> {
        match self {
            Scope::Nothing { prefix } => {
                stage.service.stats.set_listed();
                lister::meet_known(&stage.unmatched, &reader, stage.bucket_id, &prefix)
            }
            Scope::Bucket { bucket, prefix, workers, reconsider, is_resumed } => {
                let listing = Listing::new(stage, bucket, prefix, workers, reconsider, is_resumed);
                listing.run(ranges, reader).await
            }
            Scope::List { source, is_resumed, others } => {
                let reading = Reading { stage: &stage, source: &source, is_resumed, others };
                if !reading.run(&ranges, &reader).await? {
                    return Ok(());
                }
                let is_urls = matches!(source, Source::Urls(_));
                Lookup::new(stage, is_urls).run(&ranges, reader).await
            }
        }
    }
}
