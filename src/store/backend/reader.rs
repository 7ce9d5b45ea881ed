//! The read handle.

use std::path::Path;

use super::dispatch;
use crate::store::compare::{Known, KnownLine};
use crate::store::live::Live;
use crate::store::model::SkipReason;
use crate::store::prune::{Pruned, Prunes};
use crate::store::read::{
    Batch, Change, Check, Checked, Choice, Chosen, ContentCounts, DatabaseSize, ExportFilter,
    Facets, Failure, FailureCode, Frequency, ImageRecord, LedgerEnd, LedgerQuery, LedgerSums,
    Measured, Needed, Page, Pick, RangeCounts, RunRow, Sample, Success, Survey, SurveyQuery,
    TagCount,
};
use crate::store::{Error, Location, sqlite};
use crate::time::UnixMillis;

/// A handle that only reads. It never creates a database and never blocks the writer.
///
/// Long answers come in batches, each of which is a separate read. No read is open while a callback is at work, so a
/// slow receiver does not keep the database from reclaiming space.
#[derive(Debug)]
pub enum Reader {
    /// A database in one file.
    Sqlite(sqlite::Reader),
}

/// An export under way. Its memory is that of one batch.
#[derive(Debug)]
pub enum Export<'r> {
    /// A database in one file.
    Sqlite(sqlite::read::Export<'r>),
}

impl Export<'_> {
    /// Reads the next batch, which may be empty. Returns `None` once everything was read.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a label that no run can have written.
    pub fn next_batch(&mut self) -> Result<Option<&Batch>, Error> {
        dispatch!(self, export => export.next_batch())
    }
}

/// The handle itself.
impl Reader {
    /// Opens an existing database for reading, also where nothing can be written.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, [`Error::Older`] if a run has to bring it up to date first,
    /// [`Error::Unread`] if a part of it cannot be read, and what `Store::open` refuses.
    pub fn open(path: &Path) -> Result<Self, Error> {
        sqlite::Reader::open(path).map(Self::Sqlite)
    }

    /// Where the database is, as it can be shown.
    pub fn location(&self) -> Location {
        dispatch!(self, reader => reader.path().into())
    }

    /// Checks that everything read so far belongs to one state of the database. Ask this before an answer is used,
    /// since a file that is read without locks may change meanwhile.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if a writer appeared.
    pub fn unchanged(&self) -> Result<(), Error> {
        dispatch!(self, reader => reader.unchanged())
    }

    /// Checks what `Store::open` would refuse about this database, except another writer and missing permissions.
    ///
    /// # Errors
    /// [`Error::Linked`] if the file has several names, [`Error::Altered`] if its schema is not the program's.
    pub fn check_writable(&self) -> Result<(), Error> {
        dispatch!(self, reader => reader.check_writable())
    }

    /// Returns true if a process writes to this database now. If none does, a run in the state `running` was killed.
    pub fn is_running(&self) -> bool {
        dispatch!(self, reader => reader.is_running())
    }

    /// Returns true if `file` is the database or one of the files that belong to it, under any name.
    pub fn owns(&self, file: &Path) -> bool {
        dispatch!(self, reader => reader.owns(file))
    }

    /// The space that the database takes on disk; `None` if the backend cannot tell.
    pub fn size(&self) -> Option<DatabaseSize> {
        dispatch!(self, reader => Some(reader.size()))
    }

    /// Copies the database to the file `target`, which must not exist and appears once it is complete.
    ///
    /// `continues` gets the number of units that are copied and the number of all units. If it returns false, the copy
    /// is given up, and this returns false too.
    ///
    /// # Errors
    /// [`Error::Copy`] if the target exists or cannot be written, [`Error::NoBackup`] if the backend cannot be copied
    /// this way, and any error of a read.
    pub fn backup(
        &self,
        target: &Path,
        continues: impl FnMut(u64, u64) -> bool,
    ) -> Result<bool, Error> {
        dispatch!(self, reader => reader.backup(target, continues))
    }

    /// Runs every check over every row. `begins` gets each check before it runs. Nothing is written.
    ///
    /// # Errors
    /// Any error of a read: [`Error::Corrupt`] if the database is too damaged to be checked.
    pub fn verify(&self, begins: impl FnMut(Check)) -> Result<Vec<Checked>, Error> {
        dispatch!(self, reader => reader.verify(begins))
    }
}

/// What the job reads.
impl Reader {
    /// Calls `each` for every known object of a bucket whose key is after `after`, starts with `prefix`, and is at
    /// most `up_to` (or at most the end of the prefix without it), in the byte order of the keys.
    ///
    /// With `standing`, each object gets the standing of its content, at the price of a look-up for each object.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn span(
        &self,
        bucket_id: i64,
        prefix: &str,
        after: &str,
        up_to: Option<&str>,
        standing: bool,
        each: impl FnMut(Known<&str>),
    ) -> Result<(), Error> {
        dispatch!(self, reader => reader.span(bucket_id, prefix, after, up_to, standing, each))
    }

    /// Finds keys that divide what is known of the prefix into about `parts` equal parts, ascending. Returns fewer
    /// keys, or none, if little is known.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn split_points(
        &self,
        bucket: &str,
        prefix: &str,
        parts: usize,
    ) -> Result<Vec<String>, Error> {
        dispatch!(self, reader => reader.split_points(bucket, prefix, parts))
    }

    /// Reads the object with this key, with the standing of its content. Returns `None` if there is none.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn known(&self, bucket_id: i64, key: &str) -> Result<Option<Known>, Error> {
        dispatch!(self, reader => reader.known(bucket_id, key))
    }

    /// Reads up to `limit` lines of the list of a run after line `seq`, in order, with what is known of each.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn known_lines(
        &self,
        run_id: i64,
        bucket_id: i64,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<KnownLine>, Error> {
        dispatch!(self, reader => reader.known_lines(run_id, bucket_id, seq, limit))
    }

    /// Reads the hash of the lines that a run has read of its list. Returns `None` if none was made.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn list_hash(&self, run_id: i64) -> Result<Option<i64>, Error> {
        dispatch!(self, reader => reader.list_hash(run_id))
    }

    /// Returns true if the run has to look at unchanged objects of its scope one by one.
    ///
    /// This is true if the settings that decide what is wanted differ from those of the last complete listing of the
    /// scope or of a run since then; if contents wait that no run under way wants; or if contents may have been taken
    /// from a run since then that did not list its scope to the end.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn must_reconsider(
        &self,
        run_id: i64,
        bucket_id: i64,
        prefix: &str,
        eligibility: i64,
    ) -> Result<bool, Error> {
        dispatch!(self, reader => reader.must_reconsider(run_id, bucket_id, prefix, eligibility))
    }

    /// Counts what [`Store::prune`](super::Store::prune) would remove.
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

    /// Reads the end of the ledger.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn ledger_end(&self) -> Result<LedgerEnd, Error> {
        dispatch!(self, reader => reader.ledger_end())
    }

    /// Returns true if any call of the ledger was answered, with labels or without any.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn has_been_answered(&self) -> Result<bool, Error> {
        dispatch!(self, reader => reader.has_been_answered())
    }

    /// Counts the calls that ended at `moment` or later and were in the ledger at `end`. Calls
    /// with an unknown end are among them.
    ///
    /// Looks at every row: where the clock was set or corrected, rows are not in the order of their times.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn calls_since(&self, moment: UnixMillis, end: LedgerEnd) -> Result<u64, Error> {
        dispatch!(self, reader => reader.calls_since(moment, end))
    }

    /// Counts the contents that a run has in its queue or in flight, up to `limit` of them, and the scenes that their
    /// calls ask for.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn asked_of_queue(&self, run_id: i64, limit: u32) -> Result<(u64, u64), Error> {
        dispatch!(self, reader => reader.asked_of_queue(run_id, limit))
    }
}

/// What commands read.
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
    /// every label; a read stays open meanwhile.
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

/// What the page explores.
impl Reader {
    /// Finds up to `limit` images, by descending number of their content, after the content `after`. Begins with the
    /// last one if `after` is `None`. Each image has at most `most_labels` labels; all of them if `None`.
    ///
    /// `continues` is asked again and again. Once it returns false, the page is not complete.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn pictures(
        &self,
        pick: &Pick,
        after: Option<i64>,
        limit: usize,
        most_labels: Option<usize>,
        continues: impl Fn() -> bool,
    ) -> Result<Page, Error> {
        dispatch!(self, reader => reader.pictures(pick, after, limit, most_labels, &continues))
    }

    /// Counts the images behind each choice. Once `continues` returns false, the counts are lower bounds.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn facets(&self, pick: &Pick, continues: impl Fn() -> bool) -> Result<Facets, Error> {
        dispatch!(self, reader => reader.facets(pick, &continues))
    }

    /// Reads everything that is known of a content. Returns `None` if there is none with this number.
    ///
    /// # Errors
    /// Any error of a read; [`Error::Unsound`] for a value that no run can have written.
    pub fn image(&self, content_id: i64) -> Result<Option<ImageRecord>, Error> {
        dispatch!(self, reader => reader.image(content_id))
    }

    /// A present key of a content, one that is not skipped if there is any. Returns `None` if there is none.
    ///
    /// # Errors
    /// Any error of a read.
    pub fn a_key(&self, content_id: i64) -> Result<Option<Sample>, Error> {
        dispatch!(self, reader => reader.a_key(content_id))
    }

    /// A number that stays the same as long as the database is the same file.
    pub fn file(&self) -> (u64, u64) {
        dispatch!(self, reader => reader.file())
    }
}
