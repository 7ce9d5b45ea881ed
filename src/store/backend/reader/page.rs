//! What the page explores.

use super::super::dispatch;
use super::Reader;
use crate::store::Error;
use crate::store::read::{Facets, ImageRecord, Page, Pick, Sample};

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
}
