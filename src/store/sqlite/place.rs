//! Whether an open database is still where it was, with the content that it had.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::anchor::{Anchor, FileId, read_open};
use super::growth::{Length, Log};

/// The place of an open database. It tells whether the database is still there, which takes a few `stat` calls and one
/// read of a page.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file's name without links.
    path: PathBuf,
    /// The name that was given, if a link is in it.
    given: Option<PathBuf>,
    id: FileId,
    length: Length,
    /// The write-ahead log, once it is open.
    log: Option<Log>,
    /// The mark that tells the content of the file from that of any other database; `None` if there is none.
    mark: Option<Watched>,
}

/// A text that no other file holds, and the page of the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) text: String,
    /// The offset of the page in bytes.
    pub(super) offset: u64,
    /// The length of the page in bytes.
    pub(super) length: usize,
}

/// A mark, and where in its page it was last found. Most turns leave it where it is.
#[derive(Debug, Clone)]
struct Watched {
    mark: Mark,
    /// The offset in the page.
    at: Arc<AtomicUsize>,
}

impl Anchor {
    /// Where the file lies. `given` is the name that it was opened by.
    pub(super) fn place(&self, given: &Path) -> Place {
        let is_link = !std::path::absolute(given).is_ok_and(|given| given == self.path());
        let place = Place {
            path: self.path().to_owned(),
            given: is_link.then(|| given.to_owned()),
            id: self.id(),
            length: Length::default(),
            log: None,
            mark: None,
        };
        place.is_cut_short();
        place
    }
}

impl Place {
    /// Returns true if the name no longer leads to the file that was opened, the file or its log was cut short, or
    /// something else was written over the file.
    pub fn is_lost(&self) -> bool {
        self.is_elsewhere() || self.is_cut_short() || self.is_written_over()
    }

    /// Returns true if the file has another content than the one that was opened, and false if that cannot be told.
    pub(super) fn is_written_over(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| !self.holds(mark))
    }

    /// Returns true if the name no longer leads to the file that was opened.
    fn is_elsewhere(&self) -> bool {
        FileId::at(&self.path) != Some(self.id)
            || self
                .given
                .as_ref()
                .is_some_and(|given| !FileId::behind(given).is_ok_and(|id| id == self.id))
    }

    /// Returns true if the file or its log is shorter than it was.
    fn is_cut_short(&self) -> bool {
        self.length.is_cut(|| fs::symlink_metadata(&self.path).ok().map(|file| file.len()))
            || self.log.as_ref().is_some_and(Log::is_cut)
    }

    /// Returns true if the file or its log was cut short, and the rest still belongs to this database.
    pub(super) fn is_a_part(&self) -> bool {
        let is_empty = || fs::symlink_metadata(&self.path).is_ok_and(|file| file.len() == 0);
        !self.is_elsewhere() && self.is_cut_short() && (is_empty() || !self.is_written_over())
    }

    /// The file's name without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Watches the length of the log too from now on.
    pub(super) fn watch_log(&mut self) {
        self.log = Some(Log::watch(&self.path));
    }

    /// The write-ahead log, if it is watched.
    pub(super) fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// Watches the content of the file too from now on, if the mark is in it.
    pub(super) fn watch(&mut self, mark: Mark) {
        self.mark = Some(Watched { mark, at: Arc::default() });
        if self.is_written_over() {
            self.mark = None;
        }
    }

    fn holds(&self, watched: &Watched) -> bool {
        let Watched { mark, at } = watched;
        let mut page = vec![0; mark.length];
        // A page that is being written may be read half old and half new.
        (0..TRIES).any(|_| match read_open(self.id, &mut page, mark.offset) {
            // If the connection is closed, there is nothing to watch any more.
            None => true,
            Some(read) => read.is_ok() && is_in_page(&page, mark.text.as_bytes(), at),
        })
    }
}

/// Returns true if the page holds the text. It looks first where the text was the last time, as given by `at`, and
/// remembers where it is now.
fn is_in_page(page: &[u8], text: &[u8], at: &AtomicUsize) -> bool {
    let last = at.load(Ordering::Relaxed);
    if page.get(last..).is_some_and(|rest| rest.starts_with(text)) {
        return true;
    }
    let found = page.windows(text.len()).position(|part| part == text);
    if let Some(found) = found {
        at.store(found, Ordering::Relaxed);
    }
    found.is_some()
}

/// The number of times that a page is read before it is believed to have another content.
const TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_its_page_wherever_it_moves() {
        let at = AtomicUsize::new(0);
        for (page, found, last) in [
            ("..mark....", true, 2),
            ("..mark....", true, 2),
            ("......mark", true, 6),
            ("mark......", true, 0),
            ("..mar.....", false, 0),
            ("mar", false, 0),
        ] {
            assert_eq!(is_in_page(page.as_bytes(), b"mark", &at), found, "{page}");
            assert_eq!(at.load(Ordering::Relaxed), last, "{page}");
        }
        at.store(9, Ordering::Relaxed);
        assert!(is_in_page(b"..mark....", b"mark", &at), "the rest of the page is too short");
    }
}
