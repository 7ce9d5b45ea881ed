//! What every kind of discovery shares.

use std::num::ParseIntError;
use std::sync::Arc;

use super::compare::Comparison;
use super::filter::Filter;
use super::unmatched::Unmatched;
use crate::job::Error;
use crate::job::service::client::Service;
use crate::job::service::pace::Pace;
use crate::job::writer::Writer;
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

impl Discovery {
    /// The error for a range of a list whose stored progress is no number.
    pub(crate) fn bad_progress(&self, range: &RangeRow, source: ParseIntError) -> Error {
        let (run, cursor) = (self.comparison.run_id, range.cursor.clone());
        Error::Progress { run, cursor, source }
    }
}
