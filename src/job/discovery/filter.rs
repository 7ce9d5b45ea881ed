//! The filter decides whether a listed object is wanted, or why it is skipped. It uses only what the listing says.

use std::borrow::Cow;

use crate::config;
use crate::cos;
use crate::glob::{GlobError, Globs};
use crate::object::StorageClass;
use crate::store::ident::fingerprint;
use crate::store::model::SkipReason;
use crate::store::turn::Candidate;

/// The compiled filter of a run.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    suffixes: Vec<String>,
    include: Globs,
    exclude: Globs,
    min_size: u64,
    max_size: Option<u64>,
    archive: bool,
    /// Whether suffixes, globs and sizes apply. They do not apply to the keys and URLs of a list.
    listing: bool,
}

impl Filter {
    /// Compiles the settings. `listing` is `false` for lists of keys or URLs.
    ///
    /// # Errors
    /// A glob that cannot be compiled.
    pub(crate) fn new(settings: &config::Filter, listing: bool) -> Result<Self, GlobError> {
        Ok(Self {
            suffixes: settings.suffixes.clone(),
            include: Globs::new(&settings.include, settings.globs)?,
            exclude: Globs::new(&settings.exclude, settings.globs)?,
            min_size: settings.min_size,
            max_size: settings.max_size,
            archive: settings.archive,
            listing,
        })
    }

    /// Returns why an object is skipped, or `None` if it is wanted. If there are several reasons, returns the most
    /// informative one.
    pub(crate) fn skip(&self, entry: &cos::ObjectEntry) -> Option<SkipReason> {
        let key = entry.key.as_str();
        // An unknown size does not exclude the object.
        let size = entry.size;
        if key.ends_with('/') {
            return Some(SkipReason::Folder);
        }
        if !cos::addressable(key) {
            return Some(SkipReason::Unaddressable);
        }
        if self.listing {
            if !self.has_suffix(key) {
                return Some(SkipReason::Suffix);
            }
            if self.exclude.matches(key) {
                return Some(SkipReason::Excluded);
            }
            if !self.include.is_empty() && !self.include.matches(key) {
                return Some(SkipReason::NotIncluded);
            }
        }
        if size == Some(0) {
            return Some(SkipReason::Empty);
        }
        if self.listing && size.is_some_and(|size| size < self.min_size) {
            return Some(SkipReason::TooSmall);
        }
        let most = self.max_size.unwrap_or(u64::MAX);
        if self.listing && size.is_some_and(|size| size > most) {
            return Some(SkipReason::TooLarge);
        }
        let restored = entry.restored == Some(cos::Restore::Done);
        let is_archive = entry.storage_class.as_ref().is_some_and(StorageClass::is_archive);
        if !self.archive && !restored && is_archive {
            return Some(SkipReason::Archive);
        }
        None
    }

    /// Converts a listed object to a candidate for the store.
    pub(crate) fn candidate(&self, entry: cos::ObjectEntry) -> Candidate {
        let skip = self.skip(&entry);
        let cos::ObjectEntry { key, etag, size, last_modified, storage_class, .. } = entry;
        let storage_class = storage_class.unwrap_or_default();
        // An archived object counts as changed when it is restored, and again when the restored copy expires.
        let class = match entry.restored {
            Some(cos::Restore::Done) => Cow::Owned(format!("{}+restored", storage_class.name())),
            _ => Cow::Borrowed(storage_class.name()),
        };
        let fingerprint = fingerprint(etag.as_ref(), size, &class, last_modified);
        Candidate { key, etag, size, last_modified, storage_class, skip, fingerprint }
    }

    fn has_suffix(&self, key: &str) -> bool {
        if self.suffixes.is_empty() {
            return true;
        }
        let name = key.rsplit('/').next().unwrap_or(key);
        let Some((_, suffix)) = name.rsplit_once('.') else { return false };
        self.suffixes.iter().any(|wanted| wanted.eq_ignore_ascii_case(suffix))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::object::ETag;

    fn entry(key: &str, size: u64, class: &str) -> cos::ObjectEntry {
        cos::ObjectEntry {
            key: key.to_owned(),
            etag: ETag::new("e"),
            size: Some(size),
            storage_class: StorageClass::new(class),
            ..cos::ObjectEntry::default()
        }
    }

    #[rstest]
    #[case("a/b.JPG", 1, "STANDARD", None)]
    #[case("a/b.heic", 1, "SOME_FUTURE_CLASS", None)]
    #[case("a/", 0, "STANDARD", Some(SkipReason::Folder))]
    #[case("a/b.jpg", 0, "STANDARD", Some(SkipReason::Empty))]
    #[case("a/b.txt", 1, "STANDARD", Some(SkipReason::Suffix))]
    #[case("jpg", 1, "STANDARD", Some(SkipReason::Suffix))]
    #[case("a.jpg/b", 1, "STANDARD", Some(SkipReason::Suffix))]
    #[case("a/b.jpg", 1, "MAZ_ARCHIVE", Some(SkipReason::Archive))]
    #[case("a/..", 1, "STANDARD", Some(SkipReason::Unaddressable))]
    #[case("thumbs/b.jpg", 1, "STANDARD", Some(SkipReason::Excluded))]
    #[case("thumbs/c/b.jpg", 1, "STANDARD", None)]
    fn each_skipped_object_has_its_reason(
        #[case] key: &str,
        #[case] size: u64,
        #[case] class: &str,
        #[case] reason: Option<SkipReason>,
    ) {
        let settings =
            config::Filter { exclude: vec!["thumbs/*".to_owned()], ..config::Filter::default() };
        let filter = Filter::new(&settings, true).unwrap();
        assert_eq!(filter.skip(&entry(key, size, class)), reason);
    }

    #[test]
    fn the_filter_does_not_apply_to_lists_but_unusable_keys_are_skipped() {
        let filter = Filter::new(&config::Filter::default(), false).unwrap();
        assert_eq!(filter.skip(&entry("note.txt", 1, "STANDARD")), None);
        assert_eq!(filter.skip(&entry("a.jpg", 0, "STANDARD")), Some(SkipReason::Empty));
    }

    #[test]
    fn a_restored_archived_object_is_wanted_and_changed() {
        let filter = Filter::new(&config::Filter::default(), true).unwrap();
        let archived = entry("a.jpg", 1, "ARCHIVE");
        let restored = cos::ObjectEntry { restored: Some(cos::Restore::Done), ..archived.clone() };
        assert_eq!(filter.skip(&archived), Some(SkipReason::Archive));
        assert_eq!(filter.skip(&restored), None);
        assert_ne!(filter.candidate(archived).fingerprint, filter.candidate(restored).fingerprint);
    }

    #[test]
    fn an_invalid_glob_is_named_in_the_error() {
        let settings =
            config::Filter { include: vec!["[".to_owned()], ..config::Filter::default() };
        let error = Filter::new(&settings, true).unwrap_err();
        assert!(error.to_string().contains("\"[\""));
    }
}
