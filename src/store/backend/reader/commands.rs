//! What commands read.

use super::super::dispatch;
use super::{Export, Reader};
use crate::store::Error;
use crate::store::live::Live;
use crate::store::model::SkipReason;
use crate::store::prune::{Pruned, Prunes};
use crate::store::read::{
    Change, Choice, Chosen, ContentCounts, ExportFilter, Failure, FailureCode, Frequency,
    LedgerQuery, LedgerSums, Measured, Needed, RangeCounts, RunRow, Success, Survey, SurveyQuery,
    TagCount,
};

impl Reader {
    /// Reads the last `limit` runs, the newest first.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a row that no run can have written.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRow>, Error> {
        dispatch!(self, reader => reader.runs(limit))
    }

    /// Reads the run with this number. Returns `None` if there is none.
    ///
    /// # Errors
    /// The same as those of [`Reader::runs`].
    pub fn run(&self, id: i64) -> Result<Option<RunRow>, Error> {
        dispatch!(self, reader => reader.run(id))
    }

    /// Reads the newest run, other than a plan that left nothing but its row. Returns `None` if there is none.
    ///
    /// # Errors
    /// The same as those of [`Reader::runs`].
    pub fn last_run(&self) -> Result<Option<RunRow>, Error> {
        dispatch!(self, reader => reader.last_run())
    }

    /// Reads the number of the newest run, other than a plan, that has ended. Returns `None` if there is none.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn last_ended_run(&self) -> Result<Option<i64>, Error> {
        dispatch!(self, reader => reader.last_ended_run())
    }

    /// Reads the first run after which it is known what changed: the number is 0 if that is known of every run. Returns
    /// `None` if it is not known of any run, because an earlier version wrote the database.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn changes_since(&self) -> Result<Option<i64>, Error> {
        dispatch!(self, reader => reader.changes_since())
    }

    /// Reads what the process of the run at work has left last. `None` if it has left nothing yet, or if no run is at
    /// work.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn live(&self) -> Result<Option<Live>, Error> {
        dispatch!(self, reader => reader.live())
    }

    /// Reads the settings that a run was begun with, as they are stored. `None` if there is no such run.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn settings_of(&self, run: i64) -> Result<Option<String>, Error> {
        dispatch!(self, reader => reader.settings_of(run))
    }

    /// Finds the run that `costag resume` continues: the newest that was interrupted, stopped or killed and is no
    /// plan.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn unfinished_run(&self) -> Result<Option<i64>, Error> {
        dispatch!(self, reader => reader.unfinished_run())
    }

    /// Finds the last time at which a run, other than a plan, ended with a success. `None` if none has.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn last_success(&self) -> Result<Option<Success>, Error> {
        dispatch!(self, reader => reader.last_success())
    }

    /// Counts the ranges of a run.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn ranges(&self, run_id: i64) -> Result<RangeCounts, Error> {
        dispatch!(self, reader => reader.ranges(run_id))
    }

    /// Counts the contents in each state. Reads only indexes of what is not done.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn content_counts(&self) -> Result<ContentCounts, Error> {
        dispatch!(self, reader => reader.content_counts())
    }

    /// Reads what a run has found and left uncalled.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn left(&self, run_id: i64) -> Result<Needed, Error> {
        dispatch!(self, reader => reader.left(run_id))
    }

    /// Counts the present objects that are skipped, for each reason. Looks at every object.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a reason that no run can have written.
    pub fn skip_reasons(&self) -> Result<Vec<(SkipReason, u64)>, Error> {
        dispatch!(self, reader => reader.skip_reasons())
    }

    /// Reads the `limit` codes with which most contents failed.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn failure_codes(&self, limit: u32) -> Result<Vec<FailureCode>, Error> {
        dispatch!(self, reader => reader.failure_codes(limit))
    }

    /// Reads the `limit` codes with which most contents of a run failed.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn failure_codes_of(&self, run_id: i64, limit: u32) -> Result<Vec<FailureCode>, Error> {
        dispatch!(self, reader => reader.failure_codes_of(run_id, limit))
    }

    /// Hands every failure to `each`: first those of images, the final ones before the temporary ones, by run; then
    /// lines of lists that ended without a call. Stops at the first error.
    ///
    /// # Errors
    /// Any error of a read, and that of `each`.
    pub fn failures<E: From<Error>>(
        &self,
        each: impl FnMut(&Failure) -> Result<(), E>,
    ) -> Result<(), E> {
        dispatch!(self, reader => reader.failures(each))
    }

    /// Hands every journal entry of a run to `each`, in the order in which they were found. Stops at the first error.
    ///
    /// # Errors
    /// Any error of a read, and that of `each`.
    pub fn changes<E: From<Error>>(
        &self,
        run_id: i64,
        each: impl FnMut(&Change) -> Result<(), E>,
    ) -> Result<(), E> {
        dispatch!(self, reader => reader.changes(run_id, each))
    }

    /// Hands the chosen contents to `each`, batch by batch. `each` may put back what it gets.
    ///
    /// `keys` says of a key whether it is meant, in addition to the choice.
    ///
    /// # Errors
    /// Any error of a read, and that of `each`.
    pub fn chosen<E: From<Error>>(
        &self,
        choice: &Choice,
        keys: impl Fn(&str) -> bool,
        each: impl FnMut(&[Chosen]) -> Result<(), E>,
    ) -> Result<(), E> {
        dispatch!(self, reader => reader.chosen(choice, keys, each))
    }

    /// Counts what [`Store::prune`](crate::store::Store::prune) would remove.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn prunable(&self, prunes: &Prunes) -> Result<Pruned, Error> {
        dispatch!(self, reader => reader.prunable(prunes))
    }

    /// Estimates how many rows are details of runs that are older than the newest `keep_runs`, without reading them.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn old_details(&self, keep_runs: u32) -> Result<u64, Error> {
        dispatch!(self, reader => reader.old_details(keep_runs))
    }

    /// Begins an export of labelled objects, by bucket, then by the bytes of the key.
    ///
    /// An object that changes during the export appears as it is when its batch is read.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn export(&self, filter: ExportFilter) -> Result<Export<'_>, Error> {
        dispatch!(self, reader => reader.export(filter).map(Export::Sqlite))
    }

    /// Counts the labels of at least `min_confidence` (0 to 100) that images of the bucket have, by scene and name, in no
    /// order.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a label whose scene or name is unknown.
    pub fn frequencies(&self, min_confidence: i64) -> Result<Vec<Frequency>, Error> {
        dispatch!(self, reader => reader.frequencies(min_confidence))
    }

    /// Counts every label of at least `min_confidence`, by scene and name, in no order, whether the bucket still has its
    /// image or not. Looks at every label.
    ///
    /// # Errors
    /// The same as those of [`Reader::frequencies`].
    pub fn frequencies_with_gone(&self, min_confidence: i64) -> Result<Vec<Frequency>, Error> {
        dispatch!(self, reader => reader.frequencies_with_gone(min_confidence))
    }

    /// Reads the `limit` most frequent labels of images that the bucket has.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn top_tags(&self, limit: u32) -> Result<Vec<TagCount>, Error> {
        dispatch!(self, reader => reader.top_tags(limit))
    }

    /// Counts the images that the bucket has, and their labels, in one state of the database. Looks at every object and
    /// every label if the counts are not kept, or do not have all prefixes; a read stays open meanwhile.
    ///
    /// `continues` is asked again and again. Once it returns false, the survey is given up, and this returns `None`.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a label whose scene or name is unknown.
    pub fn survey(
        &self,
        query: SurveyQuery,
        continues: impl Fn() -> bool,
    ) -> Result<Option<Survey>, Error> {
        dispatch!(self, reader => reader.survey(query, &continues))
    }

    /// Hands sums of calls to `each`, with the number of their group. A group may come several times: add its sums up.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for an outcome that no run can have written.
    pub fn ledger_sums(
        &self,
        query: &LedgerQuery,
        each: impl FnMut(i64, LedgerSums),
    ) -> Result<(), Error> {
        dispatch!(self, reader => reader.ledger_sums(query, each))
    }

    /// Measures the rate at which the last run called, over its last calls. Returns `None` if there were too few.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn measured_pace(&self) -> Result<Option<Measured>, Error> {
        dispatch!(self, reader => reader.measured_pace())
    }
}
