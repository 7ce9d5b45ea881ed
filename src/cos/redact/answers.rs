//! Removes secrets from what the service answered: pages, objects, labels and errors.

use std::borrow::Cow;

use super::{Redactor, SIGNATURE};
use crate::cos::error::{Error, ServiceError};
use crate::cos::list::{ListPage, ObjectEntry, StuckListing, Unproven};
use crate::label::{Label, Labels};
use crate::object::{ETag, StorageClass};

impl Redactor {
    fn clean(&self, text: &mut String) {
        if let Cow::Owned(hidden) = self.hide(text) {
            *text = hidden;
        }
    }

    fn clean_all<'t>(&self, texts: impl IntoIterator<Item = &'t mut String>) {
        texts.into_iter().for_each(|text| self.clean(text));
    }

    /// Removes secrets from a page of a listing. Keys are left as they are: they identify objects.
    pub(in crate::cos) fn clean_page(&self, page: &mut ListPage) {
        for entry in &mut page.entries {
            if !is_usual(entry) {
                self.clean_object(entry);
            }
        }
        self.clean_all(page.rejected.iter_mut().map(|entry| &mut entry.shown));
    }

    /// Returns the entry with secrets removed from everything except its key.
    pub(in crate::cos) fn clean_entry(&self, mut entry: ObjectEntry) -> ObjectEntry {
        if !is_usual(&entry) {
            self.clean_object(&mut entry);
        }
        entry
    }

    fn clean_object(&self, entry: &mut ObjectEntry) {
        // A redacted ETag would no longer identify the content, so it counts as absent.
        if let Some(ETag::Text(etag)) = &entry.etag
            && matches!(self.hide(etag), Cow::Owned(_))
        {
            entry.etag = None;
        }
        if let Some(StorageClass::Other(class)) = &mut entry.storage_class
            && let Cow::Owned(hidden) = self.hide(class)
        {
            *class = hidden.into();
        }
        self.clean_all(&mut entry.storage_tier);
    }

    /// Removes secrets from the names and categories of labels.
    pub(in crate::cos) fn clean_labels(&self, labels: &mut Labels) {
        // Part of a secret in one of the texts is also part of their concatenation.
        if self.is_clean(labels.texts()) {
            return;
        }
        let mut clean = Labels::default();
        for label in labels.iter() {
            clean.push(Label {
                name: &self.hide(label.name),
                first_category: &self.hide(label.first_category),
                second_category: &self.hide(label.second_category),
                ..label
            });
        }
        *labels = clean;
    }

    /// Returns the error with secrets removed from every text that came from outside.
    pub(in crate::cos) fn hide_error(&self, mut error: Error) -> Error {
        match &mut error {
            Error::Service(error) => {
                let ServiceError { code, message, request_id, trace_id, location, .. } =
                    &mut **error;
                self.clean_all([code, message]);
                self.clean_all([request_id, trace_id, location].into_iter().flatten());
            }
            Error::Unusable { reason, request_id, .. } => {
                self.clean(reason);
                self.clean_all(request_id);
            }
            Error::Foreign { what, location, .. } => {
                self.clean(what);
                self.clean_all(location);
            }
            Error::StuckListing(StuckListing { next, .. }) => self.clean_all(next),
            Error::Unproven(unproven) => match unproven {
                Unproven::Prefix { echo, .. } | Unproven::Marker { echo, .. } => {
                    self.clean_all(echo);
                }
                Unproven::Bucket { echo, .. } => self.clean(echo),
                Unproven::TooMany { .. } => {}
                Unproven::Order { before, key } => self.clean_all([before, key]),
                Unproven::Folded { prefix } => self.clean(prefix),
                Unproven::Outside { key, .. } => self.clean(key),
            },
            Error::Connect { .. }
            | Error::NoSuchHost { .. }
            | Error::Certificate { .. }
            | Error::Interrupted { .. }
            | Error::Timeout { .. }
            | Error::Credentials(_)
            | Error::UnaddressableKey { .. } => {}
        }
        error
    }
}

/// Returns `true` if `ETag` and storage class look as the service writes them, so that they can hold no secret. This
/// check runs for every listed object and spares it the search.
fn is_usual(entry: &ObjectEntry) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let is_class = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let has_usual_etag = match &entry.etag {
        None | Some(ETag::Md5(_)) => true,
        Some(ETag::Text(etag)) => etag.len() < SIGNATURE && etag.bytes().all(is_digit),
    };
    let has_usual_class = match &entry.storage_class {
        Some(StorageClass::Other(class)) => class.bytes().all(is_class),
        _ => true,
    };
    has_usual_etag && has_usual_class && entry.storage_tier.is_none()
}
