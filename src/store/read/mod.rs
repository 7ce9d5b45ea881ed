//! What read commands ask for, and what they get.

mod change;
mod choose;
mod explore;
pub(super) mod export;
mod failure;
mod ledger;
mod needed;
mod standing;
mod status;
mod survey;
mod verify;

pub use change::Change;
pub use choose::{Choice, Chosen};
pub use explore::{
    Facets, Found, ImageCall, ImageFailure, ImageKey, ImageLabel, ImageRecord, ImageState,
    LabelFacet, Page, Pick,
};
pub use export::{Batch, ExportFilter, Exported, Standing};
pub use failure::{Failure, FailureCode};
pub use ledger::{LedgerEnd, LedgerGrouping, LedgerQuery, LedgerSums, Measured};
pub use needed::{Doubtful, Needed};
pub use standing::RunStanding;
pub use status::{ContentCounts, DatabaseSize, Frequency, RangeCounts, RunRow, Success, TagCount};
pub use survey::{
    BucketPrefixes, CategoryCount, Changes, ImageCounts, LabelCount, ObjectCounts, Others, Prefix,
    Sample, Survey, SurveyQuery, UNCERTAIN_BELOW,
};
pub use verify::{Check, Checked, Problems, Progress};
