//! A complete command, and the steps that follow a run or an error.

use std::fmt;

use super::words::{for_resuming, in_profile, of_every_command, of_list, typed, typed_for_one};
use crate::shell::quoted;

/// Options whose values may contain a secret by mistake, so they are not repeated.
const UNSHOWN: [&str; 1] = ["--credential-process"];

/// A complete command. It is shown on a line of its own, so a message ends with a line end before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Suggestion(Vec<String>);

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.shown())
    }
}

impl Suggestion {
    /// A command that reads or changes the database of the present one.
    pub(in crate::cli) fn here<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self::from_words(
            words.into_iter().map(str::to_owned).chain(in_profile(of_every_command(typed()))),
        )
    }

    /// A command that needs no database.
    pub(in crate::cli) fn plain<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self::from_words(words.into_iter().map(str::to_owned))
    }

    /// The command that continues the run of the present command: [`Suggestion::resume_another`] with its list.
    pub(in crate::cli) fn resume() -> Self {
        let mut command = Self::resume_another();
        command.0.extend(of_list(typed()));
        command
    }

    /// The command that continues an unfinished run. The options of the present command that no run keeps are repeated, and
    /// so is its endpoint, which would otherwise have to be confirmed.
    pub(in crate::cli) fn resume_another() -> Self {
        Self::from_words(
            std::iter::once("resume".to_owned()).chain(in_profile(for_resuming(typed()))),
        )
    }

    /// The present command, once more.
    pub(in crate::cli) fn again() -> Self {
        Self::from_words(typed_for_one())
    }

    pub(super) fn from_words(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Adds words to the command.
    #[must_use]
    pub(in crate::cli) fn with<'w>(mut self, words: impl IntoIterator<Item = &'w str>) -> Self {
        self.0.extend(words.into_iter().map(str::to_owned));
        self
    }

    /// The command, quoted for a shell, without the space before it.
    pub(in crate::cli) fn shown(&self) -> String {
        let mut shown = vec!["costag".to_owned()];
        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            if UNSHOWN.contains(&name) {
                if name == word {
                    words.next();
                }
                shown.extend([name.to_owned(), "…".to_owned()]);
            } else {
                shown.push(quoted(word));
            }
        }
        shown.join(" ")
    }
}

/// A step that can follow a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Then {
    /// Continue the run of the present command.
    Resume,
    /// Continue an unfinished run over another list.
    ResumeAnother,
    /// Look at what failed.
    Failures,
    /// Put the failed images back.
    Retry,
    /// Check the database.
    Verify,
    /// Look at the settings.
    Settings,
    /// The same command, once more.
    Again,
}

impl Then {
    /// The command that does this step.
    pub(in crate::cli) fn command(self) -> Suggestion {
        match self {
            Self::Resume => Suggestion::resume(),
            Self::ResumeAnother => Suggestion::resume_another(),
            Self::Failures => Suggestion::here(["status", "--failures"]),
            Self::Retry => Suggestion::here(["retry"]),
            Self::Verify => Suggestion::here(["verify"]),
            // Without a file, because the file may be the reason why the settings cannot be read.
            Self::Settings => Suggestion::plain(["config", "show", "--no-config"]),
            Self::Again => Suggestion::again(),
        }
    }
}
