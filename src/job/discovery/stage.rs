//! What every kind of discovery shares.

use std::sync::Arc;

use super::compare::Comparison;
use super::filter::Filter;
use super::unmatched::Unmatched;
use crate::job::service::client::Service;
use crate::job::service::pace::Pace;
use crate::job::writer::Writer;

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
