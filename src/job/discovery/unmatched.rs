//! Finds globs and suffixes of the filter that match no key of the listing, and prefixes that no key begins with. They are
//! probably typed wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::config;
use crate::glob::{GlobError, Globs, Meaning};

/// The globs and suffixes of a filter that have matched no key so far.
#[derive(Debug)]
pub(crate) struct Unmatched {
    /// Whether there are any. It is read for each page, without taking the lock.
    is_left: AtomicBool,
    left: Mutex<Left>,
    /// Names similar to the prefix. Empty unless no key begins with the prefix.
    beside: OnceLock<Vec<String>>,
}

#[derive(Debug)]
struct Left {
    include: Column,
    exclude: Column,
    suffixes: Vec<String>,
}

/// The globs of one option.
#[derive(Debug)]
struct Column {
    globs: Vec<String>,
    compiled: Globs,
    meaning: Meaning,
}

impl Unmatched {
    /// All globs of a filter, and its suffixes unless they are the default ones. Nothing for lists of keys or URLs, where
    /// `listing` is `false`: the filter does not apply to them.
    ///
    /// # Errors
    /// A glob that cannot be compiled.
    pub(crate) fn new(filter: &config::Filter, listing: bool) -> Result<Self, GlobError> {
        let column = |globs: &[String]| {
            let globs = if listing { globs.to_vec() } else { Vec::new() };
            Column::new(globs, filter.globs)
        };
        let is_usual = filter.suffixes == config::Filter::default().suffixes;
        let left = Left {
            include: column(&filter.include)?,
            exclude: column(&filter.exclude)?,
            suffixes: if is_usual || !listing { Vec::new() } else { filter.suffixes.clone() },
        };
        Ok(Self {
            is_left: AtomicBool::new(!left.is_empty()),
            left: Mutex::new(left),
            beside: OnceLock::new(),
        })
    }

    /// Returns whether some have matched no key so far.
    pub(crate) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Relaxed)
    }

    /// Removes the globs and suffixes that match one of these keys.
    pub(crate) fn meets<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        if !self.is_left() {
            return;
        }
        let mut left = self.lock();
        for key in keys {
            // The placeholder of a folder is never called, so it does not count as a match.
            if key.ends_with('/') {
                continue;
            }
            left.include.meets(key);
            left.exclude.meets(key);
            let name = key.rsplit('/').next().unwrap_or(key);
            if let (false, Some((_, suffix))) = (left.suffixes.is_empty(), name.rsplit_once('.')) {
                left.suffixes.retain(|wanted| !wanted.eq_ignore_ascii_case(suffix));
            }
            if left.is_empty() {
                self.is_left.store(false, Ordering::Relaxed);
                return;
            }
        }
    }

    /// The globs and suffixes that are left, as they would be typed: `--include 'a/*'`.
    pub(crate) fn options(&self) -> Vec<String> {
        let left = self.lock();
        let columns = [
            ("--include", &left.include.globs),
            ("--exclude", &left.exclude.globs),
            ("--suffixes", &left.suffixes),
        ];
        let quoted = |(option, values): (&str, &Vec<String>)| -> Vec<String> {
            values.iter().map(|value| format!("{option} '{value}'")).collect()
        };
        columns.into_iter().flat_map(quoted).collect()
    }

    /// Stores names similar to the prefix, because no key begins with it.
    pub(crate) fn keep_beside(&self, names: Vec<String>) {
        let _ = self.beside.set(names);
    }

    /// Names similar to the prefix. Empty unless no key begins with the prefix.
    pub(crate) fn beside(&self) -> &[String] {
        self.beside.get().map(Vec::as_slice).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Left {
    fn is_empty(&self) -> bool {
        self.include.globs.is_empty() && self.exclude.globs.is_empty() && self.suffixes.is_empty()
    }
}

impl Column {
    fn new(globs: Vec<String>, meaning: Meaning) -> Result<Self, GlobError> {
        Ok(Self { compiled: Globs::new(&globs, meaning)?, globs, meaning })
    }

    fn meets(&mut self, key: &str) {
        if !self.compiled.matches(key) {
            return;
        }
        let meaning = self.meaning;
        let matches = |glob: &String| {
            Globs::new(std::slice::from_ref(glob), meaning).is_ok_and(|one| one.matches(key))
        };
        let mut left = std::mem::take(&mut self.globs);
        left.retain(|glob| !matches(glob));
        if let Ok(column) = Self::new(left, meaning) {
            *self = column;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], suffixes: &[&str]) -> config::Filter {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        config::Filter {
            include: owned(include),
            suffixes: owned(suffixes),
            ..config::Filter::default()
        }
    }

    #[test]
    fn globs_and_suffixes_are_unmatched_until_a_key_matches() {
        let unmatched = Unmatched::new(&filter(&["*.jpg", "x/*", "y/**"], &["jpg", "gif"]), true);
        let unmatched = unmatched.unwrap();
        unmatched.meets(["a.JPG", "y/"]);
        assert_eq!(
            unmatched.options(),
            ["--include '*.jpg'", "--include 'x/*'", "--include 'y/**'", "--suffixes 'gif'"]
        );
        unmatched.meets(["x/a.jpg", "b.gif"]);
        assert_eq!(unmatched.options(), ["--include 'y/**'"]);
        unmatched.meets(["y/z/n.txt"]);
        assert!(!unmatched.is_left() && unmatched.options().is_empty());
    }

    #[test]
    fn default_suffixes_and_the_filter_of_a_list_are_never_unmatched() {
        let usual = Unmatched::new(&config::Filter::default(), true).unwrap();
        assert!(!usual.is_left());
        let list = Unmatched::new(&filter(&["*.jpg"], &["gif"]), false).unwrap();
        assert!(!list.is_left());
    }
}
